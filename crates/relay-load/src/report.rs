//! What a watch found: one value, for people, for machines (JSON), and for the bench.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Percentiles of a time, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many were recorded.
    pub count: u64,
    /// The median.
    pub p50: f64,
    /// 90 of 100 were not above it.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1000.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

/// Shares of what was expected that viewers got during the measurement: 1 is all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The worst viewer's.
    pub min: f64,
    /// 1 of 100 viewers got less.
    pub p1: f64,
    /// The median viewer's.
    pub p50: f64,
    /// Of all viewers together.
    pub mean: f64,
    /// Share of all expected bytes that came within the on-time limit after they were made; 0 for frames that do not say
    /// when they were made.
    pub on_time: f64,
    /// The same of the viewer with the smallest share.
    pub on_time_min: f64,
}

/// What went wrong with media, over all viewers whose bytes were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Frames that never came though later ones did, those before a skip to a start point not counted.
    pub gaps: u64,
    /// Frames that came twice or out of order.
    pub duplicates: u64,
    /// Frames whose checksum is wrong, or framing that cannot be read.
    pub corrupt: u64,
    /// Jumps ahead to a keyframe, as a slow viewer makes them.
    pub skips: u64,
    /// Tags whose time was before that of the one before on the same track.
    pub backwards: u64,
}

/// What a process took during the measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessUse {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Seconds of CPU in its own code.
    pub user_seconds: f64,
    /// Seconds of CPU in the kernel on its behalf.
    pub system_seconds: f64,
    /// Its largest resident memory seen, in bytes.
    pub rss_bytes: u64,
}

/// Whether the load tool itself kept up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadSelf {
    /// Share of one core that its busiest thread took.
    pub busy: f64,
    /// How late its own timer was, in milliseconds at p99.
    pub timer_late_p99_ms: f64,
    /// Whether the figures above are the tool's own limit rather than the server's.
    pub bottleneck: bool,
}

/// One second of the measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Its beginning, in seconds since the watch began.
    pub at: u64,
    /// Viewers being served.
    pub viewers: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// Median lateness in milliseconds.
    pub late_p50_ms: f64,
    /// 99th percentile of lateness.
    pub late_p99_ms: f64,
    /// Viewers who got less than they should have by more than 500 ms of media.
    pub starved: u64,
}

/// All that a watch found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was watched.
    pub url: String,
    /// Viewers asked for.
    pub viewers: u64,
    /// How long the measurement took, the ramp and the settling not counted, in seconds.
    pub seconds: f64,
    /// What became of those who came, by outcome: `served`, `refused`, `redirected`, `timed_out`, …
    pub joins: BTreeMap<String, u64>,
    /// Viewers that the server closed before the end; those that were slow or stalled on purpose not counted.
    pub closed: u64,
    /// Viewers closed among those that were slow on purpose.
    pub slow_closed: u64,
    /// Viewers closed among those that never read.
    pub stalled_closed: u64,
    /// From their request until they were closed.
    pub stalled_closed_after: Percentiles,
    /// From connect to the first byte of the answer's body.
    pub first_byte: Percentiles,
    /// From connect to the first keyframe, whole.
    pub first_keyframe: Percentiles,
    /// From connect to the first frame that is less than a second old.
    pub live_edge: Percentiles,
    /// Age of each frame when it had come whole, over all viewers.
    pub lateness: Percentiles,
    /// Bytes that came during the measurement.
    pub bytes: u64,
    /// What viewers got of what they should have.
    pub delivery: Delivery,
    /// Bits per second that the sources gave each viewer to expect, the tags' headers included; the mean over all streams.
    pub source_rate: f64,
    /// Seconds in which a source itself stalled, over all streams.
    pub source_stalled_seconds: u64,
    /// What was wrong.
    pub faults: Faults,
    /// What was wrong with what slow viewers got; their skips are as it should be.
    pub slow: Faults,
    /// Sum over all seconds of the viewers starved in it; seconds in which the source itself stalled not counted.
    pub starved_viewer_seconds: u64,
    /// The processes that were asked for.
    pub processes: Vec<ProcessUse>,
    /// CPU seconds that the whole machine was busy during the measurement, this tool's included.
    pub machine_busy_seconds: f64,
    /// The largest memory of all TCP sockets of the machine, in bytes.
    pub tcp_memory_bytes: u64,
    /// The tool itself.
    pub load: LoadSelf,
    /// Second by second.
    pub timeline: Vec<Second>,
    /// What was not as demanded; empty when all was well.
    pub complaints: Vec<String>,
}
