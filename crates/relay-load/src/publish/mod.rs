//! Publishing synthetic streams over RTMP, in real time.
//!
//! Each picture has a moment at which it is due, counted from the stream's beginning, so that nothing drifts; its mark names
//! that moment, so that a server that does not read in time cannot hide it. How late the pictures left is told at the end: a
//! publisher that cannot keep its own times is no yardstick for a server.

mod connection;
mod error;
mod tally;

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argh::FromArgs;
use indicatif::{ProgressBar, ProgressStyle};
use relay_core::command_line::{complain, say};
use relay_core::config::{Bitrate, Seconds};
use relay_core::exit::Exit;
use relay_core::limits::OpenFiles;
use relay_core::rtmp::address::Url;
use relay_core::signals::stop_on_signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::NAME;
use crate::footage::{Footage, Frame, Shot};
use crate::profile::{Plan, Profile};
use connection::Connection;
pub use error::PublishError;
pub use tally::Tally;

/// The most streams of one process: as many as a relay takes by default.
pub const MAX_STREAMS: u32 = 1000;

/// What stands for a stream's number in a URL.
const PLACEHOLDER: &str = "{n}";

/// Several streams begin one after another within so long, or within a group if that is shorter, since their keyframes
/// would come all at once for ever.
const SPREAD: Duration = Duration::from_secs(2);

/// How often a person is told how it goes.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// publish synthetic streams over RTMP
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "publish",
    example = "{command_name} 'rtmp://localhost/live/camera?key=SECRET' --rate 2.5Mbit --audio",
    example = "{command_name} 'rtmp://localhost/live/camera{{n}}?key=SECRET' --streams 20 --for 60s",
    note = "Anything can play the streams. Each picture carries its number, the time at which it was due and a checksum.",
    note = "It ends on Ctrl-C or SIGTERM, or after --for; a lost connection is an error. At the end it says how late it was itself.",
    error_code(64, "The command line is wrong."),
    error_code(69, "The server cannot be reached, refused the stream or ended it."),
    error_code(71, "The system refused something.")
)]
pub struct Verb {
    /// where to: rtmp://host/app/name?key=SECRET; with --streams the text {n} in it becomes 0, 1, 2 …
    #[argh(positional)]
    pub url: String,
    /// bits per second of each stream, sound included (default 1Mbit)
    #[argh(option, default = "Profile::default().rate")]
    pub rate: Bitrate,
    /// pictures per second (default 25)
    #[argh(option, default = "Profile::default().fps")]
    pub fps: u32,
    /// time from keyframe to keyframe (default 2s)
    #[argh(option, default = "Seconds::new(2)")]
    pub gop: Seconds,
    /// with sound: silence in AAC
    #[argh(switch)]
    pub audio: bool,
    /// how much to publish (default: until Ctrl-C)
    #[argh(option, long = "for")]
    pub length: Option<Seconds>,
    /// number of streams, all published by this process (default 1)
    #[argh(option, default = "1")]
    pub streams: u32,
}

/// Publishes until the end that was asked for, and says on standard output how it went.
///
/// # Errors
/// [`PublishError`].
pub fn run(verb: &Verb) -> Result<Exit, PublishError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(PublishError::Start)?;
    let tally = runtime.block_on(async {
        let stop = stop_on_signal().map_err(PublishError::Start)?;
        let progress = progress();
        let result = publish(verb, stop, |tally| progress.set_message(tally.to_string())).await;
        progress.finish_and_clear();
        result
    })?;
    let plural = if verb.streams == 1 { "" } else { "s" };
    let exit = say(
        NAME,
        format_args!("published {} stream{plural}: {tally}", verb.streams),
    );
    if tally.is_late() {
        complain(
            NAME,
            "it was late itself, so what was measured meanwhile says little about the server; is the machine too busy?",
        );
    }
    Ok(exit)
}

/// Publishes until `stop`, or until all is sent that was asked for. `tell` hears from time to time how it goes.
///
/// # Errors
/// [`PublishError`]: of the first stream that fails, and then all others end too.
pub async fn publish(
    verb: &Verb,
    stop: CancellationToken,
    tell: impl Fn(&Tally),
) -> Result<Tally, PublishError> {
    let plan = Plan::new(Profile {
        rate: verb.rate,
        fps: verb.fps,
        gop: verb.gop.get(),
        audio: verb.audio,
    })?;
    let urls = urls(verb)?;
    OpenFiles::raise();
    let (tally, spread) = (Arc::new(Tally::new()), plan.gop().min(SPREAD));
    let mut streams = JoinSet::new();
    for (number, url) in (0..).zip(urls) {
        let stream = Stream {
            url,
            plan,
            length: verb.length.map(Seconds::get),
            stop: stop.clone(),
            tally: Arc::clone(&tally),
        };
        let wait = spread * number / verb.streams;
        streams.spawn(async move {
            tokio::select! {
                () = stream.stop.cancelled() => return Ok(()),
                () = sleep(wait) => {}
            }
            stream.publish().await
        });
    }
    let mut ticks = interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = streams.join_next() => match ended {
                // Those that are left are aborted when the set is dropped.
                Some(Ok(result)) => result?,
                Some(Err(failure)) => return Err(PublishError::Task(failure.to_string())),
                None => break,
            },
            _ = ticks.tick() => tell(&tally),
        }
    }
    drop(streams);
    // The last stream is gone, and its share of the tally with it.
    Ok(Arc::unwrap_or_clone(tally))
}

/// The URL of each stream.
fn urls(verb: &Verb) -> Result<Vec<Url>, PublishError> {
    if !(1..=MAX_STREAMS).contains(&verb.streams) {
        return Err(PublishError::Streams);
    }
    if verb.streams > 1 && !verb.url.contains(PLACEHOLDER) {
        return Err(PublishError::OneUrl);
    }
    let urls = (0..verb.streams).map(|number| verb.url.replace(PLACEHOLDER, &number.to_string()).parse());
    urls.map(|url| url.map_err(PublishError::Url)).collect()
}

/// A line that lives while it goes on, for a person; nothing where standard error is a file.
fn progress() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let progress = ProgressBar::new_spinner();
    // The template is a constant, and right: see the test.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        progress.set_style(style);
    }
    progress.enable_steady_tick(PROGRESS_EVERY);
    progress
}

/// How the line looks.
const TEMPLATE: &str = "{spinner} {elapsed_precise} {msg}";

/// One stream to publish.
struct Stream {
    url: Url,
    plan: Plan,
    length: Option<Duration>,
    stop: CancellationToken,
    tally: Arc<Tally>,
}

impl Stream {
    async fn publish(self) -> Result<(), PublishError> {
        let mut connection = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            connection = Connection::open(self.url.clone()) => connection?,
        };
        for header in Footage::headers(&self.plan).tags(0) {
            connection.put(&header);
        }
        let start = Instant::now();
        let is_wanted = |shot: &Shot| self.length.is_none_or(|length| shot.due < length);
        let mut footage = Footage::new(self.plan).take_while(is_wanted).peekable();
        while let Some(next) = footage.peek() {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = sleep_until(start + next.due) => {}
                // It answers pings, and ends only with an error.
                ended = connection.listen() => return ended,
            }
            let elapsed = start.elapsed();
            while let Some(shot) = footage.next_if(|shot| shot.due <= elapsed) {
                self.put(&mut connection, &shot, start);
            }
            connection.flush().await?;
        }
        connection.finish().await
    }

    fn put(&self, connection: &mut Connection, shot: &Shot, start: Instant) {
        let late = start.elapsed().saturating_sub(shot.due);
        // Microseconds of a stream's life, at most.
        let tag = shot.tag(unix_us() - late.as_micros() as u64);
        connection.put(&tag);
        let is_picture = matches!(shot.frame, Frame::Picture { .. });
        self.tally.note(is_picture, tag.payload.len(), late);
    }
}

fn unix_us() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Microseconds of 584,000 years.
    unix.as_micros() as u64
}

#[cfg(test)]
mod tests;
