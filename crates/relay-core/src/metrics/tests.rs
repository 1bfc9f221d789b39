//! The listener as a scraper, a prober and a stranger meet it.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::DropGuard;

use super::*;

const TOKEN: &str = "0123456789abcdef";

/// A listener on a free port, what it serves, and the guard that ends it.
async fn listener(token: Option<Secret>) -> (SocketAddr, Readiness, DropGuard) {
    let registry = registry("relay-test").unwrap();
    at_scrape(&registry, "relay_test_things", || {
        let things = [("live/a", 2.0), ("live/\"b\"\n", 3.5)];
        gauges("relay_test_things", "Things.", "stream", things)
    })
    .unwrap();
    let readiness = Readiness::waiting_for([("doors", "not open yet")]);
    let server = MetricsServer::bind(
        (Ipv4Addr::LOCALHOST, 0).into(),
        registry,
        readiness.clone(),
        token,
    );
    let server = server.await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    tokio::spawn(server.run(stop.clone()));
    (address, readiness, stop.drop_guard())
}

/// Status and body of one exchange; `more` is put among the headers.
async fn ask(address: SocketAddr, line: &str, more: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Whether a line is a comment or `name{label="value",…} number`, as Prometheus reads it.
fn is_exposition(line: &str) -> bool {
    if line.starts_with("# HELP ") || line.starts_with("# TYPE ") {
        return true;
    }
    let Some((series, number)) = line.rsplit_once(' ') else {
        return false;
    };
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let named = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
    named && labels.ends_with('}') && number.parse::<f64>().is_ok()
}

#[tokio::test]
async fn the_page_is_what_prometheus_reads() {
    let (address, _, _stop) = listener(None).await;
    let (status, page) = ask(address, "GET /metrics", "").await;
    assert_eq!(status, 200);
    let bad: Vec<&str> = page.lines().filter(|line| !is_exposition(line)).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let build = format!(
        r#"relay_build_info{{program="relay-test",version="{}"}} 1"#,
        env!("CARGO_PKG_VERSION")
    );
    for line in [
        &*build,
        r#"relay_test_things{stream="live/a"} 2"#,
        r#"relay_test_things{stream="live/\"b\"\n"} 3.5"#,
    ] {
        assert!(
            page.lines().any(|other| other == line),
            "{line} is not in:\n{page}"
        );
    }
    assert!(page.contains("\nprocess_open_fds "));
}

#[tokio::test]
async fn there_is_nothing_else_here() {
    let (address, _, _stop) = listener(None).await;
    for path in [
        "/",
        "/metrics/",
        "/metricsx",
        "/api/v1/streams",
        "/debug/pprof",
        "/healthz/..",
    ] {
        assert_eq!(ask(address, &format!("GET {path}"), "").await.0, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(
            ask(address, &format!("{method} /metrics"), "").await.0,
            405,
            "{method}"
        );
    }
}

#[tokio::test]
async fn a_token_is_asked_for_by_the_page_and_not_by_probes() {
    let (address, readiness, _stop) = listener(Some(Secret::new(TOKEN).unwrap())).await;
    let scrape = |credentials: String| async move { ask(address, "GET /metrics", &credentials).await };
    for wrong in [
        "",
        "Bearer ",
        "Bearer 0123456789abcdeX",
        "Bearer 0123456789abcde",
        "Basic 0123456789abcdef",
        TOKEN,
    ] {
        let (status, body) = scrape(format!("Authorization: {wrong}\r\n")).await;
        assert_eq!(status, 401, "{wrong:?}");
        assert!(!body.contains("relay_") && !body.contains(TOKEN));
    }
    assert_eq!(scrape(String::new()).await.0, 401);
    assert_eq!(scrape(format!("Authorization: Bearer {TOKEN}\r\n")).await.0, 200);
    assert_eq!(ask(address, "GET /healthz", "").await, (200, "alive\n".into()));
    readiness.remark("encoders", Some("av_skew (1)".to_owned()));
    let remarked = "alive\nencoders: av_skew (1)\n";
    assert_eq!(ask(address, "GET /healthz", "").await, (200, remarked.into()));
}

#[tokio::test]
async fn readyz_says_what_is_missing() {
    let (address, readiness, _stop) = listener(None).await;
    assert_eq!(
        ask(address, "GET /readyz", "").await,
        (503, "doors: not open yet\n".into())
    );
    readiness.fulfil("doors");
    assert_eq!(ask(address, "GET /readyz", "").await, (200, "doors: ok\n".into()));
    readiness.lack("doors", "closed again");
    assert_eq!(ask(address, "GET /readyz", "").await.0, 503);
}

#[tokio::test]
async fn rubbish_ends_its_own_connection_only() {
    let (address, _, _stop) = listener(None).await;
    for rubbish in [
        &b"\0\xff\x16\x03"[..],
        b"GET",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        &[b'a'; 100_000],
    ] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        // It may be closed before all is taken; what is wanted is only that the next one is served.
        let _ = socket.write_all(rubbish).await;
        drop(socket);
    }
    assert_eq!(ask(address, "GET /healthz", "").await.0, 200);
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_key() {
    let (address, readiness, _stop) = listener(None).await;
    let second = MetricsServer::bind(address, Registry::new(), readiness, None).await;
    let text = second.unwrap_err().to_string();
    let wanted = format!(
        "port {} (metrics, [metrics] listen) is in use by another program",
        address.port()
    );
    assert_eq!(text, wanted);
}
