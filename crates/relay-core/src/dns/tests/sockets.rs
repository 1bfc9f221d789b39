//! Over loopback, UDP and TCP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::clock::Clock;
use crate::dns::{Server, ServerError, Source};

/// More than loopback takes, less than a test's patience.
const PATIENCE: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    source: Arc<Source>,
    registry: Registry,
    _stop: DropGuard,
}

impl Running {
    fn start(text: &str) -> Self {
        let config = config(&format!("{ZONE}\n{text}"));
        let (source, registry, stop) = (
            Arc::new(Source::default()),
            Registry::new(),
            CancellationToken::new(),
        );
        source.offer((1..=6).map(|last| (IpAddr::from([198, 51, 100, last]), u64::from(last))));
        let zone = Zone::of(&config).unwrap().unwrap();
        let server = Server::bind(&config, zone, Arc::clone(&source), Clock::start(), &registry).unwrap();
        let address = server.address();
        tokio::spawn(server.run(stop.clone()));
        Self {
            address,
            source,
            registry,
            _stop: stop.drop_guard(),
        }
    }

    /// The sum of a counter's values with this label, or with any.
    fn counted(&self, family: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let metrics = families
            .iter()
            .filter(|it| it.name() == family)
            .flat_map(|it| it.get_metric());
        let has = |metric: &&prometheus::proto::Metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        };
        metrics
            .filter(has)
            .map(|metric| metric.get_counter().get_value())
            .sum()
    }

    async fn ask(&self, socket: &UdpSocket, question: &Message) -> Option<Message> {
        socket
            .send_to(&question.to_vec().unwrap(), self.address)
            .await
            .unwrap();
        let mut bytes = [0; 2048];
        let received = tokio::time::timeout(Duration::from_millis(200), socket.recv_from(&mut bytes))
            .await
            .ok()?;
        let (length, from) = received.unwrap();
        assert_eq!(from, self.address);
        Some(Message::from_vec(&bytes[..length]).unwrap())
    }
}

async fn ask_by_tcp(socket: &mut TcpStream, question: &Message) -> Message {
    let packet = question.to_vec().unwrap();
    let length = u16::try_from(packet.len()).unwrap();
    socket
        .write_all(&[&length.to_be_bytes()[..], &packet].concat())
        .await
        .unwrap();
    let length = socket.read_u16().await.unwrap();
    let mut reply = vec![0; length.into()];
    socket.read_exact(&mut reply).await.unwrap();
    Message::from_vec(&reply).unwrap()
}

const LOOPBACK: &str = "listen = '127.0.0.1:0'";

#[tokio::test]
async fn both_transports_answer_on_one_port() {
    let running = Running::start(LOOPBACK);
    let question = query("live.example.org.", RecordType::A);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let by_udp = running.ask(&socket, &question).await.unwrap();
    assert_eq!(by_udp.answers.len(), 4);
    let mut tcp = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask_by_tcp(&mut tcp, &question).await.answers.len(), 4);
    }
    assert_eq!(running.counted("relay_dns_answers_total", "noerror"), 4.0);
    assert_eq!(running.counted("relay_dns_queries_total", "tcp"), 3.0);
}

#[tokio::test]
async fn who_is_withdrawn_is_not_in_the_next_answer() {
    let running = Running::start(LOOPBACK);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    running.source.offer([("198.51.100.9".parse().unwrap(), 1)]);
    let message = running
        .ask(&socket, &query("live.example.org.", RecordType::A))
        .await
        .unwrap();
    assert_eq!(message.answers.len(), 1);
    assert_eq!(message.answers[0].data.to_string(), "198.51.100.9");
}

#[tokio::test]
async fn both_families_of_clients_come_in_where_everywhere_is_asked() {
    let running = Running::start("listen = '[::]:0'");
    let question = query("live.example.org.", RecordType::A);
    for (client, server) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("127.0.0.2:0", "127.0.0.3"),
        ("[::1]:0", "::1"),
    ] {
        let Ok(socket) = UdpSocket::bind(client).await else {
            continue;
        };
        let server: IpAddr = server.parse().unwrap();
        if server.is_ipv6() && running.address.is_ipv4() {
            continue;
        }
        let running = SocketAddr::new(server, running.address.port());
        socket
            .send_to(&question.to_vec().unwrap(), running)
            .await
            .unwrap();
        let mut bytes = [0; 512];
        let (_, from) = tokio::time::timeout(PATIENCE, socket.recv_from(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(from, running, "from the address that was asked");
    }
}

#[tokio::test]
async fn a_network_over_its_limit_comes_by_tcp() {
    let running = Running::start(&format!("{LOOPBACK}\nrate_limit = 2"));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let question = query("live.example.org.", RecordType::A);
    let mut seen = [0; 3];
    for _ in 0..8 {
        match running.ask(&socket, &question).await {
            Some(message) if message.metadata.truncation => seen[1] += 1,
            Some(_) => seen[0] += 1,
            None => seen[2] += 1,
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    assert_eq!(
        running.counted("relay_dns_limited_total", "truncated"),
        f64::from(seen[1])
    );
    assert_eq!(
        running.counted("relay_dns_limited_total", "dropped"),
        f64::from(seen[2])
    );
    let mut tcp = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..20 {
        assert_eq!(ask_by_tcp(&mut tcp, &question).await.answers.len(), 4);
    }
}

#[tokio::test]
async fn strangers_words_end_a_connection_and_no_more() {
    let running = Running::start(LOOPBACK);
    for words in [
        &b"\xff\xff"[..],
        b"\0\0",
        b"\0\x05hello",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut tcp = TcpStream::connect(running.address).await.unwrap();
        tcp.write_all(words).await.unwrap();
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut rest))
            .await
            .unwrap();
        assert!(rest.is_empty(), "{words:?}");
    }
    assert_eq!(running.counted("relay_dns_dropped_total", "bad_connection"), 4.0);
    let mut tcp = TcpStream::connect(running.address).await.unwrap();
    let reply = ask_by_tcp(&mut tcp, &query("live.example.org.", RecordType::A)).await;
    assert_eq!(reply.answers.len(), 4);
}

#[tokio::test]
async fn one_network_has_so_many_connections() {
    let running = Running::start(LOOPBACK);
    let mut held = Vec::new();
    for _ in 0..crate::dns::tcp::CONNECTIONS_OF_NETWORK {
        let mut tcp = TcpStream::connect(running.address).await.unwrap();
        ask_by_tcp(&mut tcp, &query("live.example.org.", RecordType::A)).await;
        held.push(tcp);
    }
    let mut more = TcpStream::connect(running.address).await.unwrap();
    let end = tokio::time::timeout(PATIENCE, more.read_u8()).await.unwrap();
    assert!(end.is_err(), "closed at once");
    assert_eq!(running.counted("relay_dns_dropped_total", "network_full"), 1.0);
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_with_its_key() {
    let running = Running::start(LOOPBACK);
    let config = config(&format!("{ZONE}\nlisten = '{}'", running.address));
    let zone = Zone::of(&config).unwrap().unwrap();
    let source = Arc::clone(&running.source);
    let error = Server::bind(&config, zone, source, Clock::start(), &Registry::new()).unwrap_err();
    assert!(matches!(error, ServerError::Bind(_)));
    let port = running.address.port();
    assert_eq!(
        error.to_string(),
        format!("port {port} (DNS, [dns] listen) is in use by another program")
    );
}
