//! What a program printed, as far as it is kept, and as it may stand in a log.

use relay_core::token::TOKEN_PREFIX;

/// How much is kept, in bytes: the newest. What went wrong stands at the end.
const MAX_KEPT: usize = 64 * 1024;

/// Lines that are shown.
const SHOWN_LINES: usize = 10;

/// Characters that are shown of a line.
const SHOWN_CHARS: usize = 200;

/// What stands in the place of a token.
const HIDDEN: &str = "[join token]";

/// The newest of what was printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    /// Twice [`MAX_KEPT`] at most, so that not each chunk moves all of it.
    kept: Vec<u8>,
    /// All that was printed.
    bytes: u64,
    secret: String,
}

impl Said {
    /// Nothing yet. `secret` will never be shown, nor anything that looks like a join token.
    pub(super) fn hiding(secret: &str) -> Self {
        Self {
            kept: Vec::new(),
            bytes: 0,
            secret: secret.to_owned(),
        }
    }

    /// Takes what comes next.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > 2 * MAX_KEPT {
            self.kept.drain(..self.kept.len() - MAX_KEPT);
        }
    }

    /// How much was printed, in bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last lines, whole ones only and each cut to a screen's width or two; then the line that says how much is not shown.
    pub fn last_lines(&self) -> Vec<String> {
        let from = self.kept.len().saturating_sub(MAX_KEPT);
        let is_cut = self.bytes > (self.kept.len() - from) as u64;
        let text = String::from_utf8_lossy(&self.kept[from..]);
        // The line that was cut may have half a secret in it.
        let whole = match is_cut {
            true => text.split_once('\n').map_or("", |(_, rest)| rest),
            false => &text,
        };
        let lines: Vec<&str> = whole.lines().filter(|line| !line.trim().is_empty()).collect();
        let shown = lines.len().min(SHOWN_LINES);
        let mut last: Vec<String> = lines[lines.len() - shown..]
            .iter()
            .map(|line| self.presentable(line))
            .collect();
        if is_cut || shown < lines.len() {
            last.push(format!(
                "({} bytes were printed, of which this is the end)",
                self.bytes
            ));
        }
        last
    }

    /// A line without secrets and without what a terminal would obey.
    fn presentable(&self, line: &str) -> String {
        let mut plain: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if !self.secret.is_empty() {
            plain = plain.replace(&self.secret, HIDDEN);
        }
        // Another token, or a part of this one.
        while let Some(at) = plain.find(TOKEN_PREFIX) {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let end = plain[at..]
                .find(|c| !is_part(c))
                .map_or(plain.len(), |len| at + len);
            plain.replace_range(at..end, HIDDEN);
        }
        plain.chars().take(SHOWN_CHARS).collect()
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.last_lines()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "relay-join-1.c2VjcmV0IHNlY3JldCBzZWNyZXQ";

    fn said(text: &str) -> Said {
        let mut said = Said::hiding(TOKEN);
        for piece in text.as_bytes().chunks(1000) {
            said.take(piece);
        }
        said
    }

    #[test]
    fn the_last_lines_are_shown_and_the_rest_is_counted() {
        assert!(said("").last_lines().is_empty());
        assert_eq!(
            said("one\n\n two\x1b[2J\u{7}\n").last_lines(),
            ["one", " two [2J "]
        );
        let many: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let lines = said(&many).last_lines();
        assert_eq!(lines.len(), SHOWN_LINES + 1);
        assert_eq!((lines[0].as_str(), lines[9].as_str()), ("line 90", "line 99"));
        assert_eq!(lines[10], "(790 bytes were printed, of which this is the end)");
    }

    #[test]
    fn little_is_kept_of_much() {
        let line = format!("{}\n", "x".repeat(999));
        let much = said(&line.repeat(1000));
        assert!(much.kept.len() <= 2 * MAX_KEPT, "{}", much.kept.len());
        assert_eq!(much.bytes(), 1_000_000);
        let lines = much.last_lines();
        assert!(lines[..SHOWN_LINES].iter().all(|line| line.len() == SHOWN_CHARS));
        let one_line = said(&"y".repeat(1_000_000)).last_lines();
        assert_eq!(
            one_line,
            ["(1000000 bytes were printed, of which this is the end)"]
        );
    }

    /// A script with `set -x` prints all that it does.
    #[test]
    fn a_token_is_never_shown() {
        let text = format!(
            "+ export RELAY_JOIN={TOKEN}\n+ echo '{TOKEN}'; {TOKEN}\nrelay-join-1.abc relay-join-1.\n"
        );
        let lines = said(&text).last_lines();
        assert_eq!(
            lines,
            [
                "+ export RELAY_JOIN=[join token]",
                "+ echo '[join token]'; [join token]",
                "[join token] [join token]",
            ]
        );
        // Wherever the rest is cut off.
        for length in (2 * MAX_KEPT - 100)..(2 * MAX_KEPT + 100) {
            let text = format!(
                "{}{TOKEN}\n{}\nend\n",
                "a".repeat(50),
                "b".repeat(length - MAX_KEPT)
            );
            let lines = said(&text).last_lines();
            assert!(
                !lines.concat().contains("c2Vj") && !lines.concat().contains("NyZXQ"),
                "{lines:?}"
            );
        }
    }
}
