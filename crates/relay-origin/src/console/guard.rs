//! Who may come in: a value that looks at a request's head.

use std::fmt::{self, Write as _};

use hyper::Method;
use subtle::ConstantTimeEq as _;

use crate::state::random;

/// Bytes of chance in the token: as many as nobody guesses.
const TOKEN_BYTES: usize = 16;

/// The names of this machine that a browser may have come by. A page elsewhere whose name was bent to this machine's address
/// (DNS rebinding) has its own name in `Host`. The port is not looked at: `ssh -L` leads here from any.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// The name is not one of this machine's own.
    #[error(
        "this console is for browsers on its own machine, by the address that `relay-origin console` printed"
    )]
    WrongHost,
    /// The path does not begin with the token.
    #[error("the address lacks its token: use the whole of what `relay-origin console` printed")]
    NoToken,
    /// It would change something.
    #[error("this console only looks; `relay-origin console --allow-changes` opens one that does more")]
    OnlyLooks,
}

/// Knows the token.
pub(super) struct Guard {
    token: String,
    allow_changes: bool,
}

/// The token is a secret.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Guard");
        text.field("allow_changes", &self.allow_changes)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// With a fresh token.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn new(allow_changes: bool) -> Result<Self, getrandom::Error> {
        let bytes: [u8; TOKEN_BYTES] = random()?;
        let mut token = String::with_capacity(2 * TOKEN_BYTES);
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(token, "{byte:02x}");
        }
        Ok(Self { token, allow_changes })
    }

    /// What each path begins with. In the path, and not in a cookie: a browser shows cookies of `127.0.0.1` to whatever else
    /// listens on that address, on any port.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// What is asked of the origin, if it may be: the path, and a query, behind the token.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn admits<'a>(
        &self,
        method: &Method,
        hosts: &[&str],
        target: &'a str,
    ) -> Result<&'a str, Denied> {
        match hosts {
            [host] if is_ours(host) => {}
            _ => return Err(Denied::WrongHost),
        }
        let behind = target.strip_prefix('/').ok_or(Denied::NoToken)?;
        let (shown, _) = behind.split_once('/').ok_or(Denied::NoToken)?;
        if !bool::from(shown.as_bytes().ct_eq(self.token.as_bytes())) {
            return Err(Denied::NoToken);
        }
        if !self.allow_changes && *method != Method::GET {
            return Err(Denied::OnlyLooks);
        }
        // What was taken off is the slash and the token, both of one byte a character.
        Ok(&target[1 + shown.len()..])
    }
}

/// Whether a `Host` header names this machine, with any port or none.
fn is_ours(host: &str) -> bool {
    NAMES.iter().any(|name| {
        let rest = host
            .get(..name.len())
            .filter(|start| start.eq_ignore_ascii_case(name));
        rest.is_some_and(|_| match &host[name.len()..] {
            "" => true,
            port => port
                .strip_prefix(':')
                .is_some_and(|digits| digits.parse::<u16>().is_ok()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow_changes: bool) -> Guard {
        Guard::new(allow_changes).unwrap()
    }

    fn path(guard: &Guard, rest: &str) -> String {
        format!("/{}{rest}", guard.token())
    }

    #[test]
    fn the_token_opens_and_is_taken_off() {
        let guard = guard(false);
        for (rest, asked) in [
            ("/", "/"),
            ("/api/v1/events", "/api/v1/events"),
            ("/a/../b?x=1", "/a/../b?x=1"),
        ] {
            let target = path(&guard, rest);
            for host in ["127.0.0.1:40123", "localhost", "LOCALHOST:1", "[::1]:9940"] {
                assert_eq!(guard.admits(&Method::GET, &[host], &target), Ok(asked), "{host}");
            }
        }
    }

    #[test]
    fn without_the_token_nobody_gets_in() {
        let (guard, other) = (guard(true), guard(true));
        assert_ne!(guard.token(), other.token());
        let short = format!("/{}/", &guard.token()[1..]);
        let upper = format!("/{}/", guard.token().to_uppercase());
        for target in [
            "/",
            "",
            "*",
            "//",
            "/api/v1/events",
            &path(&other, "/"),
            &path(&guard, ""),
            &path(&guard, "x/"),
            &short,
            &format!("/x/{}/", guard.token()),
            &format!("{}/", guard.token()),
        ] {
            let denied = guard.admits(&Method::GET, &["127.0.0.1"], target);
            assert_eq!(denied, Err(Denied::NoToken), "{target:?}");
        }
        if upper != format!("/{}/", guard.token()) {
            assert_eq!(
                guard.admits(&Method::GET, &["127.0.0.1"], &upper),
                Err(Denied::NoToken)
            );
        }
    }

    #[test]
    fn a_page_elsewhere_cannot_pass_for_this_machine() {
        let guard = guard(true);
        let target = path(&guard, "/");
        for hosts in [
            &[][..],
            &["evil.example"],
            &["evil.example:40123"],
            &["127.0.0.1.evil.example"],
            &["localhost.evil.example:80"],
            &["localhost:80:80"],
            &["localhost:x"],
            &["127.0.0.1", "evil.example"],
            &["[::1"],
            &["ö"],
            &[""],
        ] {
            let denied = guard.admits(&Method::GET, hosts, &target);
            assert_eq!(denied, Err(Denied::WrongHost), "{hosts:?}");
        }
    }

    #[test]
    fn changes_are_for_those_who_asked_for_them() {
        for method in [Method::POST, Method::DELETE, Method::HEAD, Method::CONNECT] {
            let only_looks = guard(false);
            let target = path(&only_looks, "/api/v1/kick");
            let denied = only_looks.admits(&method, &["127.0.0.1"], &target);
            assert_eq!(denied, Err(Denied::OnlyLooks), "{method}");
            let open = guard(true);
            let target = path(&open, "/api/v1/kick");
            assert!(open.admits(&method, &["127.0.0.1"], &target).is_ok(), "{method}");
        }
    }

    #[test]
    fn the_token_is_in_no_debug_output() {
        let guard = guard(true);
        assert!(!format!("{guard:?}").contains(guard.token()));
    }
}
