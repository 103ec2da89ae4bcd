//! How far a long piece of work is.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{
    HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

/// Time between two lines where there is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// A rate of less time than this says nothing.
const LEAST_MEASURED: Duration = Duration::from_millis(100);

/// No estimate is longer than this.
const LONGEST_ESTIMATE: Duration = Duration::from_secs(1000 * 24 * 3600);

/// All bars of the process, so that messages can be written beside them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
static QUIET: AtomicBool = AtomicBool::new(false);

pub(crate) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Runs `write` while no bar is on the screen.
pub(crate) fn beside_bars<R>(write: impl FnOnce() -> R) -> R {
    BARS.suspend(write)
}

/// The progress of one piece of work, on stderr.
///
/// On a terminal it is a bar with rate and time left. Elsewhere (a log file, a job scheduler) it is a
/// plain line every ten seconds. [`finish`](Self::finish) replaces either by one line that says what was
/// done in what time. With `-q` ([`Logging`](crate::Logging)) there is nothing at all. Threads may share it
/// by reference. Dropped without `finish`, it disappears, so an error message is the last line.
///
/// ```
/// let progress = ffsvc_cli::Progress::begin(100, "utterances");
/// for i in 0..100 {
///     progress.set_message(format!("utt{i}"));
///     progress.inc(1);
/// }
/// assert_eq!(progress.position(), 100);
/// progress.finish();
/// ```
pub struct Progress {
    bar: ProgressBar,
    label: String,
    started: Instant,
    /// Steps that were done before it began: they count as done, not as speed.
    before: Arc<AtomicU64>,
    plain: Option<Plain>,
    quiet: bool,
}

struct Plain {
    interval: Duration,
    state: Mutex<PlainState>,
}

struct PlainState {
    next: Instant,
    out: Box<dyn Write + Send>,
}

impl Progress {
    /// Begins work of `total` steps (0: not known beforehand); `label` says what the steps are.
    pub fn begin(total: u64, label: impl Into<String>) -> Self {
        let quiet = QUIET.load(Ordering::Relaxed);
        if quiet || !io::stderr().is_terminal() {
            return Self::plain(total, label.into(), quiet, PLAIN_INTERVAL, Box::new(io::stderr()));
        }
        let (label, before) = (label.into(), Arc::new(AtomicU64::new(0)));
        let bar = BARS.add(ProgressBar::no_length());
        let template = if total > 0 {
            bar.set_length(total);
            "{prefix} {bar:16} {human_pos}/{human_len} {speed} {wide_msg}"
        } else {
            "{prefix} {spinner} {human_pos} {speed} {wide_msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let of_bar = Arc::clone(&before);
            let speed = move |state: &ProgressState, out: &mut dyn fmt::Write| {
                let before = of_bar.load(Ordering::Relaxed);
                // A bar that cannot be drawn is no reason to stop the work.
                let _ = out.write_str(&speed(before, state.pos(), state.len(), state.elapsed()));
            };
            bar.set_style(style.with_key("speed", speed));
        }
        bar.set_prefix(label.clone());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, label, started: Instant::now(), before, plain: None, quiet }
    }

    fn plain(total: u64, label: String, quiet: bool, interval: Duration, out: Box<dyn Write + Send>) -> Self {
        let target = ProgressDrawTarget::hidden();
        let bar = ProgressBar::with_draw_target((total > 0).then_some(total), target);
        let started = Instant::now();
        let state = Mutex::new(PlainState { next: started + interval, out });
        let before = Arc::default();
        Self { bar, label, started, before, plain: Some(Plain { interval, state }), quiet }
    }

    /// `steps` were done before the work began, by a run that is resumed.
    pub fn begin_after(&self, steps: u64) {
        self.before.store(steps, Ordering::Relaxed);
        self.bar.set_position(steps);
    }

    /// `steps` more are done.
    pub fn inc(&self, steps: u64) {
        self.inc_shown(steps);
    }

    /// As [`inc`](Self::inc). Returns whether it wrote a line, which a bar does not.
    pub fn inc_shown(&self, steps: u64) -> bool {
        self.bar.inc(steps);
        let Some(plain) = self.plain.as_ref().filter(|_| !self.quiet) else {
            return false;
        };
        let mut state = plain.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now >= state.next {
            state.next = now + plain.interval;
            // A progress line that cannot be written is no reason to stop the work.
            let _ = writeln!(state.out, "{}", self.line(now - self.started));
            return true;
        }
        false
    }

    /// A short remark beside the bar (the current loss, the current file); it replaces the former one.
    pub fn set_message(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Prints a line on stderr, above the bar if there is one. Not shown with `-q`.
    pub fn println(&self, line: impl AsRef<str>) {
        match &self.plain {
            _ if self.quiet => {}
            None => self.bar.println(line),
            Some(plain) => {
                let mut state = plain.state.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = writeln!(state.out, "{}", line.as_ref());
            }
        }
    }

    /// Steps done so far.
    pub fn position(&self) -> u64 {
        self.bar.position()
    }

    /// Ends the progress with one line: steps, time, rate.
    pub fn finish(self) {
        let done = self.bar.position().saturating_sub(self.before.load(Ordering::Relaxed));
        let elapsed = self.started.elapsed();
        self.bar.finish_and_clear();
        let rate = rate(done, elapsed).map_or_else(String::new, |rate| format!(" ({rate:.1}/s)"));
        let line = format!("{}: {done} in {:.1} s{rate}", self.label, elapsed.as_secs_f64());
        match &self.plain {
            _ if self.quiet => {}
            None => beside_bars(|| eprintln!("{line}")),
            Some(_) => self.println(line),
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let (done, total) = (self.bar.position(), self.bar.length());
        let mut line = format!("{}: {done}", self.label);
        if let Some(total) = total {
            line += &format!("/{total} ({:.0} %)", 100.0 * done as f64 / total.max(1) as f64);
        }
        let before = self.before.load(Ordering::Relaxed);
        for remark in [speed(before, done, total, elapsed), self.bar.message()] {
            if !remark.is_empty() {
                line.push_str(", ");
                line.push_str(&remark);
            }
        }
        line
    }
}

/// Steps in a second, once there is something to measure.
fn rate(done: u64, elapsed: Duration) -> Option<f64> {
    (done > 0 && elapsed >= LEAST_MEASURED).then(|| done as f64 / elapsed.as_secs_f64())
}

/// Rate and time left, once there is something to measure.
fn speed(before: u64, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let Some(rate) = rate(done.saturating_sub(before), elapsed) else { return String::new() };
    let Some(total) = total else { return format!("{rate:.1}/s") };
    let left = total.saturating_sub(done) as f64 / rate;
    match Duration::try_from_secs_f64(left) {
        Ok(left) if left <= LONGEST_ESTIMATE => format!("{rate:.1}/s, {} left", HumanDuration(left)),
        _ => format!("{rate:.1}/s"),
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if self.plain.is_none() {
            BARS.remove(&self.bar);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn plain(total: u64, quiet: bool, interval: Duration) -> (Progress, Sink) {
        let sink = Sink::default();
        (Progress::plain(total, "utts".into(), quiet, interval, Box::new(sink.clone())), sink)
    }

    #[test]
    fn plain_lines_say_how_far_the_work_is() {
        let (progress, sink) = plain(4, false, Duration::ZERO);
        progress.inc(1);
        progress.set_message("loss 2.5");
        assert!(progress.inc_shown(1));
        progress.println("a remark");
        progress.finish();
        let text = sink.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines, ["utts: 1/4 (25 %)", "utts: 2/4 (50 %), loss 2.5", "a remark", "utts: 2 in 0.0 s"]);
        let late = plain(4, false, Duration::ZERO).0;
        late.inc(1);
        late.set_message("loss 2.5");
        assert_eq!(late.line(Duration::from_secs(2)), "utts: 1/4 (25 %), 0.5/s, 6 seconds left, loss 2.5");
    }

    #[test]
    fn what_was_done_before_is_no_speed() {
        assert_eq!(speed(50, 60, Some(100), Duration::from_secs(10)), "1.0/s, 40 seconds left");
        assert_eq!(speed(50, 50, Some(100), Duration::from_secs(10)), "");
        let (progress, sink) = plain(4, false, Duration::ZERO);
        progress.begin_after(3);
        progress.inc(1);
        progress.finish();
        let text = sink.text();
        assert!(text.starts_with("utts: 4/4 (100 %)") && text.ends_with("utts: 1 in 0.0 s\n"), "{text}");
    }

    #[test]
    fn nothing_is_estimated_of_nothing() {
        let second = Duration::from_secs(1);
        for (done, total, elapsed, expected) in [
            (0, Some(4), 10 * second, ""),
            (0, Some(0), second, ""),
            (0, None, Duration::ZERO, ""),
            (1000, Some(2000), Duration::from_nanos(1), ""),
            (5, None, second, "5.0/s"),
            (5, Some(5), second, "5.0/s, 0 seconds left"),
            (7, Some(5), second, "7.0/s, 0 seconds left"),
            (1, Some(u64::MAX), second, "1.0/s"),
        ] {
            assert_eq!(speed(0, done, total, elapsed), expected, "{done} of {total:?} in {elapsed:?}");
        }
        let (nothing, sink) = plain(0, false, Duration::ZERO);
        nothing.finish();
        assert_eq!(sink.text(), "utts: 0 in 0.0 s\n");
    }

    #[test]
    fn lines_wait_for_the_interval_and_quiet_prints_none() {
        let (progress, sink) = plain(0, false, Duration::from_secs(3600));
        (0..1000).for_each(|_| assert!(!progress.inc_shown(1)));
        assert_eq!((sink.text().as_str(), progress.position()), ("", 1000));
        let (progress, sink) = plain(2, true, Duration::ZERO);
        progress.inc(2);
        progress.println("x");
        progress.finish();
        assert_eq!(sink.text(), "");
    }
}
