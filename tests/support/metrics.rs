//! The metrics page of a node, read.

use anyhow::{Result, ensure};

use crate::http::get;

/// One look at `/metrics`.
#[derive(Clone, Debug)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// Looks at the page.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn of(url: &str) -> Result<Self> {
        let answer = get(url).await?;
        ensure!(answer.head.status == 200, "{url} answers {}", answer.head.status);
        Ok(Self { text: answer.text() })
    }

    /// The page as it is.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The sum of a metric over all its labels; `None` if it is not on the page.
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.sum_where(name, "")
    }

    /// The sum of a metric over all samples whose labels contain `label`, such as `reason="stalled"`.
    pub fn sum_where(&self, name: &str, label: &str) -> Option<f64> {
        let values: Vec<f64> = self
            .samples()
            .filter(|(known, labels, _)| *known == name && labels.contains(label))
            .map(|(_, _, value)| value)
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Each sample as (name, labels, value).
    pub fn samples(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        self.text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                Some((name, labels.trim_end_matches('}'), value.parse().ok()?))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_labels() {
        let text = "# HELP a x\na{b=\"c\"} 1\na{b=\"d\"} 2.5\nab 7\n".to_owned();
        let metrics = Metrics { text };
        assert_eq!(metrics.sum("a"), Some(3.5));
        assert_eq!(metrics.sum_where("a", "b=\"d\""), Some(2.5));
        assert_eq!(metrics.sum("ab"), Some(7.0));
        assert_eq!(metrics.sum("abc"), None);
    }
}
