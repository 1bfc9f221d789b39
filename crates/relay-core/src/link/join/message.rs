//! What asker and origin tell each other, as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::MAX_MESSAGE;
use crate::tls::{EdgeRequest, InstanceId};
use crate::token::{Address, Secret, TokenId};

/// Certificates in an answer that are looked at: leaf and authority, and one of each to spare.
const MAX_CHAIN: usize = 4;

/// What an asker wants.
#[derive(Debug)]
pub enum Request {
    /// To become a member, by a token.
    Join {
        /// The token's public name.
        token: TokenId,
        /// What it admits by.
        secret: Secret,
        /// The key to certify.
        request: EdgeRequest,
    },
    /// To stay one, by the certificate shown in the handshake, or by one that ran out.
    Renew {
        /// The key to certify.
        request: EdgeRequest,
        /// The leaf that ran out, which TLS would not take; its key is the one to certify.
        expired: Option<CertificateDer<'static>>,
    },
}

/// What the origin answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The leaf, then the authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Whom the leaf names.
    pub instance: InstanceId,
    /// How long the leaf lives from now, so that a renewal needs no clock that is right.
    pub life_s: u64,
    /// The origin's time, so that an edge can tell that its own clock is wrong.
    pub unix_ms: u64,
    /// Where the origin believes that it can be dialled: told, and not used by this version.
    pub addresses: Vec<Address>,
}

/// A message is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is malformed")]
pub struct MessageError;

/// Later kinds of requests are further variants; one that this server does not know is malformed to it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireRequest {
    Join {
        token: TokenId,
        secret: String,
        csr: String,
    },
    Renew {
        csr: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expired: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
struct WireAnswer {
    chain: Vec<String>,
    instance: InstanceId,
    life_s: u64,
    unix_ms: u64,
    #[serde(default)]
    addresses: Vec<Address>,
}

impl Request {
    /// Reads a request, and checks that its key signed it.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        Ok(match from_json(bytes)? {
            WireRequest::Join { token, secret, csr } => Self::Join {
                token,
                secret: Secret::from_text(&secret).ok_or(MessageError)?,
                request: key_request(&csr)?,
            },
            WireRequest::Renew { csr, expired } => Self::Renew {
                request: key_request(&csr)?,
                expired: expired.as_ref().map(certificate).transpose()?,
            },
        })
    }

    /// A request to join, from its parts; `csr` is DER.
    pub(super) fn encode_join(token: TokenId, secret: &Secret, csr: &[u8]) -> Vec<u8> {
        to_json(&WireRequest::Join {
            token,
            secret: secret.expose(),
            csr: STANDARD.encode(csr),
        })
    }

    /// A request to renew; `csr` is DER, `expired` the leaf if it ran out.
    pub(super) fn encode_renew(csr: &[u8], expired: Option<&CertificateDer<'_>>) -> Vec<u8> {
        to_json(&WireRequest::Renew {
            csr: STANDARD.encode(csr),
            expired: expired.map(|leaf| STANDARD.encode(leaf)),
        })
    }
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let wire: WireAnswer = from_json(bytes)?;
        if wire.chain.is_empty() || wire.chain.len() > MAX_CHAIN {
            return Err(MessageError);
        }
        Ok(Self {
            chain: wire.chain.iter().map(certificate).collect::<Result<_, _>>()?,
            instance: wire.instance,
            life_s: wire.life_s,
            unix_ms: wire.unix_ms,
            addresses: wire.addresses,
        })
    }

    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        to_json(&WireAnswer {
            chain: self.chain.iter().map(|c| STANDARD.encode(c)).collect(),
            instance: self.instance,
            life_s: self.life_s,
            unix_ms: self.unix_ms,
            addresses: self.addresses.clone(),
        })
    }
}

fn certificate(text: &String) -> Result<CertificateDer<'static>, MessageError> {
    STANDARD
        .decode(text)
        .map(CertificateDer::from)
        .map_err(|_| MessageError)
}

fn key_request(csr: &str) -> Result<EdgeRequest, MessageError> {
    let der = STANDARD.decode(csr).map_err(|_| MessageError)?;
    EdgeRequest::from_der(&der).map_err(|_| MessageError)
}

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, MessageError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(MessageError);
    }
    serde_json::from_slice(bytes).map_err(|_| MessageError)
}

/// These types have no maps with odd keys and no failing parts, so that writing them cannot fail; an empty message,
/// which the peer refuses, is what a mistake here would become.
fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::NodeKey;

    #[test]
    fn reads_what_it_wrote() {
        let key = NodeKey::generate().unwrap();
        let secret = Secret::new([3; 16]);
        let bytes = Request::encode_join(TokenId::new([1; 4]), &secret, &key.request().unwrap());
        let Ok(Request::Join {
            token,
            secret: back,
            request,
        }) = Request::decode(&bytes)
        else {
            panic!("no join");
        };
        assert_eq!((token, back), (TokenId::new([1; 4]), secret));
        assert_eq!(request.instance(), key.instance());
        let answer = Answer {
            chain: vec![CertificateDer::from(vec![1, 2, 3])],
            instance: key.instance(),
            life_s: 86_400,
            unix_ms: 1,
            addresses: vec!["o.example:4433".parse().unwrap()],
        };
        assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    }

    #[test]
    fn a_newer_asker_is_understood_and_an_unknown_request_refused() {
        let key = NodeKey::generate().unwrap();
        let bytes = Request::encode_renew(&key.request().unwrap(), None);
        let newer = String::from_utf8(bytes)
            .unwrap()
            .replace("{\"csr\"", "{\"colour\":[1,{}],\"csr\"");
        assert!(matches!(
            Request::decode(newer.as_bytes()),
            Ok(Request::Renew { .. })
        ));
        for bad in [
            "",
            "{}",
            "[]",
            "{\"leave\":{}}",
            "{\"renew\":{\"csr\":\"AAAA\"}}",
            "\u{0}",
        ] {
            assert!(Request::decode(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Request::decode(&vec![b' '; MAX_MESSAGE + 1]).is_err());
        assert!(Answer::decode(b"{\"chain\":[]}").is_err());
    }
}
