#![allow(clippy::disallowed_methods, reason = "certificates are valid from some time to another")]
//! Who is at the other end of a connection.
//!
//! Edge and cloud nodes move, scale and hide behind load balancers, so host names and
//! addresses say nothing of who they are. Each node holds a certificate whose SPIFFE id,
//! `spiffe://kerf/<role>/<name>`, does. Both ends always present one, and each checks the
//! other's chain, role, and, where it asked for a certain node, its name.
//!
//! [`Authority`] makes certificates for development and tests; a production set-up takes
//! them from its own CA, with the same id in them. [`passing_certificates`] are for nodes that
//! share a process with the CA.

mod authority;
mod identity;
mod passing;
mod peer;
mod tickets;
mod verify;

pub use authority::{Authority, AuthorityError, NodeCertificate};
pub use identity::{Identity, IdentityError, Paths};
pub use passing::{PassingError, passing_certificates};
pub use peer::{PeerIdentity, Role};
pub use tickets::Tickets;
pub use verify::PeerError;

/// What a TLS client passes as the server's name, which TLS wants and nothing here reads.
pub const SERVER_NAME: &str = "kerf";
