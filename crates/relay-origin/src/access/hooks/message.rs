//! What a service is asked or told, as JSON.

use std::net::SocketAddr;

use relay_core::config::KeyId;
use relay_core::serve::ingest::PublishRequest;
use relay_core::stream::StreamKey;
use relay_core::tls::hex;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::state::random;

/// A publisher's visit, from its `publish` to its end.
#[derive(Clone, Debug)]
pub struct Visit {
    /// What tells it from all others, 32 hex digits: the same in all that is said of it.
    pub id: String,
    /// What it wants to publish.
    pub stream: StreamKey,
    /// The key that it showed; none where anybody may publish.
    pub key: Option<KeyId>,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// The query that it came with, without a key that is ours. Never logged.
    query: Query,
}

/// Shows itself to nobody but the service that is asked.
#[derive(Clone)]
struct Query(Option<String>);

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[query]")
    }
}

/// The body of a request. Whoever reads it passes over fields that it does not know.
#[derive(Clone, Debug, Serialize)]
pub struct Message<'a> {
    event: &'static str,
    id: &'a str,
    attempt: u32,
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    peer: SocketAddr,
    encrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    end: Option<End>,
}

/// How a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct End {
    /// Why.
    pub reason: &'static str,
    /// For how long it published, in seconds.
    pub seconds: f64,
}

impl Visit {
    /// A visit that begins. A key of ours is left out of its query: the service is told its name.
    ///
    /// # Errors
    /// The machine gives no randomness.
    pub fn new(request: &PublishRequest, key: Option<KeyId>) -> Result<Self, getrandom::Error> {
        let query = request.query.as_deref();
        let query = match &key {
            Some(_) => query.map(without_key).filter(|rest| !rest.is_empty()),
            None => query.map(str::to_owned),
        };
        Ok(Self {
            id: hex::encode(&random::<16>()?),
            stream: request.stream.clone(),
            key,
            peer: request.peer,
            encrypted: request.encrypted,
            query: Query(query),
        })
    }

    /// What is asked before it may publish.
    pub fn arrival(&self, attempt: u32) -> Message<'_> {
        self.message("on_publish", attempt, None)
    }

    /// What is told when it is over.
    pub fn departure(&self, attempt: u32, end: End) -> Message<'_> {
        self.message("on_unpublish", attempt, Some(end))
    }

    /// What is the same when the same encoder comes again, as far as anybody can tell: stream, key and query; without a key its
    /// address too, which else may change with a mobile network's cell.
    pub fn likeness(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let address = self.peer.ip().to_string();
        let from = if self.key.is_some() { "" } else { &address };
        let parts = [
            self.stream.as_str(),
            self.key.as_ref().map_or("", KeyId::as_str),
            self.query.0.as_deref().unwrap_or_default(),
            from,
        ];
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }

    fn message(&self, event: &'static str, attempt: u32, end: Option<End>) -> Message<'_> {
        Message {
            event,
            id: &self.id,
            attempt,
            stream: self.stream.as_str(),
            key: self.key.as_ref().map(KeyId::as_str),
            peer: self.peer,
            encrypted: self.encrypted,
            query: self.query.0.as_deref(),
            end,
        }
    }
}

fn without_key(query: &str) -> String {
    let others: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.starts_with("key="))
        .collect();
    others.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(query: &str, key: Option<&str>, peer: &str) -> Visit {
        let request = PublishRequest {
            stream: "live/cam".parse().unwrap(),
            secret: Some("hush".into()),
            backup: false,
            query: Some(query.to_owned()),
            peer: peer.parse().unwrap(),
            encrypted: true,
        };
        Visit::new(&request, key.map(|key| key.parse().unwrap())).unwrap()
    }

    #[test]
    fn our_key_is_named_and_never_passed_on() {
        let ours = visit("a=1&key=hush&b=2", Some("hall"), "192.0.2.1:5");
        let json = serde_json::to_value(ours.arrival(1)).unwrap();
        let id = ours.id.clone();
        assert_eq!(
            json,
            serde_json::json!({
                "event": "on_publish", "id": id, "attempt": 1, "stream": "live/cam", "key": "hall",
                "peer": "192.0.2.1:5", "encrypted": true, "query": "a=1&b=2"
            })
        );
        assert!(!format!("{ours:?}").contains("a=1"));
        let bare = visit("key=hush", Some("hall"), "192.0.2.1:5");
        assert!(
            serde_json::to_value(bare.arrival(1))
                .unwrap()
                .get("query")
                .is_none()
        );
        // Where anybody may publish, the word belongs to the service.
        let theirs = serde_json::to_value(visit("key=theirs", None, "192.0.2.1:5").arrival(1)).unwrap();
        assert_eq!(
            (&theirs["query"], theirs.get("key")),
            (&"key=theirs".into(), None)
        );
    }

    #[test]
    fn a_departure_says_why_and_after_how_long() {
        let end = End {
            reason: "gone",
            seconds: 1.5,
        };
        let json = serde_json::to_value(visit("", None, "[::1]:5").departure(2, end)).unwrap();
        let told = (
            &json["event"],
            &json["attempt"],
            &json["reason"],
            &json["seconds"],
        );
        assert_eq!(
            told,
            (&"on_unpublish".into(), &2.into(), &"gone".into(), &1.5.into())
        );
    }

    #[test]
    fn the_same_encoder_is_known_again() {
        let first = visit("t=1", Some("hall"), "192.0.2.1:5").likeness();
        assert_eq!(
            first,
            visit("t=1", Some("hall"), "203.0.113.1:9").likeness(),
            "another cell"
        );
        for other in [
            visit("t=2", Some("hall"), "192.0.2.1:5"),
            visit("t=1", Some("yard"), "192.0.2.1:5"),
            visit("t=1", None, "192.0.2.1:5"),
        ] {
            assert_ne!(first, other.likeness());
        }
        let open = visit("", None, "192.0.2.1:5").likeness();
        assert_eq!(open, visit("", None, "192.0.2.1:6").likeness());
        assert_ne!(open, visit("", None, "192.0.2.2:5").likeness());
    }
}
