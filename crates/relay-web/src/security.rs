//! The headers that fence the pages in.

/// Headers to send with each page and asset; `frame_ancestors` is who may embed the player, such as `*`, `'self'` or a
/// list of origins.
///
/// Nothing but our own origin is loaded or run. Streams come from anywhere, since a node may send its viewers to another one,
/// whose name or address this page cannot know. `blob:` is how Media Source Extensions hand their bytes to
/// the video element. There is no inline script or style, so neither needs an exception.
///
/// `frame_ancestors` is one directive's value: a `;`, a `,` or a control character would end it and begin another, so such
/// a text is replaced by `'none'`, the value that allows least.
///
/// ```
/// let headers = relay_web::security_headers("https://example.org");
/// assert!(headers.iter().any(|(name, value)| *name == "Content-Security-Policy"
///     && value.ends_with("frame-ancestors https://example.org")));
/// ```
pub fn security_headers(frame_ancestors: &str) -> Vec<(&'static str, String)> {
    let ancestors = Some(frame_ancestors.trim())
        .filter(|text| !text.is_empty() && text.chars().all(fits_directive))
        .unwrap_or("'none'");
    vec![
        (
            "Content-Security-Policy",
            format!("{POLICY}; frame-ancestors {ancestors}"),
        ),
        ("X-Content-Type-Options", String::from("nosniff")),
        ("Referrer-Policy", String::from("same-origin")),
    ]
}

/// Headers to send with the console and its parts: stricter still, since it needs nothing from elsewhere and nobody has a reason to
/// embed it. No address of it is told to another site: it may hold a secret.
pub fn console_headers() -> Vec<(&'static str, String)> {
    vec![
        ("Content-Security-Policy", String::from(CONSOLE_POLICY)),
        ("X-Content-Type-Options", String::from("nosniff")),
        ("Referrer-Policy", String::from("no-referrer")),
        ("Cross-Origin-Resource-Policy", String::from("same-origin")),
        ("Cross-Origin-Opener-Policy", String::from("same-origin")),
    ]
}

/// Whether a character can stand within one directive of the policy.
fn fits_directive(character: char) -> bool {
    character == ' ' || (character.is_ascii_graphic() && !matches!(character, ';' | ','))
}

/// The policy but for its last directive.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; \
     connect-src 'self' http: https:; worker-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'";

/// The console's policy.
const CONSOLE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::{console_headers, security_headers};

    fn policy(frame_ancestors: &str) -> String {
        let headers = security_headers(frame_ancestors);
        let found = headers
            .into_iter()
            .find(|(name, _)| *name == "Content-Security-Policy");
        found.expect("a policy is always sent").1
    }

    #[test]
    fn the_policy_allows_no_inline_and_no_foreign_code() {
        let policy = policy("*");
        assert!(!policy.contains("unsafe"), "{policy}");
        let elsewhere = policy.replace("connect-src 'self' http: https:;", "");
        assert!(!elsewhere.contains("http"), "but for streams: {policy}");
        assert!(policy.contains("default-src 'self'"), "{policy}");
        assert!(policy.contains("media-src 'self' blob:"), "{policy}");
    }

    #[test]
    fn the_embedders_are_as_configured() {
        assert!(policy("*").ends_with("; frame-ancestors *"));
        assert!(policy("'self' https://a.example").ends_with("; frame-ancestors 'self' https://a.example"));
    }

    #[test]
    fn a_text_that_would_smuggle_a_directive_or_header_allows_nobody() {
        for text in ["*; script-src *", "*, default-src *", "*\r\nX-Evil: 1", "", "ä"] {
            assert!(policy(text).ends_with("; frame-ancestors 'none'"), "{text:?}");
        }
    }

    #[test]
    fn the_console_needs_nothing_from_elsewhere() {
        let headers = console_headers();
        let (_, policy) = &headers[0];
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'),
            "{policy}"
        );
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
    }

    #[test]
    fn every_header_is_one_line_of_ascii() {
        for (name, value) in security_headers("*").into_iter().chain(console_headers()) {
            assert!(name.is_ascii() && value.chars().all(|c| c.is_ascii_graphic() || c == ' '));
        }
    }
}
