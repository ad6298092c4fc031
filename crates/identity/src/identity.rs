use crate::tickets::first_expiry;
use crate::verify::{CloudVerifier, EdgeVerifier, explain, rfc3339};
use crate::{PeerError, PeerIdentity, Role, Tickets};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::CryptoProvider;
use rustls::server::{ParsedCertificate, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Who this node is, the key that proves it, and the CA that it trusts.
#[derive(Clone)]
pub struct Identity {
    who: PeerIdentity,
    expires: SystemTime,
    /// Where the certificate came from, for messages.
    label: String,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

/// Files of an identity, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// CA certificates, one or more.
    pub ca: PathBuf,
    /// The node's certificate, then any intermediate ones.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

/// Why files or texts are not an identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file does not read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What is wrong.
        source: std::io::Error,
    },
    /// No PEM of the expected kind in it.
    #[error("{label} holds no {expected}: {reason}")]
    Pem {
        /// The file, or what stands for it.
        label: String,
        /// What should be there.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is not one of a Kerf node.
    #[error("{label}: {source}")]
    Certificate {
        /// The file, or what stands for it.
        label: String,
        /// What is wrong.
        source: PeerError,
    },
    /// The key belongs to another certificate, or is of a kind that TLS cannot use.
    #[error("{key} is not the key of {certificate}: {reason}")]
    Key {
        /// The key's file, or what stands for it.
        key: String,
        /// The certificate's file, or what stands for it.
        certificate: String,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is of the other role.
    #[error("{label} is of {who}, a node of role {expected} needs its own")]
    Role {
        /// The file, or what stands for it.
        label: String,
        /// Whose it is.
        who: PeerIdentity,
        /// The role asked for.
        expected: Role,
    },
    /// TLS does not take it.
    #[error("TLS set-up of {who}: {reason}")]
    Tls {
        /// Whose.
        who: PeerIdentity,
        /// In rustls's words.
        reason: String,
    },
}

impl Identity {
    /// Takes PEM texts. The certificate's validity is for [`Identity::check`] to judge.
    pub fn from_pem(ca_pem: &str, cert_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        Self::parse(
            ["the CA certificate", "the certificate", "the key"].map(String::from),
            [ca_pem, cert_pem, key_pem].map(str::as_bytes),
        )
    }

    /// Reads PEM files and checks that other nodes would accept the certificate now.
    pub fn load(paths: &Paths) -> Result<Self, IdentityError> {
        let files = [&paths.ca, &paths.certificate, &paths.key];
        let labels = files.map(|path| path.display().to_string());
        let [ca, certificate, key] = files.map(|path| read(path));
        let texts = [ca?, certificate?, key?];
        let identity = Self::parse(labels, [&texts[0], &texts[1], &texts[2]])?;
        identity.check(SystemTime::now())?;
        Ok(identity)
    }

    fn parse(labels: [String; 3], texts: [&[u8]; 3]) -> Result<Self, IdentityError> {
        let [ca_label, label, key_label] = labels;
        let [ca, certificate, key] = texts;
        let mut roots = RootCertStore::empty();
        for root in certificates(&ca_label, ca)? {
            roots.add(root).map_err(|error| IdentityError::Pem {
                label: ca_label.clone(),
                expected: "usable CA certificate",
                reason: error.to_string(),
            })?;
        }
        let chain = certificates(&label, certificate)?;
        let who = PeerIdentity::of_certificate(&chain[0])
            .map_err(|source| IdentityError::Certificate { label: label.clone(), source })?;
        // The parser's own message may quote what it failed on, and this is a secret.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::Pem {
            label: key_label.clone(),
            expected: "private key",
            reason: "no PRIVATE KEY section reads".into(),
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider).map_err(|error| {
            IdentityError::Key { key: key_label, certificate: label.clone(), reason: error.to_string() }
        })?;
        let expires = first_expiry([chain[0].as_ref()]);
        Ok(Self { who, expires, label, chain, key: Arc::new(key), roots: Arc::new(roots), provider })
    }

    /// Who this node is.
    pub fn peer(&self) -> &PeerIdentity {
        &self.who
    }

    /// Its name alone.
    pub fn name(&self) -> &str {
        &self.who.name
    }

    /// When the certificate expires.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// Whether a peer that trusts the same CA would accept the certificate at `now`.
    pub fn check(&self, now: SystemTime) -> Result<(), IdentityError> {
        let now = unix(now);
        let chain = match self.who.role {
            Role::Cloud => ParsedCertificate::try_from(&self.chain[0]).and_then(|parsed| {
                let algorithms = self.provider.signature_verification_algorithms.all;
                verify_server_cert_signed_by_trust_anchor(
                    &parsed,
                    &self.roots,
                    &self.chain[1..],
                    now,
                    algorithms,
                )
            }),
            Role::Edge => {
                WebPkiClientVerifier::builder_with_provider(self.roots.clone(), self.provider.clone())
                    .build()
                    .map_err(|error| rustls::Error::General(error.to_string()))
                    .and_then(|verifier| {
                        verifier.verify_client_cert(&self.chain[0], &self.chain[1..], now).map(drop)
                    })
            }
        };
        chain.map_err(|error| IdentityError::Certificate {
            label: self.label.clone(),
            source: explain(error, &self.who),
        })
    }

    /// Fails where the certificate is of the other role, before a peer has to say so.
    pub fn require(&self, expected: Role) -> Result<(), IdentityError> {
        if self.who.role == expected {
            return Ok(());
        }
        Err(IdentityError::Role { label: self.label.clone(), who: self.who.clone(), expected })
    }

    /// TLS for a cloud node: TLS 1.3, an edge node's certificate demanded. `sessions` tickets of all
    /// peers together can be resumed, each once, early data and all; a connection is given `tickets`.
    ///
    /// Resuming copies what the certificate said, without a look at it: see [`Self::check_edge`].
    pub fn server_config(&self, sessions: usize, tickets: usize) -> Result<ServerConfig, IdentityError> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| self.tls(error))?
            .with_client_cert_verifier(Arc::new(self.edges().map_err(|error| self.tls(error))?))
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| self.tls(error))?;
        // On this side, and not in the tickets themselves: what is taken from here is gone, so early
        // data that is played back is not accepted.
        config.session_storage = ServerSessionMemoryCache::new(sessions);
        config.send_tls13_tickets = tickets;
        // QUIC knows this number and 0 only.
        config.max_early_data_size = u32::MAX;
        Ok(config)
    }

    /// TLS for an edge node that wants to talk to the cloud node `node` and no other, with the tickets
    /// that its connections leave behind and begin with.
    ///
    /// Resuming looks at no certificate: see [`Self::check_cloud`].
    pub fn client_config(&self, node: &str) -> Result<(ClientConfig, Tickets), IdentityError> {
        let tickets = Tickets::default();
        let verifier = CloudVerifier { tickets: tickets.clone(), ..self.cloud(node) };
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| self.tls(error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| self.tls(error))?;
        config.enable_sni = false;
        config.resumption = Resumption::store(tickets.store());
        config.enable_early_data = true;
        Ok((config, tickets))
    }

    /// Whether the chain is still that of an edge node that may connect, as a full handshake would
    /// find now.
    pub fn check_edge(
        &self,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<PeerIdentity, PeerError> {
        let (first, rest) = chain.split_first().ok_or(PeerError::NoId)?;
        let verifier = self.edges().map_err(|_| PeerError::Malformed)?;
        verifier.check(first, rest, unix(now))
    }

    /// Whether the chain is still that of the cloud node `node`, as a full handshake would find now.
    pub fn check_cloud(
        &self,
        node: &str,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<PeerIdentity, PeerError> {
        let (first, rest) = chain.split_first().ok_or(PeerError::NoId)?;
        self.cloud(node).check(first, rest, unix(now))
    }

    fn edges(&self) -> Result<EdgeVerifier, rustls::server::VerifierBuilderError> {
        WebPkiClientVerifier::builder_with_provider(self.roots.clone(), self.provider.clone())
            .build()
            .map(|chain| EdgeVerifier { chain })
    }

    fn cloud(&self, node: &str) -> CloudVerifier {
        CloudVerifier {
            expected: node.to_owned(),
            roots: self.roots.clone(),
            algorithms: self.provider.signature_verification_algorithms,
            tickets: Tickets::default(),
        }
    }

    fn tls(&self, error: impl std::fmt::Display) -> IdentityError {
        IdentityError::Tls { who: self.who.clone(), reason: error.to_string() }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let expires = self.expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        f.debug_struct("Identity")
            .field("who", &self.who.to_string())
            .field("certificate", &self.label)
            .field("expires", &rfc3339(expires.as_secs()))
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    const LONGEST: u64 = 1 << 20;
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut text))
        .map_err(|source| IdentityError::Read { path: path.display().to_string(), source })?;
    Ok(text)
}

/// One or more.
fn certificates(label: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let wrong =
        |reason: String| IdentityError::Pem { label: label.to_owned(), expected: "certificate", reason };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("no CERTIFICATE section".into())) } else { Ok(found) }
}

fn unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
