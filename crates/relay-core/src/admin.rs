//! The admin API: what an operator sees and does, over a unix socket that only the owner can open.
//!
//! JSON over HTTP; who may open the socket may do all of it. The command line's verbs are its first client; the console,
//! a page at `/` that shows an [`Overview`] each second, is another.

mod client;
mod events;
mod health;
mod overview;
mod pages;
mod place;
mod routes;
#[cfg(test)]
mod tests;
mod warnings;
pub mod words;

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

pub use client::{AdminClient, ClientError};
pub use health::{Level, Sentence, health};
pub use overview::{AdmissionRow, Both, JoinRow, Overview, UplinkRow};
pub use routes::{Answer, Desk, DrainRequest, KickRequest, Refused, TokenRequest};
pub use warnings::WarningRow;

use events::Events;
use place::Place;

use crate::few::serve_few;
use crate::limits::ADMIN_CONNECTIONS;

/// One stream, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamRow {
    /// Its name.
    pub stream: String,
    /// Whether joiners get a picture at once.
    pub playable: bool,
    /// Its epoch, once one has begun.
    pub epoch: Option<u64>,
    /// Tags that came in.
    pub tags: u64,
    /// Payload bytes that came in.
    pub bytes: u64,
    /// Seconds since the newest tag.
    pub silent_seconds: Option<f64>,
    /// Viewers here.
    pub viewers: u64,
    /// What one viewer of it takes, in bits per second: the highest mean of five seconds in the last half minute.
    #[serde(default)]
    pub peak_bits: u64,
    /// Bytes of log memory.
    pub log_bytes: u64,
    /// What is wrong with what its encoder sends.
    #[serde(default)]
    pub warnings: Vec<WarningRow>,
}

/// One viewer, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewerRow {
    /// Its id, for a kick.
    pub id: u64,
    /// What it watches.
    pub stream: String,
    /// In which form.
    pub flavour: String,
    /// Where it comes from.
    pub peer: String,
    /// For how long, in seconds.
    pub age_seconds: f64,
    /// Bytes that it has yet to get.
    pub behind_bytes: u64,
    /// How often it skipped.
    pub skips: u32,
}

/// One edge, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeRow {
    /// Its instance, for `edge drain` and `edge revoke`.
    pub id: String,
    /// `joining`, `unreachable`, `serving`, `full`, `draining`, `presumed` or `lost`.
    pub state: String,
    /// Why, in a sentence.
    pub why: String,
    /// Whether it drains; of a lost one, whether it drained when it was heard last, and so has left on purpose.
    #[serde(default)]
    pub draining: bool,
    /// Its program version.
    pub version: String,
    /// The node that its media comes from, if that is not the origin.
    pub parent: Option<String>,
    /// Where viewers reach it.
    pub endpoints: Vec<EndpointRow>,
    /// What it can send, in bits per second.
    pub capacity: u64,
    /// What it has given away of that.
    pub committed: u64,
    /// What is left for more viewers.
    pub headroom: u64,
    /// Viewers there.
    pub viewers: u32,
    /// What it sends now, in bits per second.
    pub egress: u64,
    /// How far it is behind the origin, in milliseconds.
    pub lag_ms: Option<u64>,
    /// Since when it is known, in seconds.
    pub age_seconds: u64,
}

/// How much of an edge's id is shown: enough to name one of thousands, and little enough to type.
pub const SHORT_ID: usize = 8;

impl EdgeRow {
    /// The beginning of its id, as it is shown and typed.
    pub fn short_id(&self) -> &str {
        self.id.get(..SHORT_ID).unwrap_or(&self.id)
    }
}

/// One way to an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRow {
    /// Such as `http://192.0.2.7:8080`.
    pub url: String,
    /// What the origin's probe found, in words.
    pub health: String,
}

/// One join token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Its id, for a revocation.
    pub id: String,
    /// Whether it is good, and if not why.
    pub state: String,
    /// Uses that are left.
    pub uses_left: u32,
    /// When it ends, in Unix seconds.
    pub expires: u64,
}

/// The listening socket; the file goes when it does.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Opens the socket for its owner alone. A file that a killed process left behind is replaced; one on which somebody
    /// answers is not.
    ///
    /// # Errors
    /// `AddrInUse` if another process answers there, and what the system says.
    pub async fn bind(path: &Path) -> io::Result<Self> {
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is something else of that name",
                ));
            }
            if UnixStream::connect(Place::of(path)?.path()).await.is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another program answers there",
                ));
            }
            std::fs::remove_file(path)?;
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let listener = UnixListener::bind(Place::of(path)?.path())?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Serves until `stop`.
    pub async fn run(self, desk: Arc<dyn Desk>, stop: CancellationToken) {
        let events = Events::new(Arc::clone(&desk));
        let router = routes::router(desk)
            .merge(events::router(Arc::clone(&events)))
            .merge(pages::router());
        tokio::spawn(events::tell(Arc::downgrade(&events), stop.clone()));
        drop(events);
        serve_few(&self.listener, ADMIN_CONNECTIONS, &stop, |socket| {
            let service = TowerToHyperService::new(router.clone());
            async move {
                let mut http = hyper::server::conn::http1::Builder::new();
                let serving = http
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(socket), service);
                if let Err(error) = serving.await {
                    tracing::debug!(%error, "admin connection over");
                }
            }
        })
        .await;
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}
