//! A text that must never be seen again once it is read.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use subtle::ConstantTimeEq;

/// The shortest secret that is worth the name: 16 characters of even a poor choice withstand guessing by network.
pub const MIN_SECRET_CHARS: usize = 16;

/// A secret from the configuration or the environment: it shows itself to nobody, not even to `{:?}`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as a secret, blanks around it removed.
    ///
    /// # Errors
    /// A sentence, when it is too short to keep anybody out.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().count() < MIN_SECRET_CHARS {
            return Err(format!("a token has at least {MIN_SECRET_CHARS} characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself, for the one who sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this secret, in a time that does not depend on where they differ.
    pub fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[hidden]")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// Never lets the library's own complaint speak, since that would quote the value.
struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Secret::new(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom("a token stands in quotes"))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Secret, E> {
        Err(E::custom("a token stands in quotes"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom("a token stands in quotes"))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Secret, E> {
        Err(E::custom("a token stands in quotes"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom("a token stands in quotes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_itself_to_nobody() {
        let secret = Secret::new("0123456789abcdef\n").unwrap();
        assert_eq!(format!("{secret:?}"), "[hidden]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[hidden]\"");
        assert!(secret.matches("0123456789abcdef"));
        assert!(!secret.matches("0123456789abcdeF") && !secret.matches(""));
    }

    #[test]
    fn a_short_one_is_refused() {
        assert!(Secret::new("  short         ").is_err());
    }
}
