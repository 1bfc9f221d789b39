//! The door itself: what comes through it, and what it says when nobody is behind it.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener};

use super::*;

/// A folder of its own that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("relay-console-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An origin's socket that answers each request with the request's own head.
fn echo(path: &Path) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.write_all(&head).await.unwrap();
        }
    })
}

/// A console that runs, and where: its host, and its token's path.
async fn open(socket: &Path, allow_changes: bool) -> (String, String, tokio_util::sync::DropGuard) {
    let client = AdminClient::new("relay-origin", socket);
    let console = Console::open(client, SocketAddr::from(([127, 0, 0, 1], 0)), allow_changes);
    let console = console.await.unwrap();
    let url = console.url().strip_prefix("http://").unwrap().to_owned();
    let (host, path) = url.split_once('/').unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(console.run(stop.clone()));
    (host.to_owned(), format!("/{path}"), stop.drop_guard())
}

async fn ask(host: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(host).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(host: &str, path: &str) -> String {
    ask(
        host,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: a=b\r\n\r\n"),
    )
    .await
}

#[tokio::test]
async fn the_whole_address_leads_to_the_origin_and_its_parts_nowhere() {
    let folder = Folder::new("token");
    let socket = folder.0.join("admin.sock");
    let _origin = echo(&socket);
    let (host, path, _stop) = open(&socket, false).await;

    let answer = get(&host, &format!("{path}api/v1/events?x=1")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("\r\n\r\nGET /api/v1/events?x=1 HTTP/1.1\r\n"),
        "{answer}"
    );
    assert!(answer.to_lowercase().contains("host: admin\r\n"), "{answer}");
    assert!(
        !answer.contains(path.trim_matches('/')),
        "the token stays here: {answer}"
    );

    for bare in ["/", "/api/v1/overview", "/0123456789abcdef0123456789abcdef/"] {
        let answer = get(&host, bare).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{bare}: {answer}");
        assert!(answer.contains("lacks its token"), "{answer}");
    }
}

#[tokio::test]
async fn a_wrong_host_and_a_change_are_refused() {
    let folder = Folder::new("guards");
    let socket = folder.0.join("admin.sock");
    let _origin = echo(&socket);
    let (host, path, _stop) = open(&socket, false).await;
    let say = |method: &str, name: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    };

    let rebound = ask(&host, &say("GET", "evil.example", &path)).await;
    assert!(rebound.starts_with("HTTP/1.1 403"), "{rebound}");
    let whole = format!("http://127.0.0.1{path}");
    let proxied = ask(&host, &say("GET", "127.0.0.1", &whole)).await;
    assert!(proxied.starts_with("HTTP/1.1 403"), "{proxied}");
    for method in ["POST", "DELETE"] {
        let refused = ask(&host, &say(method, "localhost", &path)).await;
        assert!(refused.starts_with("HTTP/1.1 405"), "{refused}");
        assert!(refused.contains("--allow-changes"), "{refused}");
    }
    let (host, path, _stop) = open(&socket, true).await;
    let done = ask(
        &host,
        &say("DELETE", "localhost", &format!("{path}api/v1/edges/ab")),
    )
    .await;
    assert!(
        done.starts_with("HTTP/1.1 200") && done.contains("DELETE /api/v1/edges/ab "),
        "{done}"
    );
}

#[tokio::test]
async fn an_origin_that_is_away_is_said_and_asked_again() {
    let folder = Folder::new("away");
    let socket = folder.0.join("admin.sock");
    let (host, path, _stop) = open(&socket, false).await;
    let answer = get(&host, &path).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(answer.contains("no relay-origin answers on"), "{answer}");
    assert!(answer.to_lowercase().contains("refresh: 2"), "{answer}");
    let _origin = echo(&socket);
    let answer = get(&host, &path).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "it is back: {answer}");
}
