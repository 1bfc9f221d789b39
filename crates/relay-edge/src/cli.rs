//! The command line: verbs, `--config`, and the join token for those who have nowhere else to put it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use argh::FromArgs;
use relay_core::capacity::ASSUMED_RTT;
use relay_core::config::{Bitrate, Seconds};

/// How long a measurement may take: shorter tells nothing, longer nothing more.
const MEASURING: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

/// How far away viewers may be taken to be: to the far side of two satellites.
const FARTHEST: Duration = Duration::from_secs(2);

/// Joins a pool by its token, takes its streams, serves viewers.
///
/// It needs a join token and nothing else: in RELAY_JOIN, in a file that RELAY_JOIN_FILE or join_file under edge names, as the
/// systemd credential relay-join, or by --join. `relay-origin token create` makes one.
#[derive(Debug, FromArgs)]
pub struct Cli {
    /// print the version and exit
    #[argh(switch)]
    pub version: bool,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
    /// the join token; others on this machine can see it here, so prefer RELAY_JOIN
    #[argh(option)]
    pub join: Option<String>,
    /// what to do
    #[argh(subcommand)]
    pub verb: Option<Verb>,
}

/// What to do.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub enum Verb {
    /// Run.
    Run(Run),
    /// Check.
    Check(Check),
    /// Measure.
    Measure(Measure),
}

/// run the edge (this is what happens without a verb)
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "run")]
pub struct Run {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
    /// the join token; others on this machine can see it here, so prefer RELAY_JOIN
    #[argh(option)]
    pub join: Option<String>,
}

/// check the configuration and this machine, and say what it all means
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "check")]
pub struct Check {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// measure how many viewers this machine can carry, and say which limit will be the first
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "measure")]
pub struct Measure {
    /// what a viewer takes, such as 2500kbit (default: stream_rate under origin)
    #[argh(option, from_str_fn(rate))]
    pub rate: Option<Bitrate>,
    /// the round-trip time to viewers, up to 2s (default 40ms)
    #[argh(option, default = "ASSUMED_RTT", from_str_fn(rtt))]
    pub rtt: Duration,
    /// how long to measure, 1s to 300s (default 10s); one core is busy meanwhile
    #[argh(option, long = "for", default = "Duration::from_secs(10)", from_str_fn(time))]
    pub time: Duration,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

fn rate(text: &str) -> Result<Bitrate, String> {
    match text.parse()? {
        rate if rate < Bitrate::from_bits(8) => Err("a viewer takes more than nothing".to_owned()),
        rate => Ok(rate),
    }
}

fn rtt(text: &str) -> Result<Duration, String> {
    let rtt = text.parse::<Seconds>()?.get();
    if rtt > FARTHEST {
        return Err("a round trip takes 2s at most".to_owned());
    }
    Ok(rtt)
}

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<Seconds>()?.get();
    if !MEASURING.contains(&time) {
        return Err("measuring takes between 1s and 300s".to_owned());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_has_bounds() {
        let read = |words: &[&str]| match Cli::from_args(&["relay-edge"], words) {
            Ok(cli) => match cli.verb {
                Some(Verb::Measure(verb)) => Ok((verb.rate.map(Bitrate::bits), verb.rtt, verb.time)),
                other => panic!("{other:?}"),
            },
            Err(early) => Err(early.output),
        };
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        assert_eq!(read(&["measure"]), Ok((None, ms(40), s(10))));
        assert_eq!(
            read(&["measure", "--rate", "1Mbit", "--rtt", "0ms", "--for", "300s"]),
            Ok((Some(1_000_000), ms(0), s(300)))
        );
        for (words, complaint) in [
            (["--rate", "0bit"], "more than nothing"),
            (["--rate", "1MB"], "not bytes"),
            (["--rtt", "3s"], "2s at most"),
            (["--for", "999ms"], "between 1s and 300s"),
            (["--for", "301s"], "between 1s and 300s"),
            (["--for", "10"], "with its unit"),
        ] {
            let said = read(&["measure", words[0], words[1]]).unwrap_err();
            assert!(said.contains(complaint), "{said}");
        }
    }
}
