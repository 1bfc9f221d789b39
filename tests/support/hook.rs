//! The operator's service that is asked about publishers, as somebody else would write it from the document: it checks signatures by
//! its own means.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use bytes::BytesMut;
use ring::hmac;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::story::lock;
use crate::wait::until;

/// A signature may be so old.
const FRESH: Duration = Duration::from_secs(60);

/// How the service answers.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Such as 204.
    pub status: u16,
    /// The body.
    pub says: &'static str,
    /// How long it thinks.
    pub thinks: Duration,
}

impl Manner {
    /// Yes, at once.
    pub const YES: Self = Self {
        status: 204,
        says: "",
        thinks: Duration::ZERO,
    };
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The path that was asked for.
    pub path: String,
    /// What it said.
    pub body: Value,
}

/// The service, on a port of the loopback address.
pub struct Service {
    port: u16,
    secret: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    manner: Mutex<Manner>,
    heard: Mutex<Vec<Heard>>,
    /// What was wrong with requests.
    faults: Mutex<Vec<String>>,
}

impl Service {
    /// Opens its port; it says yes until it is told otherwise.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn open(secret: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::YES),
            heard: Mutex::default(),
            faults: Mutex::default(),
        });
        let (secret, told) = (secret.to_owned(), Arc::clone(&shared));
        let key = secret.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (shared, secret) = (Arc::clone(&told), key.clone());
                tokio::spawn(async move {
                    if let Err(error) = shared.answer(socket, &secret).await {
                        lock(&shared.faults).push(format!("{error:#}"));
                    }
                });
            }
        });
        Ok(Self {
            port,
            secret,
            shared,
            task,
        })
    }

    /// The tables of an origin that asks and tells it, with further keys of `[hooks]`.
    pub fn tables(&self, keys: &str) -> String {
        let (port, secret) = (self.port, &self.secret);
        format!(
            "[hooks]\non_publish = \"http://127.0.0.1:{port}/in\"\non_unpublish = \"http://127.0.0.1:{port}/out\"\n\
             secret = \"{secret}\"\n{keys}\n"
        )
    }

    /// Answers so from now on.
    pub fn behave(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
    }

    /// What came so far.
    ///
    /// # Errors
    /// When a request was not as the document has it.
    pub fn heard(&self) -> Result<Vec<Heard>> {
        let faults = lock(&self.shared.faults).clone();
        ensure!(faults.is_empty(), "{}", faults.join("\n"));
        Ok(lock(&self.shared.heard).clone())
    }

    /// Waits until it heard of so many ends, and gives them.
    ///
    /// # Errors
    /// When it does not within the limit, or a request was wrong.
    pub async fn hears_ends(&self, count: usize) -> Result<Vec<Heard>> {
        until(format!("{count} ends to be told"), async || {
            let heard = match self.heard() {
                Ok(heard) => heard,
                Err(error) => return Some(Err(error)),
            };
            let ends: Vec<Heard> = heard.into_iter().filter(|heard| heard.path == "/out").collect();
            (ends.len() >= count).then_some(Ok(ends))
        })
        .await?
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn answer(&self, mut socket: TcpStream, secret: &str) -> Result<()> {
        let mut bytes = BytesMut::new();
        let (head, body) = loop {
            ensure!(
                socket.read_buf(&mut bytes).await? > 0,
                "closed within the request"
            );
            let text = String::from_utf8(bytes.to_vec())?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = header(head, "content-length")
                .context("a length")?
                .parse::<usize>()?;
            if body.len() == length {
                break (head.to_owned(), body.to_owned());
            }
        };
        let path = head.split(' ').nth(1).context("a path")?.to_owned();
        ensure!(head.starts_with("POST "), "{head}");
        check(
            header(&head, "relay-signature").context("a signature")?,
            secret,
            &body,
        )?;
        let body: Value = serde_json::from_str(&body)?;
        // Each end is taken at once, whatever is thought about beginnings.
        let manner = match &*path {
            "/in" => lock(&self.manner).clone(),
            _ => Manner::YES,
        };
        lock(&self.heard).push(Heard { path, body });
        tokio::time::sleep(manner.thinks).await;
        let Manner { status, says, .. } = manner;
        let answer = format!(
            "HTTP/1.1 {status} So\r\nContent-Length: {}\r\n\r\n{says}",
            says.len()
        );
        // Who asked may have left.
        let _ = socket.write_all(answer.as_bytes()).await;
        Ok(())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim())
}

/// As docs/operating.md says it is to be checked.
fn check(signature: &str, secret: &str, body: &str) -> Result<()> {
    let (time, mac) = signature
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
        .with_context(|| format!("a signature {signature:?}"))?;
    let signed_at = UNIX_EPOCH + Duration::from_secs(time.parse()?);
    let age = SystemTime::now().duration_since(signed_at).unwrap_or_default();
    ensure!(age < FRESH, "a signature of {age:?} ago");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let expected = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    let expected: String = expected
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(mac == expected, "a signature that is not ours");
    Ok(())
}
