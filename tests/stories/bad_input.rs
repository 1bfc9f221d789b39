//! What is wrong is refused with a reason, and harms nobody else.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Node, Origin, Ports, edge_with_token};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::get;
use relay_tests::ledger::Ledger;
use relay_tests::ports::free_port;
use relay_tests::random::Random;
use relay_tests::rtmp::refusal_to_publish;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::{PATIENCE, until, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const STREAM: &str = "live/good";

/// Connections with nonsense, per port.
const ROGUES: usize = 150;

/// Lines that so many rogues may cost in a log at its usual level.
const LINES: usize = 100;

/// What they may leave in memory.
const MEMORY: u64 = 16_000_000;

/// The exit code of a program whose configuration is wrong (`EX_CONFIG`).
const BAD_CONFIG: i32 = 78;

#[test]
fn any_bytes_on_any_port() {
    story("any_bytes", Turn::Alone, async |stage| {
        let mut origin = Origin::start(stage).await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        origin.shows(STREAM).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(STREAM), Some(&ledger));
        viewer.gets(100).await?;
        let (memory, lines) = (origin.memory()?, origin.log()?.len());

        let mut random = Random::seeded(Random::seed_for("any bytes"));
        let Ports {
            http,
            rtmp,
            link,
            metrics,
        } = origin.ports();
        for number in 0..ROGUES {
            let mut bytes = vec![0; 1 + random.below(8000)];
            random.fill(&mut bytes);
            disguise(&mut bytes, number);
            for port in [http, rtmp, metrics] {
                is_ended(port, &bytes).await?;
            }
            shoot(link, &bytes)?;
        }

        viewer.gets(100).await?;
        viewer.missed_nothing()?;
        ensure!(origin.is_running(), "the origin is gone");
        let after = origin.memory()?;
        ensure!(
            after.total() <= memory.total() + MEMORY,
            "memory grew from {memory:?} to {after:?}"
        );
        let printed = origin.log()?.len() - lines;
        ensure!(printed <= LINES, "{printed} lines in the log");
        Ok(())
    });
}

/// Lets every other one begin as a good client would, so that it gets further in.
fn disguise(bytes: &mut [u8], number: usize) {
    let mask: &[u8] = match number % 6 {
        0 => b"GET /live/good.flv HTTP/1.1\r\n",
        2 => b"\x03\x00\x00\x00\x00\x00\x00\x00\x00",
        4 => b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        _ => b"",
    };
    let length = mask.len().min(bytes.len());
    bytes[..length].copy_from_slice(&mask[..length]);
}

/// Sends nonsense, ends the sending side, and waits until the server ends the other.
async fn is_ended(port: u16, bytes: &[u8]) -> Result<()> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // The server may have enough of it before all is sent.
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    let mut answer = Vec::new();
    let end = within(
        format!("port {port} to end the connection"),
        socket.read_to_end(&mut answer),
    );
    // A reset is an end, too.
    let _ = end.await?;
    Ok(())
}

fn shoot(port: u16, bytes: &[u8]) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let packet = &bytes[..bytes.len().min(1400)];
    socket.send_to(packet, (Ipv4Addr::LOCALHOST, port))?;
    Ok(())
}

/// R23: a handshake has its time, too.
#[test]
fn a_connection_that_says_nothing_is_ended() {
    story("silent_connections", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        for port in [origin.ports().http, origin.ports().rtmp] {
            let start = Instant::now();
            let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            let mut answer = Vec::new();
            let end = within("a silent connection to be ended", socket.read_to_end(&mut answer));
            let _ = end.await?;
            ensure!(
                start.elapsed() < Duration::from_secs(12),
                "only after {:?}",
                start.elapsed()
            );
        }
        Ok(())
    });
}

#[test]
fn a_wrong_key_is_denied() {
    story("wrong_key", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let good = origin.publish_url(STREAM).await?;
        let (bare, _) = good.split_once('?').context("a key")?;
        for wrong in [format!("{bare}?key=wrong"), bare.to_owned()] {
            let code = refusal_to_publish(&wrong).await?;
            ensure!(code == "NetStream.Publish.Denied", "{code}");
        }
        let refusals = origin
            .metric("relay_publish_refusals_total", |count| count >= 2.0)
            .await?;
        ensure!(refusals == 2.0, "{refusals} refusals counted");
        Ok(())
    });
}

#[test]
fn a_second_publisher_harms_nobody() {
    story("second_publisher", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let mut encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        origin.shows(STREAM).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(STREAM), Some(&ledger));
        viewer.gets(100).await?;
        let code = refusal_to_publish(&url).await?;
        ensure!(code == "NetStream.Publish.BadName", "{code}");
        encoder.sends(100).await?;
        viewer.gets(100).await?;
        viewer.missed_nothing()
    });
}

#[test]
fn an_edge_takes_no_publisher() {
    story("publish_to_edge", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let url = origin.publish_url(STREAM).await?;
        let (_, query) = url.split_once('?').context("a key")?;
        refusal_to_publish(&format!("{}?{query}", edge.rtmp(STREAM))).await?;
        ensure!(edge.is_running(), "the edge is gone");
        Ok(())
    });
}

#[test]
fn a_bad_configuration_starts_nothing() {
    story("bad_config", Turn::Beside, async |stage| {
        for (number, tables) in [
            "[fanout]\nperiod_min = \"never\"",
            "[[source]]\nfile = 7",
            "[nonsense]",
            "[viewers",
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("origin-{number}");
            let origin = Origin::with_tables(stage, &name, tables)?;
            let (code, said) = origin.refuses_to_start().await?;
            ensure!(
                code == Some(BAD_CONFIG),
                "exit code {code:?} for {tables:?}:\n{said}"
            );
            let last = tables.lines().last().unwrap_or_default();
            ensure!(said.contains(last), "the line {last:?} is not shown:\n{said}");
            ensure!(said.contains('^'), "nothing points at the place:\n{said}");
            ensure!(said.contains("relay.toml"), "the file is not named:\n{said}");
            ensure!(!origin.state_dir().exists(), "something was started before");
        }
        Ok(())
    });
}

#[test]
fn a_port_in_use_is_named() {
    story("port_in_use", Turn::Beside, async |stage| {
        let ports = Ports::free();
        for (listener, port) in [
            ("http", ports.http),
            ("rtmp", ports.rtmp),
            ("metrics", ports.metrics),
        ] {
            let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            let origin = Origin::prepare(stage, &format!("origin-{listener}"), ports)?;
            says_in_use(&origin, listener, port).await?;
            drop(held);
        }
        let _held = UdpSocket::bind((Ipv4Addr::LOCALHOST, ports.link))?;
        let origin = Origin::prepare(stage, "origin-link", ports)?;
        says_in_use(&origin, "link", ports.link).await
    });
}

async fn says_in_use(origin: &Origin, listener: &str, port: u16) -> Result<()> {
    let (code, said) = origin.refuses_to_start().await?;
    ensure!(code.is_some_and(|code| code != 0), "exit code {code:?}");
    ensure!(
        said.contains(&port.to_string()),
        "port {port} is not named:\n{said}"
    );
    ensure!(said.contains(listener), "{listener} is not named:\n{said}");
    Ok(())
}

#[test]
fn a_bad_token_is_said_in_a_sentence() {
    story("bad_token", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let good = origin.token().await?;
        let cut = &good[..good.len() - 5];
        for (number, token) in ["nonsense", cut].into_iter().enumerate() {
            let edge = edge_with_token(stage, &format!("edge-{number}"), Ports::free(), token)?;
            let (code, said) = edge.refuses_to_start().await?;
            ensure!(code.is_some_and(|code| code != 0), "exit code {code:?}");
            ensure!(
                said.contains("join token"),
                "no sentence about the token:\n{said}"
            );
        }
        Ok(())
    });
}

#[test]
fn a_token_that_expired_or_is_used_up_is_said_and_counted() {
    story("token_over", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;

        let once = origin.token_with("1h", 1).await?;
        let mut first = edge_with_token(stage, "first", Ports::free(), &once)?;
        first.start().await?;
        is_refused(
            edge_with_token(stage, "used-up", Ports::free(), &once)?,
            "used up",
        )
        .await?;

        let short = origin.token_with("1s", 5).await?;
        // A token's life is on the wall clock: there is no event to wait for.
        tokio::time::sleep(Duration::from_millis(2100)).await;
        is_refused(
            edge_with_token(stage, "expired", Ports::free(), &short)?,
            "expired",
        )
        .await?;

        let refused = until("the refusals to be counted", async || {
            let metrics = origin.metrics().await.ok()?;
            let counts = |reason: &str| {
                metrics.samples().any(|(_, labels, value)| {
                    labels.contains(&format!("=\"{reason}_token\"")) && value >= 1.0
                })
            };
            (counts("expired") && counts("used_up")).then_some(())
        });
        refused.await
    });
}

async fn is_refused(mut edge: Node, reason: &str) -> Result<()> {
    edge.launch()?;
    edge.process()?.line_with(reason).await?;
    Ok(())
}

#[test]
fn blocked_udp_is_named_within_ten_seconds() {
    story("udp_blocked", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        // A port where everything arrives and nothing is answered.
        let port = free_port();
        let _hole = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        let token = origin.token_by_way_of((Ipv4Addr::LOCALHOST, port).into()).await?;
        let mut edge = edge_with_token(stage, "edge", Ports::free(), &token)?;
        let start = Instant::now();
        edge.launch()?;
        edge.process()?.line_with("UDP").await?;
        let url = edge.url_of_metrics("readyz");
        let named = until("UDP to be named by /readyz", async || {
            let answer = get(&url).await.ok()?;
            (answer.head.status == 503 && answer.text().contains("UDP")).then_some(())
        });
        named.await?;
        ensure!(
            start.elapsed() < Duration::from_secs(10).min(PATIENCE),
            "only after {:?}",
            start.elapsed()
        );
        Ok(())
    });
}
