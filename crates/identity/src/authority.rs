use crate::{PeerIdentity, Role};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;

/// A CA whose key lies in a file: for development and tests.
pub struct Authority {
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A node's certificate and the private key that belongs to it.
pub struct NodeCertificate {
    /// The certificate, PEM.
    pub cert_pem: String,
    /// Its private key, PEM (PKCS #8).
    pub key_pem: String,
}

/// Why a CA or a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Not a name that fits an identity.
    #[error("node name {0:?} is not 1 to 128 ASCII letters, digits, '.', '-' or '_'")]
    Name(String),
    /// Outside of what X.509 can say.
    #[error("a validity of {} days does not fit a certificate", .0.as_secs() / 86_400)]
    Validity(Duration),
    /// The CA's certificate or key does not read.
    #[error("the CA's {part} does not read: {source}")]
    Load {
        /// `certificate` or `key`.
        part: &'static str,
        /// What is wrong.
        source: rcgen::Error,
    },
    /// Making or signing failed, or an alternative name is none.
    #[error("certificate of {subject}: {source}")]
    Make {
        /// Whose.
        subject: String,
        /// What is wrong.
        source: rcgen::Error,
    },
}

impl Authority {
    /// A new CA, good for ten years from now.
    pub fn generate(name: &str) -> Result<Self, AuthorityError> {
        let make = |source| AuthorityError::Make { subject: name.to_owned(), source };
        let key = KeyPair::generate().map_err(make)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(make)?;
        params.distinguished_name = common_name(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) =
            span(SystemTime::now(), Duration::from_secs(10 * 365 * 86_400))?;
        let cert_pem = params.self_signed(&key).map_err(make)?.pem();
        Ok(Self { cert_pem, issuer: Issuer::new(params, key) })
    }

    /// A CA made earlier.
    pub fn load(cert_pem: &str, key_pem: &str) -> Result<Self, AuthorityError> {
        let key =
            KeyPair::from_pem(key_pem).map_err(|source| AuthorityError::Load { part: "key", source })?;
        let issuer = Issuer::from_ca_cert_pem(cert_pem, key)
            .map_err(|source| AuthorityError::Load { part: "certificate", source })?;
        Ok(Self { cert_pem: cert_pem.to_owned(), issuer })
    }

    /// The CA's certificate, PEM: what nodes trust.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The CA's private key, PEM: what makes nodes. Keep it from them.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A key and a certificate for a node: SPIFFE id `spiffe://kerf/<role>/<name>`, client
    /// authentication for an edge node, server authentication for a cloud node. `san`
    /// holds further DNS names or IP addresses, for other tools; Kerf reads none of them.
    /// Valid from a little before `now`, for clocks that differ, to `validity` after it.
    pub fn issue(
        &self,
        role: Role,
        name: &str,
        san: &[String],
        validity: Duration,
        now: SystemTime,
    ) -> Result<NodeCertificate, AuthorityError> {
        let identity = PeerIdentity::new(role, name).ok_or_else(|| AuthorityError::Name(name.to_owned()))?;
        let make = |source| AuthorityError::Make { subject: identity.to_string(), source };
        let key = KeyPair::generate().map_err(make)?;
        let mut params = CertificateParams::new(san).map_err(make)?;
        let uri = identity.spiffe_id().try_into().map_err(make)?;
        params.subject_alt_names.push(SanType::URI(uri));
        params.distinguished_name = common_name(name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match role {
            Role::Edge => ExtendedKeyUsagePurpose::ClientAuth,
            Role::Cloud => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = span(now, validity)?;
        let cert_pem = params.signed_by(&key, &self.issuer).map_err(make)?.pem();
        Ok(NodeCertificate { cert_pem, key_pem: key.serialize_pem() })
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn span(now: SystemTime, validity: Duration) -> Result<(OffsetDateTime, OffsetDateTime), AuthorityError> {
    const SKEW: Duration = Duration::from_secs(300);
    let wrong = || AuthorityError::Validity(validity);
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| wrong())?;
    let at = |since: Duration| {
        let seconds = i64::try_from(since.as_secs()).ok()?;
        OffsetDateTime::from_unix_timestamp(seconds).ok()
    };
    let until = now.checked_add(validity).ok_or_else(wrong)?;
    at(now.saturating_sub(SKEW)).zip(at(until)).ok_or_else(wrong)
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NodeCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeCertificate").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}
