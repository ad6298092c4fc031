//! How many bytes are ahead of a request on its connection.

use crate::congestion::Meter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts what was handed to a connection and not acknowledged yet. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    meter: Arc<Meter>,
    account: Arc<Mutex<Account>>,
}

#[derive(Debug, Default)]
struct Account {
    /// Requests that are under way, and their bytes.
    under_way: u64,
    bytes: u64,
    /// Bytes handed over since there was none under way, and the meter then.
    written: u64,
    base: u64,
}

/// A request that is under way, until dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    account: Arc<Mutex<Account>>,
    bytes: u64,
}

impl Ledger {
    pub(super) fn new(meter: Arc<Meter>) -> Self {
        Self { meter, account: Arc::default() }
    }

    /// A request of so many bytes, at most, begins; says how many are before it.
    ///
    /// What is acknowledged is counted in packets, repeats and small talk among them, and what is
    /// written in bytes of requests: the lesser of what both say is off by a few packets at most.
    pub(super) fn begin(&self, bytes: u64) -> (u64, UnderWay) {
        let acked = self.meter.acked();
        let mut account = lock(&self.account);
        if account.under_way == 0 {
            *account = Account { base: acked, ..Account::default() };
        }
        let left = account.written.saturating_sub(acked.saturating_sub(account.base));
        let ahead = left.min(account.bytes);
        account.under_way += 1;
        account.bytes += bytes;
        account.written += bytes;
        (ahead, UnderWay { account: self.account.clone(), bytes })
    }
}

impl UnderWay {
    /// All of it is handed over, and that is so many bytes.
    pub(super) fn settle(&mut self, bytes: u64) {
        let mut account = lock(&self.account);
        account.bytes = account.bytes - self.bytes + bytes;
        account.written = account.written - self.bytes + bytes;
        self.bytes = bytes;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut account = lock(&self.account);
        account.under_way -= 1;
        account.bytes -= self.bytes;
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_is_not_ahead() {
        let meter = Arc::new(Meter::default());
        let ledger = Ledger::new(meter.clone());
        let (ahead, first) = ledger.begin(10_000);
        assert_eq!(ahead, 0);
        let (ahead, second) = ledger.begin(500);
        assert_eq!(ahead, 10_000);
        meter.add(4_000);
        let (ahead, third) = ledger.begin(500);
        assert_eq!(ahead, 6_500);
        // All of the first arrived, whatever the meter says of packets.
        drop(first);
        assert_eq!(ledger.begin(0).0, 1_000);
        drop((second, third));
        assert_eq!(ledger.begin(100).0, 0);
        // Small talk of an idle connection is nobody's.
        meter.add(1_000_000);
        let (_, bulk) = ledger.begin(50_000);
        assert_eq!(ledger.begin(100).0, 50_000);
        drop(bulk);
    }

    #[test]
    fn what_came_out_smaller_than_announced_is_not_ahead() {
        let meter = Arc::new(Meter::default());
        let ledger = Ledger::new(meter.clone());
        let (_, mut growing) = ledger.begin(4_000_000);
        let (ahead, small) = ledger.begin(1_000);
        assert_eq!(ahead, 4_000_000);
        growing.settle(300_000);
        meter.add(100_000);
        assert_eq!(ledger.begin(0).0, 201_000);
        drop(growing);
        assert_eq!(ledger.begin(0).0, 1_000);
        drop(small);
    }
}
