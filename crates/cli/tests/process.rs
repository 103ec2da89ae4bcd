//! Exit statuses, messages, broken pipes and Ctrl-C, seen from outside the process.
//!
//! This test has no harness: with the variable below set it is the program under test, else it runs
//! itself in each role and looks at how that ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use ffsvc_cli::{Failed, Interrupted, UsageError, interrupt, print_json, run};

const ROLE: &str = "FFSVC_CLI_TEST_ROLE";

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return run("prog", || play(&role));
    }
    exit_statuses_and_messages();
    println!("exit statuses and messages ... ok");
    json_is_printed();
    println!("json ... ok");
    #[cfg(unix)]
    {
        a_reader_that_leaves_ends_the_program_quietly();
        println!("broken pipe ... ok");
        signals();
        println!("signals ... ok");
    }
    ExitCode::SUCCESS
}

fn play(role: &str) -> anyhow::Result<()> {
    match role {
        "ok" => Ok(()),
        "error" => Err(anyhow::anyhow!("no such key").context("bad table")).context("cannot start"),
        "usage" => Err(UsageError::new("--min is above --max")).context("options"),
        "failed" => Err(Failed).context("12 faults"),
        "interrupted" => Err(Interrupted).context("3 of 9 done"),
        "panic" => panic!("a fault of ours"),
        "json" => print_json(&serde_json::json!({"eer": 0.25, "n": [1, 2]})),
        "println" => loop {
            println!("{}", "x".repeat(1000));
        },
        "json-flood" => loop {
            print_json(&vec![0; 10_000])?;
        },
        "pipe-of-another" => Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe)).context("sox"),
        "wait" => {
            let stop = interrupt::flag();
            println!("ready");
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            println!("stopped in good order");
            Ok(())
        }
        "stubborn" => {
            let stop = interrupt::flag();
            println!("ready");
            loop {
                std::thread::sleep(Duration::from_millis(5));
                if stop.load(Ordering::SeqCst) {
                    println!("seen");
                    std::thread::sleep(Duration::from_secs(60));
                }
            }
        }
        other => Err(UsageError::new(format!("no role {other}")).into()),
    }
}

fn program(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(ROLE, role).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn exit_statuses_and_messages() {
    let cases = [
        ("ok", 0, ""),
        ("error", 1, "prog: error: cannot start\n  caused by: bad table\n  caused by: no such key\n"),
        (
            "usage",
            2,
            "prog: error: options\n  caused by: --min is above --max\nFor the usage, try 'prog --help'.\n",
        ),
        ("failed", 1, ""),
        ("interrupted", 130, ""),
        ("pipe-of-another", 1, "prog: error: sox\n  caused by: broken pipe\n"),
    ];
    for (role, status, stderr) in cases {
        let got = ended(&program(role).output().unwrap());
        assert_eq!(got, (Some(status), String::new(), stderr.to_owned()), "{role}");
    }
    let (status, _, stderr) = ended(&program("panic").output().unwrap());
    assert_eq!(status, Some(101));
    assert!(stderr.contains("a fault of ours"), "{stderr}");
}

fn json_is_printed() {
    let (status, stdout, stderr) = ended(&program("json").output().unwrap());
    let expected = "{\n  \"eer\": 0.25,\n  \"n\": [\n    1,\n    2\n  ]\n}\n";
    assert_eq!((status, stdout.as_str(), stderr.as_str()), (Some(0), expected, ""));
}

#[cfg(unix)]
fn a_reader_that_leaves_ends_the_program_quietly() {
    for role in ["println", "json-flood"] {
        let mut child = program(role).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        let (status, _, stderr) = ended(&child.wait_with_output().unwrap());
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{role}");
    }
    if !std::path::Path::new("/dev/full").exists() {
        println!("skipped: no /dev/full");
        return;
    }
    for role in ["println", "json-flood"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (status, _, stderr) = ended(&program(role).stdout(full).output().unwrap());
        assert_eq!(status, Some(1), "{role}");
        assert!(
            stderr.starts_with("prog: error: cannot write to standard output\n  caused by: "),
            "{stderr}"
        );
    }
}

#[cfg(unix)]
fn signals() {
    for signal in ["INT", "TERM"] {
        let (mut child, mut lines) = waiting("wait");
        send(&child, signal);
        assert_eq!(lines.next().unwrap().unwrap(), "stopped in good order");
        assert_eq!(end_within(&mut child, Duration::from_secs(20)), Some(0), "{signal}");
    }
    let (mut child, mut lines) = waiting("stubborn");
    send(&child, "INT");
    assert_eq!(lines.next().unwrap().unwrap(), "seen");
    send(&child, "INT");
    assert_eq!(end_within(&mut child, Duration::from_secs(20)), Some(interrupt::EXIT_STATUS));
}

#[cfg(unix)]
fn waiting(role: &str) -> (Child, impl Iterator<Item = std::io::Result<String>>) {
    let mut child = program(role).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    (child, lines)
}

#[cfg(unix)]
fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[cfg(unix)]
fn end_within(child: &mut Child, limit: Duration) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    None
}
