//! What a node can carry: how many viewers, and which limit will be the first to stop one more.
//!
//! - [`Cost`]: what sending costs on this machine's CPU, fitted to measurements.
//! - [`judge`]: each limit in viewers, the smallest of them first; a [`Verdict`] says it in a sentence.
//! - [`Estimate`]: a value that is fed a measurement and, from then on, live counters, and gives verdicts.
//! - [`glance`], [`Survey`]: the measuring itself, the only part here that opens sockets.
//! - `watch`: all of it for a running node, with its metrics and its log line.

mod cost;
mod estimate;
mod limit;
mod measure;
mod probe;
mod watch;

pub use cost::{Cost, Sample};
pub use estimate::{Counters, Estimate, REAL_PATH};
pub use limit::{ASSUMED_RTT, Bound, Cpu, Demand, Limit, Stated, Verdict, judge};
pub use measure::{Point, Survey, crossover, glance};
pub(crate) use watch::{Watched, register, watch};
