use crate::PeerError;
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

/// Which end of the link a node may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Opens connections and sends requests.
    Edge,
    /// Accepts connections and answers.
    Cloud,
}

/// Who a node is; shown as `edge/gw-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    /// Which end of the link it may be.
    pub role: Role,
    /// Its name, unique among its role.
    pub name: String,
}

impl Role {
    /// `edge` or `cloud`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Cloud => "cloud",
        }
    }
}

impl PeerIdentity {
    /// An identity; `None` where the name is none: ASCII letters, digits, `.`, `-` and `_`,
    /// at most 128, as SPIFFE allows in a path, and not `.` or `..`.
    pub fn new(role: Role, name: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let valid =
            (1..=128).contains(&name.len()) && name.bytes().all(allowed) && name != "." && name != "..";
        valid.then(|| Self { role, name: name.to_owned() })
    }

    /// `spiffe://kerf/edge/gw-1`
    pub fn spiffe_id(&self) -> String {
        format!("{SCHEME}{}/{}", self.role.name(), self.name)
    }

    /// The identity of a SPIFFE id.
    pub fn from_spiffe_id(id: &str) -> Option<Self> {
        let (role, name) = id.strip_prefix(SCHEME)?.split_once('/')?;
        let role = [Role::Edge, Role::Cloud].into_iter().find(|known| known.name() == role)?;
        Self::new(role, name)
    }

    /// What a certificate *says*; whether that is true is for TLS to check.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, PeerError> {
        let parsed =
            x509_parser::parse_x509_certificate(certificate).ok().filter(|(rest, _)| rest.is_empty());
        let Some((_, parsed)) = parsed else { return Err(PeerError::Malformed) };
        let names = match parsed.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.as_slice(),
            Ok(None) => &[],
            Err(_) => return Err(PeerError::Malformed),
        };
        let mut uris = names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        // The X.509 SVID specification, section 2: exactly one URI.
        match (uris.next(), uris.next()) {
            (Some(uri), None) => {
                Self::from_spiffe_id(uri).ok_or_else(|| PeerError::ForeignId(printable(uri)))
            }
            (None, _) => Err(PeerError::NoId),
            (Some(_), Some(_)) => Err(PeerError::SeveralIds),
        }
    }
}

const SCHEME: &str = "spiffe://kerf/";

/// It comes from a stranger and goes to logs.
fn printable(uri: &str) -> String {
    uri.chars().take(200).flat_map(char::escape_default).collect()
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.role, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_others_are_none() {
        let identity = PeerIdentity::new(Role::Edge, "gw-1.lab_2").unwrap();
        assert_eq!(PeerIdentity::from_spiffe_id(&identity.spiffe_id()), Some(identity));
        for id in [
            "spiffe://kerf/edge/",
            "spiffe://kerf/edge",
            "spiffe://kerf/fog/a",
            "spiffe://other/edge/a",
            "spiffe://kerf/edge/a/b",
            "spiffe://kerf/edge/..",
            "spiffe://kerf/edge/a b",
            "https://kerf/edge/a",
        ] {
            assert_eq!(PeerIdentity::from_spiffe_id(id), None, "{id}");
        }
        assert_eq!(PeerIdentity::new(Role::Cloud, &"n".repeat(129)), None);
    }
}
