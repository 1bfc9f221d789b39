//! Parents, and origins.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use quinn::{Connection, Endpoint};
use relay_core::cascade::frame::{encode_header, encode_tags};
use relay_core::cascade::message::{PROTOCOL, Welcome};
use relay_core::cascade::{GroupCode, GroupHeader, Instance, LinkCode, Message};
use relay_core::clock::Clock;
use relay_core::flv::TagKind;
use relay_core::link::quic::{self, QuicConfig};
use relay_core::stream::{GroupHead, LoggedTag, StreamKey};
use relay_core::tls::{
    self, Credentials, InstanceId, JOIN_ALPN, LEAF_LIFE, LINK_ALPN, NodeKey, PoolCa, PoolRoot,
};
use relay_core::token::{Address, JoinToken, Secret, TokenId};
use relay_tests::cluster::{Ports, edge_with_token};
use relay_tests::http::get;
use relay_tests::member::{Member, Talk};
use relay_tests::story::{Turn, story};
use relay_tests::wait::{until, within};
use serde_json::json;

use super::{Honest, MEMORY, MILLION, bomb, greeted, long};

/// What a parent does to each child that dials it, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Announces,
    Bomb,
    LongName,
    Pushes,
}

const DEEDS: [Deed; 4] = [Deed::Announces, Deed::Bomb, Deed::LongName, Deed::Pushes];

/// Streams that the child has room for, and those that are pushed to it.
const ROOM: usize = 20;
const PUSHED: usize = 5_000;

#[test]
fn a_parent_that_goes_too_far_is_left() {
    story("bad_parent", Turn::Alone, async |stage| {
        let mut honest = Honest::start(stage).await?;
        let member = Member::of(&honest.origin)?;
        // Only whoever is linked to the origin is believed to be a parent.
        let mut control = greeted(&member, &honest.origin).await?;
        let tls = tls::server(Arc::clone(&member.credentials), &member.root, &[LINK_ALPN])?;
        let quic = QuicConfig::default();
        let server = quic::server_config(tls, &quic)?;
        let port = quic::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Some(server), &quic)?;
        let parent = port.endpoint.local_addr()?.port();
        let mut child = honest.origin.edge("child").await?;
        child.configure(&format!(
            "[edge]\nparent = \"127.0.0.1:{parent}\"\n[limits]\nmax_streams = {ROOM}\n"
        ));
        child.launch()?;
        let keeps_linked = async {
            loop {
                control.hears().await?;
            }
        };
        let deeds = async {
            for deed in DEEDS {
                let connection = next_link(&port.endpoint).await?;
                let before = child.memory()?.total();
                let mut talk = welcome(&connection, &member).await?;
                do_to(&mut talk, deed).await?;
                let why = match deed {
                    Deed::Pushes => None,
                    _ => Some(talk.refusal().await.with_context(|| format!("{deed:?}"))?),
                };
                let grown = child.memory()?.total().saturating_sub(before);
                println!(
                    "bad_peers: {deed:?}: {why:?}, the child grew by {:.1} MB",
                    grown as f64 / 1e6
                );
                ensure!(
                    why.is_none_or(|why| why == LinkCode::BadMedia),
                    "{deed:?}: {why:?}"
                );
                ensure!(grown < MEMORY, "{deed:?}: the child grew by {grown} bytes");
            }
            Ok(())
        };
        let told: Result<()> = tokio::select! {
            told = deeds => told,
            lost = keeps_linked => lost,
        };
        told?;
        let streams = child.metrics().await?.sum("relay_streams");
        ensure!(streams <= Some(ROOM as f64), "{streams:?} streams");
        let said = child.log()?.text();
        ensure!(
            said.contains("announces more streams than any node has"),
            "{said}"
        );
        ensure!(child.is_running(), "the child is down");
        honest.go_on().await?;
        ensure!(honest.edge.is_running(), "the other edge is down");
        Ok(())
    });
}

async fn next_link(endpoint: &Endpoint) -> Result<Connection> {
    let incoming = within("the child to dial", endpoint.accept()).await?;
    Ok(incoming.context("the port is closed")?.await?)
}

/// Greets a child as a parent does.
async fn welcome(connection: &Connection, us: &Member) -> Result<Talk> {
    let (send, receive) = within("the child's hello", connection.accept_bi()).await??;
    let mut talk = Talk::new(connection.clone(), send, receive);
    ensure!(matches!(talk.hears().await?, Message::Hello(_)), "no hello");
    let welcome = Welcome {
        protocol: PROTOCOL,
        instance: us.instance(),
        hops: vec![Instance::of_hex([1; 16]), us.instance()],
        version: "by hand".to_owned(),
    };
    talk.say(&Message::Welcome(welcome)).await?;
    Ok(talk)
}

async fn do_to(talk: &mut Talk, deed: Deed) -> Result<()> {
    match deed {
        Deed::Announces => {
            for n in 0..MILLION {
                let stream: StreamKey = format!("live/s{n}").parse()?;
                if !talk.say(&Message::StreamUp { stream }).await? {
                    break;
                }
            }
        }
        Deed::Bomb => {
            talk.say_text(&bomb()).await;
        }
        Deed::LongName => {
            let text = json!({"type": "stream_up", "stream": format!("live/{}", long())});
            talk.say_text(&text.to_string()).await;
        }
        Deed::Pushes => push(&talk.connection).await?,
    }
    Ok(())
}

/// Pushes a keyframe of each of many streams: those that there is no room for have to be stopped.
async fn push(connection: &Connection) -> Result<()> {
    let refused = Arc::new(AtomicUsize::new(0));
    for n in 0..PUSHED {
        let (header, tag) = group(&format!("live/p{n}"))?;
        let mut stream = within("room for one more group", connection.open_uni()).await??;
        let mut chunks = vec![encode_header(&header)];
        encode_tags(vec![tag], &mut chunks);
        // One that is stopped already says so below.
        let _ = stream.write_all_chunks(&mut chunks).await;
        let refused = Arc::clone(&refused);
        tokio::spawn(async move {
            let code = stream.stopped().await;
            let no_room = u64::from(GroupCode::NoRoom.number());
            if code
                .ok()
                .flatten()
                .is_some_and(|code| code.into_inner() == no_room)
            {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    until("all but a few streams to be refused", async || {
        (refused.load(Ordering::Relaxed) >= PUSHED - ROOM).then_some(())
    })
    .await?;
    ensure!(connection.close_reason().is_none(), "the link was closed");
    Ok(())
}

fn group(name: &str) -> Result<(GroupHeader, LoggedTag)> {
    let head = GroupHead {
        epoch: 1,
        number: 1,
        continuation: false,
        first_time: 0,
        origin_us: 0,
    };
    let header = GroupHeader {
        stream: name.parse()?,
        head,
        resumed: false,
        discontinuity: false,
        previous: None,
        first_tag: 0,
    };
    let tag = LoggedTag {
        kind: TagKind::Video,
        time: 0,
        payload: Bytes::from_static(b"\x17\x01\0\0\0key"),
        appended_ms: 0,
    };
    Ok((header, tag))
}

/// An origin that answers joins with what it likes; its token is good.
struct BadOrigin {
    endpoint: Endpoint,
    token: String,
}

impl BadOrigin {
    fn open() -> Result<Self> {
        let now = Clock::start().now();
        let (ca, key) = (PoolCa::create(now)?, NodeKey::generate()?);
        let leaf = ca.sign_origin(&key, InstanceId::new([9; 16]), LEAF_LIFE, now)?;
        let credentials = Credentials::new(&key, leaf.chain)?;
        let root = PoolRoot::new(ca.certificate().clone())?;
        let quic = QuicConfig::default();
        let server = quic::server_config(tls::server(credentials, &root, &[JOIN_ALPN])?, &quic)?;
        let port = quic::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Some(server), &quic)?;
        let address = Address::new("127.0.0.1", port.endpoint.local_addr()?.port())?;
        let id = TokenId::new([5; 4]);
        let token = JoinToken::new(id, Secret::new([6; 16]), ca.fingerprint(), vec![address])?;
        Ok(Self {
            endpoint: port.endpoint,
            token: token.to_string(),
        })
    }

    /// Answers one request.
    async fn answer(&self, text: &str) -> Result<()> {
        let connection = next_link(&self.endpoint).await?;
        let (mut send, mut receive) = within("the request", connection.accept_bi()).await??;
        receive.read_to_end(64 << 10).await?;
        // It may have heard enough before the end.
        let _ = send.write_all(text.as_bytes()).await;
        let _ = send.finish();
        within("the asker to leave", connection.closed()).await?;
        Ok(())
    }
}

#[test]
fn a_join_answer_that_goes_too_far_is_no_answer() {
    story("bad_answers", Turn::Beside, async |stage| {
        let origin = BadOrigin::open()?;
        stage.keep_secret(&origin.token);
        let mut edge = edge_with_token(stage, "edge", Ports::free(), &origin.token)?;
        edge.launch()?;
        let chain =
            json!({"chain": vec!["AAAA"; 1000], "instance": "0".repeat(32), "life_s": 1, "unix_ms": 1});
        origin.answer(&"x".repeat(4 << 20)).await?;
        edge.process()?.line_with("too long, or was broken off").await?;
        for text in [format!("{{\"chain\":{}", "[".repeat(16_000)), chain.to_string()] {
            origin.answer(&text).await?;
        }
        edge.process()?.line_with("it is malformed").await?;
        ensure!(edge.is_running(), "it is down");
        let held = edge.memory()?.total();
        ensure!(held < 200_000_000, "it holds {held} bytes");
        let ready = get(&edge.url_of_metrics("readyz")).await?;
        ensure!(ready.head.status == 503, "it is ready");
        Ok(())
    });
}
