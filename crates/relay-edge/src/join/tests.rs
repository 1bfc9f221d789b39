//! An edge against an origin's own desk, over QUIC on loopback.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use relay_core::link::door::{Arrival, Door};
use relay_core::link::join::JoinHall;
use relay_core::link::quic::{self, QuicConfig};
use relay_core::link::refusal::Refusal;
use relay_core::tls::{self, JOIN_ALPN, LINK_ALPN, NodeKey, PoolRoot};
use relay_core::token::Address;
use relay_origin::identity::OriginIdentity;
use relay_origin::state::State;
use relay_origin::tokens::Desk;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

/// An origin that does nothing but take joins.
struct Origin {
    desk: Arc<Desk>,
    folder: PathBuf,
    address: Address,
}

impl Origin {
    /// Certificates live for `life`; the port answers only after [`Self::serve`].
    fn start(name: &str, life: Duration) -> (Self, Door, JoinHall) {
        let folder = std::env::temp_dir().join(format!("relay-join-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let clock = Clock::start();
        let state = Arc::new(State::open(&folder).unwrap());
        let ca = Arc::new(state.pool_ca(clock.now()).unwrap());
        let instance = state.instance().unwrap();
        let identity = OriginIdentity::new(Arc::clone(&ca), instance, life, clock.now()).unwrap();
        let root = PoolRoot::new(ca.certificate().clone()).unwrap();
        let tls = tls::server(identity.credentials(), &root, &[LINK_ALPN, JOIN_ALPN]).unwrap();
        let quic = QuicConfig::default();
        let server = quic::server_config(tls, &quic).unwrap();
        let port = quic::bind("127.0.0.1:0".parse().unwrap(), Some(server), &quic).unwrap();
        let address: Address = port.endpoint.local_addr().unwrap().to_string().parse().unwrap();
        let desk = Arc::new(Desk::open(state, ca, life, vec![address.clone()]).unwrap());
        let hall = JoinHall::new(Arc::clone(&desk) as _, clock);
        let door = Door::new(port.endpoint, quic, 64);
        let this = Self {
            desk,
            folder,
            address,
        };
        (this, door, hall)
    }

    fn serve(mut door: Door, hall: JoinHall) {
        tokio::spawn(async move {
            while let Some(arrival) = door.next().await {
                if let Arrival::Join(connection) = arrival {
                    hall.enter(connection);
                }
            }
        });
    }

    fn token(&self, uses: u32) -> JoinToken {
        self.desk.create(HOUR, uses, Clock::start().now()).unwrap()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn member() -> Member {
    let quic = QuicConfig::default();
    let port = quic::bind("127.0.0.1:0".parse().unwrap(), None, &quic).unwrap();
    let asker = Asker::new(port.endpoint, quic, NodeKey::generate().unwrap());
    Member::new(asker, Clock::start())
}

async fn until(
    status: &mut watch::Receiver<Membership>,
    wished: impl FnMut(&Membership) -> bool,
) -> Membership {
    let waited = tokio::time::timeout(Duration::from_secs(60), status.wait_for(wished));
    waited.await.unwrap().unwrap().clone()
}

#[tokio::test]
async fn waits_for_its_origin_and_names_the_port_meanwhile() {
    let (origin, door, hall) = Origin::start("waits", 24 * HOUR);
    let token = origin.token(1);
    let mut member = member();
    let mut status = member.status();
    let begun = Instant::now();
    let joining = tokio::spawn(async move { member.join(&token).await });
    let trouble = until(&mut status, |s| s.trouble().is_some()).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let port = origin.address.port();
    let sentence = trouble.trouble().unwrap();
    assert!(
        sentence.ends_with(&format!("is UDP port {port} open?")),
        "{sentence}"
    );

    Origin::serve(door, hall);
    let joined = joining.await.unwrap().unwrap();
    let instance = joined.credentials.peer().instance;
    let expected = Membership::Member {
        instance,
        trouble: None,
    };
    assert_eq!(until(&mut status, |s| s.trouble().is_none()).await, expected);
    assert_eq!(joined.addresses, vec![origin.address.clone()]);
}

#[tokio::test]
async fn a_final_no_ends_it_at_once() {
    let (origin, door, hall) = Origin::start("final", 24 * HOUR);
    Origin::serve(door, hall);
    let token = origin.token(1);
    member().join(&token).await.unwrap();
    let mut late = member();
    let refused = late.join(&token).await.unwrap_err();
    assert_eq!(refused, JoinError::Refused(Refusal::UsedUpToken));
    assert_eq!(late.status().borrow().trouble(), Some("this token is used up"));
}

#[tokio::test]
async fn renews_at_half_of_its_life() {
    let (origin, door, hall) = Origin::start("renews", 24 * HOUR);
    Origin::serve(door, hall);
    let mut member = member();
    let mut joined = member.join(&origin.token(1)).await.unwrap();
    let credentials = Arc::clone(&joined.credentials);
    let first = credentials.chain();
    joined.life = Duration::from_millis(200);
    let status = member.status();
    let keeping = tokio::spawn(async move { member.keep(joined).await });
    let renewed = async {
        while credentials.chain()[0] == first[0] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), renewed).await;
    assert!(waited.is_ok(), "not renewed");
    assert_eq!(status.borrow().trouble(), None);
    assert!(!keeping.is_finished(), "the next renewal is half a day away");
}

#[tokio::test]
async fn a_revoked_edge_ends_at_its_next_renewal() {
    let (origin, door, hall) = Origin::start("revoked", 24 * HOUR);
    Origin::serve(door, hall);
    let mut member = member();
    let mut joined = member.join(&origin.token(1)).await.unwrap();
    let instance = joined.credentials.peer().instance;
    origin.desk.revoke_edge(instance, Clock::start().now()).unwrap();
    joined.life = Duration::from_millis(200);
    let ended = tokio::time::timeout(Duration::from_secs(60), member.keep(joined)).await;
    assert_eq!(ended.unwrap(), JoinError::Refused(Refusal::EdgeRevoked));
    assert_eq!(member.status().borrow().trouble(), Some("this edge was revoked"));
}

#[test]
fn a_machine_that_slept_renews_when_it_wakes() {
    let begun = Clock::start().now();
    let slept = Now {
        unix_us: begun.unix_us + 12 * 3_600_000_000,
        ..begun
    };
    assert!(!is_due(begun, begun.plus_ms(1), 12 * HOUR));
    assert!(is_due(begun, slept, 12 * HOUR));
    let set_back = Now {
        mono_ms: begun.mono_ms + 12 * 3_600_000,
        unix_us: 0,
    };
    assert!(is_due(begun, set_back, 12 * HOUR));
}
