//! The document: what stands between a pair of markers is replaced, all else is left as people wrote it.

use anyhow::{Context as _, Result, ensure};

/// Puts `text` between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
///
/// # Errors
/// When the markers are not there, in this order and once.
pub(crate) fn replace(document: &str, name: &str, text: &str) -> Result<String> {
    let (open, close) = (
        format!("<!-- bench:{name} -->"),
        format!("<!-- /bench:{name} -->"),
    );
    let (before, rest) = document
        .split_once(&open)
        .with_context(|| format!("the document has no {open}"))?;
    let (_, after) = rest
        .split_once(&close)
        .with_context(|| format!("the document has no {close} after {open}"))?;
    ensure!(!after.contains(&open), "the document has {open} twice");
    Ok(format!("{before}{open}\n{}\n{close}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() -> Result<()> {
        let document =
            "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n<!-- bench:xy -->\nkeep\n<!-- /bench:xy -->\n";
        let once = replace(document, "x", "new\n\n")?;
        assert_eq!(
            once,
            "a\n<!-- bench:x -->\nnew\n<!-- /bench:x -->\nb\n<!-- bench:xy -->\nkeep\n<!-- /bench:xy -->\n"
        );
        assert_eq!(replace(&once, "x", "new")?, once);
        Ok(())
    }

    #[test]
    fn missing_or_doubled_markers_are_an_error() {
        assert!(replace("", "x", "").is_err());
        assert!(replace("<!-- bench:x -->", "x", "").is_err());
        assert!(replace("<!-- /bench:x --><!-- bench:x -->", "x", "").is_err());
        let pair = "<!-- bench:x --><!-- /bench:x -->";
        assert!(replace(&format!("{pair}{pair}"), "x", "").is_err());
    }
}
