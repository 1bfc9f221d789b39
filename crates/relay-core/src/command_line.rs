//! The edges of every command line: what was typed, and what is printed. A program goes by its name here, so that those
//! without a configuration, which are no [`Program`](crate::config::Program), can speak too.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write, stderr, stdout};

use argh::{EarlyExit, FromArgs};

use crate::exit::Exit;
use crate::token::TOKEN_PREFIX;

/// Reads what was typed behind the program's name. Help is printed on standard output, a complaint on standard error.
///
/// # Errors
/// The code to exit with now: [`Exit::Ok`] after help, [`Exit::Usage`] after a complaint.
pub fn parse<T: FromArgs>(program: impl AsRef<str>) -> Result<T, Exit> {
    let name = program.as_ref();
    read(name, std::env::args_os().skip(1)).map_err(|early| match early.status {
        Ok(()) => say(name, early.output.trim_end()),
        Err(()) => {
            complain(name, early.output.trim_end());
            complain(name, format_args!("`{name} --help` explains"));
            Exit::Usage
        }
    })
}

fn read<T: FromArgs>(name: &str, words: impl Iterator<Item = OsString>) -> Result<T, EarlyExit> {
    let words: Result<Vec<String>, OsString> = words.map(OsString::into_string).collect();
    let words = words.map_err(|word| EarlyExit {
        output: format!("{} is not UTF-8", word.display()),
        status: Err(()),
    })?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    T::from_args(&[name], &words).map_err(|mut early| {
        // A join token in the wrong place is not repeated: a complaint ends up in a journal.
        for word in words.iter().filter(|word| word.contains(TOKEN_PREFIX)) {
            early.output = early.output.replace(word, "[hidden]");
        }
        early
    })
}

/// Prints lines on standard output. A reader that has read enough and is gone, such as `head`, is no failure.
pub fn say(program: impl AsRef<str>, text: impl Display) -> Exit {
    let mut out = stdout();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if !has_left(&error) => {
            complain(program, format_args!("cannot write: {error}"));
            Exit::IoError
        }
        _ => Exit::Ok,
    }
}

/// Whether a failure to write means only that the reader is gone.
pub fn has_left(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

/// Prints a sentence on standard error, under the program's name.
pub fn complain(program: impl AsRef<str>, sentence: impl Display) {
    // Where standard error is gone too, nobody is left to tell; the exit code still says it.
    let _ = writeln!(stderr(), "{}: {sentence}", program.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some program.
    #[derive(Debug, FromArgs)]
    struct Cli {
        /// a number
        #[argh(option)]
        number: u32,
    }

    fn typed(words: &[&str]) -> Result<u32, (bool, String)> {
        let words = words.iter().map(OsString::from);
        match read::<Cli>("relay-edge", words) {
            Ok(cli) => Ok(cli.number),
            Err(early) => Err((early.status.is_ok(), early.output)),
        }
    }

    #[test]
    fn help_is_no_complaint_and_a_typing_error_is_one() {
        assert_eq!(typed(&["--number", "7"]), Ok(7));
        let (fine, help) = typed(&["--help"]).unwrap_err();
        assert!(fine && help.starts_with("Usage: relay-edge --number"), "{help}");
        for (words, complaint) in [
            (&["--numer", "7"][..], "Unrecognized argument: --numer"),
            (&["--number", "x"], "Error parsing option '--number'"),
            (&[], "Required options not provided"),
        ] {
            let (fine, said) = typed(words).unwrap_err();
            assert!(!fine && said.contains(complaint), "{said}");
        }
    }

    #[test]
    fn a_misplaced_token_is_not_repeated() {
        for word in ["relay-join-1.c2VjcmV0", "--join=relay-join-1.c2VjcmV0"] {
            let (fine, said) = typed(&[word]).unwrap_err();
            assert!(!fine && said.contains("[hidden]"), "{said}");
            assert!(!said.contains("c2VjcmV0"), "{said}");
        }
    }

    #[test]
    fn words_that_are_no_text_are_a_complaint() {
        use std::os::unix::ffi::OsStringExt as _;
        let word = OsString::from_vec(vec![b'-', 0xff]);
        let early = read::<Cli>("relay-origin", [word].into_iter()).unwrap_err();
        assert_eq!(early.status, Err(()));
        assert_eq!(early.output, "-\u{fffd} is not UTF-8");
    }
}
