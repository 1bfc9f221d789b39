//! The exchange over real QUIC on loopback.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::link::dial::DialError;
use crate::link::join::{Asker, JoinError, Joined};
use crate::link::quic::{self, QuicConfig};
use crate::link::refusal::Refusal;
use crate::link::testing::{Desk, Node, dialler, hours_ago, now};
use crate::tls::{self, Credentials, EdgeRequest, NodeKey, PinFault, PinnedVerifier, Role};
use crate::token::{JoinToken, TokenId};

const HOUR: Duration = Duration::from_hours(1);

fn asker() -> Asker {
    Asker::new(dialler(), QuicConfig::default(), NodeKey::generate().unwrap())
}

/// The same token, as someone who changed it would have it.
fn altered(token: &JoinToken, ca_sha256: [u8; 32]) -> JoinToken {
    JoinToken::new(
        token.id,
        token.secret.clone(),
        ca_sha256,
        token.addresses().to_vec(),
    )
    .unwrap()
}

/// Waits until an outcome was counted so often; the origin counts when the asker has already left.
async fn counted(node: &Node, label: &str, times: u64) {
    let reached = async {
        loop {
            let outcomes = node.joins.outcomes();
            let count = outcomes.iter().find(|(l, _)| *l == label).unwrap().1;
            assert!(count <= times, "{label}: {count}");
            if count == times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), reached).await;
    assert!(waited.is_ok(), "{label} was not counted {times} times");
}

#[tokio::test]
async fn five_machines_from_one_token_are_five_edges() {
    let origin = Node::origin();
    let token = origin.desk.token(&origin.address, HOUR, 5, now());
    let mut seen = HashSet::new();
    for _ in 0..5 {
        let joined = asker().join(&token).await.unwrap();
        let us = joined.credentials.peer();
        assert_eq!(us.role, Role::Edge);
        assert_eq!(joined.root.fingerprint(), token.ca_sha256);
        assert_eq!(joined.addresses, token.addresses());
        assert!(seen.insert(us.instance));
    }
    let sixth = asker().join(&token).await.unwrap_err();
    assert_eq!(sixth, JoinError::Refused(Refusal::UsedUpToken));
    assert_eq!(sixth.to_string(), "this token is used up");
    assert!(sixth.is_final());
    counted(&origin, "joined", 5).await;
    counted(&origin, "used_up_token", 1).await;
}

#[tokio::test]
async fn asking_again_with_the_same_key_costs_no_second_use() {
    let origin = Node::origin();
    let token = origin.desk.token(&origin.address, HOUR, 1, now());
    let asker = asker();
    let first = asker.join(&token).await.unwrap();
    let again = asker.join(&token).await.unwrap();
    assert_eq!(first.credentials.peer(), again.credentials.peer());
    assert_eq!(origin.desk.book.lock().unwrap().list()[0].used, 1);
}

#[tokio::test]
async fn a_token_that_is_over_is_refused_in_a_sentence() {
    let origin = Node::origin();
    let expired = origin.desk.token(&origin.address, HOUR, 5, hours_ago(2));
    let revoked = origin.desk.token(&origin.address, HOUR, 5, now());
    origin.desk.book.lock().unwrap().revoke(revoked.id);
    let unknown = {
        let token = origin.desk.token(&origin.address, HOUR, 5, now());
        let addresses = token.addresses().to_vec();
        JoinToken::new(TokenId::new([9; 4]), token.secret, token.ca_sha256, addresses).unwrap()
    };
    for (token, sentence) in [
        (expired, "this token has expired"),
        (revoked, "this token was revoked"),
        (unknown, "this token is unknown to the origin"),
    ] {
        let error = asker().join(&token).await.unwrap_err();
        assert_eq!(error.to_string(), sentence);
        assert!(error.is_final());
    }
}

#[tokio::test]
async fn the_secret_is_told_to_no_one_but_the_origin_of_the_token() {
    let (origin, other) = (Node::origin(), Node::origin());
    let token = origin.desk.token(&other.address, HOUR, 5, now());
    let error = asker().join(&token).await.unwrap_err();
    let address = other.address.clone();
    assert_eq!(
        error,
        JoinError::Unbelieved {
            address,
            fault: PinFault::OtherPool
        }
    );
    let sentence = format!(
        "the server at {} is not the origin this token was made for",
        other.address
    );
    assert_eq!(error.to_string(), sentence);
    let changed = altered(&origin.desk.token(&origin.address, HOUR, 5, now()), [1; 32]);
    assert!(matches!(
        asker().join(&changed).await,
        Err(JoinError::Unbelieved { .. })
    ));
    for node in [&origin, &other] {
        assert_eq!(node.stats.joins.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn an_edge_cannot_pass_for_the_origin() {
    let desk = Desk::new();
    let credentials = desk.edge(now());
    let edge = Node::start(desk, credentials);
    let token = edge.desk.token(&edge.address, HOUR, 5, now());
    let error = asker().join(&token).await.unwrap_err();
    assert!(
        matches!(
            error,
            JoinError::Unbelieved {
                fault: PinFault::NotTheOrigin,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_clock_is_named() {
    let desk = Desk::new();
    let credentials = desk.origin(hours_ago(48));
    let origin = Node::start(desk, credentials);
    let token = origin.desk.token(&origin.address, HOUR, 5, now());
    let error = asker().join(&token).await.unwrap_err();
    assert!(error.to_string().contains("is the clock right?"), "{error}");
}

#[tokio::test]
async fn silence_names_the_port_within_ten_seconds() {
    // Bound, and never read from.
    let hole = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = hole.local_addr().unwrap().to_string().parse().unwrap();
    let token = Desk::new().token(&address, HOUR, 5, now());
    let begun = std::time::Instant::now();
    let error = asker().join(&token).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(
        error,
        JoinError::Dial(DialError::NoAnswer {
            address: address.clone()
        })
    );
    let sentence = format!(
        "no answer over UDP from {address}: is UDP port {} open?",
        address.port()
    );
    assert_eq!(error.to_string(), sentence);
}

#[tokio::test]
async fn a_member_renews_with_its_certificate_and_stays_who_it_is() {
    let origin = Node::origin();
    let token = origin.desk.token(&origin.address, HOUR, 1, now());
    let asker = asker();
    let joined = asker.join(&token).await.unwrap();
    let before = joined.credentials.chain();
    let renewed = asker.renew(&joined).await.unwrap();
    assert!(Arc::ptr_eq(&renewed.credentials, &joined.credentials));
    assert_ne!(joined.credentials.chain()[0], before[0]);
    assert_eq!(renewed.credentials.peer().instance, asker.key().instance());
    assert_eq!(renewed.renew_after(), Duration::from_hours(12));
    counted(&origin, "renewed", 1).await;

    let instance = asker.key().instance();
    origin.desk.revoked.lock().unwrap().push(instance);
    let refused = asker.renew(&renewed).await.unwrap_err();
    assert_eq!(refused, JoinError::Refused(Refusal::EdgeRevoked));
}

#[tokio::test]
async fn a_certificate_that_ran_out_is_renewed_late_but_not_too_late() {
    let origin = Node::origin();
    let asker = asker();
    let key = || asker.key().request().unwrap();
    let member = |hours| {
        let request = EdgeRequest::from_der(&key()).unwrap();
        let instance = asker.key().instance();
        let leaf = origin
            .desk
            .ca
            .sign_edge(&request, instance, 24 * HOUR, hours_ago(hours));
        Joined {
            credentials: Credentials::new(asker.key(), leaf.unwrap().chain).unwrap(),
            root: origin.desk.root(),
            addresses: vec![origin.address.clone()],
            life: 24 * HOUR,
            origin_unix_ms: 0,
        }
    };
    let late = member(48);
    asker.renew(&late).await.unwrap();
    counted(&origin, "renewed", 1).await;
    // What it shows now is good: the ordinary way works.
    asker.renew(&late).await.unwrap();
    counted(&origin, "renewed", 2).await;
    let too_late = asker.renew(&member(24 + 8 * 24)).await.unwrap_err();
    assert_eq!(too_late, JoinError::Refused(Refusal::NoCertificate));
}

/// Dials the join protocol with nothing but the pin, and speaks raw.
async fn raw(origin: &Node) -> quinn::Connection {
    let pin = PinnedVerifier::new(origin.desk.ca.fingerprint());
    let config = quic::client_config(tls::join_client(pin).unwrap(), &QuicConfig::default()).unwrap();
    let remote = origin.address.to_string().parse().unwrap();
    let connecting = dialler().connect_with(config, remote, tls::ORIGIN_NAME).unwrap();
    connecting.await.unwrap()
}

#[tokio::test]
async fn what_is_no_request_ends_with_a_reason() {
    let origin = Node::origin();
    let csr = NodeKey::generate().unwrap().request().unwrap();
    let renewal = super::Request::encode_renew(&csr, None);
    let long = vec![b'x'; super::MAX_MESSAGE + 1];
    for (bytes, refusal) in [
        (&b"hello"[..], Refusal::BadRequest),
        (&long[..], Refusal::BadRequest),
        // It proved nothing that could be renewed.
        (&renewal[..], Refusal::NoCertificate),
    ] {
        let connection = raw(&origin).await;
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        // The refusal may come in the middle of what is too long.
        let _ = send.write_all(bytes).await;
        let _ = send.finish();
        assert!(receive.read_to_end(100).await.is_err());
        assert_eq!(Refusal::of(&connection.closed().await), Some(refusal));
    }
}

#[tokio::test]
async fn a_silent_asker_is_ended_in_time_and_can_send_little() {
    let origin = Node::origin();
    let connection = raw(&origin).await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    let second = tokio::time::timeout(Duration::from_millis(300), connection.open_bi()).await;
    assert!(second.is_err(), "a stranger has one stream");
    let third = tokio::time::timeout(Duration::from_millis(300), connection.open_uni()).await;
    assert!(third.is_err(), "a stranger has no groups");
    send.write_all(b"{").await.unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(Refusal::of(&connection.closed().await), Some(Refusal::TooSlow));
    assert!(begun.elapsed() < super::EXCHANGE_TIME + Duration::from_secs(1));
    counted(&origin, "too_slow", 1).await;
}
