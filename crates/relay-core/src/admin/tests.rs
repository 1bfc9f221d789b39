//! The API over a real socket: what the desk is asked, what a client gets, and whose file the socket is.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::*;
use crate::limits::ADMIN_LISTENERS;

/// A desk that knows one viewer and one stream.
struct FakeDesk;

impl Desk for FakeDesk {
    fn overview(&self) -> Overview {
        Overview {
            program: "relay-edge".into(),
            version: "0.1.0".into(),
            time_ms: 0,
            uptime_seconds: 7,
            health: Vec::new(),
            lacks: Vec::new(),
            streams: self.streams(),
            streams_left_out: 0,
            edges: Vec::new(),
            edges_left_out: 0,
            viewers: Both { here: 1, pool: 1 },
            egress: Both::default(),
            room: None,
            viewer_bits: 2_500_000,
            uplink: UplinkRow::default(),
            serves: true,
            joins: Vec::new(),
            admissions: Vec::new(),
            refused_lately: 0,
            tokens_live: None,
        }
        .concluded()
    }

    fn streams(&self) -> Vec<StreamRow> {
        vec![StreamRow {
            stream: "live/cam".into(),
            playable: true,
            epoch: Some(7),
            tags: 3,
            bytes: 300,
            silent_seconds: Some(0.5),
            viewers: 1,
            peak_bits: 0,
            log_bytes: 4096,
            warnings: Vec::new(),
        }]
    }

    fn viewers(&self) -> Answer<'_, Vec<ViewerRow>> {
        Box::pin(async { Vec::new() })
    }

    fn kick(&self, whom: KickRequest) -> Answer<'_, Result<(), Refused>> {
        Box::pin(async move {
            match whom {
                KickRequest::Viewer(12) => Ok(()),
                KickRequest::Stream(name) if name == "live/cam" => Ok(()),
                other => Err(Refused::NotFound(format!("there is no {other:?}"))),
            }
        })
    }

    fn tokens(&self) -> Result<Vec<TokenRow>, Refused> {
        Err(Refused::NotHere("an edge has no tokens"))
    }

    fn create_token(&self, wish: TokenRequest) -> Result<String, Refused> {
        match wish.uses {
            0 => Err(Refused::Failed("good for nobody".into())),
            uses => Ok(format!("{} s, {uses} uses", wish.ttl_seconds)),
        }
    }

    fn revoke_token(&self, id: &str) -> Result<(), Refused> {
        (id == "ab12")
            .then_some(())
            .ok_or_else(|| Refused::NotFound(format!("there is no token {id}")))
    }

    fn edges(&self) -> Result<Vec<EdgeRow>, Refused> {
        Ok(Vec::new())
    }

    fn drain_edge(&self, id: &str, wish: DrainRequest) -> Result<String, Refused> {
        match (id, wish.drain) {
            ("ab", true) => Ok("ab12".into()),
            _ => Err(Refused::NotFound(format!("there is no edge {id}"))),
        }
    }

    fn revoke_edge(&self, id: &str) -> Result<String, Refused> {
        Err(Refused::NotFound(format!("there is no edge {id}")))
    }

    fn metrics_targets(&self) -> Vec<String> {
        vec!["10.0.0.1:9935".into(), "10.0.0.2:9935".into()]
    }
}

/// A folder of its own that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("relay-admin-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A served socket, until the guard goes.
async fn serve(path: &Path) -> (AdminClient, tokio_util::sync::DropGuard) {
    let stop = CancellationToken::new();
    let socket = AdminSocket::bind(path).await.unwrap();
    tokio::spawn(socket.run(Arc::new(FakeDesk), stop.clone()));
    (AdminClient::new("relay-origin", path), stop.drop_guard())
}

fn said(result: Result<Value, ClientError>) -> String {
    match result.unwrap_err() {
        ClientError::Refused(text) => text,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn each_route_reaches_the_desk_and_its_answer_the_client() {
    let folder = Folder::new("routes");
    let (client, _stop) = serve(&folder.0.join("admin.sock")).await;

    let streams: Vec<StreamRow> = client.get("/api/v1/streams").await.unwrap();
    assert_eq!(streams, FakeDesk.streams());
    assert_eq!(client.get::<Value>("/api/v1/viewers").await.unwrap(), json!([]));
    let kick = |whom: Value| {
        let client = client.clone();
        async move { client.post::<Value>("/api/v1/kick", &whom).await }
    };
    assert_eq!(kick(json!({ "viewer": 12 })).await.unwrap(), json!({}));
    assert_eq!(kick(json!({ "stream": "live/cam" })).await.unwrap(), json!({}));
    let wish = TokenRequest {
        ttl_seconds: 60,
        uses: 2,
    };
    let made: Value = client.post("/api/v1/tokens", &wish).await.unwrap();
    assert_eq!(made, json!({ "token": "60 s, 2 uses" }));
    client.delete::<Value>("/api/v1/tokens/ab12").await.unwrap();
    let targets: Value = client.get("/api/prometheus-targets").await.unwrap();
    let listed = json!([{ "targets": ["10.0.0.1:9935", "10.0.0.2:9935"], "labels": { "job": "relay" } }]);
    assert_eq!(targets, listed);
}

#[tokio::test]
async fn what_is_not_done_is_said() {
    let folder = Folder::new("refusals");
    let (client, _stop) = serve(&folder.0.join("admin.sock")).await;

    let unknown = client.post("/api/v1/kick", &json!({ "viewer": 13 })).await;
    assert_eq!(said(unknown), "there is no Viewer(13)");
    assert_eq!(said(client.get("/api/v1/tokens").await), "an edge has no tokens");
    let wish = TokenRequest {
        ttl_seconds: 60,
        uses: 0,
    };
    assert_eq!(
        said(client.post("/api/v1/tokens", &wish).await),
        "good for nobody"
    );
    assert_eq!(
        said(client.delete("/api/v1/tokens/cd34").await),
        "there is no token cd34"
    );
    let nowhere = said(client.get("/api/v1/nonsense").await);
    assert_eq!(nowhere, "the admin API has nothing of that name");
    let both = json!({ "viewer": 12, "stream": "live/cam" });
    assert!(!said(client.post("/api/v1/kick", &both).await).is_empty());
    let huge = json!({ "stream": "x".repeat(crate::limits::ADMIN_BODY_BYTES) });
    assert!(!said(client.post("/api/v1/kick", &huge).await).is_empty());
}

#[tokio::test]
async fn the_socket_is_its_owners_alone_and_goes_with_the_program() {
    let folder = Folder::new("owner");
    let path = folder.0.join("made/on/the/way/admin.sock");
    let socket = AdminSocket::bind(&path).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(socket);
    assert!(!path.exists());
    let error = AdminClient::new("relay-origin", &path)
        .get::<Value>("/")
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("no relay-origin answers on ") && text.contains("is it running"),
        "{text}"
    );
}

#[tokio::test]
async fn a_killed_programs_socket_is_replaced_and_a_living_ones_is_not() {
    let folder = Folder::new("stale");
    let path = folder.0.join("admin.sock");
    // The standard library leaves the file behind, as a kill does.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let (client, _stop) = serve(&path).await;

    let error = AdminSocket::bind(&path).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(
        client.get::<Value>("/api/v1/streams").await.is_ok(),
        "the first is undisturbed"
    );

    let file = folder.0.join("notes.txt");
    std::fs::write(&file, "not a socket").unwrap();
    let error = AdminSocket::bind(&file).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a socket");
}

#[tokio::test]
async fn a_deep_folder_is_no_obstacle() {
    let folder = Folder::new("deep");
    let path = folder
        .0
        .join("d".repeat(100))
        .join("e".repeat(100))
        .join("admin.sock");
    let (client, _stop) = serve(&path).await;
    assert!(client.get::<Value>("/api/v1/streams").await.is_ok());
    let error = AdminSocket::bind(&path).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

/// A request over the socket, and its answer, line by line.
async fn ask(path: &Path, target: &str) -> BufReader<UnixStream> {
    let mut socket = UnixStream::connect(Place::of(path).unwrap().path())
        .await
        .unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: admin\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    BufReader::new(socket)
}

/// The next line that begins so.
async fn line(answer: &mut BufReader<UnixStream>, start: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(answer.read_line(&mut line).await.unwrap(), 0, "no {start:?} came");
        if line.starts_with(start) {
            return line;
        }
    }
}

#[tokio::test]
async fn a_listener_gets_snapshot_after_snapshot() {
    let folder = Folder::new("events");
    let path = folder.0.join("admin.sock");
    let (client, _stop) = serve(&path).await;
    let seen: Overview = client.get("/api/v1/overview").await.unwrap();
    assert_eq!(seen, FakeDesk.overview());
    assert!(!seen.health.is_empty());

    let mut answer = ask(&path, "/api/v1/events").await;
    assert!(line(&mut answer, "HTTP/1.1").await.contains("200"));
    assert!(
        line(&mut answer, "content-type")
            .await
            .contains("text/event-stream")
    );
    for _ in 0..3 {
        let data = line(&mut answer, "data: ").await;
        let told: Overview = serde_json::from_str(&data["data: ".len()..]).unwrap();
        assert_eq!(told, seen);
        assert_eq!(line(&mut answer, "").await, "\n", "an empty line ends an event");
    }
}

#[tokio::test]
async fn so_many_may_listen_and_who_goes_makes_room() {
    let folder = Folder::new("listeners");
    let path = folder.0.join("admin.sock");
    let (client, _stop) = serve(&path).await;
    let mut listeners = Vec::new();
    for _ in 0..ADMIN_LISTENERS {
        let mut answer = ask(&path, "/api/v1/events").await;
        line(&mut answer, "data: ").await;
        listeners.push(answer);
    }
    let said = said(client.get("/api/v1/events").await);
    assert!(said.contains("as many as may"), "{said}");
    client.get::<Overview>("/api/v1/overview").await.unwrap();
    listeners.pop();
    loop {
        let mut answer = ask(&path, "/api/v1/events").await;
        if line(&mut answer, "HTTP/1.1").await.contains("200") {
            break;
        }
    }
}

#[tokio::test]
async fn the_console_is_at_the_root_fenced_in() {
    let folder = Folder::new("console");
    let path = folder.0.join("admin.sock");
    let (client, _stop) = serve(&path).await;
    for (target, content_type) in [
        ("/", "text/html"),
        ("/assets/console.js", "text/javascript"),
        ("/assets/vendor/uplot/LICENSE", "text/plain"),
    ] {
        let mut answer = ask(&path, target).await;
        assert!(line(&mut answer, "HTTP/1.1").await.contains("200"), "{target}");
        assert!(line(&mut answer, "content-type").await.contains(content_type));
        let policy = line(&mut answer, "content-security-policy").await;
        assert!(policy.contains("default-src 'none'"), "{policy}");
    }
    let nothing = said(client.get("/assets/nothing.js").await);
    assert_eq!(nothing, "the console has no such part");
}
