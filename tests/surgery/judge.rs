//! The bars: what must hold for the evening to be boring, and for the old one to have been none.

use crate::evening::CLONED_BEFORE;
use crate::report::{GRACE_SECONDS, KILL_SECONDS, Report, percent};

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) says: String,
    pub(crate) found: f64,
    pub(crate) wanted: Wanted,
    pub(crate) unit: &'static str,
}

/// Where the figure must lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wanted {
    Above(f64),
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Bar {
    fn new(says: impl Into<String>, found: f64, wanted: Wanted, unit: &'static str) -> Self {
        let says = says.into();
        Self {
            says,
            found,
            wanted,
            unit,
        }
    }

    /// Whether it holds.
    pub(crate) fn holds(&self) -> bool {
        match self.wanted {
            Wanted::Above(limit) => self.found > limit,
            Wanted::AtLeast(limit) => self.found >= limit,
            Wanted::AtMost(limit) => self.found <= limit,
            Wanted::Below(limit) => self.found < limit,
        }
    }

    /// A line.
    pub(crate) fn line(&self) -> String {
        let verdict = if self.holds() { "holds" } else { "FAILS" };
        let (sign, limit) = match self.wanted {
            Wanted::Above(limit) => (">", limit),
            Wanted::AtLeast(limit) => (">=", limit),
            Wanted::AtMost(limit) => ("<=", limit),
            Wanted::Below(limit) => ("<", limit),
        };
        let Self {
            says, found, unit, ..
        } = self;
        format!("{verdict}  {says}: {found:.1} {unit} (wanted {sign} {limit})")
    }
}

/// All of them.
pub(crate) fn bars(report: &Report) -> Vec<Bar> {
    let joins = report.pool.all_joins();
    vec![
        Bar::new(
            "as in 2012: viewer-seconds that starve, or the test is none",
            percent(report.plain.starved()),
            Wanted::Above(10.0),
            "%",
        ),
        Bar::new(
            "with the pool: viewers who get in at the first try",
            percent((joins.succeeded, joins.tried)),
            Wanted::AtLeast(99.5),
            "%",
        ),
        Bar::new(
            format!(
                "with the pool: viewer-seconds that starve, after the first {GRACE_SECONDS} s and but for {KILL_SECONDS} s after \
                 each kill"
            ),
            report.pool.starved_without_excuse().0 as f64,
            Wanted::AtMost(0.0),
            "",
        ),
        Bar::new(
            "with the pool: seconds in which this program itself was late, and saw nothing",
            report.pool.blind_seconds() as f64,
            Wanted::AtMost(3.0),
            "",
        ),
        Bar::new(
            "with the pool: the origin's uplink in use at the end",
            report.pool.uplink_at_the_end(),
            Wanted::Below(50.0),
            "%",
        ),
        Bar::new(
            "with the pool: the second in which the origin had cloned an edge in, by its hook",
            report.pool.cloned_at() as f64,
            Wanted::Below(CLONED_BEFORE as f64),
            "",
        ),
        Bar::new(
            "with the pool: edges that end in good order",
            report.pool.ended_well as f64,
            Wanted::AtLeast(2.0),
            "of 2",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::run;

    fn verdicts(
        plain_starved: u64,
        pool_starved: &[(u64, u64)],
        succeeded: u64,
        origin_mbit: f64,
    ) -> Vec<bool> {
        let plain: Vec<(u64, u64)> = (0..60).map(|at| (at, plain_starved)).collect();
        let report = Report::new(
            "release",
            run(&plain, 500, 100.0),
            run(pool_starved, succeeded, origin_mbit),
        );
        bars(&report).iter().map(Bar::holds).collect()
    }

    #[test]
    fn a_good_evening_holds_them_all() {
        assert_eq!(verdicts(11, &[(2, 9), (25, 100)], 995, 49.9), [true; 7]);
    }

    #[test]
    fn each_bar_can_be_missed() {
        assert_eq!(
            verdicts(10, &[(40, 1)], 994, 50.0),
            [false, false, false, true, false, true, true]
        );
    }

    #[test]
    fn a_line_says_what_was_wanted() {
        let line = Bar::new("it", 12.34, Wanted::Below(50.0), "%").line();
        assert_eq!(line, "holds  it: 12.3 % (wanted < 50)");
    }
}
