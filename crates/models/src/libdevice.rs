//! Where CUDA's mathematical functions are. CubeCL links `libdevice.10.bc` into every kernel with an exponential, a
//! logarithm or a hyperbolic tangent, when the kernel is first needed. Looking for it before that saves a user the failure
//! in the middle of the first step.

use std::path::{Path, PathBuf};

/// The file, within a CUDA toolkit.
const FILE: &str = "nvvm/libdevice/libdevice.10.bc";

/// Where CubeCL looks when `CUDA_PATH` is not set: `src/nvptx/libdevice.rs` of cubecl-llvm 0.11.3.
const ROOTS: [&str; 4] = ["/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda", "/usr"];

/// The file, or every place where it was looked for.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub(crate) fn find() -> Result<PathBuf, Vec<PathBuf>> {
    search(std::env::var("CUDA_PATH").ok().as_deref(), &ROOTS.map(Path::new))
}

/// As CubeCL searches: in `CUDA_PATH` alone if it is set, else in the first of the roots that has the folder.
fn search(cuda_path: Option<&str>, roots: &[&Path]) -> Result<PathBuf, Vec<PathBuf>> {
    let looked: Vec<PathBuf> = match cuda_path {
        Some(root) => vec![Path::new(root).join(FILE)],
        None => roots.iter().map(|root| root.join(FILE)).collect(),
    };
    let has_folder = |file: &&PathBuf| file.parent().is_some_and(Path::is_dir);
    match looked.iter().find(has_folder).filter(|file| file.is_file()) {
        Some(file) => Ok(file.clone()),
        None => Err(looked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_search_is_that_of_cubecl() {
        let folder = tempfile::tempdir().unwrap();
        let (empty, without, with) =
            (folder.path().join("empty"), folder.path().join("without"), folder.path().join("with"));
        for root in [&without, &with] {
            fs::create_dir_all(root.join(FILE).parent().unwrap()).unwrap();
        }
        fs::create_dir(&empty).unwrap();
        fs::write(with.join(FILE), "bitcode").unwrap();

        assert_eq!(search(None, &[&empty, &with]), Ok(with.join(FILE)));
        assert_eq!(search(None, &[]), Err(vec![]));
        // The first root with the folder is the toolkit, even if its file is missing.
        assert_eq!(search(None, &[&without, &with]), Err(vec![without.join(FILE), with.join(FILE)]));
        // A set variable is the only place.
        assert_eq!(search(with.to_str(), &[&empty]), Ok(with.join(FILE)));
        assert_eq!(search(empty.to_str(), &[&with]), Err(vec![empty.join(FILE)]));
        // A folder is not the file.
        fs::create_dir(without.join(FILE)).unwrap();
        assert_eq!(search(without.to_str(), &[&with]), Err(vec![without.join(FILE)]));
    }
}
