//! The pool's certificate authority: made by the origin at its first start, kept in its state folder.

use std::time::Duration;

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType, SerialNumber,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use super::hex;
use super::instance::{EDGE_NAME, InstanceId, ORIGIN_NAME, Role};
use crate::clock::Now;

/// How long a leaf lives, unless configured: short enough that a lost one is soon worthless, long enough that an
/// edge outlives half a day without its origin.
pub const LEAF_LIFE: Duration = Duration::from_hours(24);

/// How far before now a leaf begins: edges boot before their clock is set.
pub const LEAF_BACKDATE: Duration = Duration::from_hours(1);

/// How long the authority lives: longer than any machine it runs on. Changing it means new tokens everywhere.
const CA_LIFE: Duration = Duration::from_hours(20 * 365 * 24);

/// An uncompressed P-256 point. Other keys are refused: one kind is enough, and each more is attack surface.
const P256_POINT_BYTES: usize = 65;

/// The latest second that a certificate names (9000-01-01), so that no clock, however wrong, overflows a date.
const LAST_UNIX_S: u64 = 221_845_392_000;

/// The authority: signs leaves.
#[derive(Debug)]
pub struct PoolCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A signed leaf with its chain.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The leaf, then the authority, which joiners look for.
    pub chain: Vec<CertificateDer<'static>>,
    /// Whom it names.
    pub instance: InstanceId,
}

/// What is wrong with an authority's file, or with a request to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// The text holds no PEM certificate.
    #[error("there is no readable certificate in it")]
    NoCertificate,
    /// The text holds no PEM private key of the right kind.
    #[error("there is no readable private key in it")]
    NoKey,
    /// Certificate and key belong to different authorities.
    #[error("its certificate and its key do not belong together")]
    Mismatch,
    /// The request for a leaf is not one, or its signature does not fit.
    #[error("the certificate request is malformed or not signed by its own key")]
    BadRequest,
    /// The request asks for a key of another kind than ECDSA P-256.
    #[error("the certificate request is for a key of another kind than ECDSA P-256")]
    WrongKeyKind,
    /// The cryptographic library gave up: no randomness.
    #[error("could not sign: {0}")]
    Signing(String),
}

impl PoolCa {
    /// Makes a new authority.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn create(now: Now) -> Result<Self, CaError> {
        let key = generate()?;
        let mut params = CertificateParams::default();
        // A name of its own for each pool, so that a log line tells two of them apart.
        let name = &hex::encode(&Sha256::digest(key.public_key_raw()))[..8];
        params.distinguished_name = common_name(&format!("relay pool {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, CA_LIFE);
        params.serial_number = Some(serial()?);
        let certificate = params.self_signed(&key).map_err(signing)?.der().clone();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// Reads what [`Self::to_pem`] wrote.
    ///
    /// # Errors
    /// When it is not an authority whose certificate and key fit.
    pub fn from_pem(pem: &str) -> Result<Self, CaError> {
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| CaError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| CaError::NoKey)?;
        let key = KeyPair::try_from(&key).map_err(|_| CaError::NoKey)?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|_| CaError::NoCertificate)?;
        if parsed.public_key().subject_public_key.data != key.public_key_raw() {
            return Err(CaError::Mismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| CaError::NoCertificate)?;
        Ok(Self { issuer, certificate })
    }

    /// Certificate and private key as one PEM text: a secret.
    pub fn to_pem(&self) -> String {
        let certificate = pem("CERTIFICATE", &self.certificate);
        format!("{certificate}{}", self.issuer.key().serialize_pem())
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What join tokens carry.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// Signs a leaf for an edge, taking nothing from the request but its public key. A fresh edge is the instance of
    /// that key; one that renews stays the instance of the certificate that it showed.
    ///
    /// # Errors
    /// When the request is not one, or for another kind of key.
    pub fn sign_edge(
        &self,
        request: &EdgeRequest,
        instance: InstanceId,
        life: Duration,
        now: Now,
    ) -> Result<Leaf, CaError> {
        self.sign(&request.0.public_key, Role::Edge, instance, life, now)
    }

    /// Signs the origin's own leaf.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn sign_origin(
        &self,
        key: &super::NodeKey,
        instance: InstanceId,
        life: Duration,
        now: Now,
    ) -> Result<Leaf, CaError> {
        self.sign(key.pair(), Role::Origin, instance, life, now)
    }

    fn sign(
        &self,
        key: &impl PublicKeyData,
        role: Role,
        instance: InstanceId,
        life: Duration,
        now: Now,
    ) -> Result<Leaf, CaError> {
        let role_name = match role {
            Role::Origin => ORIGIN_NAME,
            Role::Edge => EDGE_NAME,
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&instance.to_string());
        params.subject_alt_names = vec![dns(role_name)?, dns(&instance.dns_name())?];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, life);
        params.serial_number = Some(serial()?);
        let leaf = params.signed_by(key, &self.issuer).map_err(signing)?;
        Ok(Leaf {
            chain: vec![leaf.der().clone(), self.certificate.clone()],
            instance,
        })
    }
}

/// A checked request for a leaf: signed by the key that it is for.
#[derive(Debug)]
pub struct EdgeRequest(CertificateSigningRequestParams);

impl EdgeRequest {
    /// Reads and checks a request.
    ///
    /// # Errors
    /// When it is not one, or for another kind of key.
    pub fn from_der(der: &[u8]) -> Result<Self, CaError> {
        let der = CertificateSigningRequestDer::from(der);
        let request = CertificateSigningRequestParams::from_der(&der).map_err(|_| CaError::BadRequest)?;
        let key = &request.public_key;
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 || key.der_bytes().len() != P256_POINT_BYTES {
            return Err(CaError::WrongKeyKind);
        }
        Ok(Self(request))
    }

    /// The key, an uncompressed point.
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key.der_bytes()
    }

    /// The instance that holds the requested key.
    pub fn instance(&self) -> InstanceId {
        InstanceId::of_key(self.public_key())
    }
}

/// A new ECDSA P-256 key.
pub(super) fn generate() -> Result<KeyPair, CaError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(signing)
}

pub(super) fn signing(error: rcgen::Error) -> CaError {
    CaError::Signing(error.to_string())
}

fn dns(name: &str) -> Result<SanType, CaError> {
    Ok(SanType::DnsName(name.try_into().map_err(signing)?))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn set_validity(params: &mut CertificateParams, now: Now, life: Duration) {
    let now_s = (now.unix_us / 1_000_000).min(LAST_UNIX_S);
    let end_s = now_s.saturating_add(life.as_secs()).min(LAST_UNIX_S);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now_s.saturating_sub(LEAF_BACKDATE.as_secs()));
    params.not_after = epoch + Duration::from_secs(end_s);
}

/// The text form of a certificate: base64 in lines of 64.
fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// Random, since one key may be signed for many times.
fn serial() -> Result<SerialNumber, CaError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| CaError::Signing(e.to_string()))?;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{NodeKey, Peer};

    const NOW: Now = Now {
        mono_ms: 0,
        unix_us: 1_800_000_000_000_000,
    };

    fn request(key: &NodeKey) -> EdgeRequest {
        EdgeRequest::from_der(&key.request().unwrap()).unwrap()
    }

    #[test]
    fn an_authority_survives_its_file() {
        let ca = PoolCa::create(NOW).unwrap();
        let back = PoolCa::from_pem(&ca.to_pem()).unwrap();
        assert_eq!(back.fingerprint(), ca.fingerprint());
        assert_eq!(back.to_pem(), ca.to_pem());
        let key = NodeKey::generate().unwrap();
        let leaf = back
            .sign_edge(&request(&key), key.instance(), LEAF_LIFE, NOW)
            .unwrap();
        assert_eq!(leaf.chain[1], *ca.certificate());
    }

    #[test]
    fn a_broken_file_is_named_for_what_is_broken() {
        let (one, other) = (
            PoolCa::create(NOW).unwrap().to_pem(),
            PoolCa::create(NOW).unwrap().to_pem(),
        );
        let split = |pem: &str| {
            let at = pem.find("-----BEGIN PRIVATE").unwrap();
            (pem[..at].to_owned(), pem[at..].to_owned())
        };
        let mixed = format!("{}{}", split(&one).0, split(&other).1);
        assert_eq!(PoolCa::from_pem(&mixed).err(), Some(CaError::Mismatch));
        assert_eq!(PoolCa::from_pem(&split(&one).0).err(), Some(CaError::NoKey));
        assert_eq!(
            PoolCa::from_pem(&split(&one).1).err(),
            Some(CaError::NoCertificate)
        );
        assert_eq!(PoolCa::from_pem("").err(), Some(CaError::NoCertificate));
    }

    #[test]
    fn takes_only_the_key_of_a_request() {
        let ca = PoolCa::create(NOW).unwrap();
        let key = generate().unwrap();
        // It asks for the origin's name, to be an authority, and for ever.
        let mut greedy = CertificateParams::new(vec![ORIGIN_NAME.to_owned()]).unwrap();
        greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = greedy.serialize_request(&key).unwrap();
        let request = EdgeRequest::from_der(der.der()).unwrap();
        let leaf = ca
            .sign_edge(&request, request.instance(), LEAF_LIFE, NOW)
            .unwrap();
        let peer = Peer::of_leaf(&leaf.chain[0]).unwrap();
        assert_eq!(peer.role, Role::Edge);
        assert_eq!(peer.instance, InstanceId::of_key(key.public_key_raw()));
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf.chain[0]).unwrap();
        assert!(!parsed.is_ca());
        let names = parsed.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 2);
        assert_eq!(parsed.validity().not_after.timestamp(), 1_800_000_000 + 24 * 3600);
        assert_eq!(parsed.validity().not_before.timestamp(), 1_800_000_000 - 3600);
    }

    #[test]
    fn refuses_requests_that_are_none() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let der = CertificateParams::default().serialize_request(&key).unwrap();
        assert_eq!(
            EdgeRequest::from_der(der.der()).err(),
            Some(CaError::WrongKeyKind)
        );
        assert_eq!(EdgeRequest::from_der(b"hello").err(), Some(CaError::BadRequest));
        let mut forged = NodeKey::generate().unwrap().request().unwrap();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        assert_eq!(EdgeRequest::from_der(&forged).err(), Some(CaError::BadRequest));
    }

    #[test]
    fn no_clock_overflows_a_date() {
        for unix_us in [0, u64::MAX] {
            let now = Now { mono_ms: 0, unix_us };
            let ca = PoolCa::create(now).unwrap();
            let key = NodeKey::generate().unwrap();
            ca.sign_origin(&key, key.instance(), Duration::MAX, now).unwrap();
        }
    }
}
