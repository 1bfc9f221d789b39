//! Who is let through the door, over real QUIC on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{Connection, ConnectionError, TransportErrorCode};
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::{Arrival, MAX_HALF_OPEN, RETRY_FROM};
use crate::link::dial::{DialError, dial};
use crate::link::quic::{self, QuicConfig};
use crate::link::refusal::Refusal;
use crate::link::testing::{Desk, Node, dialler, hours_ago, now};
use crate::tls::{self, Credentials, NodeName, Role};

/// The TLS alerts that a refused certificate is answered with (RFC 8446, 6).
const CERTIFICATE_EXPIRED: u8 = 45;
const UNKNOWN_CA: u8 = 48;

fn config(tls: rustls::ClientConfig) -> quinn::ClientConfig {
    quic::client_config(tls, &QuicConfig::default()).unwrap()
}

/// Dials the link protocol and believes the right server, showing whatever `credentials` say.
async fn link(node: &Node, credentials: Arc<Credentials>, name: NodeName) -> Result<Connection, DialError> {
    let tls = tls::link_client(credentials, &node.desk.root()).unwrap();
    let limit = Duration::from_secs(10);
    dial(
        &dialler(),
        &config(tls),
        &node.address,
        &name.server_name(),
        limit,
    )
    .await
}

/// The end of a connection that got nothing, not even a stream.
async fn end_with_nothing(node: &mut Node, connection: Result<Connection, DialError>) -> ConnectionError {
    let error = match connection {
        Err(DialError::Handshake { reason, .. }) => reason,
        Err(other) => panic!("{other}"),
        Ok(connection) => {
            assert!(connection.accept_uni().await.is_err());
            assert!(connection.accept_bi().await.is_err());
            let received = connection.stats().frame_rx;
            assert_eq!((received.stream, received.datagram), (0, 0));
            connection.close_reason().unwrap()
        }
    };
    assert!(node.links.try_recv().is_err(), "nobody was let in");
    error
}

fn alert(error: &ConnectionError) -> Option<TransportErrorCode> {
    match error {
        ConnectionError::ConnectionClosed(close) => Some(close.error_code),
        _ => None,
    }
}

#[tokio::test]
async fn a_member_is_let_in_and_known() {
    let mut origin = Node::origin();
    let edge = origin.desk.edge(now());
    let connection = link(&origin, Arc::clone(&edge), NodeName::Origin).await.unwrap();
    let seen = tls::peer(&connection).unwrap();
    assert_eq!(seen.role, Role::Origin);
    let Some(Arrival::Link {
        peer,
        connection: theirs,
    }) = origin.links.recv().await
    else {
        panic!("no link");
    };
    assert_eq!(peer, edge.peer());
    assert_eq!(tls::peer_instance(&theirs), Some(edge.peer().instance));
    // The windows are open now: many groups at once, either way.
    let opened = async {
        let mut groups = Vec::new();
        for _ in 0..100 {
            groups.push(connection.open_uni().await.unwrap());
            groups.push(theirs.open_uni().await.unwrap());
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), opened).await;
    assert!(waited.is_ok(), "a member's streams stay closed");
}

#[tokio::test]
async fn a_link_without_a_certificate_gets_nothing_but_a_reason() {
    let mut origin = Node::origin();
    let mut tls = tls::join_client(tls::PinnedVerifier::new(origin.desk.ca.fingerprint())).unwrap();
    tls.alpn_protocols = vec![tls::LINK_ALPN.to_vec()];
    let limit = Duration::from_secs(10);
    let dialled = dial(&dialler(), &config(tls), &origin.address, tls::ORIGIN_NAME, limit).await;
    let error = end_with_nothing(&mut origin, dialled).await;
    assert_eq!(Refusal::of(&error), Some(Refusal::NoCertificate));
    assert_eq!(origin.stats.no_certificate.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_link_with_an_expired_certificate_gets_nothing() {
    let mut origin = Node::origin();
    let dialled = link(&origin, origin.desk.edge(hours_ago(25)), NodeName::Origin).await;
    let error = end_with_nothing(&mut origin, dialled).await;
    assert_eq!(
        alert(&error),
        Some(TransportErrorCode::crypto(CERTIFICATE_EXPIRED)),
        "{error}"
    );
}

#[tokio::test]
async fn a_link_of_another_pool_gets_nothing() {
    let mut origin = Node::origin();
    let dialled = link(&origin, Desk::new().edge(now()), NodeName::Origin).await;
    let error = end_with_nothing(&mut origin, dialled).await;
    assert_eq!(
        alert(&error),
        Some(TransportErrorCode::crypto(UNKNOWN_CA)),
        "{error}"
    );
}

#[tokio::test]
async fn a_self_signed_link_gets_nothing() {
    let mut origin = Node::origin();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec![
        tls::EDGE_NAME.to_owned(),
        format!("{}.id.relay.internal", "ab".repeat(16)),
    ];
    let leaf = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let mut tls = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(tls::PinnedVerifier::new(origin.desk.ca.fingerprint()))
        .with_client_auth_cert(
            vec![leaf.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    tls.alpn_protocols = vec![tls::LINK_ALPN.to_vec()];
    let limit = Duration::from_secs(10);
    let dialled = dial(&dialler(), &config(tls), &origin.address, tls::ORIGIN_NAME, limit).await;
    let error = end_with_nothing(&mut origin, dialled).await;
    assert_eq!(
        alert(&error),
        Some(TransportErrorCode::crypto(UNKNOWN_CA)),
        "{error}"
    );
}

#[tokio::test]
async fn a_dialler_meets_whom_it_asked_for_or_nobody() {
    let desk = Desk::new();
    let credentials = desk.edge(now());
    let instance = credentials.peer().instance;
    let node = Node::start(Arc::clone(&desk), credentials);
    let us = || desk.edge(now());
    for name in [NodeName::AnyEdge, NodeName::Instance(instance)] {
        let connection = link(&node, us(), name).await.unwrap();
        assert_eq!(tls::peer_instance(&connection), Some(instance));
    }
    for name in [
        NodeName::Origin,
        NodeName::Instance(desk.edge(now()).peer().instance),
    ] {
        let error = link(&node, us(), name).await.unwrap_err();
        assert!(matches!(error, DialError::Handshake { .. }), "{error}");
    }
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let origin = Node::origin();
    let mut tls = tls::link_client(origin.desk.edge(now()), &origin.desk.root()).unwrap();
    let limit = Duration::from_secs(10);
    for protocols in [vec![b"h3".to_vec()], Vec::new()] {
        tls.alpn_protocols = protocols;
        let config = config(tls.clone());
        let dialled = dial(&dialler(), &config, &origin.address, tls::ORIGIN_NAME, limit).await;
        assert!(matches!(dialled, Err(DialError::Handshake { .. })), "{dialled:?}");
    }
}

/// A first packet and no more: a source that may be forged.
fn first_packet(node: &Node) -> Vec<u8> {
    let tls = tls::link_client(node.desk.edge(now()), &node.desk.root()).unwrap();
    let mut endpoint = quinn_proto::Endpoint::new(Arc::default(), None, true, None);
    let remote: SocketAddr = node.address.to_string().parse().unwrap();
    let now = std::time::Instant::now();
    let (_, mut connection) = endpoint
        .connect(now, config(tls), remote, tls::ORIGIN_NAME)
        .unwrap();
    let mut packet = Vec::new();
    let sent = connection.poll_transmit(now, 1, &mut packet).unwrap();
    packet.truncate(sent.size);
    packet
}

#[tokio::test]
async fn a_flood_of_first_packets_is_bounded_and_a_member_still_gets_in() {
    let mut origin = Node::origin();
    let remote: SocketAddr = origin.address.to_string().parse().unwrap();
    let flood = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..MAX_HALF_OPEN * 2 {
        flood.send_to(&first_packet(&origin), remote).unwrap();
        if n % 16 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let member = link(&origin, origin.desk.edge(now()), NodeName::Origin).await;
    assert!(member.is_ok(), "{member:?}");
    assert!(origin.links.recv().await.is_some());
    let accepted = origin.endpoint.stats().accepted_handshakes;
    let retried = origin.stats.retried.load(Ordering::Relaxed);
    assert!(accepted <= u64::try_from(RETRY_FROM).unwrap() + 1, "{accepted}");
    assert!(retried > 0, "{retried}");
}
