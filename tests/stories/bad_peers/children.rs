//! Children, and those who would be.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use quinn::Endpoint;
use relay_core::cascade::message::{Floor, MAX_ENTRIES, PROTOCOL};
use relay_core::cascade::{LinkCode, Message};
use relay_core::link::quic::{self, QuicConfig};
use relay_core::link::refusal::Refusal;
use relay_core::tls;
use relay_core::token::JoinToken;
use relay_tests::member::{Member, Talk};
use relay_tests::story::{Turn, story};
use relay_tests::wait::within;
use serde_json::json;

use super::{Honest, MEMORY, MILLION, bomb, greeted, long};

#[test]
fn a_child_that_goes_too_far_is_refused() {
    story("bad_children", Turn::Alone, async |stage| {
        let mut honest = Honest::start(stage).await?;
        let before = honest.origin.memory()?.total();
        let member = Member::of(&honest.origin)?;
        let id = member.instance().to_string();
        let hello = |field: &str, value: serde_json::Value| {
            let mut hello = json!({"type": "hello", "protocol": PROTOCOL, "instance": id});
            hello[field] = value;
            hello.to_string()
        };
        let floor = json!({"stream": "live/a", "epoch": 1, "time": 1});
        let twice =
            format!("{{\"type\":\"hello\",\"protocol\":1,\"instance\":\"{id}\",\"instance\":\"{id}\"}}");
        for (what, text, code) in [
            (
                "a million streams to come",
                hello("held_parts", json!(MILLION)),
                LinkCode::NoGreeting,
            ),
            (
                "one floor too many",
                hello("floors", json!(vec![floor; 65])),
                LinkCode::NoGreeting,
            ),
            (
                "a long instance",
                hello("instance", json!(long())),
                LinkCode::NoGreeting,
            ),
            (
                "a long version",
                hello("version", json!(long())),
                LinkCode::NoGreeting,
            ),
            (
                "a long endpoint",
                hello("public", json!([long()])),
                LinkCode::NoGreeting,
            ),
            ("a bomb", bomb(), LinkCode::NoGreeting),
            ("its name twice", twice, LinkCode::NoGreeting),
            (
                "another's name",
                hello("instance", json!(honest.id().await?)),
                LinkCode::WrongInstance,
            ),
        ] {
            let mut talk = member.link(&honest.origin).await?;
            talk.say_text(&text).await;
            let why = talk.refusal().await.context(what)?;
            ensure!(why == code, "{what}: {why}");
        }
        let mut talk = member.link(&honest.origin).await?;
        talk.say_bytes(&[0x7F, 0xFF, 0xFF, 0xFF, b'{']).await;
        ensure!(talk.refusal().await? == LinkCode::NoGreeting, "a message of 2 GB");
        // What this version does not know is passed over, however deep it goes.
        let mut talk = member.link(&honest.origin).await?;
        talk.say_text(&hello("later", json!(null)).replace("null", &bomb()))
            .await;
        ensure!(matches!(talk.hears().await?, Message::Welcome(_)), "no welcome");
        honest.go_on().await?;

        for (what, text) in [
            ("a bomb", bomb()),
            (
                "a long name",
                json!({"type": "ask", "instance": long()}).to_string(),
            ),
            (
                "a long reason",
                json!({"type": "bye", "reason": long()}).to_string(),
            ),
            ("hello again", hello("capacity", json!(1))),
            ("more that is held", json!({"type": "held"}).to_string()),
        ] {
            let mut talk = greeted(&member, &honest.origin).await?;
            talk.say_text(&text).await;
            let why = talk.refusal().await.context(what)?;
            ensure!(why == LinkCode::BadControl, "{what}: {why}");
        }
        let mut talk = greeted(&member, &honest.origin).await?;
        let said = names_a_million(&mut talk).await?;
        let why = talk.refusal().await?;
        ensure!(why == LinkCode::BadControl, "{why}");
        // What QUIC has taken before the end was heard is on the way, and goes no further.
        ensure!(said < MILLION / MAX_ENTRIES, "all {said} messages were taken");

        // The same member by two links is one edge, and neither link disturbs the other or anybody else.
        let one = greeted(&member, &honest.origin).await?;
        let mut other = greeted(&member, &honest.origin).await?;
        other.say(&Message::Ping { nonce: 7 }).await?;
        while other.hears().await? != (Message::Pong { nonce: 7 }) {}
        ensure!(
            one.connection.close_reason().is_none(),
            "the first link was closed"
        );
        let listed = honest.origin.admin("/api/v1/edges").await?;
        let edges = listed.as_array().context("a list")?;
        ensure!(edges.len() == 2, "{edges:?}");
        honest.go_on().await?;
        let grown = honest.origin.memory()?.total().saturating_sub(before);
        println!(
            "bad_peers: after them all the origin has grown by {:.1} MB",
            grown as f64 / 1e6
        );
        ensure!(grown < MEMORY, "the origin grew by {grown} bytes");
        let said = honest.origin.log()?.lines();
        ensure!(said.len() < 200, "{} lines were logged", said.len());
        Ok(())
    });
}

/// Names a million streams, if it is let; gives the number of messages.
async fn names_a_million(talk: &mut Talk) -> Result<usize> {
    for message in 0..MILLION / MAX_ENTRIES {
        let floor = |n: usize| -> Result<Floor> {
            let stream = format!("live/s{}", message * MAX_ENTRIES + n).parse()?;
            let (epoch, time) = (1, 1);
            Ok(Floor { stream, epoch, time })
        };
        let floors = (0..MAX_ENTRIES).map(floor).collect::<Result<_>>()?;
        if !talk.say(&Message::Floors { floors }).await? {
            return Ok(message);
        }
    }
    Ok(MILLION / MAX_ENTRIES)
}

#[test]
fn a_join_that_goes_too_far_is_refused() {
    story("bad_joins", Turn::Beside, async |stage| {
        let mut honest = Honest::start(stage).await?;
        let token: JoinToken = honest.origin.token().await?.parse()?;
        let pin = tls::PinnedVerifier::new(token.ca_sha256);
        let config = quic::client_config(tls::join_client(pin)?, &QuicConfig::default())?;
        let address = SocketAddr::from(([127, 0, 0, 1], honest.origin.ports().link));
        let small_bomb = "[".repeat(16_000);
        let long_name = json!({"join": {"token": long(), "secret": "", "csr": ""}}).to_string();
        for text in [small_bomb, bomb(), long_name, "x".repeat(1 << 20)] {
            let endpoint = Endpoint::client("127.0.0.1:0".parse()?)?;
            let connecting = endpoint.connect_with(config.clone(), address, tls::ORIGIN_NAME)?;
            let connection = within("the handshake", connecting).await??;
            let (mut send, _receive) = connection.open_bi().await?;
            // The refusal may come in the middle of what is too long.
            let _ = send.write_all(text.as_bytes()).await;
            let _ = send.finish();
            let end = within("the join to be refused", connection.closed()).await?;
            let why = Refusal::of(&end);
            ensure!(
                why == Some(Refusal::BadRequest),
                "{} bytes: {why:?}, {end}",
                text.len()
            );
        }
        honest.go_on().await
    });
}
