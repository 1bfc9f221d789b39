//! An edge whose certificate ran out, say in a long outage, and which still holds its key.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};

use super::ca::EdgeRequest;
use super::instance::{InstanceId, Peer, Role};
use super::verify::PoolRoot;
use crate::clock::Now;

/// How late a certificate may be renewed, unless configured: a weekend with the origin off, and the week around it.
pub const LATE_RENEWAL: Duration = Duration::from_hours(7 * 24);

/// The instance that an expired leaf names, if the pool signed it, it ran out less than `late` ago, and the request is
/// signed by the key that the leaf is for. Such a request proves the key at whatever time it was made; one that was
/// overheard and sent again only has a certificate made that is of no use without the key.
pub fn late_member(
    leaf: &CertificateDer<'_>,
    request: &EdgeRequest,
    root: &PoolRoot,
    late: Duration,
    now: Now,
) -> Option<InstanceId> {
    let peer = Peer::of_leaf(leaf).filter(|peer| peer.role == Role::Edge)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
    if *parsed.public_key().subject_public_key.data != *request.public_key() {
        return None;
    }
    let ended = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    let now_s = now.unix_us / 1_000_000;
    if now_s > ended.saturating_add(late.as_secs()) {
        return None;
    }
    // All that TLS would check, at the last moment at which it could have been good; or now, if it still is.
    let at = UnixTime::since_unix_epoch(Duration::from_secs(now_s.min(ended)));
    let verifier = root.clients().ok()?;
    verifier.verify_client_cert(leaf, &[], at).ok()?;
    Some(peer.instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{NodeKey, PoolCa};

    const NOW: Now = Now {
        mono_ms: 0,
        unix_us: 1_800_000_000_000_000,
    };
    const DAY: Duration = Duration::from_hours(24);
    const HOUR_MS: u64 = 3_600_000;

    fn request(key: &NodeKey) -> EdgeRequest {
        EdgeRequest::from_der(&key.request().unwrap()).unwrap()
    }

    #[test]
    fn is_believed_for_a_week_with_its_key_and_its_pools_word() {
        let (ca, other) = (PoolCa::create(NOW).unwrap(), PoolCa::create(NOW).unwrap());
        let root = PoolRoot::new(ca.certificate().clone()).unwrap();
        let (key, thief) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let signed = |ca: &PoolCa| {
            let leaf = ca.sign_edge(&request(&key), key.instance(), DAY, NOW).unwrap();
            leaf.chain[0].clone()
        };
        let ask = |leaf: &CertificateDer<'_>, key, hours| {
            let now = NOW.plus_ms(hours * HOUR_MS);
            late_member(leaf, &request(key), &root, LATE_RENEWAL, now)
        };
        let leaf = signed(&ca);
        for hours in [1, 25, 24 + 7 * 24] {
            assert_eq!(ask(&leaf, &key, hours), Some(key.instance()), "{hours}");
        }
        assert_eq!(ask(&leaf, &key, 24 + 7 * 24 + 1), None, "too late");
        assert_eq!(ask(&leaf, &thief, 25), None, "not his key");
        assert_eq!(ask(&signed(&other), &key, 25), None, "not our pool");
        let origin = ca.sign_origin(&key, key.instance(), DAY, NOW).unwrap();
        assert_eq!(ask(&origin.chain[0], &key, 25), None, "not an edge");
        assert_eq!(ask(ca.certificate(), &key, 25), None, "not a leaf");
        assert_eq!(
            ask(&CertificateDer::from(vec![1]), &key, 25),
            None,
            "not a certificate"
        );
    }
}
