//! A report as a picture: lateness and viewers over time, as SVG.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use thiserror::Error;

use crate::report::{Report, Second};

/// The picture's size in pixels: half a page of a document.
const SIZE: (u32, u32) = (900, 560);

/// The part of the height for the upper panel, in pixels.
const UPPER: u32 = 330;

/// Room for the labels of the axes, in pixels.
const LABELS: u32 = 64;

const TEXT: (&str, u32) = ("sans-serif", 15);
const TITLE: (&str, u32) = ("sans-serif", 18);
const MEDIAN: RGBColor = RGBColor(31, 119, 180);
const TAIL: RGBColor = RGBColor(214, 39, 40);
const VIEWERS: RGBColor = RGBColor(44, 160, 44);

/// The picture could not be drawn, or not written.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct PlotError(String);

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a report's timeline into a file.
///
/// # Errors
/// [`PlotError`].
pub fn timeline(path: &Path, report: &Report) -> Result<(), PlotError> {
    let mut svg = String::new();
    draw(&mut svg, report).map_err(|error| PlotError(error.to_string()))?;
    std::fs::write(path, svg).map_err(|error| PlotError(error.to_string()))
}

fn draw(svg: &mut String, report: &Report) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(UPPER);
    let title = format!("{} viewers of {}", report.viewers, report.url);
    let late = Line {
        name: "p99",
        colour: TAIL,
        value: |second| second.late_p99_ms,
    };
    let median = Line {
        name: "p50",
        colour: MEDIAN,
        value: |second| second.late_p50_ms,
    };
    panel(&upper, report, &title, "lateness, ms", &[late, median])?;
    let viewers = Line {
        name: "viewers",
        colour: VIEWERS,
        value: |second| second.viewers as f64,
    };
    panel(&lower, report, "", "viewers", &[viewers])?;
    root.present()?;
    Ok(())
}

/// One line of a panel.
struct Line {
    name: &'static str,
    colour: RGBColor,
    value: fn(&Second) -> f64,
}

fn panel(
    area: &Panel<'_>,
    report: &Report,
    title: &str,
    unit: &str,
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let seconds = &report.timeline;
    let end = seconds.last().map_or(1.0, |second| second.at as f64 + 1.0);
    let values = lines.iter().flat_map(|line| seconds.iter().map(line.value));
    let top = values.fold(1.0, f64::max) * 1.1;
    // Below this the steps of the axis are no whole numbers.
    let decimals = if top < 5.0 { 1 } else { 0 };
    let mut builder = ChartBuilder::on(area);
    builder.margin(10).x_label_area_size(40).y_label_area_size(LABELS);
    if !title.is_empty() {
        builder.caption(title, TITLE);
    }
    let mut chart = builder.build_cartesian_2d(0.0..end, 0.0..top)?;
    let value_label = |value: &f64| format!("{value:.decimals$}");
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("seconds")
        .y_desc(unit)
        .label_style(TEXT)
        .axis_desc_style(TEXT);
    mesh.x_label_formatter(&|at| format!("{at:.0}"))
        .y_label_formatter(&value_label);
    mesh.light_line_style(WHITE.mix(0.0)).draw()?;
    for line in lines {
        let points = seconds
            .iter()
            .map(|second| (second.at as f64 + 0.5, (line.value)(second)));
        let colour = line.colour;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::UpperRight).label_font(TEXT);
    legend
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(seconds: u64) -> Report {
        let second = |at| Second {
            at,
            viewers: 10 * at,
            late_p50_ms: 25.0,
            late_p99_ms: 40.0 + at as f64,
            ..Second::default()
        };
        Report {
            url: "http://h/a?b=1&c=<d>".to_owned(),
            viewers: 100,
            timeline: (0..seconds).map(second).collect(),
            ..Report::default()
        }
    }

    /// The names of a well-formed document's elements; a complaint for any other.
    fn elements(svg: &str) -> Result<Vec<String>, String> {
        let (mut open, mut seen) = (Vec::new(), Vec::new());
        let mut rest = svg;
        while let Some((text, after)) = rest.split_once('<') {
            check_text(text)?;
            let (tag, after) = after.split_once('>').ok_or("a tag without end")?;
            rest = after;
            if let Some(name) = tag.strip_prefix('/') {
                if open.pop().as_deref() != Some(name) {
                    return Err(format!("</{name}> closes nothing"));
                }
            } else if !tag.starts_with(['?', '!']) {
                let name = tag
                    .split(|c: char| c.is_whitespace() || c == '/')
                    .next()
                    .unwrap_or_default();
                if tag.matches('"').count() % 2 != 0 {
                    return Err(format!("<{tag}> has an open quote"));
                }
                check_text(tag)?;
                seen.push(name.to_owned());
                if !tag.ends_with('/') {
                    open.push(name.to_owned());
                }
            }
        }
        if open.is_empty() {
            Ok(seen)
        } else {
            Err(format!("{open:?} stay open"))
        }
    }

    fn check_text(text: &str) -> Result<(), String> {
        let entity = |after: &str| {
            ["amp;", "lt;", "gt;", "quot;", "apos;", "#"]
                .iter()
                .any(|name| after.starts_with(name))
        };
        match text.split('&').skip(1).find(|after| !entity(after)) {
            Some(after) => Err(format!("a bare & before {after}")),
            None => Ok(()),
        }
    }

    #[test]
    fn the_picture_is_well_formed_and_labelled() {
        for seconds in [0, 1, 40] {
            let mut svg = String::new();
            draw(&mut svg, &report(seconds)).unwrap();
            let elements = elements(&svg).unwrap();
            assert_eq!(elements.first().map(String::as_str), Some("svg"));
            let text: String = svg.split(['<', '>']).collect();
            for label in [
                "lateness, ms",
                "seconds",
                "viewers",
                "p50",
                "p99",
                "100 viewers of http://h/a",
            ] {
                assert!(text.contains(label), "{label} is not in it");
            }
            let lines = elements.iter().filter(|name| *name == "polyline").count();
            assert!(lines >= if seconds > 1 { 3 } else { 0 }, "{lines} lines");
        }
    }

    #[test]
    fn the_judge_of_form_can_say_no() {
        for bad in ["<a>", "<a></b>", "<a>&</a>", "<a b=\"></a>", "</a>"] {
            assert!(elements(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        assert!(timeline(Path::new("/nowhere/at/all.svg"), &report(1)).is_err());
    }
}
