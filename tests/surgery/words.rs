//! The report as a person reads it: plain words first, then the two evenings side by side.

use std::fmt::Write as _;

use crate::evening::{STREAM_MBIT, UPLINK_MBIT};
use crate::judge::Bar;
use crate::report::{Report, Run, percent};
use crate::resolver::Habit;

/// One line of the table: what it is, and the figure of each evening.
type Row = (String, String, String);

/// The report in words.
pub(crate) fn report(report: &Report, bars: &[Bar]) -> String {
    let mut text = story(report);
    let rows = rows(report);
    let width = rows
        .iter()
        .map(|(what, ..)| what.chars().count())
        .max()
        .unwrap_or(0);
    // Text is no device that can fail.
    let _ = writeln!(text, "\n{:width$}  {:>12}  {:>12}", "", "as in 2012", "the pool");
    for (what, plain, pool) in rows {
        let _ = writeln!(text, "{what:width$}  {plain:>12}  {pool:>12}");
    }
    text.push('\n');
    for bar in bars {
        let _ = writeln!(text, "{}", bar.line());
    }
    if report.build != "release" {
        let _ = writeln!(text, "\nBuilt as `{}`: the figures are for trying.", report.build);
    }
    text
}

fn story(report: &Report) -> String {
    let (plain, pool) = (&report.plain, &report.pool);
    let wave = plain.all_joins().tried;
    let wish = wave as f64 * STREAM_MBIT;
    let (starved, missed) = (
        percent(plain.starved()),
        plain.all_joins().tried - plain.all_joins().succeeded,
    );
    let (joins, quiet) = (pool.all_joins(), pool.starved_without_excuse().0);
    format!(
        "The evening of 2012, replayed: {wave} viewers want {wish:.0} Mbit/s, and the uplink has {UPLINK_MBIT}.\n\
         As in 2012, {missed} of {wave} got no second of media within 3 s, and {starved:.0} % of all viewer-seconds went without \
         a picture.\n\
         With the pool, {} of {} got in at the first try; while the origin had an edge cloned in, an edge and the origin were killed and an edge \
         drained, {} viewer-seconds of {} went without a picture, {quiet} of them without a kill to excuse it. The origin's uplink was \
         {:.0} % used at the end.\n",
        joins.succeeded,
        joins.tried,
        pool.starved().0,
        pool.starved().1,
        pool.uplink_at_the_end(),
    )
}

fn rows(report: &Report) -> Vec<Row> {
    let row = |what: &str, figure: &dyn Fn(&Run) -> String| -> Row {
        (what.to_owned(), figure(&report.plain), figure(&report.pool))
    };
    let mbit = |figure: f64| format!("{figure:.0} Mbit/s");
    let joins = |succeeded: u64, tried: u64| format!("{succeeded} of {tried}");
    let mut rows = vec![
        row("viewers who came", &|run| run.all_joins().tried.to_string()),
        row("in at the first try", &|run| {
            let all = run.all_joins();
            joins(all.succeeded, all.tried)
        }),
    ];
    for habit in Habit::ALL {
        rows.push(row(&format!("  whose resolvers {}", habit.words()), &|run| {
            let of = run.joins.get(&habit).copied().unwrap_or_default();
            joins(of.succeeded, of.tried)
        }));
    }
    let mut misses: Vec<_> = report
        .plain
        .misses
        .keys()
        .chain(report.pool.misses.keys())
        .collect();
    misses.sort_unstable();
    misses.dedup();
    for miss in misses {
        rows.push(row(&format!("  not in: {}", miss.words()), &|run| {
            run.misses.get(miss).copied().unwrap_or(0).to_string()
        }));
    }
    rows.extend([
        row("to a second of media, half of those in", &|run| {
            format!("{} ms", run.join_ms_p50)
        }),
        row("  99 of 100 of them", &|run| format!("{} ms", run.join_ms_p99)),
        row("viewer-seconds that starved", &|run| run.starved().0.to_string()),
        row("  of all", &|run| format!("{:.1} %", percent(run.starved()))),
        row("  without a kill to excuse it", &|run| {
            run.starved_without_excuse().0.to_string()
        }),
        row("seconds in which this program was late itself", &|run| {
            run.blind_seconds().to_string()
        }),
        row("viewers who starved at all", &|run| {
            run.viewers_starved.to_string()
        }),
        row("  the worst one for", &|run| {
            format!("{} s", run.worst_viewer_seconds)
        }),
        row("the origin sent at most", &|run| {
            mbit(run.most(|second| second.origin_mbit))
        }),
        row("  edge 1", &|run| mbit(run.most(|second| second.edge_1_mbit))),
        row("  edge 2", &|run| mbit(run.most(|second| second.edge_2_mbit))),
        row("the uplink's use at the end", &|run| {
            format!("{:.0} %", run.uplink_at_the_end())
        }),
        row("redirects that were followed", &|run| run.redirects.to_string()),
        row("times that a viewer came again", &|run| run.returns.to_string()),
        row("questions to the pool's name servers", &|run| {
            run.questions.to_string()
        }),
        row("times that the encoder came again", &|run| {
            run.encoder_returns.to_string()
        }),
    ]);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::bars;
    use crate::report::tests::run;

    #[test]
    fn words_come_first_and_verdicts_last() {
        let both = Report::new("release", run(&[(40, 90)], 400, 95.0), run(&[(25, 3)], 1000, 5.0));
        let text = report(&both, &bars(&both));
        assert!(
            text.starts_with("The evening of 2012, replayed: 1000 viewers want 2500 Mbit/s"),
            "{text}"
        );
        assert!(text.contains("600 of 1000 got no second"), "{text}");
        assert!(text.contains("not in: too little, too late"), "{text}");
        assert!(
            text.trim_end().lines().last().unwrap().contains("2.0 of 2"),
            "{text}"
        );
        assert!(!text.contains("for trying"));
    }

    #[test]
    fn a_build_for_trying_is_named() {
        let both = Report::new("debug", Run::default(), Run::default());
        assert!(report(&both, &[]).contains("`debug`"));
    }
}
