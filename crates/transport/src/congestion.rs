//! A congestion window that does not fill the queues of the path.
//!
//! Cubic and BBR grow their windows until something is lost, and on an access link that is a queue of
//! a second. A small request would wait behind all of it. So the window of either is capped a little
//! above what the path holds while no queue stands: least round-trip time times delivery rate.
//!
//! The rate is what was acknowledged between the sending of a packet and its acknowledgement, the
//! largest of the last rounds (Cardwell et al., BBR, 2016). Rounds in which the application had nothing
//! to send say how much it had, not what the path can do: they may raise the estimate only.

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a connection that were acknowledged, as others may read.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    acked: AtomicU64,
}

impl Meter {
    /// Bytes of packets, headers and all.
    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.acked.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Makes capped controllers out of those of another factory.
pub(crate) struct CappedConfig<F> {
    pub(crate) inner: Arc<F>,
    /// Of all the controllers that it makes.
    pub(crate) meter: Arc<Meter>,
}

impl<F: ControllerFactory> ControllerFactory for CappedConfig<F>
where
    F: Send + Sync + 'static,
{
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let inner = self.inner.clone().build(now, mtu);
        Box::new(Capped { inner, path: Path::default(), mtu: mtu.into(), meter: self.meter.clone() })
    }
}

struct Capped {
    inner: Box<dyn Controller>,
    path: Path,
    mtu: u64,
    meter: Arc<Meter>,
}

impl Controller for Capped {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.path.sent(now);
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.meter.add(bytes);
        self.path.acked(now, sent, bytes, app_limited);
        // A window that the cap keeps from being used must not grow behind it.
        let capped = self.path.cap().is_some_and(|cap| cap < self.inner.window());
        self.inner.on_ack(now, sent, bytes, app_limited || capped, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        if in_flight == 0 {
            self.path.idle();
        }
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost: u64) {
        self.inner.on_congestion_event(now, sent, persistent, lost);
    }

    fn on_mtu_update(&mut self, mtu: u16) {
        self.mtu = mtu.into();
        self.inner.on_mtu_update(mtu);
    }

    fn window(&self) -> u64 {
        let window = self.inner.window();
        self.path.cap().map_or(window, |cap| window.min(cap.max(FLOOR * self.mtu)))
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = self.inner.metrics();
        metrics.congestion_window = self.window();
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        let Self { inner, path, mtu, meter } = self;
        Box::new(Self { inner: inner.clone_box(), path: path.clone(), mtu: *mtu, meter: meter.clone() })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The cap, in bandwidth-delay products.
const GAIN: f64 = 1.5;
/// And that much more time: what a path's round trip varies by without a queue of ours. Below it, a
/// window holds the rate down, and the rate then the window.
const SLACK: f64 = 0.010;
/// The same danger, where the path varies by more: one round in so many is let go further, and shows
/// whether there is more to be had.
const PROBE: u32 = 8;
const PROBE_GAIN: f64 = 2.0;
/// While the rate still grows: slow start doubles in a round, and must be let.
const START_GAIN: f64 = 3.0;
/// Growth below this is none.
const GROWTH: f64 = 1.25;
/// Rounds without growth until the rate is taken for the path's.
const FULL: u32 = 2;
/// Rounds of which the fastest counts.
const ROUNDS: usize = 10;
/// A least round-trip time that was not seen again for so long is forgotten: the path has changed.
const RTT_AGE: Duration = Duration::from_secs(10);
/// Packets: enough that delayed acknowledgements do not stop the sender.
const FLOOR: u64 = 20;

/// What is known of the path.
#[derive(Clone, Debug, Default)]
struct Path {
    min_rtt: Option<(Duration, Instant)>,
    /// Bytes per second of the last rounds that were not limited by the application.
    rates: VecDeque<f64>,
    /// The best rate when growth was last seen, and rounds since.
    grown: (f64, u32),
    round: Option<Round>,
}

#[derive(Clone, Debug)]
struct Round {
    began: Instant,
    acked: u64,
    limited: bool,
    /// The first after a pause: it ends before what it sent is delivered.
    first: bool,
}

impl Path {
    fn sent(&mut self, now: Instant) {
        let first = Round { began: now, acked: 0, limited: false, first: true };
        self.round.get_or_insert(first);
    }

    /// Nothing is on its way.
    fn idle(&mut self) {
        self.round = None;
    }

    fn acked(&mut self, now: Instant, sent: Instant, bytes: u64, limited: bool) {
        let rtt = now.saturating_duration_since(sent);
        let old = |(least, seen): (Duration, Instant)| {
            rtt <= least || now.saturating_duration_since(seen) > RTT_AGE
        };
        if self.min_rtt.is_none_or(old) {
            self.min_rtt = Some((rtt, now));
        }
        let Some(round) = &mut self.round else { return };
        round.acked += bytes;
        round.limited |= limited;
        if sent < round.began {
            return;
        }
        let (elapsed, next) = (
            now.saturating_duration_since(round.began),
            Round { began: now, acked: 0, limited: false, first: false },
        );
        let ended = std::mem::replace(round, next);
        if ended.first || elapsed.is_zero() {
            return;
        }
        self.rate(ended.acked as f64 / elapsed.as_secs_f64(), ended.limited);
    }

    fn rate(&mut self, rate: f64, limited: bool) {
        if limited && (self.rates.is_empty() || rate <= self.best()) {
            return;
        }
        if self.rates.len() == ROUNDS {
            self.rates.pop_front();
        }
        self.rates.push_back(rate);
        let (at, rounds) = self.grown;
        self.grown = if rate >= GROWTH * at { (rate, 0) } else { (at, rounds + u32::from(!limited)) };
    }

    fn best(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }

    /// Bytes; `None` until a rate is known.
    fn cap(&self) -> Option<u64> {
        let (rtt, _) = self.min_rtt?;
        let gain = match self.grown.1 {
            ..FULL => START_GAIN,
            rounds if rounds % PROBE == 0 => PROBE_GAIN,
            _ => GAIN,
        };
        (!self.rates.is_empty()).then(|| (self.best() * (gain * rtt.as_secs_f64() + SLACK)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(40);
    const PACKET: u64 = 1000;

    /// Sends what the window allows over a path of so many bytes per second, for so long; `offered`
    /// is what the application has at a time. Returns the most that was in flight in the last third.
    fn run(
        path: &mut Path,
        start: Instant,
        rate: f64,
        lasts: Duration,
        offered: impl Fn(Duration) -> u64,
    ) -> u64 {
        let mut flight: VecDeque<(Instant, Instant)> = VecDeque::new();
        let (mut free, mut sent, mut most) = (start, 0, 0);
        let mut now = start;
        while now < start + lasts {
            let window = path.cap().unwrap_or(u64::MAX).clamp(FLOOR * PACKET, 200_000);
            while (flight.len() as u64) * PACKET < window && sent < offered(now - start) {
                free = free.max(now) + Duration::from_secs_f64(PACKET as f64 / rate);
                flight.push_back((now, free + RTT));
                path.sent(now);
                sent += PACKET;
            }
            if now > start + lasts * 2 / 3 {
                most = most.max(flight.len() as u64 * PACKET);
            }
            let limited = sent >= offered(now - start);
            while flight.front().is_some_and(|(_, acked)| *acked <= now) {
                let (at, _) = flight.pop_front().unwrap();
                path.acked(now, at, PACKET, limited);
            }
            if flight.is_empty() {
                path.idle();
            }
            now += Duration::from_millis(1);
        }
        most
    }

    #[test]
    fn a_bulk_transfer_keeps_little_in_the_queue() {
        for rate in [2.5e5, 1e6, 2e6] {
            let most = run(&mut Path::default(), Instant::now(), rate, Duration::from_secs(3), |_| u64::MAX);
            let (least, product) = (FLOOR * PACKET, rate * RTT.as_secs_f64());
            let wanted = |gain: f64| (gain * product + SLACK * rate) as u64;
            let wanted = wanted(1.4).max(least)..=(wanted(2.1) + 2 * PACKET).max(least);
            assert!(wanted.contains(&most), "{most} for a product of {product}");
        }
    }

    #[test]
    fn small_requests_say_nothing_of_the_path() {
        let mut path = Path::default();
        run(&mut path, Instant::now(), 1e6, Duration::from_secs(3), |at| at.as_millis() as u64 / 100 * 4000);
        assert_eq!(path.cap(), None);
    }

    #[test]
    fn a_path_that_changes_is_followed() {
        let mut path = Path::default();
        let start = Instant::now();
        run(&mut path, start, 5e5, Duration::from_secs(3), |_| u64::MAX);
        let faster = start + Duration::from_secs(4);
        path.idle();
        let most = run(&mut path, faster, 2e6, Duration::from_secs(3), |_| u64::MAX);
        assert!((110_000..=190_000).contains(&most), "{most}");
        path.idle();
        let slower = faster + Duration::from_secs(4);
        let most = run(&mut path, slower, 5e5, Duration::from_secs(6), |_| u64::MAX);
        assert!((30_000..=50_000).contains(&most), "{most}");
        // A longer way: the old round trip would hold the rate down until it is forgotten.
        path.idle();
        let longer = slower + Duration::from_secs(7);
        let (mut rate, mut now) = (0.0, longer);
        for _ in 0..400 {
            let sent = now;
            let window = path.cap().unwrap().clamp(FLOOR * PACKET, 1_000_000);
            path.sent(sent);
            now += 4 * RTT;
            (0..window / PACKET).for_each(|_| path.acked(now, sent, PACKET, false));
            rate = window as f64 / (4.0 * RTT.as_secs_f64());
        }
        assert!(rate > 5e5, "{rate}");
    }
}
