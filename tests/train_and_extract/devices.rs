//! `--device`: what a build and a machine have and lack, and several devices that share a step's batches.

use crate::programs::{program, workplace};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

#[test]
fn devices_that_are_not_there_are_wrong_usage_in_one_line() {
    let folder = workplace();
    let train = |device: &str| {
        program("ffsvc-train").current_dir(&folder).args(["tiny.toml", "exp", "--device", device]).assert()
    };
    train("gpu").code(2).stderr(contains("expected cpu, auto, cuda"));
    if !cfg!(feature = "cuda") {
        train("cuda:0").code(2).stderr(contains("feature `cuda`").and(contains("panicked").not()));
    }
    if !cfg!(feature = "remote") {
        train("remote:localhost:3000").code(2).stderr(contains("Cargo feature `remote`"));
        program("ffsvc-train").arg("serve-device").assert().code(2).stderr(contains("--features remote"));
    }
    assert!(!folder.path().join("exp").exists());

    program("ffsvc-train")
        .current_dir(&folder)
        .args(["tiny.toml", "--dry-run", "--device", "auto", "--set", "train.accumulate=2"])
        .assert()
        .success()
        .stdout(contains("utterances a step\t8 (2 batches of 4 on 1 device)"));
}

#[cfg(feature = "remote")]
mod remote {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::programs::final_model;
    use burn::tensor::Device;
    use ffsvc_models::{load_model, named_tensors};

    /// A server of one CPU device, ended when the test ends.
    struct Server {
        process: Child,
        address: String,
    }

    impl Server {
        fn start() -> Self {
            let mut process = Command::new(assert_cmd::cargo::cargo_bin("ffsvc-train"))
                .args(["serve-device", "--listen", "127.0.0.1:0", "-q"])
                .env("FFSVC_DEVICE_TOKEN", "secret")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let address = line.trim().strip_prefix("listening\t").unwrap().to_string();
            Self { process, address }
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    /// Ten steps of two batches each. A single device of this process with twice the batch would take other statistics in
    /// BatchNorm; with the same batches it is the same.
    #[test]
    fn two_remote_devices_train_as_one_local_device_does() {
        let folder = workplace();
        let (first, second) = (Server::start(), Server::start());
        let run = |exp: &str, device: &str, token: &str| {
            let ten_steps = ["train.accumulate=2", "train.epochs=5", "model.dropout=0.0"];
            program("ffsvc-train")
                .current_dir(&folder)
                .env("FFSVC_DEVICE_TOKEN", token)
                .args(["tiny.toml", exp, "-q", "--device", device])
                .args(ten_steps.iter().flat_map(|setting| ["--set", setting]))
                .assert()
        };
        run("local", "cpu", "").success();
        let both = format!("remote:{},{}", first.address, second.address);
        run("remote", &both, "secret").success();
        run("refused", &both, "wrong").code(2).stderr(contains(first.address.as_str()));
        run("nobody", "remote:127.0.0.1:1", "secret").code(2).stderr(contains("127.0.0.1:1"));

        let numbers = |exp: &str| {
            let (model, head, _) = load_model(final_model(&folder, exp), &Device::flex()).unwrap();
            [named_tensors(&model), named_tensors(&head.unwrap())].concat()
        };
        for (remote, local) in numbers("remote").iter().zip(numbers("local")) {
            for (remote_value, value) in remote.data.iter().zip(local.data) {
                let error = (remote_value - value).abs();
                assert!(error < 1e-4 * (1.0 + value.abs()), "{}: {remote_value} and {value}", remote.name);
            }
        }
    }
}
