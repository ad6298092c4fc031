use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that all requests share. Who does not get his share at once gets none: a queue
/// for memory would hold requests that hold memory.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    units: Arc<Semaphore>,
}

/// Gives its bytes back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    _permit: OwnedSemaphorePermit,
}

/// Permits are counted in `u32`.
const UNIT: u64 = 1024;

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        Self { units: Arc::new(Semaphore::new(units as usize)) }
    }

    pub(super) fn take(&self, bytes: u64) -> Option<Share> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        let permit = self.units.clone().try_acquire_many_owned(units).ok()?;
        Some(Share { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_comes_back() {
        let budget = Budget::new(10_000);
        let first = budget.take(6_000).unwrap();
        assert!(budget.take(6_000).is_none());
        assert!(budget.take(u64::MAX).is_none());
        assert!(budget.take(0).is_some());
        drop(first);
        assert!(budget.take(10_000).is_some());
    }
}
