//! The mark that a viewer carries who was sent on: `hop=N` in the query, so that two full nodes send nobody back and forth.

/// What the mark begins with.
const MARK: &str = "hop=";

/// How often one with such a query was sent on before. A mark that is no number counts as the most there is: nobody but us
/// writes one.
pub fn count(query: Option<&str>) -> u8 {
    let marks = query.unwrap_or_default().split('&');
    let marks = marks.filter_map(|part| part.strip_prefix(MARK));
    marks
        .map(|mark| mark.parse().unwrap_or(u8::MAX))
        .max()
        .unwrap_or(0)
}

/// The mark of one who has been sent on so often.
pub fn mark(hops: u8) -> String {
    format!("{MARK}{hops}")
}

/// The same query with the mark of one hop more.
pub fn with_one_more(query: Option<&str>) -> String {
    let marked = mark(count(query).saturating_add(1));
    let others = query.unwrap_or_default().split('&');
    let others = others.filter(|part| !part.is_empty() && !part.starts_with(MARK));
    others.chain([marked.as_str()]).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_counted_and_the_rest_stays() {
        for (query, before, after) in [
            (None, 0, "hop=1"),
            (Some(""), 0, "hop=1"),
            (Some("key=a%26b&x"), 0, "key=a%26b&x&hop=1"),
            (Some("hop=1&key=a"), 1, "key=a&hop=2"),
            (Some("hop=1&hop=2"), 2, "hop=3"),
            (Some("hop=255"), 255, "hop=255"),
            (Some("hop=x"), 255, "hop=255"),
            (Some("shop=3"), 0, "shop=3&hop=1"),
        ] {
            assert_eq!(
                (count(query), &*with_one_more(query)),
                (before, after),
                "{query:?}"
            );
        }
    }
}
