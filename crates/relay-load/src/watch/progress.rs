//! What is to be seen while a watch goes on: one line, on a terminal only.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::SECOND_US;
use crate::report::Second;

/// The line: how far the watch is, then what it sees.
const TEMPLATE: &str = "{bar:24} {msg}";

/// One line on standard error, or nothing.
#[derive(Debug)]
pub(super) struct Progress(Option<ProgressBar>);

/// What the line shows.
#[derive(Debug)]
pub(super) struct Snapshot<'a> {
    pub(super) at_us: u64,
    pub(super) end_us: u64,
    pub(super) begun: u32,
    pub(super) viewers: usize,
    pub(super) serving: u64,
    pub(super) last: Option<&'a Second>,
    pub(super) starved: u64,
}

impl Progress {
    /// A line where somebody sees it, unless `quiet`.
    pub(super) fn new(quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(1);
        // Where the template cannot be read the library's own line is as good.
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self(Some(bar))
    }

    /// Draws the line anew.
    pub(super) fn draw(&self, snapshot: &Snapshot<'_>) {
        if let Self(Some(bar)) = self {
            bar.set_length(snapshot.end_us);
            bar.set_position(snapshot.at_us);
            bar.set_message(snapshot.text());
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if let Self(Some(bar)) = self {
            bar.finish_and_clear();
        }
    }
}

impl Snapshot<'_> {
    fn text(&self) -> String {
        let left = Duration::from_micros(self.end_us.saturating_sub(self.at_us)).as_secs();
        let mut text = format!("{} of {} watch", self.serving, self.viewers);
        if (self.begun as usize) < self.viewers {
            text += &format!(" ({} came)", self.begun);
        }
        if let Some(last) = self.last {
            let megabits = last.bytes as f64 * 8.0 / SECOND_US as f64;
            text += &format!(", {megabits:.1} Mbit/s, late p99 {:.0} ms", last.late_p99_ms);
        }
        text + &format!(", {} starved viewer-seconds, {left} s left", self.starved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_who_watches_and_how_well() {
        let second = Second {
            bytes: 1_250_000,
            late_p99_ms: 48.4,
            ..Second::default()
        };
        let snapshot = Snapshot {
            at_us: 5_000_000,
            end_us: 35_500_000,
            begun: 90,
            viewers: 100,
            serving: 80,
            last: Some(&second),
            starved: 3,
        };
        assert_eq!(
            snapshot.text(),
            "80 of 100 watch (90 came), 10.0 Mbit/s, late p99 48 ms, 3 starved viewer-seconds, 30 s left"
        );
    }
}
