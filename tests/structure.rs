//! The layers of the workspace: imports go down, and only crates that run networks depend on Burn.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The crates that know Burn.
const WITH_BURN: [&str; 4] = ["models", "extraction", "trainer", "verification"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The dependencies of each crate in `crates/`, without those of its tests.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let mut crates = BTreeMap::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let manifest: toml::Table =
            toml::from_str(&fs::read_to_string(folder.join("Cargo.toml")).unwrap()).unwrap();
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        let names = dependencies.into_iter().flat_map(|table| table.keys().cloned()).collect();
        crates.insert(folder.file_name().unwrap().to_str().unwrap().to_owned(), names);
    }
    crates
}

/// The crates from the bottom up, as the diagram of ARCHITECTURE.md has them: a crate imports crates of lower floors only.
fn floors() -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, diagram) = page.split_once("```text\nthe programs\n").expect("the diagram of the crates");
    let (diagram, _) = diagram.split_once("```").unwrap();
    diagram.lines().rev().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn imports_go_down() {
    let (crates, floors) = (dependencies(), floors());
    let floor = |name: &str| {
        let found = floors.iter().position(|crates| crates.iter().any(|one| one == name));
        found.unwrap_or_else(|| panic!("the crate {name} is not in the diagram of ARCHITECTURE.md"))
    };
    for (name, dependencies) in &crates {
        for dependency in dependencies.iter().filter_map(|dependency| dependency.strip_prefix("ffsvc-")) {
            assert!(
                floor(dependency) < floor(name),
                "{name} (floor {}) imports {dependency} (floor {})",
                floor(name),
                floor(dependency)
            );
        }
    }
    let placed: usize = floors.iter().map(Vec::len).sum();
    assert_eq!(placed, crates.len(), "the diagram has a crate that is gone, or one twice");
}

#[test]
fn burn_is_where_networks_run() {
    for (name, dependencies) in dependencies() {
        let knows = dependencies.iter().any(|dependency| dependency == "burn");
        assert_eq!(knows, WITH_BURN.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn three_programs_build_without_burn() {
    let tree = |features: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--package", "ffsvc", "--edges", "normal", "--prefix", "none", "--offline"])
            .args(features)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let burn = |tree: &str| tree.lines().any(|line| line.starts_with("burn"));
    assert!(burn(&tree(&[])));
    assert!(!burn(&tree(&["--no-default-features"])));

    let manifest: toml::Table =
        toml::from_str(&fs::read_to_string(root().join("Cargo.toml")).unwrap()).unwrap();
    let without_networks =
        manifest["bin"].as_array().unwrap().iter().filter(|bin| bin.get("required-features").is_none());
    let names: Vec<&str> = without_networks.map(|bin| bin["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ffsvc-data", "ffsvc-score", "ffsvc-cluster"]);
}
