//! A terminal that is borrowed, and given back as it was.

use std::io::{self, Stdout, Write, stdout};

use rustix::termios::tcgetwinsize;

/// What a terminal that does not say has: columns and rows.
const USUAL: (usize, usize) = (80, 24);

/// The other screen, an invisible cursor.
const BORROW: &str = "\x1b[?1049h\x1b[?25l";

/// The cursor, and the screen as it was.
const RETURN: &str = "\x1b[?25h\x1b[?1049l";

/// To the upper left corner.
const HOME: &str = "\x1b[H";

/// Nothing behind here in this row; nothing below.
const REST_OF_ROW: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

/// Columns and rows of the terminal, now.
pub(super) fn size() -> (usize, usize) {
    let said = tcgetwinsize(stdout()).ok();
    let said = said.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    said.filter(|(columns, rows)| *columns > 0 && *rows > 0)
        .unwrap_or(USUAL)
}

/// A terminal's other screen. The first is back when this goes, whatever the reason.
pub(super) struct Window<W: Write = Stdout> {
    out: W,
}

impl<W: Write> Window<W> {
    /// Takes the other screen.
    pub(super) fn open(mut out: W) -> io::Result<Self> {
        out.write_all(BORROW.as_bytes())?;
        Ok(Self { out })
    }

    /// Shows lines in place of those before. All at once, so that nothing flickers.
    pub(super) fn show(&mut self, lines: impl Iterator<Item = String>) -> io::Result<()> {
        let lines: Vec<String> = lines.map(|line| format!("{line}{REST_OF_ROW}")).collect();
        let text = format!("{HOME}{}{REST_OF_SCREEN}", lines.join("\r\n"));
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Window<W> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = self.out.write_all(RETURN.as_bytes());
        let _ = self.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_is_given_back() {
        let mut bytes = Vec::new();
        let mut window = Window::open(&mut bytes).unwrap();
        window
            .show(["one".to_owned(), "two".to_owned()].into_iter())
            .unwrap();
        drop(window);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with(BORROW) && text.ends_with(RETURN), "{text:?}");
        assert!(text.contains("one\x1b[K\r\ntwo\x1b[K\x1b[J"), "{text:?}");
    }
}
