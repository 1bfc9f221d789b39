//! How a service knows that it is this origin that asks: a signature over the time and the body.

use relay_core::tls::hex;
use ring::hmac;

/// The header that bears it.
pub const HEADER: &str = "relay-signature";

/// `t=TIME,v1=HMAC`: the Unix time in seconds, and in hex the HMAC-SHA256, by the secret, of that time in decimal, a dot, and the
/// body. Whoever checks it refuses old times, so that what was overheard cannot be said again.
pub fn sign(secret: &str, time_s: u64, body: &[u8]) -> String {
    format!("t={time_s},v1={}", hex::encode(&mac(secret, time_s, body)))
}

fn mac(secret: &str, time_s: u64, body: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(time_s.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let mut mac = [0; 32];
    // SHA-256's tag has exactly so many bytes.
    mac.copy_from_slice(context.sign().as_ref());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected value is what `printf %s '1800000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef` prints.
    #[test]
    fn it_is_what_openssl_says() {
        assert_eq!(
            sign("0123456789abcdef", 1_800_000_000, br#"{"a":1}"#),
            "t=1800000000,v1=d3e17924cac4a72ca2ee9e5700df170fdb5733eaf69ecd909fb0c18a962b03a5"
        );
    }

    #[test]
    fn each_part_counts() {
        let one = sign("0123456789abcdef", 1, b"body");
        assert_ne!(one, sign("0123456789abcdeg", 1, b"body"));
        assert_ne!(one, sign("0123456789abcdef", 2, b"body"));
        assert_ne!(one, sign("0123456789abcdef", 1, b"bodz"));
    }
}
