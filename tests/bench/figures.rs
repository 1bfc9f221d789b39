//! Small figures out of many: medians and their spread.

/// The median of some rounds, with the least and the largest beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of the values that are numbers; `None` without one.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        Some(Self {
            median: median_of_sorted(&values)?,
            min: *values.first()?,
            max: *values.last()?,
        })
    }

    /// `0.48 (0.47–0.50)`, or the median alone where there was one round.
    pub(crate) fn text(self, digits: usize) -> String {
        let Self { median, min, max } = self;
        let (low, high) = (format!("{min:.digits$}"), format!("{max:.digits$}"));
        if low == high {
            return format!("{median:.digits$}");
        }
        format!("{median:.digits$} ({low}\u{2013}{high})")
    }
}

/// A quotient; `None` where it would say nothing.
pub(crate) fn ratio(above: f64, below: f64) -> Option<f64> {
    let quotient = above / below;
    (below > 0.0 && quotient.is_finite()).then_some(quotient)
}

fn median_of_sorted(values: &[f64]) -> Option<f64> {
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values[middle - 1] + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_three_and_the_mean_of_two() {
        let three = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!(
            three,
            Some(Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0
            })
        );
        assert_eq!(Spread::of([1.0, 2.0]).map(|spread| spread.median), Some(1.5));
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN]), None);
    }

    #[test]
    fn a_spread_is_shown_where_there_is_one() {
        let text = |values: &[f64]| Spread::of(values.iter().copied()).map(|spread| spread.text(2));
        assert_eq!(text(&[0.48]).as_deref(), Some("0.48"));
        assert_eq!(
            text(&[0.5, 0.47, 0.48]).as_deref(),
            Some("0.48 (0.47\u{2013}0.50)")
        );
    }

    #[test]
    fn a_ratio_to_nothing_is_none() {
        assert_eq!(ratio(1.0, 2.0), Some(0.5));
        assert_eq!(ratio(1.0, 0.0), None);
        assert_eq!(ratio(f64::NAN, 1.0), None);
    }
}
