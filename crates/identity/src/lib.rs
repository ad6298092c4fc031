//! Certificates: a development CA, node identities, and TLS configurations that demand them
