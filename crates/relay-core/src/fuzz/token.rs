//! Any bytes as a join token, an address, and the messages of the join exchange.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::choice;
use crate::link::join::{Answer, MAX_MESSAGE, Request};
use crate::token::{Address, JoinToken, MAX_TOKEN_ADDRESSES, MAX_TOKEN_BYTES, TOKEN_PREFIX};

/// Reads the data as a token's text, as the body of a token whose check fits, as an address, or as a message. What can
/// be read is the same again after it was written.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut data = data;
    match choice(&mut data) % 4 {
        0 => text(&String::from_utf8_lossy(data)),
        1 => text(&with_check(data)),
        2 => address(&String::from_utf8_lossy(data)),
        _ => message(data),
    }
}

/// A token with this body, whose check fits: the way past the check that random data never find.
fn with_check(body: &[u8]) -> String {
    let mut bytes = body.to_vec();
    bytes.extend_from_slice(&Sha256::digest(body)[..4]);
    format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn text(text: &str) {
    let Ok(token) = text.parse::<JoinToken>() else {
        return;
    };
    assert!(text.trim().len() <= MAX_TOKEN_BYTES);
    assert!((1..=MAX_TOKEN_ADDRESSES).contains(&token.addresses().len()));
    for address in token.addresses() {
        self::address(&address.to_string());
    }
    assert_eq!(token.to_string(), text.trim(), "a token has one spelling");
    let shown = format!("{token:?}");
    assert!(!shown.contains(&token.secret.expose()), "the secret stays secret");
}

fn address(text: &str) {
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string(), text, "an address has one spelling");
        assert!(address.port() != 0 && !address.host().is_empty());
    }
}

fn message(data: &[u8]) {
    // A request holds a signature that fits, which is written by whoever has its key.
    let _ = Request::decode(data);
    if let Ok(answer) = Answer::decode(data) {
        // Fields that may be left out are written, which a message of the greatest length has no room for.
        let written = answer.encode();
        assert!(written.len() > MAX_MESSAGE || Answer::decode(&written) == Ok(answer));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// The body of a token with two addresses.
    fn token_body() -> Vec<u8> {
        let mut body = vec![7; 4 + 16 + 32];
        body.push(2);
        for address in ["origin.example:4433", "[2001:db8::1]:4433"] {
            body.extend_from_slice(&[0, u8::try_from(address.len()).unwrap()]);
            body.extend_from_slice(address.as_bytes());
        }
        body
    }

    proptest! {
        #[test]
        fn changed_tokens_survive(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
            let mut body = token_body();
            for (index, byte) in changes {
                let at = index.index(body.len());
                body[at] = byte;
            }
            super::body(&[&[1], &body[..]].concat());
        }

        #[test]
        fn noise_survives(data in prop::collection::vec(any::<u8>(), 0..200)) {
            super::body(&data);
        }

        #[test]
        fn address_like_text_survives(text in "[\\[\\]:.a-f0-9-]{0,40}") {
            super::body(&[&[2], text.as_bytes()].concat());
        }
    }

    #[test]
    fn the_seed_is_a_token() {
        super::body(&[&[1], &token_body()[..]].concat());
        let text = super::with_check(&token_body());
        assert!(text.parse::<crate::token::JoinToken>().is_ok());
    }
}
