//! The picture: CPU per delivered GB, and latency, against the number of viewers.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::judge::median;
use crate::part::Part;
use crate::results::Results;
use crate::sample::{Contender, Sample};

/// Width and height of the picture.
const SIZE: (u32, u32) = (1_100, 440);

/// Room for the names at the right.
const NAMES_WIDTH: u32 = 160;

/// One line: a name, and points of (viewers, figure).
type Line = (Contender, Vec<(f64, f64)>);

/// Draws it; nothing is drawn while nothing is measured.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn draw(results: &Results, path: &Path) -> Result<()> {
    let cost = lines(results, Sample::server_per_gb);
    if cost.is_empty() {
        return Ok(());
    }
    let late = lines(results, |sample| sample.report.lateness.p99);
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
    let (charts, names) = area.split_horizontally(SIZE.0 - NAMES_WIDTH);
    let halves = charts.split_evenly((1, 2));
    chart(&halves[0], "CPU seconds of the server per delivered GB", &cost)?;
    chart(&halves[1], "latency, p99, ms", &late)?;
    legend(&names, &cost)?;
    area.present()
        .map_err(|error| anyhow!("writing {}: {error}", path.display()))
}

/// At 1 Mbit/s: ours and the floor at fixed periods as the part `floor` has them, peers as `peers` has them.
fn lines(results: &Results, figure: fn(&Sample) -> f64) -> Vec<Line> {
    let wanted = [
        (Part::Floor, Contender::Floor),
        (Part::Floor, Contender::Relay),
        (Part::Peers, Contender::RelayRtmp),
        (Part::Peers, Contender::Nginx),
        (Part::Peers, Contender::NodeMediaServer),
        (Part::Peers, Contender::Xiu),
    ];
    let lines = wanted.into_iter().filter_map(|(part, contender)| {
        let measured = results.part(part)?;
        let at = |viewers| {
            let samples = measured.of(contender, |sample| {
                let setting = &sample.setting;
                let is_beside_floor = !measured
                    .of(Contender::Floor, |floor| floor.setting == *setting)
                    .is_empty();
                setting.viewers == viewers && setting.mbit == 1 && (part != Part::Floor || is_beside_floor)
            });
            Some((viewers as f64, median(&samples, figure)?))
        };
        let points: Vec<(f64, f64)> = measured.audiences().into_iter().filter_map(at).collect();
        (!points.is_empty()).then_some((contender, points))
    });
    lines.collect()
}

fn chart(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, lines: &[Line]) -> Result<()> {
    let fail = |error| anyhow!("drawing: {error:?}");
    let points = || lines.iter().flat_map(|(_, points)| points);
    let (low, high) = (points().map(|point| point.0), points().map(|point| point.1));
    let least = low.clone().fold(f64::INFINITY, f64::min);
    let most = low.fold(least, f64::max).max(least * 2.0);
    // Zero has no place on a logarithmic axis.
    let bottom = high.clone().fold(f64::INFINITY, f64::min).max(1e-3) / 1.5;
    let top = high.fold(bottom, f64::max) * 1.5;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .margin_right(25)
        .x_label_area_size(35)
        .y_label_area_size(50)
        .build_cartesian_2d((least..most).log_scale(), (bottom..top).log_scale())
        .map_err(fail)?;
    chart
        .configure_mesh()
        .x_desc("viewers")
        .light_line_style(WHITE)
        .x_label_formatter(&|viewers| format!("{viewers:.0}"))
        .draw()
        .map_err(fail)?;
    for (index, (_, points)) in lines.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))
            .map_err(fail)?;
    }
    Ok(())
}

/// The names beside the charts, where they cover no line.
fn legend(area: &DrawingArea<SVGBackend<'_>, Shift>, lines: &[Line]) -> Result<()> {
    let fail = |error| anyhow!("drawing: {error:?}");
    for (index, (contender, _)) in lines.iter().enumerate() {
        // A handful of lines.
        let y = 60 + 24 * index as i32;
        let stroke = Palette99::pick(index).to_rgba().stroke_width(2);
        area.draw(&PathElement::new([(0, y), (16, y)], stroke))
            .map_err(fail)?;
        let place = (24, y - 8);
        area.draw(&Text::new(contender.name(), place, ("sans-serif", 14)))
            .map_err(fail)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Measured;
    use crate::sample::Setting;
    use crate::sample::tests::sample;

    #[test]
    fn a_picture_has_a_line_for_each_server() -> Result<()> {
        let path = std::env::temp_dir().join(format!("bench-{}.svg", std::process::id()));
        draw(&Results::default(), &path)?;
        assert!(!path.exists());
        let mut results = Results::default();
        let mut samples = Vec::new();
        for viewers in [100, 1_000] {
            samples.push(sample(Contender::Floor, Setting::of(viewers), 1, 0.5, 50.0));
            samples.push(sample(Contender::Relay, Setting::of(viewers), 1, 0.6, 55.0));
        }
        results.insert(
            Part::Floor,
            Measured {
                samples,
                ..Measured::default()
            },
        );
        draw(&results, &path)?;
        let svg = std::fs::read_to_string(&path)?;
        std::fs::remove_file(&path)?;
        assert!(svg.contains("floor") && svg.contains("relay") && svg.contains("per delivered GB"));
        Ok(())
    }
}
