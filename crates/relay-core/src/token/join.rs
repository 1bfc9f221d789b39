//! The join token: a printable string with all that a fresh edge needs to find its origin, to know it from an
//! impostor, and to be let in.
//!
//! `relay-join-1.` and then, in URL-safe base64 without padding: id (4 bytes), secret (16), SHA-256 of the pool CA
//! (32), the origin's addresses (a count, then each as length and text), and the first four bytes of the SHA-256
//! over all before them. That check makes a line broken in copying a clear sentence, not a wrong secret.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::address::Address;

/// What every token begins with; the digit is the version of the form.
pub const TOKEN_PREFIX: &str = "relay-join-1.";

/// 128 random bits: nobody guesses them, and the string stays short enough for one line of a terminal.
pub const SECRET_BYTES: usize = 16;

/// A name or two, and an address per family and uplink; more would be a list to keep up to date elsewhere.
pub const MAX_TOKEN_ADDRESSES: usize = 8;

/// The longest token text looked at: eight addresses of the longest kind in base64 come to 2.9 KB.
pub const MAX_TOKEN_BYTES: usize = 3072;

const ID_BYTES: usize = 4;
const CHECK_BYTES: usize = 4;

/// A token's public name, for lists, logs and revoking: eight hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId([u8; ID_BYTES]);

/// The part of a token that admits. Shown only inside a token's own text.
#[derive(Clone)]
pub struct Secret([u8; SECRET_BYTES]);

/// A join token; valid if it exists.
#[derive(Clone)]
pub struct JoinToken {
    /// Its public name.
    pub id: TokenId,
    /// What admits.
    pub secret: Secret,
    /// SHA-256 of the pool CA's certificate: the only root that the joiner believes.
    pub ca_sha256: [u8; 32],
    addresses: Vec<Address>,
}

/// Why a text is no join token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Does not begin with [`TOKEN_PREFIX`].
    #[error("this is no join token: one begins with {TOKEN_PREFIX}")]
    NotAToken,
    /// A token of a later form.
    #[error("this join token is of a newer kind: update relay-edge")]
    NewerKind,
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("this join token is longer than any can be")]
    TooLong,
    /// The check does not fit: cut short, or a character changed.
    #[error("this join token is damaged: a part is missing or changed; copy it again, whole")]
    Damaged,
    /// It carries no address, too many, or one that cannot be dialled.
    #[error("this join token names no usable address of an origin")]
    BadAddress,
}

impl JoinToken {
    /// A token for an origin reachable at `addresses`.
    ///
    /// # Errors
    /// [`TokenError::BadAddress`] when there is none, or more than [`MAX_TOKEN_ADDRESSES`].
    pub fn new(
        id: TokenId,
        secret: Secret,
        ca_sha256: [u8; 32],
        addresses: Vec<Address>,
    ) -> Result<Self, TokenError> {
        if addresses.is_empty() || addresses.len() > MAX_TOKEN_ADDRESSES {
            return Err(TokenError::BadAddress);
        }
        Ok(Self {
            id,
            secret,
            ca_sha256,
            addresses,
        })
    }

    /// Where the origin's link port is, best first; never empty.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(128);
        body.extend_from_slice(&self.id.0);
        body.extend_from_slice(&self.secret.0);
        body.extend_from_slice(&self.ca_sha256);
        // Neither conversion can fail: there are at most eight addresses, each below 300 bytes.
        body.push(u8::try_from(self.addresses.len()).unwrap_or(u8::MAX));
        for address in &self.addresses {
            let text = address.to_string();
            body.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
            body.extend_from_slice(text.as_bytes());
        }
        body
    }

    fn from_body(body: &[u8]) -> Result<Self, TokenError> {
        let (id, rest) = split(body)?;
        let (secret, rest) = split(rest)?;
        let (ca_sha256, rest) = split(rest)?;
        let ([count], mut rest) = split::<1>(rest)?;
        if count == 0 || usize::from(count) > MAX_TOKEN_ADDRESSES {
            return Err(TokenError::BadAddress);
        }
        let mut addresses = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let (length, after) = split(rest)?;
            let (text, after) = after
                .split_at_checked(usize::from(u16::from_be_bytes(length)))
                .ok_or(TokenError::Damaged)?;
            let text = str::from_utf8(text).map_err(|_| TokenError::BadAddress)?;
            addresses.push(text.parse().map_err(|_| TokenError::BadAddress)?);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(TokenError::Damaged);
        }
        Self::new(TokenId(id), Secret(secret), ca_sha256, addresses)
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), TokenError> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(TokenError::Damaged)?;
    Ok((*head, rest))
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::digest(body);
    [hash[0], hash[1], hash[2], hash[3]]
}

impl FromStr for JoinToken {
    type Err = TokenError;

    /// Reads a token; white space around it is forgiven, since files end in a newline.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let Some(body) = text.strip_prefix(TOKEN_PREFIX) else {
            return Err(if text.starts_with("relay-join-") {
                TokenError::NewerKind
            } else {
                TokenError::NotAToken
            });
        };
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Damaged)?;
        let (body, sum) = bytes
            .split_last_chunk::<CHECK_BYTES>()
            .ok_or(TokenError::Damaged)?;
        if check(body) != *sum {
            return Err(TokenError::Damaged);
        }
        Self::from_body(body)
    }
}

impl fmt::Display for JoinToken {
    /// The token itself, secret and all: for the one who asked for it, never for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.body();
        bytes.extend_from_slice(&check(&bytes));
        write!(f, "{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("id", &self.id)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl TokenId {
    /// A name from four random bytes.
    pub const fn new(random: [u8; ID_BYTES]) -> Self {
        Self(random)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TokenId {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 2 * ID_BYTES || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(TokenError::NotAToken);
        }
        let number = u32::from_str_radix(text, 16).map_err(|_| TokenError::NotAToken)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl serde::Serialize for TokenId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for TokenId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|_| serde::de::Error::custom("a token id is eight hex digits"))
    }
}

impl Secret {
    /// A secret from sixteen random bytes.
    pub const fn new(random: [u8; SECRET_BYTES]) -> Self {
        Self(random)
    }

    /// What the origin keeps of it. The secret is random, so that a plain hash gives nothing away.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Its text inside a join request.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads the text inside a join request.
    pub fn from_text(text: &str) -> Option<Self> {
        // One length only is right, so that a long text is never decoded.
        if text.len() != (SECRET_BYTES * 4).div_ceil(3) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(addresses: &[&str]) -> JoinToken {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        JoinToken::new(
            TokenId::new([0xde, 0xad, 0xbe, 0xef]),
            Secret::new([7; SECRET_BYTES]),
            [9; 32],
            addresses,
        )
        .unwrap()
    }

    #[test]
    fn survives_the_round_trip() {
        let text = token(&["origin.example:4433", "[2001:db8::1]:4433"]).to_string();
        let back: JoinToken = format!("  {text}\n").parse().unwrap();
        assert_eq!(back.to_string(), text);
        assert_eq!(back.id.to_string(), "deadbeef");
        assert_eq!(back.secret, Secret::new([7; SECRET_BYTES]));
        assert_eq!(back.ca_sha256, [9; 32]);
        assert_eq!(back.addresses()[1].to_string(), "[2001:db8::1]:4433");
    }

    #[test]
    fn the_longest_token_fits() {
        let label = "x".repeat(63);
        let host = format!("{label}.{label}.{label}.{}", "y".repeat(61));
        let address = format!("{host}:65535");
        let text = token(&[address.as_str(); MAX_TOKEN_ADDRESSES]).to_string();
        assert!(text.len() <= MAX_TOKEN_BYTES, "{}", text.len());
        assert_eq!(text.parse::<JoinToken>().unwrap().to_string(), text);
    }

    #[test]
    fn every_changed_or_cut_character_is_noticed() {
        let text = token(&["o.example:1"]).to_string();
        for end in TOKEN_PREFIX.len()..text.len() {
            assert_eq!(text[..end].parse::<JoinToken>().err(), Some(TokenError::Damaged));
        }
        for at in TOKEN_PREFIX.len()..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(changed.parse::<JoinToken>().err(), Some(TokenError::Damaged));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, error) in [
            ("", TokenError::NotAToken),
            ("hello", TokenError::NotAToken),
            ("relay-join-2.abc", TokenError::NewerKind),
            ("relay-join-1.", TokenError::Damaged),
            ("relay-join-1.!!!", TokenError::Damaged),
        ] {
            assert_eq!(text.parse::<JoinToken>().err(), Some(error), "{text:?}");
        }
        let long = format!("{TOKEN_PREFIX}{}", "A".repeat(MAX_TOKEN_BYTES));
        assert_eq!(long.parse::<JoinToken>().err(), Some(TokenError::TooLong));
    }

    #[test]
    fn debug_never_shows_the_secret() {
        let token = token(&["o.example:1"]);
        let shown = format!("{token:?} {:?}", token.secret);
        assert!(
            !shown.contains(&token.secret.expose()) && !shown.contains("7, 7"),
            "{shown}"
        );
        assert_eq!(Secret::from_text(&token.secret.expose()), Some(token.secret));
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_an_error(text in "(relay-join-1\\.)?[ -~]{0,200}") {
            if let Ok(token) = text.parse::<JoinToken>() {
                prop_assert_eq!(token.to_string(), text.trim());
            }
        }

        #[test]
        fn any_body_with_a_good_check_is_a_token_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = body.clone();
            bytes.extend_from_slice(&check(&body));
            let text = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
            if let Ok(token) = text.parse::<JoinToken>() {
                prop_assert!(!token.addresses().is_empty());
            }
        }
    }
}
