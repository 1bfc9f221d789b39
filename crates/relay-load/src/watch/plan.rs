//! The command line, made into a plan: who comes when, whereto, and how it behaves.

use std::time::Duration;

use relay_core::config::Bitrate;

use super::place::Places;
use super::sources::Sources;
use super::window::Schedule;
use super::{Role, Verb, WatchError};

/// The longest measurement and settling: the timeline has a line per second.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What stands for the stream's number in a URL.
const NUMBER: &str = "{n}";

/// One viewer's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) role: Role,
    pub(super) stream: u16,
    pub(super) place: u32,
    pub(super) verify: bool,
}

/// The plan of a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Viewer by viewer, in the order in which they come.
    pub(super) seats: Vec<Seat>,
    /// The numbers of those who are slow.
    pub(super) slow: Vec<u32>,
    pub(super) streams: usize,
    pub(super) ramp: u32,
    pub(super) schedule: Schedule,
    pub(super) on_time_us: u64,
    pub(super) slow_rate: Bitrate,
    pub(super) sources: Option<Sources>,
}

impl Plan {
    /// The plan that a command line asks for. The hosts of its URLs are looked up.
    ///
    /// # Errors
    /// It asks for what cannot be, or a URL leads nowhere.
    pub(super) fn new(verb: &Verb, places: &mut Places) -> Result<Self, WatchError> {
        check(verb)?;
        let urls = (0..verb.streams).map(|n| verb.url.replace(NUMBER, &n.to_string()));
        let found: Vec<u32> = urls.map(|url| places.find(&url)).collect::<Result<_, _>>()?;
        let seats = seats(verb, &found);
        let slow = (0..).zip(&seats).filter(|(_, seat)| seat.role == Role::Slow);
        let (settle, length, on_time) = (verb.settle.get(), verb.length.get(), verb.on_time.get());
        Ok(Self {
            slow: slow.map(|(index, _)| index).collect(),
            streams: found.len(),
            ramp: verb.ramp,
            schedule: Schedule::new(verb.viewers, verb.ramp, settle, length, on_time),
            on_time_us: u64::try_from(on_time.as_micros()).unwrap_or(u64::MAX),
            slow_rate: verb.slow_rate,
            sources: verb.sources,
            seats,
        })
    }
}

fn check(verb: &Verb) -> Result<(), WatchError> {
    let demand = |fine: bool, otherwise: &str| {
        if fine {
            Ok(())
        } else {
            Err(WatchError::Usage(otherwise.to_owned()))
        }
    };
    demand(verb.viewers > 0, "--viewers is at least 1")?;
    demand(verb.streams > 0, "--streams is at least 1")?;
    demand(
        verb.streams == 1 || verb.url.contains(NUMBER),
        "with --streams the URL has {n} where the stream's number belongs",
    )?;
    let odd = u64::from(verb.stall) + u64::from(verb.slow);
    demand(
        odd < u64::from(verb.viewers),
        "--stall and --slow are parts of --viewers: at least one must be left that watches",
    )?;
    demand(
        verb.slow_rate.bits() > 0,
        "--slow-rate is more than nothing; see --stall",
    )?;
    demand(!verb.length.get().is_zero(), "--for is more than nothing")?;
    let longest = verb.length.get().max(verb.settle.get()).max(verb.on_time.get());
    demand(
        longest <= LONGEST,
        "--for, --settle and --on-time are at most 24h",
    )
}

/// Gives each viewer its part. Those that are slow or stalled come spread among the others; of each kind, one after the other
/// gets the next stream.
fn seats(verb: &Verb, places: &[u32]) -> Vec<Seat> {
    let odd = verb.stall + verb.slow; // fits: checked to be below the number of viewers
    let mut given = [0_usize; 3];
    let mut odd_ones = 0;
    let part = |index| {
        let role = if !is_chosen(index, odd, verb.viewers) {
            Role::Watching
        } else {
            odd_ones += 1;
            if is_chosen(odd_ones - 1, verb.stall, odd) {
                Role::Stalled
            } else {
                Role::Slow
            }
        };
        let turn = &mut given[role as usize];
        let stream = *turn % places.len();
        let verify = role == Role::Watching && *turn < verb.verify as usize;
        *turn += 1;
        Seat {
            role,
            stream: stream as u16, // fits: there are so many streams
            place: places[stream],
            verify,
        }
    };
    (0..verb.viewers).map(part).collect()
}

/// Whether `index` is one of `some` that are spread evenly over `all`.
fn is_chosen(index: u32, some: u32, all: u32) -> bool {
    let until = |index: u64| index * u64::from(some) / u64::from(all.max(1));
    until(u64::from(index)) != until(u64::from(index) + 1)
}

#[cfg(test)]
mod tests {
    use argh::FromArgs as _;

    use super::*;

    fn verb(words: &[&str]) -> Verb {
        Verb::from_args(&["watch"], words).unwrap()
    }

    fn refused(words: &[&str]) -> String {
        let words = [&["http://127.0.0.1:1/a"], words].concat();
        Plan::new(&verb(&words), &mut Places::default())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_command_line_has_its_defaults() {
        let verb = verb(&["http://127.0.0.1:1/a"]);
        assert_eq!(
            (verb.viewers, verb.ramp, verb.verify, verb.streams),
            (100, 500, 16, 1)
        );
        assert_eq!(verb.length.get(), Duration::from_secs(30));
        assert_eq!(verb.on_time.get(), Duration::from_millis(500));
        let plan = Plan::new(&verb, &mut Places::default()).unwrap();
        assert_eq!(plan.seats.len(), 100);
        assert_eq!(plan.seats.iter().filter(|seat| seat.verify).count(), 16);
        assert!(plan.slow.is_empty());
    }

    #[test]
    fn amounts_are_read_with_their_units() {
        let words = [
            "u",
            "--ramp",
            "250/s",
            "--for",
            "2m",
            "--pid",
            "12,34",
            "--slow-rate",
            "1Mbit",
        ];
        let verb = verb(&words);
        assert_eq!((verb.ramp, verb.length.get()), (250, Duration::from_secs(120)));
        assert_eq!(verb.pid.0, [12, 34]);
        for bad in [
            ["--ramp", "0/s"],
            ["--ramp", "x"],
            ["--pid", "12;34"],
            ["--for", "9"],
        ] {
            assert!(
                Verb::from_args(&["watch"], &["u", bad[0], bad[1]]).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn kinds_and_streams_are_spread_evenly() {
        let words = [
            "http://127.0.0.1:1/{n}",
            "--streams",
            "4",
            "--viewers",
            "400",
            "--stall",
            "40",
            "--slow",
            "20",
        ];
        let mut places = Places::default();
        let plan = Plan::new(&verb(&words), &mut places).unwrap();
        for (role, each) in [(Role::Watching, 85), (Role::Stalled, 10), (Role::Slow, 5)] {
            for stream in 0..4 {
                let seats = plan
                    .seats
                    .iter()
                    .filter(|seat| seat.role == role && seat.stream == stream);
                assert_eq!(seats.count(), each, "{role:?} of stream {stream}");
            }
        }
        let first = plan
            .seats
            .iter()
            .take(40)
            .filter(|seat| seat.role != Role::Watching);
        assert_eq!(first.count(), 6, "not all of them come at the end");
        assert_eq!(plan.slow.len(), 20);
        let last = plan.seats.last().unwrap();
        assert_eq!(
            places.get(last.place).unwrap().url,
            format!("http://127.0.0.1:1/{}", last.stream)
        );
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        assert!(refused(&["--viewers", "0"]).contains("--viewers"));
        assert!(refused(&["--streams", "3"]).contains("{n}"));
        assert!(refused(&["--viewers", "10", "--slow", "5", "--stall", "5"]).contains("at least one"));
        assert!(refused(&["--for", "0s"]).contains("--for"));
        assert!(refused(&["--for", "25h"]).contains("24h"));
        assert!(refused(&["--slow", "1", "--slow-rate", "0bit"]).contains("--slow-rate"));
    }
}
