//! `[[source]] url`: the origin pulls streams from other servers, and is led nowhere where it must not go (R47, R48).

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use relay_tests::broadcaster::{Asked, Broadcaster, Reply};
use relay_tests::cluster::{Node, Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::{Footage, Synthetic, clip_path};
use relay_tests::ledger::Ledger;
use relay_tests::ports::free_port;
use relay_tests::process::Process;
use relay_tests::story::{Stage, Turn, story};
use relay_tests::tools::program;
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;

const STREAM: &str = "live/studio";
const BY_RTMP: &str = "live/by-rtmp";
const BY_FLV: &str = "live/by-flv";

/// Longer than any story.
const FOR_EVER: Duration = Duration::from_secs(600);

fn source(stream: &str, urls: &[String], further: &str) -> String {
    format!("[[source]]\nstream = \"{stream}\"\nurl = {urls:?}\nidle = \"2s\"\n{further}\n")
}

const ALLOWED: &str = "allow = [\"127.0.0.0/8\"]";

fn footage(seed: u64) -> Footage {
    Synthetic {
        seed,
        ..Synthetic::default()
    }
    .play()
}

/// What the admin API says of the source of a stream.
async fn row(origin: &Origin, stream: &str) -> Result<Value> {
    let rows = origin.admin("/api/v1/sources").await?;
    let found = rows
        .as_array()
        .and_then(|rows| rows.iter().find(|row| row["stream"] == stream));
    found
        .cloned()
        .with_context(|| format!("no source of {stream} in {rows}"))
}

/// Waits until the source of a stream is as wished.
async fn is_so(origin: &Origin, stream: &str, wished: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut last = Value::Null;
    let waited = until(format!("the source of {stream}"), async || {
        last = row(origin, stream).await.ok()?;
        wished(&last).then(|| last.clone())
    });
    let waited = waited.await;
    waited.with_context(|| format!("last seen: {last}"))
}

async fn ended(origin: &Origin, outcome: &str) -> Result<f64> {
    let label = format!("outcome=\"{outcome}\"");
    let metrics = origin.metrics().await?;
    metrics
        .sum_where("relay_source_attempts_total", &label)
        .context("the metric is there")
}

#[test]
fn an_origin_pulls_from_another_by_both_protocols() {
    story("pull", Turn::Beside, async |stage| {
        let studio = Origin::start(stage).await?;
        let ledger = Ledger::default();
        let url = studio.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, footage(1), &ledger).await?;
        studio.shows(STREAM).await?;
        stage.keep_secret("s3cret-of-the-studio");
        let secret = "?key=s3cret-of-the-studio";
        let rtmp = [format!("{}{secret}", studio.rtmp(STREAM))];
        let flv = [format!("{}{secret}", studio.flv(STREAM))];
        let tables = source(BY_RTMP, &rtmp, ALLOWED) + &source(BY_FLV, &flv, ALLOWED);
        let mut origin = Origin::with_tables(stage, "puller", &tables)?;
        origin.start().await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        for stream in [BY_RTMP, BY_FLV] {
            edge.shows(stream).await?;
            let mut viewer = Viewer::watch(Flavour::Http11, &edge.flv(stream), Some(&ledger));
            viewer.gets(200).await?;
            viewer.missed_nothing()?;
            let seen = row(&origin, stream).await?;
            ensure!(seen["state"] == "flowing" && seen["why"] == "", "{seen}");
            ensure!(!seen.to_string().contains("s3cret"), "{seen}");
        }
        ensure!(
            origin.metrics().await?.sum("relay_source_flowing") == Some(2.0),
            "both flow"
        );
        let overview = origin.admin("/api/v1/overview").await?;
        ensure!(
            !overview.to_string().contains("s3cret"),
            "the key is in the overview"
        );
        Ok(())
    });
}

/// R48: the second is taken when the first dies, viewers stay, and the second is kept when the first is back.
#[test]
fn a_fallback_takes_over_and_is_remembered() {
    story("pull_fallback", Turn::Beside, async |stage| {
        let mut first = Origin::start(stage).await?;
        let mut second = Origin::prepare(stage, "second", Ports::free())?;
        second.start().await?;
        let mut encoders = Vec::new();
        for (seed, studio) in [(1, &first), (2, &second)] {
            let url = studio.publish_url(STREAM).await?;
            let again = move |_| footage(seed);
            encoders.push(Encoder::persist(&url, again, &Ledger::default()));
            studio.shows(STREAM).await?;
        }
        let urls = [first.rtmp(STREAM), second.flv(STREAM)];
        let mut origin = Origin::with_tables(stage, "puller", &source(BY_RTMP, &urls, ALLOWED))?;
        origin.start().await?;
        origin.shows(BY_RTMP).await?;
        let mut viewers = [
            Viewer::watch(Flavour::Http11, &origin.flv(BY_RTMP), None),
            Viewer::watch(Flavour::Rtmp, &origin.rtmp(BY_RTMP), None),
        ];
        flows(&mut viewers).await?;

        first.kill();
        is_so(&origin, BY_RTMP, |row| {
            row["state"] == "flowing" && is_from(row, &second)
        })
        .await?;
        flows(&mut viewers).await?;

        first.start().await?;
        first.shows(STREAM).await?;
        flows(&mut viewers).await?;
        let seen = row(&origin, BY_RTMP).await?;
        ensure!(is_from(&seen, &second), "changed a stream that worked: {seen}");

        second.kill();
        is_so(&origin, BY_RTMP, |row| {
            row["state"] == "flowing" && is_from(row, &first)
        })
        .await?;
        flows(&mut viewers).await
    });
}

fn is_from(row: &Value, node: &Node) -> bool {
    let Ports { http, rtmp, .. } = node.ports();
    let url = row["url"].as_str().unwrap_or_default();
    [http, rtmp].iter().any(|port| url.contains(&format!(":{port}/")))
}

async fn flows(viewers: &mut [Viewer]) -> Result<()> {
    for viewer in viewers {
        let keyframes = viewer.ask(|report| report.keyframes);
        viewer
            .until("a keyframe", |report| report.keyframes > keyframes)
            .await?;
        viewer.gets(60).await?;
        viewer.is_content()?;
    }
    Ok(())
}

/// An origin that leaves viewers to its edges sends a pull there, too, over either protocol.
#[test]
fn a_pool_sends_a_pull_to_its_edge() {
    story("pull_pool", Turn::Beside, async |stage| {
        let keys = "serve = \"edges-only\"\nprobe = false\n";
        let mut studio = Origin::of_pool(stage, Ports::free(), keys)?;
        studio.start().await?;
        let mut edge = studio.edge("edge").await?;
        edge.start().await?;
        let ledger = Ledger::default();
        let url = studio.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, footage(1), &ledger).await?;
        edge.shows(STREAM).await?;
        let tables = source(BY_RTMP, &[studio.rtmp(STREAM)], ALLOWED)
            + &source(BY_FLV, &[studio.flv(STREAM)], ALLOWED);
        let mut origin = Origin::with_tables(stage, "puller", &tables)?;
        origin.start().await?;
        for stream in [BY_RTMP, BY_FLV] {
            origin.shows(stream).await?;
            let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(stream), Some(&ledger));
            viewer.gets(100).await?;
            viewer.missed_nothing()?;
        }
        edge.metric("relay_viewers", |viewers| viewers == 2.0).await?;
        Ok(())
    });
}

/// A server that nobody here wrote: ffmpeg's, which serves one viewer and ends with its clip.
#[test]
fn ffmpeg_serves_and_the_origin_pulls() {
    story("pull_ffmpeg", Turn::Beside, async |stage| {
        let url = format!("http://127.0.0.1:{}/clip.flv", free_port());
        let mut origin = Origin::with_tables(
            stage,
            "origin",
            &source(BY_FLV, std::slice::from_ref(&url), ALLOWED),
        )?;
        origin.start().await?;
        let mut ffmpeg = program("ffmpeg")?;
        ffmpeg.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"]);
        ffmpeg.args(["-re", "-stream_loop", "-1", "-i"]).arg(clip_path());
        ffmpeg.args(["-c", "copy", "-f", "flv", "-listen", "1", &url]);
        let _ffmpeg = Process::spawn(stage, "ffmpeg", &mut ffmpeg)?;
        origin.shows(BY_FLV).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(BY_FLV), None);
        viewer.gets(200).await?;
        viewer.is_content()
    });
}

/// A source that ends, stalls or breaks is a publisher that is gone: it is pulled again, and viewers stay.
#[test]
fn a_source_that_ends_or_stalls_comes_again() {
    story("pull_again", Turn::Beside, async |stage| {
        let sessions = std::sync::atomic::AtomicU64::new(0);
        let studio = Broadcaster::open(Ipv4Addr::LOCALHOST, None, move |_: &Asked| {
            let length = Duration::from_millis(2500);
            match sessions.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Reply::Stream(footage(1), length),
                1 => Reply::Stall(footage(2), length),
                2 => Reply::status(503),
                _ => Reply::Stream(footage(3), FOR_EVER),
            }
        });
        let studio = studio.await?;
        let url = format!("http://{}/studio.flv", studio.address());
        let mut origin = Origin::with_tables(stage, "origin", &source(BY_FLV, &[url], ALLOWED))?;
        origin.start().await?;
        origin.shows(BY_FLV).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(BY_FLV), None);
        until("all attempts", async || (studio.asked().len() == 4).then_some(())).await?;
        flows(std::slice::from_mut(&mut viewer)).await?;
        for (outcome, times) in [("ended", 1.0), ("idle", 1.0), ("refused", 1.0)] {
            let counted = ended(&origin, outcome).await?;
            ensure!(counted == times, "{outcome} {counted} times");
        }
        Ok(())
    });
}

/// No address and no redirect leads where nobody said that it may: whoever listens there is never dialled.
#[test]
fn nothing_leads_to_a_forbidden_address() {
    story("pull_forbidden", Turn::Beside, async |stage| {
        let forbidden = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        forbidden.set_nonblocking(true)?;
        let port = forbidden.local_addr()?.port();
        let helper = Ipv4Addr::new(127, 0, 0, 2);
        let away = format!("http://127.0.0.1:{port}/secrets");
        let studio = Broadcaster::open(helper, None, move |asked: &Asked| match &*asked.target {
            "/away" => Reply::redirect(&away),
            "/metadata" => Reply::redirect("http://169.254.169.254/latest/meta-data/"),
            "/file" => Reply::redirect("file:///etc/passwd"),
            "/loop" => Reply::redirect("/loop"),
            "/huge" => Reply::Bytes(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20)).into_bytes()),
            "/mute" => Reply::Silence,
            "/empty" => Reply::Stall(Box::new(std::iter::empty()), Duration::ZERO),
            "/page" => Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>".to_vec()),
            _ => Reply::status(404),
        });
        let studio = studio.await?;
        let at = |path: &str| format!("http://{}{path}", studio.address());
        let expected = [
            (
                "live/loopback",
                format!("http://127.0.0.1:{port}/a.flv"),
                "this machine itself",
            ),
            (
                "live/name",
                format!("http://localhost:{port}/a.flv"),
                "this machine itself",
            ),
            (
                "live/decimal",
                format!("http://2130706433:{port}/a.flv"),
                "this machine itself",
            ),
            (
                "live/octal",
                format!("http://0177.1:{port}/a.flv"),
                "this machine itself",
            ),
            (
                "live/mapped",
                format!("http://[::ffff:127.0.0.1]:{port}/a.flv"),
                "this machine itself",
            ),
            (
                "live/zero",
                format!("http://0.0.0.0:{port}/a.flv"),
                "no address of a server",
            ),
            (
                "live/rtmp",
                format!("rtmp://127.0.0.1:{port}/live/a"),
                "this machine itself",
            ),
            (
                "live/private",
                "rtmp://10.1.2.3/live/a".to_owned(),
                "a private address",
            ),
            (
                "live/cloud",
                "http://169.254.169.254/a.flv".to_owned(),
                "a cloud's metadata service",
            ),
            (
                "live/cloud6",
                "http://[fd00:ec2::254]/a.flv".to_owned(),
                "a cloud's metadata service",
            ),
            ("live/away", at("/away"), "this machine itself"),
            ("live/metadata", at("/metadata"), "a cloud's metadata service"),
            ("live/file", at("/file"), "redirected to another protocol"),
            ("live/loop", at("/loop"), "more than 4 redirects"),
            ("live/huge", at("/huge"), "does not speak HTTP"),
            ("live/page", at("/page"), "it sends no FLV"),
            ("live/mute", at("/mute"), "no answer in time"),
            ("live/empty", at("/empty"), "no media within 10 s"),
            ("live/none", at("/none"), "HTTP status 404"),
        ];
        let tables = expected.iter().map(|(stream, url, _)| {
            source(
                stream,
                std::slice::from_ref(url),
                "allow = [\"127.0.0.2\", \"169.254.0.0/16\"]",
            )
        });
        let mut origin = Origin::with_tables(stage, "origin", &tables.collect::<String>())?;
        origin.start().await?;
        for (stream, _, why) in &expected {
            let said = |row: &Value| row["why"].as_str().is_some_and(|said| said.contains(why));
            is_so(&origin, stream, said).await?;
        }
        // A second round: what is refused is refused again, however often it is tried.
        let before = ended(&origin, "forbidden").await?;
        until("more attempts", async || {
            (ended(&origin, "forbidden").await.ok()? > before + 12.0).then_some(())
        })
        .await?;
        let dialled = forbidden.accept();
        ensure!(dialled.is_err(), "somebody dialled: {dialled:?}");
        ensure!(
            origin.metrics().await?.sum("relay_source_sessions_total") == Some(0.0),
            "media came"
        );
        Ok(())
    });
}

/// A stream behind a password, over TLS, with an authority of one's own; and none of it without that authority.
#[test]
fn https_is_believed_by_its_authority_alone() {
    story("pull_https", Turn::Beside, async |stage| {
        let password = "s3cret-of-the-vault";
        stage.keep_secret(password);
        let tls = own_authority(stage)?;
        let studio = Broadcaster::open(Ipv4Addr::LOCALHOST, Some(tls), |asked: &Asked| {
            match (&*asked.target, &*asked.authorization) {
                ("/moved.flv", _) => Reply::redirect("/studio.flv"),
                // studio:s3cret-of-the-vault
                ("/studio.flv", "Basic c3R1ZGlvOnMzY3JldC1vZi10aGUtdmF1bHQ=") => {
                    Reply::Stream(footage(1), FOR_EVER)
                }
                ("/down.flv", _) => Reply::redirect("http://127.0.0.1:9/x.flv"),
                _ => Reply::status(401),
            }
        });
        let studio = studio.await?;
        let at = |path: &str| format!("https://studio:{password}@{}{path}", studio.address());
        let authority = format!(
            "{ALLOWED}\nca_file = \"{}\"",
            stage.folder().join("ca.pem").display()
        );
        let other = format!(
            "{ALLOWED}\nca_file = \"{}\"",
            stage.folder().join("other.pem").display()
        );
        let to = at("/studio.flv");
        let relayed =
            Broadcaster::open(Ipv4Addr::LOCALHOST, None, move |_: &Asked| Reply::redirect(&to)).await?;
        let tables = source("live/good", &[at("/moved.flv")], &authority)
            + &source(
                "live/raised",
                &[format!("http://{}/x", relayed.address())],
                &authority,
            )
            + &source("live/stranger", &[at("/studio.flv")], &other)
            + &source("live/down", &[at("/down.flv")], &authority);
        let mut origin = Origin::with_tables(stage, "origin", &tables)?;
        origin.start().await?;
        for stream in ["live/good", "live/raised"] {
            is_so(&origin, stream, |row| row["state"] == "flowing").await?;
            let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(stream), None);
            viewer.gets(100).await?;
            viewer.is_content()?;
        }
        let said =
            |why: &'static str| move |row: &Value| row["why"].as_str().is_some_and(|said| said.contains(why));
        is_so(&origin, "live/stranger", said("no TLS")).await?;
        is_so(&origin, "live/down", said("from https to http")).await?;
        let streams = origin.admin("/api/v1/streams").await?.to_string();
        ensure!(
            !streams.contains("live/stranger"),
            "a stranger's stream is served: {streams}"
        );
        Ok(())
    });
}

/// Two authorities in the stage's folder, `ca.pem` and `other.pem`, and a server whom the first vouches for.
fn own_authority(stage: &Stage) -> Result<ServerConfig> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (key, other_key) = (KeyPair::generate()?, KeyPair::generate()?);
    std::fs::write(stage.folder().join("ca.pem"), authority.self_signed(&key)?.pem())?;
    std::fs::write(
        stage.folder().join("other.pem"),
        authority.self_signed(&other_key)?.pem(),
    )?;
    let leaf_key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(authority, key))?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(relay_core::tls::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)?;
    Ok(config)
}
