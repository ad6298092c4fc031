use crate::close;
use kerf_identity::IdentityError;
use kerf_wire::{Abandoned, DecodeError, EncodeError};
use quinn::{ConnectionError, ReadError};
use std::net::SocketAddr;
use std::time::Duration;

/// Whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// This process.
    Local,
    /// The way between.
    Link,
    /// The other node.
    Peer,
}

/// Why a call has no response. A [`kerf_wire::Refusal`] *is* a response.
#[derive(Debug)]
pub struct CallError {
    /// The node that was called.
    pub node: String,
    /// Whose fault it was.
    pub source: Source,
    /// Whether another node, or this one on a new connection, may do better.
    pub retry: bool,
    /// What happened.
    pub failure: CallFailure,
}

/// What happened to a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The request does not fit a frame.
    #[error("the request cannot be sent: {0}")]
    Encode(EncodeError),
    /// The encoder of a tensor did not come to its end.
    #[error("the request was not made to its end: {0}")]
    Abandoned(Abandoned),
    /// No datagram arrived on the connection for that long.
    #[error("nothing arrived for {} ms", .silence.as_millis())]
    Stalled {
        /// How long it was silent.
        silence: Duration,
    },
    /// QUIC gave the connection up.
    #[error("connection lost: {0}")]
    Lost(String),
    /// Closed on this side, by another call that found the link lost or by shutting down.
    #[error("connection closed on this side")]
    Closed,
    /// The node is going away.
    #[error("the node is draining")]
    Draining,
    /// The node closed the connection, or broke the protocol.
    #[error("connection ended by the node: {0}")]
    Ended(String),
    /// One end does not accept the other's certificate any more.
    #[error("not trusted: {0}")]
    Untrusted(String),
    /// The node could not read even whose request it was.
    #[error("the node could not read the request")]
    Unread,
    /// The node ended the stream without a response.
    #[error("the node gave the request up with code {code}")]
    Reset {
        /// One of the stream's error codes.
        code: u64,
    },
    /// The response is no response.
    #[error("the response is malformed: {0}")]
    Decode(DecodeError),
    /// The response answers another request.
    #[error("the response is to another request")]
    WrongId,
}

impl CallError {
    pub(crate) fn new(node: &str, failure: CallFailure) -> Self {
        let (source, retry) = failure.judge();
        Self { node: node.to_owned(), source, retry, failure }
    }
}

impl CallFailure {
    fn judge(&self) -> (Source, bool) {
        match self {
            Self::Encode(_) | Self::Abandoned(_) => (Source::Local, false),
            // Another node would read the same bytes.
            Self::Unread => (Source::Local, false),
            Self::Stalled { .. } | Self::Lost(_) | Self::Closed => (Source::Link, true),
            Self::Draining
            | Self::Ended(_)
            | Self::Untrusted(_)
            | Self::Reset { .. }
            | Self::Decode(_)
            | Self::WrongId => (Source::Peer, true),
        }
    }
}

/// A TLS library's reason without its own preamble.
pub(crate) fn plain(reason: &str) -> &str {
    reason.strip_prefix("unexpected error: ").unwrap_or(reason)
}

impl From<ConnectionError> for CallFailure {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::TimedOut | ConnectionError::Reset => Self::Lost(error.to_string()),
            // A connection identifier pool that runs dry takes a new connection.
            ConnectionError::CidsExhausted => Self::Lost(error.to_string()),
            ConnectionError::LocallyClosed => Self::Closed,
            ConnectionError::ApplicationClosed(close) if close.error_code == close::DRAINING => {
                Self::Draining
            }
            ConnectionError::ApplicationClosed(close) if close.error_code == close::UNTRUSTED => {
                Self::Untrusted(String::from_utf8_lossy(&close.reason).into_owned())
            }
            ConnectionError::ApplicationClosed(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::TransportError(_)
            | ConnectionError::VersionMismatch => Self::Ended(error.to_string()),
        }
    }
}

impl From<ReadError> for CallFailure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(close::BAD_FRAME) => Self::Unread,
            ReadError::Reset(code) => Self::Reset { code: code.into_inner() },
            ReadError::ConnectionLost(error) => error.into(),
            // These three name uses of the stream that the client does not make.
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
                Self::Closed
            }
        }
    }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cloud/{}: {}", self.node, self.failure)
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.failure)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Link => "link",
            Self::Peer => "peer",
        })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TLS cannot be set up with this identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS and QUIC do not go together.
    #[error("QUIC does not take the TLS configuration: {0}")]
    Tls(String),
    /// No socket to send from, or the address is none to send to.
    #[error("cloud/{node} at {address}: {reason}")]
    Address {
        /// The node asked for.
        node: String,
        /// Where it was looked for.
        address: SocketAddr,
        /// What is wrong.
        reason: String,
    },
    /// There is no TCP connection to it, or no TLS on it.
    #[error("cloud/{node} at {address} over TCP: {source}")]
    Tcp {
        /// The node asked for.
        node: String,
        /// Where it was looked for.
        address: SocketAddr,
        /// What is wrong.
        source: std::io::Error,
    },
    /// Nobody answered in time.
    #[error("cloud/{node} at {address}: no answer within {} ms", .after.as_millis())]
    Timeout {
        /// The node asked for.
        node: String,
        /// Where it was looked for.
        address: SocketAddr,
        /// How long it was waited for.
        after: Duration,
    },
    /// Who answered is not who was asked for, by its certificate.
    #[error("cloud/{node} at {address} is not trusted: {reason}")]
    Untrusted {
        /// The node asked for.
        node: String,
        /// Where it was looked for.
        address: SocketAddr,
        /// What is wrong.
        reason: String,
    },
    /// The node does not take this node, or nobody at the moment.
    #[error("cloud/{node} at {address} refuses the connection: {reason}")]
    Refused {
        /// The node asked for.
        node: String,
        /// Where it was looked for.
        address: SocketAddr,
        /// What it said.
        reason: String,
    },
}

/// Why a server cannot listen, or a client not send.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// TLS cannot be set up with this identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS and QUIC do not go together.
    #[error("QUIC does not take the TLS configuration: {0}")]
    Tls(String),
    /// The address is taken, or not ours.
    #[error("UDP address {address}: {source}")]
    Socket {
        /// Where it was to listen.
        address: SocketAddr,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The same for TCP.
    #[error("TCP address {address}: {source}")]
    Tcp {
        /// Where it was to listen.
        address: SocketAddr,
        /// What is wrong.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn::{ApplicationClose, VarInt};

    #[test]
    fn every_end_of_a_connection_has_a_source_and_says_whether_to_retry() {
        let closed = |code: VarInt| {
            ConnectionError::ApplicationClosed(ApplicationClose {
                error_code: code,
                reason: Default::default(),
            })
        };
        for (error, source, failure) in [
            (ConnectionError::TimedOut, Source::Link, None),
            (ConnectionError::Reset, Source::Link, None),
            (ConnectionError::CidsExhausted, Source::Link, None),
            (ConnectionError::LocallyClosed, Source::Link, Some(CallFailure::Closed)),
            (ConnectionError::VersionMismatch, Source::Peer, None),
            (closed(close::DRAINING), Source::Peer, Some(CallFailure::Draining)),
            (closed(close::DONE), Source::Peer, None),
            (closed(close::UNTRUSTED), Source::Peer, Some(CallFailure::Untrusted(String::new()))),
        ] {
            let call = CallError::new("c1", error.clone().into());
            assert_eq!((call.source, call.retry), (source, true), "{error}");
            assert!(failure.is_none_or(|failure| failure == call.failure), "{error}");
            assert!(call.to_string().starts_with("cloud/c1: "));
        }
    }

    #[test]
    fn what_no_node_could_read_is_not_sent_twice() {
        for (error, retry) in [
            (ReadError::Reset(close::BAD_FRAME), false),
            (ReadError::Reset(close::INTERNAL), true),
            (ReadError::Reset(close::SLOW), true),
            (ReadError::ConnectionLost(ConnectionError::TimedOut), true),
        ] {
            assert_eq!(CallError::new("c1", error.clone().into()).retry, retry, "{error}");
        }
    }
}
