//! The verbs that ask a running origin, or its state folder.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use relay_core::admin::{AdminClient, ClientError, DrainRequest, EdgeRow, StreamRow, TokenRequest, TokenRow};
use relay_core::config::{Config, ConfigError, Environment, Program};
use relay_core::exit::Exit;
use relay_core::stream::StreamKey;
use relay_core::token::TokenId;
use serde_json::Value;

use crate::access::Access;
use crate::edges;
use crate::greeting::Reach;
use crate::state::{PublishKey, StateError};

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum VerbError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The running origin.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no key yet.
    #[error("there is no publish key in {}: run relay-origin once, which makes one", .0.display())]
    NoKey(PathBuf),
    /// The console's port.
    #[error("cannot open {address} for the console: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// Signals, or chance.
    #[error("the system refuses: {0}")]
    System(std::io::Error),
    /// Standard output.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

impl VerbError {
    /// The exit code that says so.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(_) => Exit::Config,
            Self::Client(_) => Exit::Unavailable,
            Self::State(_) | Self::Output(_) => Exit::IoError,
            Self::NoKey(_) | Self::Listen { .. } => Exit::Unavailable,
            Self::System(_) => Exit::OsError,
        }
    }
}

/// Whoever answers for the running origin: the first of the sockets that is there, or else the first one, which will say why not.
pub(crate) fn client(config: &Config, environment: &Environment) -> AdminClient {
    let sockets = config.admin_sockets(Program::Origin, environment);
    let there = sockets
        .iter()
        .find(|path| path.exists())
        .or_else(|| sockets.first());
    AdminClient::new(
        Program::Origin.name(),
        there.map_or_else(|| "admin.sock".as_ref(), PathBuf::as_path),
    )
}

/// Prints a fresh join token.
///
/// # Errors
/// Why there is none.
pub async fn create_token(
    config: &Config,
    environment: &Environment,
    ttl: Duration,
    uses: u32,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let wish = TokenRequest {
        ttl_seconds: ttl.as_secs(),
        uses,
    };
    let made: Value = client(config, environment).post("/api/v1/tokens", &wish).await?;
    let token = made.get("token").and_then(Value::as_str).unwrap_or_default();
    Ok(writeln!(out, "{token}")?)
}

/// Prints the tokens, without their secrets.
///
/// # Errors
/// Why not.
pub async fn list_tokens(
    config: &Config,
    environment: &Environment,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let tokens: Vec<TokenRow> = client(config, environment).get("/api/v1/tokens").await?;
    writeln!(out, "{:<10} {:<8} {:>9}  EXPIRES", "ID", "STATE", "USES LEFT")?;
    for TokenRow {
        id,
        state,
        uses_left,
        expires,
    } in tokens
    {
        let expires = std::time::UNIX_EPOCH + Duration::from_secs(expires);
        writeln!(
            out,
            "{id:<10} {state:<8} {uses_left:>9}  {}",
            humantime::format_rfc3339_seconds(expires)
        )?;
    }
    Ok(())
}

/// Ends a token.
///
/// # Errors
/// Why not.
pub async fn revoke_token(
    config: &Config,
    environment: &Environment,
    id: &str,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    // What is no id is refused here, in the words of an origin that does not know it: it must not become another route.
    let unknown = |_| ClientError::Refused(format!("there is no token {id}"));
    let id: TokenId = id.parse().map_err(unknown)?;
    client(config, environment)
        .delete::<Value>(&format!("/api/v1/tokens/{id}"))
        .await?;
    Ok(writeln!(
        out,
        "token {id} is revoked; edges that joined with it stay"
    )?)
}

/// Prints the streams.
///
/// # Errors
/// Why not.
pub async fn streams(
    config: &Config,
    environment: &Environment,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let streams: Vec<StreamRow> = client(config, environment).get("/api/v1/streams").await?;
    if streams.is_empty() {
        return Ok(writeln!(
            out,
            "no stream is live; `relay-origin publish-url live/camera` says where to publish one"
        )?);
    }
    writeln!(
        out,
        "{:<32} {:<8} {:>8} {:>12}  LAST TAG",
        "STREAM", "STATE", "VIEWERS", "BYTES IN"
    )?;
    for row in streams {
        let state = if row.playable { "live" } else { "waiting" };
        let last = row
            .silent_seconds
            .map_or_else(|| "never".to_owned(), |silent| format!("{silent:.1} s ago"));
        writeln!(
            out,
            "{:<32} {state:<8} {:>8} {:>12}  {last}",
            row.stream, row.viewers, row.bytes
        )?;
        for warning in row.warnings {
            writeln!(out, "    {}: {}", warning.says, warning.hand)?;
        }
    }
    Ok(())
}

/// Prints the edges.
///
/// # Errors
/// Why not.
pub async fn edges(
    config: &Config,
    environment: &Environment,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let edges: Vec<EdgeRow> = client(config, environment).get("/api/v1/edges").await?;
    Ok(edges::print(&edges, out)?)
}

/// Lets an edge drain, or go on.
///
/// # Errors
/// Why not.
pub async fn drain_edge(
    config: &Config,
    environment: &Environment,
    id: &str,
    drain: bool,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let route = format!("/api/v1/edges/{}/drain", edge_id(id)?);
    let wish = DrainRequest { drain };
    let done: Value = client(config, environment).post(&route, &wish).await?;
    let id = done.get("id").and_then(Value::as_str).unwrap_or(id);
    let what = if drain {
        "takes nobody new; viewers who are there stay"
    } else {
        "takes viewers again"
    };
    Ok(writeln!(out, "edge {id} {what}")?)
}

/// Ends an edge's membership.
///
/// # Errors
/// Why not.
pub async fn revoke_edge(
    config: &Config,
    environment: &Environment,
    id: &str,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let route = format!("/api/v1/edges/{}", edge_id(id)?);
    let done: Value = client(config, environment).delete(&route).await?;
    let id = done.get("id").and_then(Value::as_str).unwrap_or(id);
    Ok(writeln!(
        out,
        "edge {id} is revoked: its links are closed, and it cannot come back under this id. If it holds a join token that is \
         still good, revoke that too"
    )?)
}

/// An id, or the beginning of one: what is neither must not become another route.
fn edge_id(text: &str) -> Result<&str, ClientError> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    good.then_some(text).ok_or_else(|| {
        ClientError::Refused(format!(
            "there is no edge {text}; `relay-origin edges` lists them"
        ))
    })
}

/// Prints the URL to publish a stream with.
///
/// # Errors
/// Why not.
pub fn publish_url(
    config: &Config,
    environment: &Environment,
    stream: &StreamKey,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let key = published_key(config.state_dirs(environment)?)?;
    let access = Access::new(config.origin.publish, key);
    let listen = config.rtmp.listen;
    let host = Reach::host(
        config.origin.public_host.as_ref().map(|host| host.as_str()),
        listen.addr(),
    );
    Ok(writeln!(
        out,
        "{}",
        access.publish_url(&host, listen.port(), stream)
    )?)
}

/// The key in the first folder that has one.
fn published_key(folders: Vec<PathBuf>) -> Result<PublishKey, VerbError> {
    for folder in &folders {
        if let Some(key) = PublishKey::peek(folder)? {
            return Ok(key);
        }
    }
    Err(VerbError::NoKey(folders.into_iter().next().unwrap_or_default()))
}
