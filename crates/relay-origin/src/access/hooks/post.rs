//! One HTTP POST to a service: a connection of its own, over TLS if the URL says so, with an end in sight.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use relay_core::config::HookUrl;
use relay_core::tls::SettingsError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::signature;
use crate::trust::{Trust, Unusable};

/// Addresses of a name that are tried; they share the time of an attempt.
const MAX_ADDRESSES: usize = 4;

/// The most that is read of an answer's body: a sentence for the encoder.
const MAX_BODY: usize = 4 << 10;

/// The longest head of an answer.
const MAX_HEAD: usize = 16 << 10;

/// Who asks, for the service's logs.
const AGENT: &str = concat!("relay-origin/", env!("CARGO_PKG_VERSION"));

/// Why no service can be asked over TLS.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of certificates cannot be read.
    #[error("cannot read the certificates of [hooks] ca in {}: {reason}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The machine trusts nobody.
    #[error(
        "this machine has no certificates to know an https service by: install ca-certificates, or set ca in [hooks]"
    )]
    Nobody,
    /// rustls refuses its settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Why an attempt got no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// Its name leads nowhere.
    #[error("its name cannot be resolved: {0}")]
    Resolve(io::Error),
    /// Nobody answers there.
    #[error("it cannot be reached: {0}")]
    Connect(io::Error),
    /// No TLS, or not with a certificate that is believed.
    #[error("TLS fails: {0}")]
    Tls(io::Error),
    /// No HTTP.
    #[error("it does not speak HTTP as it should: {0}")]
    Http(#[from] hyper::Error),
    /// The request cannot be written.
    #[error("the request cannot be written: {0}")]
    Request(#[from] hyper::http::Error),
    /// Its time was over.
    #[error("it took too long")]
    TooSlow,
    /// An answer that is neither yes nor no.
    #[error("it answers {0}")]
    NoAnswer(StatusCode),
    /// As many are asked as may be.
    #[error("too many publishers wait for an answer")]
    Crowded,
}

impl PostError {
    /// Whether the service may have heard the request all the same.
    pub const fn may_be_heard(&self) -> bool {
        matches!(self, Self::Http(_) | Self::TooSlow | Self::NoAnswer(_))
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Reply {
    /// Such as 204.
    pub status: StatusCode,
    /// The body, as far as it is a text.
    pub body: String,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The JSON.
    pub body: Bytes,
    /// The header that shows that it is ours.
    pub signature: String,
}

/// Sends requests.
pub struct Poster {
    trust: Option<Trust>,
    patience: Duration,
}

impl Poster {
    /// Gives each attempt so much time. `https` says whether any service is asked over TLS: then it is known by the certificates
    /// in the file `ca`, or by those that this machine trusts.
    ///
    /// # Errors
    /// There are none.
    pub fn new(patience: Duration, https: bool, ca: Option<&Path>) -> Result<Self, TrustError> {
        let trust = https.then(|| trust(ca)).transpose()?;
        Ok(Self { trust, patience })
    }

    /// Makes one attempt.
    ///
    /// # Errors
    /// Why it got no answer.
    pub async fn post(&self, url: &HookUrl, signed: Signed) -> Result<Reply, PostError> {
        let attempt = tokio::time::timeout(self.patience, self.attempt(url, signed));
        attempt.await.map_err(|_| PostError::TooSlow)?
    }

    async fn attempt(&self, url: &HookUrl, signed: Signed) -> Result<Reply, PostError> {
        let socket = self.dial(url).await?;
        let Some(trust) = self.trust.as_ref().filter(|_| url.is_https()) else {
            return exchange(socket, url, signed).await;
        };
        let secured = trust.secure(url.host(), socket).await;
        exchange(secured.map_err(PostError::Tls)?, url, signed).await
    }

    async fn dial(&self, url: &HookUrl) -> Result<TcpStream, PostError> {
        let found = tokio::net::lookup_host((url.host(), url.port())).await;
        let addresses: Vec<SocketAddr> = found.map_err(PostError::Resolve)?.take(MAX_ADDRESSES).collect();
        // One that swallows packets leaves time for the others.
        let each = self.patience / u32::try_from(addresses.len()).unwrap_or(1).max(1);
        let mut failed = PostError::Resolve(io::ErrorKind::NotFound.into());
        for address in addresses {
            failed = match tokio::time::timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => PostError::Connect(error),
                Err(_) => PostError::Connect(io::ErrorKind::TimedOut.into()),
            };
        }
        Err(failed)
    }
}

async fn exchange<S>(socket: S, url: &HookUrl, signed: Signed) -> Result<Reply, PostError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = Request::post(url.path())
        .header(HOST, url.authority())
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "close")
        .header(HeaderName::from_static(signature::HEADER), signed.signature)
        .body(Full::new(signed.body))?;
    let mut http = http1::Builder::new();
    let (mut sender, connection) = http
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(socket))
        .await?;
    let _driving = AbortOnDropHandle::new(tokio::spawn(connection));
    let response: Response<_> = sender.send_request(request).await?;
    let status = response.status();
    // A body that is too long, or breaks off, changes nothing about the answer.
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(Reply {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// Whom an https service is known by.
fn trust(ca: Option<&Path>) -> Result<Trust, TrustError> {
    let Some(file) = ca else {
        let machine = Trust::of_machine().map_err(SettingsError::Tls)?;
        return if machine.is_empty() {
            Err(TrustError::Nobody)
        } else {
            Ok(machine)
        };
    };
    Trust::of_file(file).map_err(|unusable| match unusable {
        Unusable::File(reason) => TrustError::File {
            file: file.to_owned(),
            reason,
        },
        Unusable::Settings(error) => SettingsError::Tls(error).into(),
    })
}
