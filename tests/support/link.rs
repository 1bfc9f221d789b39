//! The path between two nodes: a UDP relay that a story can cut, slow down, make lossy, or shut.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::random::Random;
use crate::story::lock;

/// The largest datagram that UDP has.
const MAX_DATAGRAM: usize = 65_535;

/// The length of the connection ids that quinn chooses.
const CONNECTION_ID: usize = 8;

/// What happens to packets on their way.
#[derive(Debug)]
struct Weather {
    cut: bool,
    delay: Duration,
    loss_percent: usize,
    random: Random,
    /// Connections seen so far towards the parent, by their ids.
    known: HashSet<[u8; CONNECTION_ID]>,
    /// Those of them that never pass again.
    dead: HashSet<[u8; CONNECTION_ID]>,
    passed: u64,
}

/// A UDP path from whoever dials [`Link::address`] to one parent.
pub struct Link {
    address: SocketAddr,
    parent: SocketAddr,
    weather: Arc<Mutex<Weather>>,
    carrier: Option<Carrier>,
}

/// The open socket and everyone it carries for.
struct Carrier {
    task: JoinHandle<()>,
    backs: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Link {
    /// Opens a path to `parent`, a port of the loopback address; `seed` decides which packets a loss takes.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub async fn open(port: u16, parent: u16, seed: u64) -> Result<Self> {
        let weather = Weather {
            cut: false,
            delay: Duration::ZERO,
            loss_percent: 0,
            random: Random::seeded(seed),
            known: HashSet::new(),
            dead: HashSet::new(),
            passed: 0,
        };
        let mut link = Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            parent: (Ipv4Addr::LOCALHOST, parent).into(),
            weather: Arc::new(Mutex::new(weather)),
            carrier: None,
        };
        link.reopen().await?;
        Ok(link)
    }

    /// Where to dial.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many packets went through, both ways.
    pub fn passed(&self) -> u64 {
        lock(&self.weather).passed
    }

    /// From now on every packet is lost without a word, as when a cable is cut.
    pub fn cut(&self) {
        lock(&self.weather).cut = true;
    }

    /// Undoes the cut, the loss and the delay.
    pub fn heal(&self) {
        let mut weather = lock(&self.weather);
        weather.cut = false;
        weather.loss_percent = 0;
        weather.delay = Duration::ZERO;
    }

    /// Each packet takes so much longer, each way.
    pub fn delay(&self, delay: Duration) {
        lock(&self.weather).delay = delay;
    }

    /// So many of a hundred packets are lost, each way.
    pub fn lose(&self, percent: usize) {
        lock(&self.weather).loss_percent = percent;
    }

    /// Shuts the socket, and with it every connection that went over it: after [`Self::reopen`] only new ones pass, as
    /// behind a firewall that was started anew.
    pub async fn shut(&mut self) {
        lock(&self.weather).condemn();
        if let Some(carrier) = self.carrier.take() {
            carrier.close().await;
        }
    }

    /// Opens the socket again on the same port.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn reopen(&mut self) -> Result<()> {
        let front = UdpSocket::bind(self.address).await;
        let front = Arc::new(front.with_context(|| format!("opening UDP {}", self.address))?);
        let backs = Arc::default();
        let carry = carry(front, self.parent, Arc::clone(&self.weather), Arc::clone(&backs));
        self.carrier = Some(Carrier {
            task: tokio::spawn(carry),
            backs,
        });
        Ok(())
    }
}

impl Carrier {
    /// Ends all tasks and waits until they have let go of the sockets.
    async fn close(mut self) {
        self.abort();
        let backs = std::mem::take(&mut *lock(&self.backs));
        // Each ends by the abort: there is nothing else in the results.
        let _ = (&mut self.task).await;
        for back in backs {
            let _ = back.await;
        }
    }

    fn abort(&self) {
        self.task.abort();
        lock(&self.backs).iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.abort();
    }
}

async fn carry(
    front: Arc<UdpSocket>,
    parent: SocketAddr,
    weather: Arc<Mutex<Weather>>,
    backs: Arc<Mutex<Vec<JoinHandle<()>>>>,
) {
    let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut packet = vec![0; MAX_DATAGRAM];
    // An error here is the echo of an ICMP message about a child that is gone.
    loop {
        let Ok((length, child)) = front.recv_from(&mut packet).await else {
            continue;
        };
        let packet = &packet[..length];
        let Some(delay) = lock(&weather).passes_up(packet) else {
            continue;
        };
        let way = match ways.get(&child) {
            Some(way) => Arc::clone(way),
            None => {
                let Ok(way) = open_way(parent).await else { continue };
                let back = carry_back(Arc::clone(&way), Arc::clone(&front), child, Arc::clone(&weather));
                lock(&backs).push(tokio::spawn(back));
                ways.insert(child, Arc::clone(&way));
                way
            }
        };
        send(&way, parent, packet, delay).await;
    }
}

async fn open_way(parent: SocketAddr) -> std::io::Result<Arc<UdpSocket>> {
    let way = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    way.connect(parent).await?;
    Ok(Arc::new(way))
}

async fn carry_back(
    way: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    child: SocketAddr,
    weather: Arc<Mutex<Weather>>,
) {
    let mut packet = vec![0; MAX_DATAGRAM];
    loop {
        // An error is the echo of an ICMP message: the parent is not there, and may be again later.
        let Ok(length) = way.recv(&mut packet).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let delay = lock(&weather).passes();
        if let Some(delay) = delay {
            send(&front, child, &packet[..length], delay).await;
        }
    }
}

/// Sends at once, or after the delay; what cannot be sent is lost, as is a packet's right.
async fn send(socket: &Arc<UdpSocket>, to: SocketAddr, packet: &[u8], delay: Duration) {
    if delay.is_zero() {
        let _ = send_now(socket, to, packet).await;
        return;
    }
    let (socket, packet) = (Arc::clone(socket), packet.to_vec());
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        let _ = send_now(&socket, to, &packet).await;
    });
}

/// The way's socket is connected, the front's is not.
async fn send_now(socket: &UdpSocket, to: SocketAddr, packet: &[u8]) -> std::io::Result<usize> {
    match socket.peer_addr() {
        Ok(_) => socket.send(packet).await,
        Err(_) => socket.send_to(packet, to).await,
    }
}

impl Weather {
    /// Whether a packet towards the parent passes, and how long it takes.
    fn passes_up(&mut self, packet: &[u8]) -> Option<Duration> {
        let id = connection_id(packet)?;
        if self.dead.contains(&id) {
            return None;
        }
        self.known.insert(id);
        self.passes()
    }

    /// Every connection seen so far is dead from now on.
    fn condemn(&mut self) {
        self.dead.extend(self.known.drain());
    }

    fn passes(&mut self) -> Option<Duration> {
        if self.cut || self.random.below(100) < self.loss_percent {
            return None;
        }
        self.passed += 1;
        Some(self.delay)
    }
}

/// The id of the connection that a QUIC packet belongs to: after the first byte of a short header, after the version
/// and its length in a long one.
fn connection_id(packet: &[u8]) -> Option<[u8; CONNECTION_ID]> {
    let long = packet.first()? & 0x80 != 0;
    let start = if long { 6 } else { 1 };
    packet.get(start..start + CONNECTION_ID)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::free_port;

    async fn echo(parent: &UdpSocket, text: &[u8; 16]) -> bool {
        let mut buffer = [0; 64];
        let received = tokio::time::timeout(Duration::from_millis(300), parent.recv_from(&mut buffer)).await;
        matches!(received, Ok(Ok((length, _))) if &buffer[..length] == text)
    }

    #[tokio::test]
    async fn carries_cuts_and_forgets_connections() {
        let parent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut link = Link::open(free_port(), parent.local_addr().unwrap().port(), 1)
            .await
            .unwrap();
        let child = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        child.connect(link.address()).await.unwrap();

        child.send(b"\x40connect.content").await.unwrap();
        assert!(echo(&parent, b"\x40connect.content").await);
        link.cut();
        child.send(b"\x40connect.content").await.unwrap();
        assert!(!echo(&parent, b"\x40connect.content").await);
        link.heal();
        child.send(b"\x40connect.content").await.unwrap();
        assert!(echo(&parent, b"\x40connect.content").await);

        link.shut().await;
        link.reopen().await.unwrap();
        let _ = child.send(b"\x40connect.content").await;
        assert!(!echo(&parent, b"\x40connect.content").await);
        child.send(b"\x40another.content").await.unwrap();
        assert!(echo(&parent, b"\x40another.content").await);
    }
}
