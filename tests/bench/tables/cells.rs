//! Cells: figures as the text that stands in a table.

use crate::figures::{Spread, ratio};
use crate::judge::median;
use crate::sample::Sample;

/// Digits as a figure of that size needs them.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Rounds' figures as text; a dash where there are none.
pub(super) fn spread(samples: &[&Sample], digits: usize, figure: impl Fn(&Sample) -> f64) -> String {
    Spread::of(samples.iter().map(|sample| figure(sample)))
        .map_or_else(|| "\u{2013}".to_owned(), |spread| spread.text(digits))
}

pub(super) fn quotient(above: &[&Sample], below: &[&Sample], figure: fn(&Sample) -> f64) -> String {
    let quotient = median(above, figure)
        .zip(median(below, figure))
        .and_then(|(above, below)| ratio(above, below));
    quotient.map_or_else(String::new, |quotient| format!("{quotient:.2}"))
}

pub(super) fn latency(samples: &[&Sample]) -> String {
    let p50 = median(samples, |sample| sample.report.lateness.p50);
    let p99 = spread(samples, 0, |sample| sample.report.lateness.p99);
    p50.map_or_else(String::new, |p50| format!("{p50:.0} / {p99}"))
}

pub(super) fn percent_on_time(samples: &[&Sample]) -> String {
    spread(samples, 1, |sample| sample.report.delivery.on_time * 100.0)
}

pub(super) fn memory(samples: &[&Sample]) -> String {
    let of = |figure: fn(&Sample) -> f64| median(samples, figure).unwrap_or_default();
    format!("{:.0} + {:.0}", of(Sample::rss_mb), of(Sample::tcp_mb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_they_need() {
        assert_eq!(number(1.149), "1.15");
        assert_eq!(number(99.6), "99.6");
        assert_eq!(number(523.4), "523");
        assert_eq!(number(0.0), "0");
    }
}
