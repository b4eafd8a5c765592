//! One bar for the whole transfer, on a terminal.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::sanitize::escape;
use crate::report::Progress;
use crate::units::{duration, size};

/// The bar: name, per cent, amount, speed and time left, redrawn a few times per second however often it is fed.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    name: Arc<str>,
}

impl Bar {
    /// A bar that starts where `progress` stands, so that what was there before does not count as speed.
    pub(super) fn start(progress: &Progress, target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(progress.total), target);
        bar.set_style(style());
        bar.set_position(progress.done);
        bar.reset_eta();
        bar.enable_steady_tick(REDRAW);
        bar.set_message(label(progress));
        Self { bar, name: progress.name.clone() }
    }

    /// Moves the bar.
    pub(super) fn update(&mut self, progress: &Progress) {
        if !Arc::ptr_eq(&self.name, &progress.name) {
            self.name = progress.name.clone();
            self.bar.set_message(label(progress));
        }
        self.bar.set_position(progress.done);
    }

    /// Runs `write` while the bar is out of the way.
    pub(super) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        self.bar.suspend(write)
    }

    /// Takes the bar off the screen.
    pub(super) fn clear(self) {
        self.bar.finish_and_clear();
    }
}

/// Lets an occasional event through: at most one per interval.
#[derive(Debug)]
pub(super) struct Throttle {
    interval: Duration,
    last: Option<Instant>,
}

impl Throttle {
    /// At most one per `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, last: None }
    }

    /// Whether one may pass at `now`.
    pub(super) fn passes(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= self.interval);
        if due {
            self.last = Some(now);
        }
        due
    }
}

fn label(progress: &Progress) -> String {
    let name = escape(&progress.name, NAME_LEN);
    if progress.file_count > 1 {
        format!("{name} ({}/{})", progress.index + 1, progress.file_count)
    } else {
        name
    }
}

fn style() -> ProgressStyle {
    let bar = ProgressStyle::default_bar();
    // A template that does not parse would cost the layout, not the transfer.
    bar.clone()
        .template("{msg}  {wide_bar}  {percent:>3} %  {amount}  {speed}  {left}")
        .unwrap_or(bar)
        .progress_chars("█▌░")
        .with_key("amount", |state: &ProgressState, text: &mut dyn Write| {
            let total = state.len().unwrap_or_default();
            let _ = write!(text, "{} / {}", size(state.pos()), size(total));
        })
        .with_key("speed", |state: &ProgressState, text: &mut dyn Write| {
            let _ = write!(text, "{}/s", size(whole(state.per_sec())));
        })
        .with_key("left", |state: &ProgressState, text: &mut dyn Write| {
            let _ = text.write_str(&left(state.per_sec(), state.eta()));
        })
}

/// `5 s left`, or nothing while no speed is known.
fn left(per_sec: f64, eta: Duration) -> String {
    if whole(per_sec) == 0 {
        return String::new();
    }
    format!("{} left", duration(Duration::from_secs(eta.as_secs().max(1))))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates"
)]
fn whole(per_sec: f64) -> u64 {
    per_sec as u64
}

/// Often enough to look alive, seldom enough to cost nothing.
const REDRAW: Duration = Duration::from_millis(200);
/// Characters of a name in front of the bar: the rest of 80 columns is for the numbers.
const NAME_LEN: usize = 20;

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use indicatif::TermLike;

    use super::*;

    /// 80 columns that remember what was written since they were last cleared.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn text(&self) -> String {
            self.0.lock().unwrap().trim_end().to_owned()
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _lines: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _lines: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(line)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn progress(name: &str, done: u64) -> Progress {
        Progress { name: name.into(), index: 0, file_count: 1, done, total: 1_200_000_000 }
    }

    fn bar(progress: &Progress) -> (Bar, Screen) {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        (Bar::start(progress, target), screen)
    }

    #[test]
    fn the_bar_fits_80_columns_with_name_per_cent_and_amount() {
        let (bar, screen) = bar(&progress("holiday.mp4", 702_000_000));
        bar.bar.force_draw();
        let line = screen.text();
        assert!(line.chars().count() <= 80, "{line}");
        for part in ["holiday.mp4  ", " 58 %", "702 MB / 1.2 GB"] {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn a_hostile_name_is_escaped_and_cut_in_the_bar() {
        let (bar, screen) = bar(&progress(&"\u{1b}[2J\r\u{202e}".repeat(50), 1));
        bar.bar.force_draw();
        let line = screen.text();
        assert!(line.contains(r"\u{1b}") && !line.contains(['\u{1b}', '\r']), "{line}");
    }

    #[test]
    fn a_cleared_bar_leaves_nothing_behind() {
        let (bar, screen) = bar(&progress("holiday.mp4", 1));
        bar.bar.force_draw();
        bar.clear();
        assert_eq!(screen.text(), "");
    }

    #[test]
    fn several_files_are_numbered() {
        let several = Progress { index: 1, file_count: 3, ..progress("a.txt", 0) };
        assert_eq!(label(&several), "a.txt (2/3)");
    }

    #[test]
    fn no_time_is_foretold_without_a_speed() {
        assert_eq!(left(0.0, Duration::from_secs(99)), "");
        assert_eq!(left(5.0, Duration::from_secs(99)), "1 min 39 s left");
        assert_eq!(left(5.0, Duration::ZERO), "1 s left");
    }

    #[test]
    fn a_throttle_lets_one_event_per_interval_pass() {
        let mut throttle = Throttle::new(Duration::from_millis(500));
        let start = Instant::now();
        let passed =
            [0, 100, 499, 500, 700, 1_000].map(|at| throttle.passes(start + Duration::from_millis(at)));
        assert_eq!(passed, [true, false, false, true, false, true]);
    }
}
