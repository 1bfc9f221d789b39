//! Dialling a node: fresh name resolution each time, every address of a name given a chance.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::token::Address;

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// How long one address is tried alone before the next is tried beside it: a dead family costs this much.
const HEAD_START: Duration = Duration::from_millis(250);

/// Why nobody was reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("cannot find {address}: {reason}")]
    Resolve {
        /// Which.
        address: Address,
        /// What the resolver said.
        reason: String,
    },
    /// Nothing came back.
    #[error("no answer over UDP from {address}: is UDP port {} open?", .address.port())]
    NoAnswer {
        /// Who was called.
        address: Address,
    },
    /// Someone answered, and the handshake failed.
    #[error("{address} answered, but the handshake failed: {reason}")]
    Handshake {
        /// Who was called.
        address: Address,
        /// Why it failed.
        reason: ConnectionError,
    },
    /// This machine could not even try.
    #[error("cannot dial {address}: {reason}")]
    Local {
        /// Who was to be called.
        address: Address,
        /// Why not.
        reason: String,
    },
}

/// Dials `address` and insists on meeting `name` (see `tls::NodeName`), within `limit` in all. The first address to
/// complete a handshake wins.
///
/// # Errors
/// Why none did; a handshake that failed says more than silence, so it is the one told.
pub async fn dial(
    endpoint: &Endpoint,
    config: &ClientConfig,
    address: &Address,
    name: &str,
    limit: Duration,
) -> Result<Connection, DialError> {
    let silence = || DialError::NoAnswer {
        address: address.clone(),
    };
    let mut told = None;
    let race = async {
        let found = resolve(address).await?;
        race(endpoint, config, address, name, found, &mut told).await
    };
    match timeout(limit, race).await {
        Ok(done) => done,
        Err(_) => Err(told.unwrap_or_else(silence)),
    }
}

async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, DialError> {
    let failed = |reason: String| DialError::Resolve {
        address: address.clone(),
        reason,
    };
    let found = tokio::net::lookup_host((address.host(), address.port()))
        .await
        .map_err(|e| failed(e.to_string()))?;
    let found: Vec<_> = found.take(MAX_ADDRESSES).collect();
    if found.is_empty() {
        return Err(failed("the name has no address".to_owned()));
    }
    Ok(found)
}

async fn race(
    endpoint: &Endpoint,
    config: &ClientConfig,
    address: &Address,
    name: &str,
    found: Vec<SocketAddr>,
    told: &mut Option<DialError>,
) -> Result<Connection, DialError> {
    let mut waiting = found.into_iter();
    let mut attempts = JoinSet::new();
    let mut next_at = Instant::now();
    loop {
        if attempts.is_empty() && waiting.len() == 0 {
            return Err(told.take().unwrap_or_else(|| DialError::NoAnswer {
                address: address.clone(),
            }));
        }
        tokio::select! {
            biased;
            Some(done) = attempts.join_next() => match done {
                Ok(Ok(connection)) => return Ok(connection),
                // Its place is taken at once.
                Ok(Err(reason)) => {
                    next_at = Instant::now();
                    note(told, address, reason);
                }
                Err(panic) => *told = Some(local(address, panic.to_string())),
            },
            () = sleep_until(next_at), if waiting.len() > 0 => {
                next_at += HEAD_START;
                if let Some(remote) = waiting.next() {
                    match endpoint.connect_with(config.clone(), remote, name) {
                        Ok(connecting) => {
                            attempts.spawn(connecting.into_future());
                        }
                        Err(error) => {
                            told.get_or_insert_with(|| local(address, error.to_string()));
                            next_at = Instant::now();
                        }
                    }
                }
            }
        }
    }
}

fn local(address: &Address, reason: String) -> DialError {
    DialError::Local {
        address: address.clone(),
        reason,
    }
}

/// Keeps what says most: an answer over anything else.
fn note(told: &mut Option<DialError>, address: &Address, reason: ConnectionError) {
    let address = address.clone();
    *told = Some(match reason {
        ConnectionError::TimedOut if matches!(told, Some(DialError::Handshake { .. })) => return,
        ConnectionError::TimedOut => DialError::NoAnswer { address },
        reason => DialError::Handshake { address, reason },
    });
}
