//! The checks of WebPKI, and then ours: role and name.

use crate::tickets::first_expiry;
use crate::{PeerIdentity, Role, Tickets};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;

/// Why a peer is not who it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not an X.509 certificate.
    #[error("the certificate is malformed")]
    Malformed,
    /// No URI among its names.
    #[error("the certificate has no SPIFFE id")]
    NoId,
    /// More than one URI among its names.
    #[error("the certificate has more than one SPIFFE id")]
    SeveralIds,
    /// An id, but not one of a Kerf node.
    #[error("the certificate's id {0} is not spiffe://kerf/<edge or cloud>/<name>")]
    ForeignId(String),
    /// An edge node where a cloud node belongs, or the other way round.
    #[error("peer is {peer}, expected a node of role {expected}")]
    Role {
        /// Who it says it is.
        peer: PeerIdentity,
        /// The role that belongs at that end.
        expected: Role,
    },
    /// Another node than the one asked for.
    #[error("peer is {peer}, expected cloud/{expected}")]
    Name {
        /// Who it says it is.
        peer: PeerIdentity,
        /// The name asked for.
        expected: String,
    },
    /// Past its validity.
    #[error("certificate of {peer} expired {at}")]
    Expired {
        /// Who it says it is.
        peer: PeerIdentity,
        /// RFC 3339.
        at: String,
    },
    /// Before its validity.
    #[error("certificate of {peer} is not valid before {at}")]
    NotYetValid {
        /// Who it says it is.
        peer: PeerIdentity,
        /// RFC 3339.
        at: String,
    },
    /// Signed by a CA that is not ours.
    #[error("certificate of {peer} is from a CA that is not trusted here")]
    ForeignAuthority {
        /// Who it says it is.
        peer: PeerIdentity,
    },
    /// Any other failure of the WebPKI checks.
    #[error("certificate of {peer} is not acceptable: {reason}")]
    Chain {
        /// Who it says it is.
        peer: PeerIdentity,
        /// In rustls's words.
        reason: String,
    },
}

/// Accepts the cloud node of one name.
#[derive(Debug)]
pub(crate) struct CloudVerifier {
    pub(crate) expected: String,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
    /// Tickets of the node, which are good for as long as the certificates that it showed.
    pub(crate) tickets: Tickets,
}

/// Accepts any edge node.
#[derive(Debug)]
pub(crate) struct EdgeVerifier {
    pub(crate) chain: Arc<dyn ClientCertVerifier>,
}

impl CloudVerifier {
    pub(crate) fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<PeerIdentity, PeerError> {
        let peer = of_role(end_entity, Role::Cloud)?;
        ParsedCertificate::try_from(end_entity)
            .and_then(|parsed| {
                let algorithms = self.algorithms.all;
                verify_server_cert_signed_by_trust_anchor(
                    &parsed,
                    &self.roots,
                    intermediates,
                    now,
                    algorithms,
                )
            })
            .map_err(|error| explain(error, &peer))?;
        if peer.name == self.expected {
            Ok(peer)
        } else {
            Err(PeerError::Name { peer, expected: self.expected.clone() })
        }
    }
}

impl EdgeVerifier {
    pub(crate) fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<PeerIdentity, PeerError> {
        let peer = of_role(end_entity, Role::Edge)?;
        self.chain
            .verify_client_cert(end_entity, intermediates, now)
            .map_err(|error| explain(error, &peer))?;
        Ok(peer)
    }
}

impl ServerCertVerifier for CloudVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, now).map_err(refuse)?;
        let chain = [end_entity].into_iter().chain(intermediates);
        self.tickets.accepted(first_expiry(chain.map(AsRef::as_ref)));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for EdgeVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, now).map_err(refuse)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// The role comes before the chain, whose checks of key usage would complain less clearly.
fn of_role(certificate: &CertificateDer<'_>, expected: Role) -> Result<PeerIdentity, PeerError> {
    let peer = PeerIdentity::of_certificate(certificate)?;
    if peer.role == expected { Ok(peer) } else { Err(PeerError::Role { peer, expected }) }
}

pub(crate) fn explain(error: rustls::Error, peer: &PeerIdentity) -> PeerError {
    let peer = peer.clone();
    let rustls::Error::InvalidCertificate(reason) = error else {
        return PeerError::Chain { peer, reason: error.to_string() };
    };
    match reason {
        CertificateError::ExpiredContext { not_after, .. } => {
            PeerError::Expired { peer, at: rfc3339(not_after.as_secs()) }
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            PeerError::NotYetValid { peer, at: rfc3339(not_before.as_secs()) }
        }
        // A CA of the same name but another key shows as a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            PeerError::ForeignAuthority { peer }
        }
        reason => PeerError::Chain { peer, reason: reason.to_string() },
    }
}

/// As text: rustls shows an error of another type in its `Debug` form only, and this one
/// is read by people at both ends.
fn refuse(error: PeerError) -> rustls::Error {
    rustls::Error::General(error.to_string())
}

pub(crate) fn rfc3339(unix: u64) -> String {
    let time = i64::try_from(unix).ok().and_then(|unix| time::OffsetDateTime::from_unix_timestamp(unix).ok());
    time.and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_else(|| format!("{unix} s after 1970"))
}
