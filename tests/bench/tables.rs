//! The tables of docs/performance.md, one text per part.
//!
//! - `contenders`, `trouble`, `budget`, `capacity`: the table of each part; `footnotes`: what stands below it.
//! - `cells`: what they are made of.

mod budget;
mod capacity;
mod cells;
mod contenders;
mod footnotes;
mod trouble;

use crate::judge::Bar;
use crate::part::Part;
use crate::parts::{stalled, storm};
use crate::results::{Measured, Results};
use crate::sample::Setting;
use crate::table::Table;
use budget::counted;
use capacity::{steps, streams};
use cells::number;
use contenders::{against_floor, peers};
use footnotes::footnotes;
use trouble::{looks, slow_viewers};

/// What stands between the markers of a part that was never measured.
const NOTHING: &str = "Not measured yet.\n";

/// The table of a part, with what has to be known about it.
pub(crate) fn of(part: Part, results: &Results) -> String {
    let Some(measured) = results.part(part) else {
        return NOTHING.to_owned();
    };
    let table = match part {
        Part::Floor | Part::TenThousand => against_floor(measured),
        Part::Peers => peers(measured),
        Part::Storm => looks(
            measured,
            &[
                (storm::BEFORE, "watch, before"),
                (storm::DURING, "watch, during"),
                (storm::JOINERS, "come"),
            ],
        ),
        Part::Stalled => looks(
            measured,
            &[
                (stalled::WITHOUT, "all read"),
                (stalled::WITH, "a tenth never reads"),
            ],
        ),
        Part::Slow => slow_viewers(measured),
        Part::Streams => streams(measured),
        Part::Budget => counted(measured),
        Part::Starter => steps(measured),
    };
    format!("{table}\n{}", footnotes(measured))
}

/// The list of bars.
pub(crate) fn bars(bars: &[Bar]) -> String {
    let mut table = Table::new(&["bar", "limit", "found", ""]);
    for bar in bars {
        let sign = if bar.at_least { "\u{2265}" } else { "\u{2264}" };
        let found = bar.found.map_or_else(
            || "not measured".to_owned(),
            |found| format!("{} {}", number(found), bar.unit),
        );
        let verdict = match bar.holds() {
            Some(true) => "holds",
            Some(false) => "**fails**",
            None => "",
        };
        let limit = format!("{sign} {} {}", number(bar.limit), bar.unit);
        table.row(&[
            bar.says.clone(),
            limit.trim_end().to_owned(),
            found.trim_end().to_owned(),
            verdict.to_owned(),
        ]);
    }
    table.text()
}

/// Settings in which something was measured, without regard to the period where `contenders` have their own.
fn settings(measured: &Measured) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for sample in &measured.samples {
        if !settings.contains(&sample.setting) {
            settings.push(sample.setting.clone());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::sample;
    use crate::sample::{Contender, Sample};

    fn results(part: Part, samples: Vec<Sample>) -> Results {
        let mut results = Results::default();
        results.insert(
            part,
            Measured {
                samples,
                notes: vec!["xiu: not installed.".to_owned()],
                ..Measured::default()
            },
        );
        results
    }

    #[test]
    fn ours_stands_beside_the_floor_with_its_ratio() {
        let setting = || Setting {
            period_ms: Some(50),
            ..Setting::of(1_000)
        };
        let samples = vec![
            sample(Contender::Floor, setting(), 1, 0.5, 50.0),
            sample(Contender::Relay, setting(), 1, 0.55, 60.0),
        ];
        let text = of(Part::Floor, &results(Part::Floor, samples));
        assert!(
            text.contains("| 1000 | 1 | 50 ms | relay | 0.55 | 1.10 | 0.75 | 1.07 |"),
            "{text}"
        );
        assert!(text.contains("- xiu: not installed."), "{text}");
    }

    #[test]
    fn what_was_not_measured_says_so() {
        for part in Part::ALL {
            assert_eq!(of(part, &Results::default()), NOTHING);
            // A part without a single sample still gives a table.
            assert!(!of(part, &results(part, Vec::new())).is_empty());
        }
        assert!(bars(&crate::judge::bars(&Results::default())).contains("not measured"));
    }
}
