//! The command line: a verb, and what it needs. Each verb's own module has its arguments.

use argh::FromArgs;

use crate::{floor, publish, watch};

/// Measures how well a relay serves: publishes synthetic streams, watches them with thousands of viewers, and shows what the
/// machine could do at best.
#[derive(Debug, FromArgs)]
#[argh(
    note = "Amounts have units: 2.5Mbit, 500kbit, 2s, 50ms. `{command_name} VERB --help` explains a verb.",
    example = "{command_name} publish 'rtmp://localhost/live/camera?key=SECRET'"
)]
pub struct Cli {
    /// print the version and exit
    #[argh(switch)]
    pub version: bool,
    /// what to do
    #[argh(subcommand)]
    pub verb: Option<Verb>,
}

/// What to do.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub enum Verb {
    /// Publish.
    Publish(publish::Verb),
    /// Watch.
    Watch(watch::Verb),
    /// Be the floor.
    Floor(floor::Verb),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &str) -> Result<Cli, String> {
        let words: Vec<&str> = words.split_whitespace().collect();
        Cli::from_args(&["relay-load"], &words).map_err(|early| early.output)
    }

    #[test]
    fn amounts_are_read_with_their_units() {
        let cli = typed("publish rtmp://h/a/b --rate 2.5Mbit --fps 30 --gop 500ms --audio --for 1m").unwrap();
        let Some(Verb::Publish(verb)) = cli.verb else {
            panic!("publish is publish");
        };
        assert_eq!((verb.rate.bits(), verb.fps, verb.audio), (2_500_000, 30, true));
        assert_eq!((verb.gop.millis(), verb.length.unwrap().millis()), (500, 60_000));
        assert_eq!(verb.streams, 1);
        let said = typed("publish rtmp://h/a/b --rate 300").unwrap_err();
        assert!(said.contains("with its unit"), "{said}");
    }

    #[test]
    fn help_names_what_there_is() {
        let help = typed("--help").unwrap_err();
        assert!(help.contains("publish") && help.contains("floor"), "{help}");
        let help = typed("publish --help").unwrap_err();
        assert!(help.contains("{n}") && help.contains("--for"), "{help}");
        let help = typed("floor --help").unwrap_err();
        assert!(help.contains("--congestion"), "{help}");
    }
}
