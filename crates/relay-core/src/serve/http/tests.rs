//! Whole connections over loopback, against a site with one stream.

use bytes::Bytes;
use prometheus::Registry;
use relay_web::Assets;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admission::{Bounds, ServePolicy};
use crate::cascade::message::{Offer, View};
use crate::clock::Clock;
use crate::family::Family;
use crate::fanout::{Fanout, FanoutConfig, FanoutMetrics};
use crate::flv::{Tag, TagKind};
use crate::pool::Wish;
use crate::serve::{Doorman, Elsewhere, ServeLimits, ServeMetrics};
use crate::stream::{GroupHead, Hub, HubConfig};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A site with the stream `live/cam`, which has a keyframe, and `live/dark`, which has none.
fn site(max_viewers: usize) -> Arc<Site> {
    site_with(max_viewers, ServePolicy::Always)
}

fn site_with(max_viewers: usize, policy: ServePolicy) -> Arc<Site> {
    let (clock, registry) = (Clock::start(), Registry::new());
    let config = FanoutConfig {
        shards: 1,
        max_viewers,
        ..FanoutConfig::default()
    };
    let fanout = Fanout::start(config, clock, &FanoutMetrics::register(&registry).unwrap()).unwrap();
    let hub = Hub::new(HubConfig::default());
    hub.open(&"live/dark".parse().unwrap()).unwrap();
    let stream = hub.open(&"live/cam".parse().unwrap()).unwrap();
    let head = GroupHead {
        epoch: 1,
        number: 0,
        continuation: false,
        first_time: 0,
        origin_us: 0,
    };
    stream.begin_group(head, clock.now()).unwrap();
    let tag = Tag {
        kind: TagKind::Video,
        time: 0,
        payload: Bytes::from_static(b"\x17\x01keyframe"),
    };
    stream.append(&tag, clock.now()).unwrap();
    Arc::new(Site {
        farewell: crate::serve::Farewell::default(),
        hub: Arc::new(hub),
        fanout: Arc::new(fanout),
        clock,
        ingest: None,
        doorman: Arc::new(Doorman::new(policy, Bounds::default(), clock, &registry).unwrap()),
        assets: Assets::load(),
        cors: "https://www.example.org".to_owned(),
        frame_ancestors: "*".to_owned(),
        limits: ServeLimits {
            request_time: Duration::from_millis(200),
            start_wait: Duration::from_millis(50),
            ..ServeLimits::default()
        },
        metrics: ServeMetrics::register(&registry).unwrap(),
        stop: CancellationToken::new(),
    })
}

/// A connection to the site.
async fn connect(site: &Arc<Site>) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, peer) = listener.accept().await.unwrap();
    let site = Arc::clone(site);
    tokio::spawn(async move { serve(&site, socket, peer).await });
    client
}

/// All that comes until the end, or until `enough` of it has come.
async fn read(client: &mut TcpStream, enough: &str) -> String {
    let mut all = Vec::new();
    let reading = async {
        while client.read_buf(&mut all).await.unwrap() > 0 {
            if !enough.is_empty() && String::from_utf8_lossy(&all).contains(enough) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer");
    String::from_utf8_lossy(&all).into_owned()
}

/// The answer to a request, up to its end.
async fn ask(site: &Arc<Site>, request: &str) -> String {
    let mut client = connect(site).await;
    client.write_all(request.as_bytes()).await.unwrap();
    read(&mut client, "").await
}

#[tokio::test]
async fn a_viewer_gets_its_stream_in_the_form_of_its_version() {
    let site = site(10);
    for (version, start, chunked) in [
        ("1.1", "HTTP/1.1 200 OK\r\n", true),
        ("1.0", "HTTP/1.0 200 OK\r\n", false),
    ] {
        let mut client = connect(&site).await;
        let request =
            format!("GET /live/c%61m.flv?token=x HTTP/{version}\r\nHost: h\r\nRange: bytes=0-\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let answer = read(&mut client, "keyframe").await;
        assert!(answer.starts_with(start), "{answer:?}");
        assert!(answer.contains("Access-Control-Allow-Origin: https://www.example.org\r\n"));
        let (head, media) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.contains("chunked"), chunked);
        assert_eq!(media.starts_with("FLV"), !chunked, "{media:?}");
        assert!(media.contains("keyframe"));
    }
}

#[tokio::test]
async fn each_request_without_media_is_answered_to_its_end() {
    let site = site(0);
    for (request, status, text) in [
        (
            "HEAD /live/cam.flv HTTP/1.1\r\nHost: h\r\n\r\n",
            "200",
            "video/x-flv",
        ),
        (
            "OPTIONS /live/cam.flv HTTP/1.1\r\nHost: h\r\n\r\n",
            "204",
            "Access-Control-Max-Age",
        ),
        (
            "OPTIONS /cam.flv HTTP/1.1\r\nHost: h\r\n\r\n",
            "204",
            "Access-Control-Max-Age",
        ),
        (
            "POST /live/cam.flv HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx",
            "405",
            "Allow: GET",
        ),
        (
            "GET /live/cam.flv HTTP/1.1\r\nHost: h\r\n\r\n",
            "503",
            "Retry-After",
        ),
        (
            "GET /live/dark.flv HTTP/1.1\r\nHost: h\r\n\r\n",
            "503",
            "no keyframe yet",
        ),
        (
            "HEAD /live/dark.flv HTTP/1.1\r\nHost: h\r\n\r\n",
            "503",
            "Retry-After",
        ),
        (
            "GET /live/none.flv HTTP/1.1\r\nHost: h\r\n\r\n",
            "404",
            "is it being published?",
        ),
        ("GET /cam.flv HTTP/1.1\r\nHost: h\r\n\r\n", "404", "app/name"),
        ("GET /live/cam.flv HTTP/1.1\r\n\r\n", "400", "Host"),
        ("\x16\x03\x01\x02\x00", "400", "plain HTTP"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", "HTTP/1.1"),
        ("GET /live/cam.flv HTTP/1.1\r\nHost", "408", "too long"),
        (
            "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
            "404",
            "there is nothing here",
        ),
    ] {
        let answer = ask(&site, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:?}: {answer:?}"
        );
        assert!(answer.contains(text), "{request:?}: {answer:?}");
        if request.starts_with("HEAD") {
            assert!(answer.ends_with("\r\n\r\n"), "no body: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let site = site(0);
    let mut client = connect(&site).await;
    client.set_nodelay(true).unwrap();
    for byte in b"HEAD /live/cam.flv HTTP/1.1\r\nHost: h\r\n\r\n" {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read(&mut client, "").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn a_head_without_end_is_refused_at_the_limit() {
    let site = site(0);
    let request = format!("GET /{}", "a".repeat(MAX_HEAD_BYTES));
    assert!(ask(&site, &request).await.starts_with("HTTP/1.1 414 "));
}

#[tokio::test]
async fn to_one_that_said_nothing_nothing_is_said() {
    let site = site(0);
    assert_eq!(ask(&site, "").await, "");
}

#[tokio::test]
async fn an_ended_stream_is_not_there() {
    let site = site(10);
    site.hub.get(&"live/cam".parse().unwrap()).unwrap().end();
    let answer = ask(&site, "GET /live/cam.flv HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
}

/// One other node, which has room for HTTP viewers who have come by IPv4 only.
struct OneEdge;

impl Elsewhere for OneEdge {
    fn place(&self, wish: &Wish) -> Option<Endpoint> {
        let fits = (wish.scheme, wish.family) == (Scheme::Http, Family::V4);
        fits.then(|| "http://[2001:db8::7]:8081".parse().unwrap())
    }

    fn view(&self) -> View {
        View {
            offers: vec![Offer {
                instance: "ab12".parse().unwrap(),
                public: vec![
                    "rtmp://192.0.2.7".to_owned(),
                    "http://192.0.2.7:8080".to_owned(),
                    "http://[2001:db8::7]:8081".to_owned(),
                ],
                headroom: 7_000_000,
            }],
        }
    }
}

/// What a player reads that looks for another node by itself.
#[tokio::test]
async fn the_pool_is_told_to_players() {
    let site = site(10);
    let request = "GET /pool.json HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(ask(&site, request).await.ends_with("{\"nodes\":[]}"));
    site.doorman.know_elsewhere(Arc::new(OneEdge));
    let answer = ask(&site, request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("access-control-allow-origin: https://www.example.org"),
        "{head}"
    );
    assert_eq!(
        body,
        r#"{"nodes":[{"http":"http://192.0.2.7:8080","room":7000000},{"http":"http://[2001:db8::7]:8081","room":7000000}]}"#
    );
}

/// R80: who cannot be served here is sent to where there is room, with all that was asked for, and once more at most.
#[tokio::test]
async fn a_viewer_is_sent_to_another_node_twice_at_most() {
    let site = site_with(10, ServePolicy::EdgesOnly);
    let refused = ask(&site, "GET /live/cam.flv HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("Retry-After: 5\r\n"), "{refused}");
    site.doorman.know_elsewhere(Arc::new(OneEdge));
    for (target, location) in [
        ("/live/cam.flv", "/live/cam.flv?hop=1"),
        ("/live/c%61m.flv?key=a%26&hop=1", "/live/cam.flv?key=a%26&hop=2"),
    ] {
        let sent = ask(&site, &format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        assert!(sent.starts_with("HTTP/1.1 302 "), "{sent}");
        let line = format!("Location: http://[2001:db8::7]:8081{location}\r\n");
        assert!(sent.contains(&line), "{sent}");
        assert!(
            sent.contains("Access-Control-Allow-Origin: https://www.example.org\r\n"),
            "{sent}"
        );
    }
    let over = ask(&site, "GET /live/cam.flv?hop=2 HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(over.starts_with("HTTP/1.1 503 "), "{over}");
    let unknown = ask(&site, "GET /live/none.flv HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(unknown.starts_with("HTTP/1.1 404 "), "{unknown}");
}

/// R45: an origin that has just come back sends those on who want what its edges still have; but for names that cannot be.
#[tokio::test]
async fn one_who_comes_before_the_publisher_is_back_is_sent_on() {
    let site = site(10);
    site.doorman.know_elsewhere(Arc::new(OneEdge));
    site.doorman.returns(Duration::from_secs(60));
    for (name, status) in [("gone", 302), ("dark", 302), ("cam", 200), ("a%20b", 404)] {
        let head = ask(
            &site,
            &format!("HEAD /live/{name}.flv HTTP/1.1\r\nHost: h\r\n\r\n"),
        )
        .await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {head}");
    }
    let twice = ask(&site, "GET /live/gone.flv?hop=2 HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(twice.starts_with("HTTP/1.1 404 "), "{twice}");
    site.doorman.returns(Duration::ZERO);
    let over = ask(&site, "GET /live/gone.flv HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(over.starts_with("HTTP/1.1 404 "), "{over}");
}

#[tokio::test]
async fn a_node_that_drains_serves_nobody_new() {
    let site = site(10);
    site.doorman.set_draining(true);
    let refused = ask(&site, "GET /live/cam.flv HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("about to stop"), "{refused}");
}
