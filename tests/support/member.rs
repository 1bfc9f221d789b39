//! A member of a pool that is made by hand, and says what it likes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use relay_core::cascade::control::{ControlDecoder, encode};
use relay_core::cascade::message::{Hello, LinkRole, PROTOCOL};
use relay_core::cascade::{Instance, LinkCode, Message};
use relay_core::clock::{Clock, Now};
use relay_core::tls::{
    Credentials, EdgeRequest, LEAF_LIFE, NodeKey, ORIGIN_NAME, PoolCa, PoolRoot, link_client,
};

use crate::cluster::Origin;
use crate::wait::within;

/// The origin's own authority, from its state folder: whoever reads that is no rogue, but in a story has to make one.
///
/// # Errors
/// When it is not there.
pub fn pool_ca(origin: &Origin) -> Result<PoolCa> {
    for entry in std::fs::read_dir(origin.state_dir())? {
        let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        if let Ok(ca) = PoolCa::from_pem(&text) {
            return Ok(ca);
        }
    }
    bail!("there is no authority in {}", origin.state_dir().display())
}

/// A leaf that `ca` signed at a moment, and its key.
///
/// # Errors
/// When it cannot be made.
pub fn credentials(ca: &PoolCa, life: Duration, signed: Now) -> Result<Arc<Credentials>> {
    let key = NodeKey::generate()?;
    let request = EdgeRequest::from_der(&key.request()?)?;
    let leaf = ca.sign_edge(&request, key.instance(), life, signed)?;
    Ok(Credentials::new(&key, leaf.chain)?)
}

/// Dials the link port of an origin.
///
/// # Errors
/// When no handshake comes about.
pub async fn dial(origin: &Origin, config: rustls::ClientConfig) -> Result<Connection> {
    let endpoint = Endpoint::client("127.0.0.1:0".parse()?)?;
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(config)?));
    let address = ([127, 0, 0, 1], origin.ports().link).into();
    let connecting = endpoint.connect_with(config, address, ORIGIN_NAME)?;
    Ok(within("the handshake", connecting).await??)
}

/// A member with a good certificate.
pub struct Member {
    /// What it shows.
    pub credentials: Arc<Credentials>,
    /// Whom it believes.
    pub root: PoolRoot,
}

impl Member {
    /// One of the pool of `origin`.
    ///
    /// # Errors
    /// When no certificate can be made.
    pub fn of(origin: &Origin) -> Result<Self> {
        let ca = pool_ca(origin)?;
        Ok(Self {
            credentials: credentials(&ca, LEAF_LIFE, Clock::start().now())?,
            root: PoolRoot::new(ca.certificate().clone())?,
        })
    }

    /// Its name.
    pub fn instance(&self) -> Instance {
        self.credentials.peer().instance.into()
    }

    /// A hello as an honest one says it.
    pub fn hello(&self, role: LinkRole) -> Hello {
        Hello {
            protocol: PROTOCOL,
            instance: self.instance(),
            version: "by hand".to_owned(),
            role,
            positions: Vec::new(),
            floors: Vec::new(),
            held_parts: 0,
            public: Vec::new(),
            capacity: None,
        }
    }

    /// A link to the origin on which nothing has been said.
    ///
    /// # Errors
    /// When it does not come about.
    pub async fn link(&self, origin: &Origin) -> Result<Talk> {
        let config = link_client(Arc::clone(&self.credentials), &self.root)?;
        let connection = dial(origin, config).await?;
        let (send, receive) = connection.open_bi().await?;
        Ok(Talk::new(connection, send, receive))
    }
}

/// A link, and its control stream.
pub struct Talk {
    /// The link.
    pub connection: Connection,
    send: SendStream,
    receive: RecvStream,
    decoder: ControlDecoder,
}

impl Talk {
    /// Over a control stream that is open.
    pub fn new(connection: Connection, send: SendStream, receive: RecvStream) -> Self {
        Self {
            connection,
            send,
            receive,
            decoder: ControlDecoder::default(),
        }
    }

    /// Says a message as it should be said; false if the link is closed.
    ///
    /// # Errors
    /// When the message is over a limit of its own.
    pub async fn say(&mut self, message: &Message) -> Result<bool> {
        let bytes = encode(message)?;
        Ok(self.send.write_all(&bytes).await.is_ok())
    }

    /// Says any text as a message; false if the link is closed.
    pub async fn say_text(&mut self, text: &str) -> bool {
        // A text of a story is not four gigabytes long.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        let bytes = [&length[..], text.as_bytes()].concat();
        self.say_bytes(&bytes).await
    }

    /// Writes any bytes; false if the link is closed.
    pub async fn say_bytes(&mut self, bytes: &[u8]) -> bool {
        self.send.write_all(bytes).await.is_ok()
    }

    /// The next message.
    ///
    /// # Errors
    /// When the link ends instead.
    pub async fn hears(&mut self) -> Result<Message> {
        within("a message", async {
            loop {
                if let Some(message) = self.decoder.poll()? {
                    return Ok(message);
                }
                let chunk = self.receive.read_chunk(64 << 10, true).await?;
                self.decoder
                    .push(&chunk.context("the control stream ended")?.bytes);
            }
        })
        .await?
    }

    /// Why the link was closed by the other end.
    ///
    /// # Errors
    /// When it is not, or without a reason.
    pub async fn refusal(&self) -> Result<LinkCode> {
        match within("the link to be closed", self.connection.closed()).await? {
            ConnectionError::ApplicationClosed(closed) => {
                LinkCode::from_number(closed.error_code.into_inner()).context("a reason that is none")
            }
            other => bail!("it ended without a reason: {other}"),
        }
    }
}
