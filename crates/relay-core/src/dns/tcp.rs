//! Queries over connections: for answers that do not fit, and for who is over the limit by UDP (RFC 7766).

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limit::network;
use super::metrics::Dropped;
use super::reply::Transport;
use super::server::{Desk, Random};

/// Connections at once, out of the descriptors that are kept from viewers. At a few round trips each, some 500 resolvers a
/// second.
const CONNECTIONS: usize = 128;

/// Connections of one network at once, so that one host cannot shut out the others.
pub(super) const CONNECTIONS_OF_NETWORK: usize = 16;

/// How long the next query may take to arrive in whole; resolvers that keep a connection open for more come back.
const QUERY_TIME: Duration = Duration::from_secs(5);

/// How long a connection may last in all, and how many queries it may bring: nobody needs more of one small zone.
const CONNECTION_TIME: Duration = Duration::from_secs(30);
const QUERIES: u32 = 100;

/// The largest query that is read: a name, and EDNS with all that a resolver may put there.
const QUERY_BYTES: usize = 4096;

/// How long to pause when the process or the machine has no descriptor left; a busy loop would eat the core (B15).
const PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `stop`.
pub(super) async fn run(listener: TcpListener, desk: Arc<Desk>, mut random: Random, stop: CancellationToken) {
    let places = Arc::new(Places::default());
    let tasks = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((socket, peer)) = accepted else {
            stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            continue;
        };
        let place = match places.take(peer) {
            Ok(place) => place,
            Err(reason) => {
                desk.metrics.dropped(reason);
                continue;
            }
        };
        let (desk, stop) = (Arc::clone(&desk), stop.clone());
        random.next();
        let random = random.another();
        tasks.spawn(async move {
            stop.run_until_cancelled(serve(socket, &desk, random)).await;
            drop(place);
        });
    }
    tasks.close();
    tasks.wait().await;
}

async fn serve(socket: TcpStream, desk: &Desk, random: Random) {
    let served = tokio::time::timeout(CONNECTION_TIME, converse(socket, desk, random)).await;
    if !matches!(served, Ok(Ok(()))) {
        desk.metrics.dropped(Dropped::BadConnection);
    }
}

/// Answers one query after the other until the client has no more.
async fn converse(mut socket: TcpStream, desk: &Desk, mut random: Random) -> io::Result<()> {
    socket.set_nodelay(true)?;
    for _ in 0..QUERIES {
        let query = tokio::time::timeout(QUERY_TIME, read_query(&mut socket)).await??;
        let Some(query) = query else { return Ok(()) };
        desk.metrics.came(Transport::Tcp, query.len());
        let Some(reply) = desk.reply(&query, Transport::Tcp, false, &mut random) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        socket.write_all(&framed(&reply)).await?;
    }
    Ok(())
}

/// Reads a query behind its length (RFC 1035, 4.2.2); none where the client is done.
async fn read_query(socket: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    match socket.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let length = usize::from(u16::from_be_bytes(length));
    if length > QUERY_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut query = vec![0; length];
    socket.read_exact(&mut query).await?;
    Ok(Some(query))
}

/// The length and the reply, in one piece. A reply is far shorter than what its length can say.
fn framed(reply: &[u8]) -> Vec<u8> {
    let length = u16::try_from(reply.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), reply].concat()
}

/// How many connections there are, in all and per network.
#[derive(Debug, Default)]
struct Places(Mutex<HashMap<(u8, u64), usize>>);

impl Places {
    fn take(self: &Arc<Self>, peer: SocketAddr) -> Result<Place, Dropped> {
        let network = network(peer.ip());
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= CONNECTIONS {
            return Err(Dropped::Full);
        }
        let own = taken.entry(network).or_default();
        if *own >= CONNECTIONS_OF_NETWORK {
            return Err(Dropped::NetworkFull);
        }
        *own += 1;
        Ok(Place {
            places: Arc::clone(self),
            network,
        })
    }
}

/// One connection's place.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    network: (u8, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.network) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn peer(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse::<IpAddr>().unwrap(), 1024)
    }

    #[test]
    fn one_network_cannot_shut_out_the_others() {
        let places = Arc::new(Places::default());
        let of_one: Vec<_> = (0..CONNECTIONS_OF_NETWORK)
            .map(|_| places.take(peer("192.0.2.1")).unwrap())
            .collect();
        assert_eq!(places.take(peer("192.0.2.9")).err(), Some(Dropped::NetworkFull));
        let mut others: Vec<_> = (0..CONNECTIONS - CONNECTIONS_OF_NETWORK)
            .map(|n| places.take(peer(&format!("198.51.{n}.1"))).unwrap())
            .collect();
        assert_eq!(places.take(peer("203.0.113.1")).err(), Some(Dropped::Full));
        others.pop();
        assert!(places.take(peer("203.0.113.1")).is_ok());
        drop((of_one, others));
        assert!(places.0.lock().unwrap().is_empty(), "what is gone leaves nothing");
    }
}
