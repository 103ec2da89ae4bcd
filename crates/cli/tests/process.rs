//! Exit statuses, messages, broken pipes and Ctrl-C, seen from outside the process.
//!
//! This test has no harness: with the variable below set it is the program under test, else it runs
//! itself in each role and looks at how that ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use ffsvc_cli::{
    Failed, Interrupted, Logging, OutputFile, OutputPath, Range, RangeArg as _, RunFiles, UsageError,
};
use ffsvc_cli::{interrupt, print_json, run};

const ROLE: &str = "FFSVC_CLI_TEST_ROLE";

/// An example program
#[derive(clap::Parser)]
#[command(name = "prog", version = "1.2")]
struct Args {
    #[command(subcommand)]
    command: Option<Sub>,

    /// Write scores
    #[arg(long, value_name = "FILE")]
    scores_out: Option<OutputFile>,

    /// Print as JSON
    #[arg(long)]
    json: bool,

    /// Confidence
    #[arg(long, default_value_t = 0.95, range = Range::above(0.0).below(1.0))]
    level: f64,
}

#[derive(clap::Subcommand)]
enum Sub {
    /// Draw a picture
    Plot {
        /// Picture
        #[arg(long, value_name = "FILE")]
        output: OutputPath,
        /// Form
        #[arg(long, value_parser = ["png", "svg"])]
        form: Option<String>,
        #[command(subcommand)]
        picture: Option<Picture>,
    },
}

#[derive(clap::Subcommand)]
enum Picture {
    /// Draw error rates
    Det,
}

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return if role == "result" { ffsvc_cli::program(result) } else { run("prog", || play(&role)) };
    }
    what_a_program_says_about_itself();
    println!("completions, manual, options ... ok");
    exit_statuses_and_messages();
    println!("exit statuses and messages ... ok");
    json_is_printed();
    println!("json ... ok");
    failures_are_json_too();
    println!("failures as json ... ok");
    #[cfg(unix)]
    {
        results_on_standard_output();
        println!("results on standard output ... ok");
        a_reader_that_leaves_ends_the_program_quietly();
        println!("broken pipe ... ok");
        #[cfg(target_os = "linux")]
        a_full_disk_is_an_error();
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
        "messages" => {
            let verbose = u8::from(std::env::args().any(|word| word == "-v"));
            Logging { quiet: false, verbose }.init();
            tracing::warn!("a warning of ours");
            tracing::info!("what is done");
            tracing::warn!(target: "symphonia_format_isomp4::demuxer", "skipped 4 bytes of junk");
            Ok(())
        }
        "result-flood" => {
            let mut file = ffsvc_atomic_file::AtomicFile::create("/dev/stdout")?;
            loop {
                file.write_all(&[b'x'; 10_000]).context("cannot write the scores")?;
            }
        }
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

fn result(args: Args) -> anyhow::Result<()> {
    let findings = RunFiles::new().output("--scores-out", &args.scores_out).check(args.json)?;
    if let Some(out) = &args.scores_out {
        ffsvc_atomic_file::write(out, "a b 0.5\n").context("cannot write the scores")?;
    }
    if args.level < 0.1 {
        return Err(anyhow::anyhow!("7 trials").context("too few trials")).context("cannot measure");
    }
    findings.show("EER 5 %\n")?;
    if args.level < 0.5 {
        return Err(Failed).context("the level is low");
    }
    Ok(())
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

fn what_a_program_says_about_itself() {
    let says = |words: &[&str]| ended(&program("result").args(words).output().unwrap());
    let (status, script, _) = says(&["completions", "bash"]);
    assert_eq!(status, Some(0));
    assert!(script.contains("complete -F _prog") && script.contains("--scores-out"), "{script}");
    let (status, _, stderr) = says(&["completions", "tcsh"]);
    assert_eq!(status, Some(2));
    assert!(
        stderr.contains("`tcsh` is no shell known here (bash, elvish, fish, powershell, zsh)"),
        "{stderr}"
    );

    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/pages");
    assert_eq!(says(&["manual", pages.to_str().unwrap()]), (Some(0), String::new(), String::new()));
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("prog.1").contains("An example program") && page("prog.1").contains("scores\\-out"));
    assert!(page("prog-plot.1").contains("Draw a picture"));
    assert!(page("prog-plot-det.1").contains("Draw error rates"));

    let (_, dump, _) = says(&["--dump-options"]);
    let dump: serde_json::Value = serde_json::from_str(&dump).unwrap();
    let option = |command: usize, long: &str| {
        let options = dump["commands"][command]["options"].as_array().unwrap();
        options
            .iter()
            .find(|option| option["long"] == long)
            .unwrap_or_else(|| panic!("{long} of {dump}"))
            .clone()
    };
    assert_eq!(dump["commands"][1]["name"], "plot");
    assert_eq!(dump["commands"][2]["name"], "plot det");
    for (command, long, field, value) in [
        (0, "level", "kind", "number"),
        (0, "level", "range", "> 0 and < 1"),
        (0, "scores-out", "kind", "output-file"),
        (0, "scores-out", "value_name", "FILE"),
        (0, "json", "kind", "flag"),
        (0, "options", "kind", "path"),
        (1, "options", "kind", "path"),
        (1, "output", "kind", "output-path"),
        (1, "form", "kind", "choice"),
    ] {
        assert_eq!(option(command, long)[field], value, "{long} {field}");
    }
    let (_, help, _) = says(&["--help"]);
    assert!(help.contains("--options <FILE>") && help.contains("prog completions bash"), "{help}");
}

#[cfg(unix)]
fn results_on_standard_output() {
    let says = |words: &[&str]| ended(&program("result").args(words).output().unwrap());
    let on_stdout = (Some(0), "a b 0.5\n".to_owned(), "EER 5 %\n".to_owned());
    assert_eq!(says(&["--scores-out", "-"]), on_stdout);
    assert_eq!(says(&["--scores-out=/dev/stdout"]), on_stdout);
    assert_eq!(says(&["--scores-out=/proc/self/fd/1"]), on_stdout);
    assert_eq!(says(&[]), (Some(0), "EER 5 %\n".to_owned(), String::new()));
    assert_eq!(says(&["--json"]), (Some(0), "\"EER 5 %\\n\"\n".to_owned(), String::new()));
    let (status, stdout, stderr) = says(&["--json", "--scores-out", "-"]);
    assert_eq!(status, Some(2));
    assert_eq!(stdout.matches("\"exit_status\": 2").count(), 1, "{stdout}");
    assert!(
        stderr.contains("--scores-out standard output and --json both write to standard output"),
        "{stderr}"
    );
    let (status, _, stderr) = says(&["plot", "--output", "-"]);
    assert_eq!(status, Some(2));
    assert!(
        stderr.contains("invalid value '-' for '--output <FILE>': this output cannot go to standard"),
        "{stderr}"
    );

    // A redirection that appends goes on appending.
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::write(&log, "before\n").unwrap();
    for words in [["--scores-out", "-"], ["--scores-out", "/dev/stdout"]] {
        let append = std::fs::File::options().append(true).open(&log).unwrap();
        assert!(program("result").args(words).stdout(append).status().unwrap().success());
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "before\na b 0.5\na b 0.5\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
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
    let messages = |words: &[&str]| {
        let output = program("messages").env_remove("RUST_LOG").args(words).output().unwrap();
        ended(&output).2
    };
    let usual = messages(&[]);
    assert!(usual.contains("a warning of ours") && !usual.contains("what is done"), "{usual}");
    assert!(!usual.contains("junk"), "{usual}");
    let verbose = messages(&["-v"]);
    assert!(["ours", "what is done", "junk"].iter().all(|part| verbose.contains(part)), "{verbose}");
    let (status, _, stderr) = ended(&program("panic").output().unwrap());
    assert_eq!(status, Some(101));
    assert!(stderr.contains("a fault of ours"), "{stderr}");
}

fn json_is_printed() {
    let (status, stdout, stderr) = ended(&program("json").output().unwrap());
    let expected = "{\n  \"schema\": 1,\n  \"eer\": 0.25,\n  \"n\": [\n    1,\n    2\n  ]\n}\n";
    assert_eq!((status, stdout.as_str(), stderr.as_str()), (Some(0), expected, ""));
}

fn failures_are_json_too() {
    let says = |words: &[&str]| ended(&program("result").args(words).output().unwrap());
    let failure = |words: &[&str]| {
        let (status, stdout, stderr) = says(words);
        let failure: serde_json::Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}"));
        assert_eq!((&failure["schema"], &failure["program"]), (&1.into(), &"prog 1.2".into()));
        assert_eq!(failure["exit_status"], status.unwrap(), "{failure}");
        let error = failure["error"].as_str().unwrap().to_owned();
        assert!(stderr.contains(&error), "{stderr}");
        (status.unwrap(), error, failure["causes"].clone())
    };
    let causes = serde_json::json!(["too few trials", "7 trials"]);
    assert_eq!(failure(&["--json", "--level", "0.05"]), (1, "cannot measure".to_owned(), causes));
    // clap's own errors, without its usage; --json stands behind the wrong word.
    let (status, error, causes) = failure(&["--no-such", "--json"]);
    assert_eq!((status, causes), (2, serde_json::json!([])));
    assert_eq!(error, "unexpected argument '--no-such' found");
    assert_eq!(failure(&["plot", "--form=gif", "--json"]).0, 2);

    // From a file of options, and of a file of options.
    let folder = tempfile::tempdir().unwrap();
    let options = folder.path().join("options.toml");
    let file = options.to_str().unwrap();
    std::fs::write(&options, "json = true\nlevel = 0.05\n").unwrap();
    assert_eq!(failure(&["--options", file]).0, 1);
    std::fs::write(&options, "levels = 0.05\n").unwrap();
    let (status, error, _) = failure(&["--json", "--options", file]);
    assert!(status == 2 && error.contains("levels is no option of prog"), "{error}");

    // One object: a result stays alone.
    let result = "\"EER 5 %\\n\"\n".to_owned();
    assert_eq!(says(&["--json", "--level", "0.3"]), (Some(1), result, String::new()));
    // What is no failure, and what did not ask for it.
    assert!(!says(&["--json", "--help"]).1.contains("exit_status"));
    assert_eq!(says(&["--level", "0.05"]).1, "");
    assert_eq!(says(&["--no-such", "--", "--json"]).1, "");
}

#[cfg(unix)]
fn a_reader_that_leaves_ends_the_program_quietly() {
    for role in ["println", "json-flood", "result-flood"] {
        let mut child = program(role).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).take(100).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        let (status, _, stderr) = ended(&child.wait_with_output().unwrap());
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{role}");
    }
}

#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
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
    // A batch system's USR1 and the TERM after it are one request, and only a further one is a second.
    let (mut child, mut lines) = waiting("stubborn");
    send(&child, "USR1");
    assert_eq!(lines.next().unwrap().unwrap(), "seen");
    send(&child, "TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().unwrap(), None);
    send(&child, "TERM");
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
