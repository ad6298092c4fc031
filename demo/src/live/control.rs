//! The link and the load as they are, and changes to them from outside.

use anyhow::Context as _;
use kerf_testbed::link::{Link, LinkSettings, PipeSettings};
use kerf_testbed::trace::Trace;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What may be asked for.
pub(crate) const BOUNDS: Bounds =
    Bounds { rate_bps: (50e3, 1e9), rtt_ms: (1.0, 500.0), requests_per_second: (0.2, 200.0) };

/// What routers at such links hold, in seconds, and at least in bytes.
const QUEUE: (f64, u64) = (0.2, 32 << 10);
/// A trace's rate is its mean over so long.
const GLANCE: Duration = Duration::from_millis(500);

/// Least and most.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Bounds {
    pub(crate) rate_bps: (f64, f64),
    pub(crate) rtt_ms: (f64, f64),
    pub(crate) requests_per_second: (f64, f64),
}

/// What a link is like, the same both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conditions {
    /// Bits per second; 0 where a trace carries nothing.
    pub(crate) rate: f64,
    pub(crate) rtt: Duration,
    pub(crate) is_plugged: bool,
}

/// What is to change; the rest stays. A new rate ends a trace.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    rate_bps: Option<f64>,
    rtt_ms: Option<f64>,
    plugged: Option<bool>,
    requests_per_second: Option<f64>,
}

/// Holds link and load.
pub(crate) struct Control {
    link: Arc<Link>,
    now: Mutex<Now>,
    load: watch::Sender<f64>,
}

struct Now {
    conditions: Conditions,
    /// What the rate follows, and when that began.
    trace: Option<(Arc<Trace>, Instant)>,
}

impl Conditions {
    /// If there may be such a link.
    pub(crate) fn checked(self) -> Result<Self, String> {
        within("rate_bps", self.rate, BOUNDS.rate_bps)?;
        within("rtt_ms", self.rtt.as_secs_f64() * 1e3, BOUNDS.rtt_ms)?;
        Ok(self)
    }

    fn changed(self, change: &Change) -> Result<Self, String> {
        let rtt = change.rtt_ms.map(|millis| within("rtt_ms", millis, BOUNDS.rtt_ms)).transpose()?;
        let rate = change.rate_bps.map(|rate| within("rate_bps", rate, BOUNDS.rate_bps)).transpose()?;
        Ok(Self {
            rate: rate.unwrap_or(self.rate),
            rtt: rtt.map_or(self.rtt, |millis| Duration::from_secs_f64(millis / 1e3)),
            is_plugged: change.plugged.unwrap_or(self.is_plugged),
        })
    }

    /// The link that is like that, from `offset` on where it follows a trace.
    pub(crate) fn link(self, trace: Option<(&Arc<Trace>, Duration)>) -> anyhow::Result<LinkSettings> {
        let delay = self.rtt / 2;
        let queue = |rate: f64| ((rate * QUEUE.0) as u64).max(QUEUE.1);
        let pipe = match trace {
            Some((trace, offset)) => {
                let queue = queue(trace.mean_rate());
                PipeSettings::over(Arc::clone(trace), delay, queue)?.from_offset(offset)
            }
            None => PipeSettings::new(self.rate / 8.0, delay, queue(self.rate / 8.0))?,
        };
        Ok(LinkSettings { up: pipe.clone(), down: pipe })
    }
}

impl Control {
    pub(crate) fn new(
        link: Arc<Link>,
        conditions: Conditions,
        trace: Option<(Arc<Trace>, Instant)>,
        requests_per_second: f64,
    ) -> Self {
        let load = watch::Sender::new(requests_per_second);
        Self { link, now: Mutex::new(Now { conditions, trace }), load }
    }

    /// The link now, and whether it follows a trace.
    pub(crate) fn conditions(&self) -> (Conditions, bool) {
        let now = self.now();
        match &now.trace {
            Some((trace, begun)) => {
                let rate = glance(trace, begun.elapsed());
                (Conditions { rate, ..now.conditions }, true)
            }
            None => (now.conditions, false),
        }
    }

    /// Requests per second.
    pub(crate) fn load(&self) -> watch::Receiver<f64> {
        self.load.subscribe()
    }

    /// Changes all that is asked for, or nothing and says why.
    pub(crate) fn change(&self, change: &Change) -> Result<(), String> {
        let asked = change.requests_per_second;
        let load = asked.map(|load| within("requests_per_second", load, BOUNDS.requests_per_second));
        let load = load.transpose()?;
        let mut now = self.now();
        let conditions = now.conditions.changed(change)?;
        let trace = now.trace.take().filter(|_| change.rate_bps.is_none());
        if conditions != now.conditions {
            let offset = trace.as_ref().map(|(trace, begun)| (trace, begun.elapsed()));
            let settings = conditions.link(offset).map_err(|error| error.to_string());
            // What is within the bounds fits.
            self.link.set(settings?);
            match conditions.is_plugged {
                true => self.link.resume(),
                false => self.link.pause(),
            }
        }
        *now = Now { conditions, trace };
        if let Some(load) = load {
            self.load.send_replace(load);
        }
        Ok(())
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A recorded network.
pub(crate) fn read_trace(path: &Path) -> anyhow::Result<Arc<Trace>> {
    let trace = Trace::read(path).with_context(|| format!("--trace {}", path.display()))?;
    Ok(Arc::new(trace))
}

/// Bits per second from `at` on.
fn glance(trace: &Trace, at: Duration) -> f64 {
    let carried = trace.capacity(at + GLANCE).less(trace.capacity(at));
    carried.as_bytes() * 8.0 / GLANCE.as_secs_f64()
}

fn within(what: &str, value: f64, (least, most): (f64, f64)) -> Result<f64, String> {
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(format!("{what} is {value}, expected {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    const START: Conditions = Conditions { rate: 8e6, rtt: Duration::from_millis(40), is_plugged: true };

    fn control(trace: Option<Arc<Trace>>) -> Control {
        let begun = Instant::now();
        let offset = trace.as_ref().map(|trace| (trace, Duration::ZERO));
        let server = SocketAddr::from(([127, 0, 0, 1], 9));
        let link = Link::start(START.link(offset).unwrap(), server).unwrap();
        Control::new(Arc::new(link), START, trace.map(|trace| (trace, begun)), 5.0)
    }

    fn change(json: &str) -> Change {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_asked_for_changes_and_the_rest_stays() {
        let control = control(None);
        let load = control.load();
        control.change(&change(r#"{"rate_bps": 1e6, "requests_per_second": 7}"#)).unwrap();
        assert_eq!(control.conditions(), (Conditions { rate: 1e6, ..START }, false));
        assert_eq!(*load.borrow(), 7.0);
        control.change(&change(r#"{"rtt_ms": 2.5, "plugged": false}"#)).unwrap();
        let expected = Conditions { rate: 1e6, rtt: Duration::from_micros(2500), is_plugged: false };
        assert_eq!(control.conditions().0, expected);
    }

    #[test]
    fn what_cannot_be_changes_nothing() {
        let control = control(None);
        for (json, said) in [
            (r#"{"rate_bps": 1}"#, "rate_bps is 1, expected 50000 to 1000000000"),
            (r#"{"rate_bps": 1e6, "rtt_ms": 501}"#, "rtt_ms is 501, expected 1 to 500"),
            (r#"{"rtt_ms": 0.5}"#, "rtt_ms is 0.5"),
            (r#"{"rtt_ms": 7, "requests_per_second": 1e9}"#, "requests_per_second is 1000000000"),
        ] {
            let error = control.change(&change(json)).unwrap_err();
            assert!(error.contains(said), "{error}");
            assert_eq!(control.conditions().0, START);
        }
        for json in [r#"{"rate": 1e6}"#, r#"{"rate_bps": "fast"}"#, r#"{"plugged": 1}"#, "[]"] {
            assert!(serde_json::from_str::<Change>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn links_of_all_bounds_can_be_emulated() {
        let (rates, rtts) = (BOUNDS.rate_bps, BOUNDS.rtt_ms);
        for rate in [rates.0, rates.1] {
            for rtt in [rtts.0, rtts.1] {
                let rtt = Duration::from_secs_f64(rtt / 1e3);
                let settings = Conditions { rate, rtt, is_plugged: true }.checked().unwrap().link(None);
                assert!((settings.unwrap().up.rate() - rate / 8.0).abs() < 1.0);
            }
        }
    }

    #[test]
    fn a_trace_is_followed_until_the_rate_is_dragged() {
        let trace = Arc::new(Trace::parse(&b"0 16\n3600 0\n7200 0\n"[..]).unwrap());
        assert_eq!(glance(&trace, Duration::from_secs(5)), 16e6);
        assert_eq!(glance(&trace, Duration::from_secs(3700)), 0.0);
        let control = control(Some(trace));
        assert_eq!(control.conditions(), (Conditions { rate: 16e6, ..START }, true));
        control.change(&change(r#"{"rtt_ms": 10}"#)).unwrap();
        assert!(control.conditions().1);
        control.change(&change(r#"{"rate_bps": 2e6}"#)).unwrap();
        let expected = Conditions { rate: 2e6, rtt: Duration::from_millis(10), is_plugged: true };
        assert_eq!(control.conditions(), (expected, false));
    }
}
