//! What is wrong with a configuration, said so that the next edit mends it: file, line, caret, sentence.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Keys whose values are never shown, not even when they are what is wrong.
const SECRET_KEYS: [&str; 2] = ["token", "secret"];

/// What stands before or behind the secret in a URL: `user:password@host`, `name?key=…`. No other value has them.
const URL_SECRET_MARKS: [char; 2] = ['@', '?'];

/// How every join token begins, wherever one was put by mistake.
const JOIN_MARK: &str = "relay-join-";

/// What stands in the place of what is not shown.
const HIDDEN: &str = "[hidden]";

/// Longer lines are shown up to here: a screen's width twice, and a bound on what a wrong file can print.
const MAX_SHOWN_CHARS: usize = 160;

/// Why a configuration was refused. Nothing has been started when one exists; the exit code is 78.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is larger than any configuration is.
    #[error("{} is larger than {limit} bytes, so it is no configuration file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// A line of the file is wrong.
    #[error("{0}")]
    Line(Box<LineFault>),
    /// An environment variable is wrong.
    #[error("the environment variable {name} is wrong: {reason}")]
    Environment {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A program that a setting names cannot be run.
    #[error("{key} names {}, which cannot be run: {reason}", path.display())]
    Program {
        /// The setting.
        key: &'static str,
        /// The program.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A setting without which the program cannot start has no value, not even by default.
    #[error("{0}")]
    Missing(String),
}

/// One line of a configuration file and what is wrong with it.
///
/// ```text
/// origin.toml:2:10: a port needs an address before it: "[::]:8080" listens on every address
///   |
/// 2 | listen = "8080"
///   |          ^^^^^^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    file: PathBuf,
    message: String,
    /// Line and column from 1, the line's text, and how many characters to mark; none if no line is to blame.
    place: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    text: String,
    marked: usize,
}

impl LineFault {
    /// Finds the line of `span` in `text`, the contents of `file`.
    pub(super) fn new(file: &Path, text: &str, span: Option<Range<usize>>, message: &str) -> Self {
        Self {
            file: file.to_owned(),
            message: message.to_owned(),
            place: span.map(|span| Place::find(text, span)),
        }
    }

    /// The sentence alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line, from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }
}

impl Place {
    fn find(text: &str, span: Range<usize>) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[line_start..]
            .find('\n')
            .map_or(text.len(), |at| line_start + at);
        let line_text = text[line_start..line_end].trim_end_matches('\r');
        let column = text[line_start..start].chars().count();
        let marked = text[start..end.min(line_end)].chars().count().max(1);
        let blamed = column..column + marked;
        let (shown, marked) = match is_within_text(&text[..line_start]) {
            true => (HIDDEN.to_owned(), 1),
            false => presentable(line_text, blamed),
        };
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: column + 1,
            text: shown,
            marked,
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        let Some(place) = &self.place else {
            return write!(f, "{file}: {}", self.message);
        };
        let gutter = " ".repeat(place.line.to_string().len());
        writeln!(f, "{file}:{}:{}: {}", place.line, place.column, self.message)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{} | {}", place.line, place.text)?;
        if place.column <= place.text.chars().count().max(1) {
            let lead = " ".repeat(place.column - 1);
            let room = place.text.chars().count().saturating_sub(place.column - 1).max(1);
            write!(f, "{gutter} | {lead}{}", "^".repeat(place.marked.min(room)))?;
        } else {
            write!(f, "{gutter} | {}^", " ".repeat(place.text.chars().count()))?;
        }
        Ok(())
    }
}

/// Whether a text of several lines is open at the end of `before`. Such a text may be a secret, and its lines do not say
/// whose they are.
fn is_within_text(before: &str) -> bool {
    ["\"\"\"", "'''"]
        .iter()
        .any(|quotes| before.matches(quotes).count() % 2 == 1)
}

/// A line as it may be shown: tabs and control characters as blanks, secrets hidden, length bounded. Where a key is to
/// blame its value is left out: it may be a secret under a misspelt name.
fn presentable(line: &str, blamed: Range<usize>) -> (String, usize) {
    let marked = blamed.len();
    let plain = |text: &str| -> String {
        let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        plain.take(MAX_SHOWN_CHARS).collect()
    };
    if line.contains(URL_SECRET_MARKS) {
        return (HIDDEN.to_owned(), 1);
    }
    let Some((key, _)) = line.split_once('=') else {
        return (plain(line), marked);
    };
    let names_secret = |part: &str| SECRET_KEYS.contains(&part.trim().trim_matches(['"', '\'']));
    if line.contains(JOIN_MARK) || line.split(['=', ',', '{', '.']).any(names_secret) {
        return (format!("{}= {HIDDEN}", plain(key)), marked.min(HIDDEN.len()));
    }
    if blamed.end <= key.chars().count() {
        return (format!("{}= ...", plain(key)), marked);
    }
    (plain(line), marked)
}

/// The nearest character boundary at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Range<usize>) -> String {
        LineFault::new(Path::new("x.toml"), text, Some(span), "wrong").to_string()
    }

    #[test]
    fn the_caret_stands_under_the_value() {
        assert_eq!(
            shown("a = 1\nbb = 22\n", 11..13),
            "x.toml:2:6: wrong\n  |\n2 | bb = 22\n  |      ^^"
        );
    }

    #[test]
    fn a_span_over_lines_marks_the_first() {
        assert_eq!(
            shown("a = [\n1,\n]", 4..10),
            "x.toml:1:5: wrong\n  |\n1 | a = [\n  |     ^"
        );
    }

    #[test]
    fn the_end_of_the_file_can_be_marked() {
        assert_eq!(shown("a = ", 4..4), "x.toml:1:5: wrong\n  |\n1 | a = \n  |     ^");
        assert_eq!(shown("", 0..0), "x.toml:1:1: wrong\n  |\n1 | \n  | ^");
    }

    #[test]
    fn a_secret_is_not_shown() {
        for line in [
            "token = \"abc\"",
            "metrics.token = \"abc\"",
            "metrics = { token = \"abc\" }",
            "\"token\" = \"abc\"",
        ] {
            let text = shown(line, line.find("\"abc").unwrap()..line.len());
            assert!(!text.contains("abc"), "{text}");
            assert!(text.contains("[hidden]"), "{text}");
        }
    }

    #[test]
    fn a_misspelt_secret_is_not_shown_either() {
        assert_eq!(
            shown("tokn = \"abc\"", 0..4),
            "x.toml:1:1: wrong\n  |\n1 | tokn = ...\n  | ^^^^"
        );
        let within = "token = \"\"\"\nabc\\q\"\"\"\n";
        let text = shown(within, 17..18);
        assert!(text.contains("2 | [hidden]") && !text.contains("abc"), "{text}");
    }

    #[test]
    fn odd_spans_and_characters_do_no_harm() {
        let text = "\u{e9}\u{1f600} = \"\u{0}\t\u{2028}\"\r\n# \u{fe0f}";
        for start in 0..text.len() + 3 {
            for end in 0..text.len() + 3 {
                assert!(shown(text, start..end).lines().count() >= 4);
            }
        }
        let long = "x".repeat(100_000);
        assert!(shown(&long, 99_000..100_000).len() < 1000);
    }
}
