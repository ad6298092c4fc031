//! TLS sessions of one cloud node, kept so that the next connection says its first request at once.
//!
//! A ticket stands for a handshake that was completed, and resuming looks at no certificate again. So
//! a stock of them is bound to the verifier that accepted the node, and to the dates of the
//! certificates that it accepted: past those, no ticket is handed out.

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The newest tickets of one node. Cheap to clone; clones share it. Each is spent by one attempt to
/// connect, whether the node hears of it or not: TLS takes care that none is used twice.
#[derive(Clone, Debug, Default)]
pub struct Tickets {
    stock: Arc<Stock>,
}

/// Tickets of one node that are kept.
const MOST: usize = 16;

#[derive(Default)]
struct Stock {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    tickets: VecDeque<Tls13ClientSessionValue>,
    group: Option<NamedGroup>,
    /// When the first of the certificates that were accepted last expires.
    until: Option<SystemTime>,
}

impl Tickets {
    /// Tickets in stock now.
    pub fn count(&self) -> usize {
        self.stock.held().tickets.len()
    }

    /// Forgets all: the node is trusted no more, or speaks otherwise than when it gave them.
    pub fn clear(&self) {
        self.stock.held().tickets.clear();
    }

    /// The node's certificates were accepted, and are good until then.
    pub(crate) fn accepted(&self, until: SystemTime) {
        self.stock.held().until = Some(until);
    }

    pub(crate) fn store(&self) -> Arc<dyn ClientSessionStore> {
        self.stock.clone()
    }
}

impl Held {
    fn take(&mut self, now: SystemTime) -> Option<Tls13ClientSessionValue> {
        if self.until.is_none_or(|until| now > until) {
            self.tickets.clear();
        }
        // The newest: what stands behind an address may have changed since the others.
        self.tickets.pop_back()
    }
}

impl Stock {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Stock {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.held().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.held().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut held = self.held();
        if held.tickets.len() == MOST {
            held.tickets.pop_front();
        }
        held.tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.held().take(SystemTime::now())
    }
}

impl std::fmt::Debug for Stock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stock").field("tickets", &self.held().tickets.len()).finish_non_exhaustive()
    }
}

/// When the first of these stops being valid; the epoch where one has no readable end.
pub(crate) fn first_expiry<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> SystemTime {
    let expiry = |certificate: &[u8]| {
        let parsed = x509_parser::parse_x509_certificate(certificate).ok();
        let seconds = parsed.map_or(0, |(_, parsed)| parsed.validity().not_after.timestamp());
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    };
    chain.into_iter().map(expiry).min().unwrap_or(SystemTime::UNIX_EPOCH)
}
