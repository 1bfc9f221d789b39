//! The picture: viewers, what each machine sends, and starved seconds over time, the two evenings side by side.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::evening::UPLINK_MBIT;
use crate::report::{Report, Run};
use crate::second::Second;

/// Width and height of the picture.
const SIZE: (u32, u32) = (1_200, 760);

/// The colour of what happened.
const MARK: RGBColor = RGBColor(190, 190, 190);

/// A line: its name, its colour, its figure.
type Line = (&'static str, RGBColor, fn(&Second) -> f64);

/// The charts, from top to bottom.
const CHARTS: [(&str, &[Line]); 3] = [
    (
        "viewers",
        &[
            ("who came", RGBColor(150, 150, 150), |second| {
                second.count.tried as f64
            }),
            ("with a picture", RGBColor(20, 110, 190), |second| {
                second.count.served as f64
            }),
        ],
    ),
    (
        "sent, Mbit/s",
        &[
            ("origin", RGBColor(200, 60, 30), |second| second.origin_mbit),
            ("edge 1", RGBColor(20, 110, 190), |second| second.edge_1_mbit),
            ("edge 2", RGBColor(30, 150, 80), |second| second.edge_2_mbit),
        ],
    ),
    (
        "viewers that starve",
        &[("starving", RGBColor(200, 60, 30), |second| {
            second.count.starved as f64
        })],
    ),
];

/// Draws it.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn draw(report: &Report, path: &Path) -> Result<()> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
    // As wide as they are long.
    let length = |run: &Run| run.seconds.len().max(20) as f64;
    let (plain, pool) = (length(&report.plain), length(&report.pool));
    let width = f64::from(SIZE.0) * (plain / (plain + pool)).clamp(0.3, 0.7);
    let (left, right) = area.split_horizontally(width);
    evening(&left, &report.plain, report)?;
    evening(&right, &report.pool, report)?;
    area.present()
        .map_err(|error| anyhow!("writing {}: {error}", path.display()))
}

fn evening(area: &DrawingArea<SVGBackend<'_>, Shift>, run: &Run, report: &Report) -> Result<()> {
    let titled = area
        .titled(&run.title, ("sans-serif", 15))
        .map_err(|error| anyhow!("drawing: {error:?}"))?;
    for (chart_area, (title, lines)) in titled.split_evenly((CHARTS.len(), 1)).iter().zip(CHARTS) {
        // One scale for both evenings, or they could not be compared.
        let of = |run: &Run| {
            let tops = lines.iter().map(|(_, _, figure)| run.most(figure));
            tops.fold(0.0, f64::max)
        };
        chart(
            chart_area,
            title,
            lines,
            run,
            of(&report.plain).max(of(&report.pool)),
        )?;
    }
    Ok(())
}

fn chart(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    lines: &[Line],
    run: &Run,
    most: f64,
) -> Result<()> {
    let fail = |error| anyhow!("drawing: {error:?}");
    let (end, top) = (run.seconds.len().max(1) as f64, most.max(1.0) * 1.15);
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_right(18)
        .x_label_area_size(28)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..end, 0.0..top)
        .map_err(fail)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_desc("seconds")
        .y_desc(title)
        .x_label_formatter(&|second| format!("{second:.0}"))
        .y_label_formatter(&|figure| format!("{figure:.0}"))
        .draw()
        .map_err(fail)?;
    for (index, second) in run
        .seconds
        .iter()
        .filter(|second| !second.events.is_empty())
        .enumerate()
    {
        let (at, words) = (second.at as f64, second.events.iter().map(|event| event.words()));
        let upright = PathElement::new([(at, 0.0), (at, top)], MARK.stroke_width(1));
        chart.draw_series([upright]).map_err(fail)?;
        // One below the other, so that those that follow at once can be read.
        let height = top * (0.98 - 0.09 * (index % 3) as f64);
        let name = words.collect::<Vec<_>>().join(", ");
        let style = ("sans-serif", 10).into_font().color(&RGBColor(90, 90, 90));
        chart
            .draw_series([Text::new(name, (at + 0.4, height), style)])
            .map_err(fail)?;
    }
    for (name, colour, figure) in lines {
        let points = run
            .seconds
            .iter()
            .map(|second| (second.at as f64 + 0.5, figure(second)));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))
            .map_err(fail)?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
    }
    if title.starts_with("sent") {
        let limit = UPLINK_MBIT as f64;
        let across = PathElement::new([(0.0, limit), (end, limit)], BLACK.stroke_width(1));
        chart
            .draw_series([across])
            .map_err(fail)?
            .label("the origin's uplink")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 14, y)], BLACK.stroke_width(1)));
    }
    // The names cover nothing on the evening on which nothing happens.
    if run.seconds.iter().any(|second| !second.events.is_empty()) {
        return Ok(());
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE.mix(0.7))
        .draw()
        .map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::run;

    #[test]
    fn a_picture_has_both_evenings_and_what_happened() -> Result<()> {
        let path = std::env::temp_dir().join(format!("surgery-{}.svg", std::process::id()));
        let report = Report::new("release", Run::default(), run(&[], 1000, 5.0));
        draw(&report, &path)?;
        let svg = std::fs::read_to_string(&path)?;
        std::fs::remove_file(&path)?;
        for word in [
            "viewers that starve",
            "sent, Mbit/s",
            "edge 1 is killed",
            "edge 2",
        ] {
            assert!(svg.contains(word), "{word}");
        }
        draw(&Report::new("release", Run::default(), Run::default()), &path)?;
        std::fs::remove_file(&path)?;
        Ok(())
    }
}
