//! The wire over QUIC
