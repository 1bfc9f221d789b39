//! Dialling a server: its name is looked up, each address is judged, and those that may be dialled are, as they are.
//!
//! No name is looked up a second time between the judgement and the connection, so that a name whose address changes in that
//! moment leads nowhere else.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::fault::Fault;
use super::guard::Guard;

/// How long a connection may take to come about, the look-up of the name and all addresses included.
const CONNECT_TIME: Duration = Duration::from_secs(4);

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// How long one address is tried alone before the next is tried beside it: a dead family costs this much.
const HEAD_START: Duration = Duration::from_millis(250);

/// The addresses of a name.
pub(super) type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Whoever knows names' addresses.
pub(super) trait Resolve: Send + Sync {
    /// Looks a name up, afresh.
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a>;
}

/// The machine's own resolver.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// The ports at which this origin serves streams itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnPorts {
    /// For HTTP viewers.
    pub http: u16,
    /// For RTMP.
    pub rtmp: u16,
}

/// Dials servers, under a guard.
pub(super) struct Dialler {
    guard: Guard,
    resolver: Box<dyn Resolve>,
    own: OwnPorts,
}

impl Dialler {
    /// Dials what `guard` lets through, and never this origin at `own`.
    pub(super) fn new(guard: Guard, resolver: Box<dyn Resolve>, own: OwnPorts) -> Self {
        Self { guard, resolver, own }
    }

    /// Connects to a host, a name or an address without brackets.
    ///
    /// # Errors
    /// Why nobody was reached.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Fault> {
        let connecting = async {
            let found = self.resolver.look_up(host, port).await.map_err(Fault::NoName)?;
            race(self.judge(found)?).await
        };
        let socket = timeout(CONNECT_TIME, connecting)
            .await
            .unwrap_or_else(|_| Err(Fault::NoConnection(io::ErrorKind::TimedOut.into())))?;
        match self.is_own(&socket) {
            true => Err(Fault::Itself),
            false => Ok(socket),
        }
    }

    /// Keeps the addresses that may be dialled; where none may, the first says why.
    fn judge(&self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Fault> {
        let mut refused = None;
        let mut good = Vec::new();
        for address in found.into_iter().take(MAX_ADDRESSES) {
            match self.guard.check(address.ip()) {
                Ok(()) => good.push(address),
                Err(forbidden) => refused = refused.or(Some(forbidden)),
            }
        }
        match (good.is_empty(), refused) {
            (false, _) => Ok(good),
            (true, Some(forbidden)) => Err(forbidden.into()),
            (true, None) => Err(Fault::NoName(io::Error::other("it has no address"))),
        }
    }

    /// Whether the other end is this origin. A stream pulled from itself would go round for ever once its publisher is gone.
    fn is_own(&self, socket: &TcpStream) -> bool {
        let (Ok(peer), Ok(local)) = (socket.peer_addr(), socket.local_addr()) else {
            return false;
        };
        let here = peer.ip().to_canonical().is_loopback() || peer.ip() == local.ip();
        here && [self.own.http, self.own.rtmp].contains(&peer.port())
    }
}

/// The first address to take the connection wins. There is at least one.
async fn race(addresses: Vec<SocketAddr>) -> Result<TcpStream, Fault> {
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut next_at = Instant::now();
    let mut told = io::Error::from(io::ErrorKind::NotConnected);
    loop {
        if attempts.is_empty() && waiting.len() == 0 {
            return Err(Fault::NoConnection(told));
        }
        tokio::select! {
            biased;
            Some(done) = attempts.join_next() => match done {
                Ok(Ok(socket)) => return Ok(socket),
                // Its place is taken at once.
                Ok(Err(error)) => (told, next_at) = (error, Instant::now()),
                Err(panic) => told = io::Error::other(panic),
            },
            () = sleep_until(next_at), if waiting.len() > 0 => {
                next_at = Instant::now() + HEAD_START;
                if let Some(address) = waiting.next() {
                    attempts.spawn(TcpStream::connect(address));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Mutex;

    use super::*;

    const NOBODY: OwnPorts = OwnPorts { http: 0, rtmp: 0 };

    /// Knows names by heart; each look-up takes the next of a name's answers.
    struct Names(Mutex<HashMap<&'static str, Vec<Vec<SocketAddr>>>>);

    impl Resolve for Names {
        fn look_up<'a>(&'a self, host: &'a str, _: u16) -> Lookup<'a> {
            let mut names = self.0.lock().unwrap();
            let answers = names.get_mut(host).filter(|answers| !answers.is_empty());
            let answer = answers.map(|answers| answers.remove(0));
            Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) })
        }
    }

    fn dialler(allow: &[&str], own: OwnPorts, names: &[(&'static str, &[&[SocketAddr]])]) -> Dialler {
        let names = names
            .iter()
            .map(|(name, answers)| (*name, answers.iter().map(|a| a.to_vec()).collect()));
        let guard = Guard::new(allow.iter().map(|text| text.parse().unwrap()).collect());
        Dialler::new(guard, Box::new(Names(Mutex::new(names.collect()))), own)
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Whether somebody has dialled by now. On loopback whoever dials is in the queue before `connect` returns.
    fn was_dialled(listener: &TcpListener) -> bool {
        listener.accept().is_ok()
    }

    #[tokio::test]
    async fn a_forbidden_address_gets_no_connection() {
        let (listener, address) = listener();
        let dialler = dialler(&[], NOBODY, &[("evil.example", &[&[address]])]);
        let fault = dialler.connect("evil.example", address.port()).await.unwrap_err();
        assert!(matches!(fault, Fault::Forbidden(_)), "{fault}");
        assert!(!was_dialled(&listener));
    }

    /// A name that changes between two look-ups is looked up once per attempt, and judged each time.
    #[tokio::test]
    async fn r47_a_name_is_looked_up_at_each_attempt_and_never_in_between() {
        let (listener, address) = listener();
        let elsewhere = SocketAddr::from(([127, 0, 0, 2], address.port()));
        let names: &[(_, &[&[SocketAddr]])] = &[("cam.example", &[&[address], &[elsewhere]])];
        let dialler = dialler(&["127.0.0.1"], NOBODY, names);
        assert!(dialler.connect("cam.example", address.port()).await.is_ok());
        assert!(was_dialled(&listener));
        let fault = dialler.connect("cam.example", address.port()).await.unwrap_err();
        assert!(matches!(fault, Fault::Forbidden(_)), "{fault}");
        assert!(matches!(
            dialler.connect("cam.example", address.port()).await,
            Err(Fault::NoName(_))
        ));
    }

    /// Of a name's addresses only those are dialled that may be, and a dead one is no reason to give up.
    #[tokio::test]
    async fn every_good_address_has_its_chance() {
        let (listener, address) = listener();
        let (gone, dead) = self::listener();
        drop(gone);
        let forbidden = SocketAddr::from(([10, 0, 0, 1], 1));
        let names: &[(_, &[&[SocketAddr]])] = &[("cam.example", &[&[forbidden, dead, address]])];
        let dialler = dialler(&["127.0.0.0/8"], NOBODY, names);
        let socket = dialler.connect("cam.example", 1).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), address);
        assert!(was_dialled(&listener));
    }

    #[tokio::test]
    async fn r52_this_origin_is_never_its_own_source() {
        let (_listener, address) = listener();
        let own = OwnPorts {
            http: 1,
            rtmp: address.port(),
        };
        let names: &[(_, &[&[SocketAddr]])] = &[("me.example", &[&[address]])];
        let dialler = dialler(&["127.0.0.0/8"], own, names);
        let fault = dialler.connect("me.example", address.port()).await.unwrap_err();
        assert!(matches!(fault, Fault::Itself), "{fault}");
    }

    /// The system's resolver reads numbers in ways that look like no address; what counts is what it makes of them.
    #[tokio::test]
    async fn no_way_of_writing_an_address_gets_around_the_judgement() {
        let (listener, address) = listener();
        let dialler = Dialler::new(Guard::new(Vec::new()), Box::new(SystemResolver), NOBODY);
        for host in [
            "127.0.0.1",
            "localhost",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "0",
            "::1",
            "::ffff:127.0.0.1",
        ] {
            let fault = dialler.connect(host, address.port()).await.unwrap_err();
            // A resolver that cannot read one of them does as well.
            assert!(
                matches!(fault, Fault::Forbidden(_) | Fault::NoName(_)),
                "{host}: {fault}"
            );
        }
        assert!(!was_dialled(&listener));
    }
}
