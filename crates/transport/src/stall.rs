//! When is a silent link a lost one? A state machine; time and facts are arguments.

use std::time::Duration;

/// Watches one call's wait.
///
/// The link is lost when no datagram at all has arrived for the limit. A node that
/// computes for long has nothing to say, so a quiet while asks for a probe, something
/// that the peer's QUIC must acknowledge at once.
#[derive(Debug)]
pub(crate) struct Watch {
    stall: Duration,
    datagrams: u64,
    heard: Duration,
    /// When the next look was asked for.
    due: Duration,
}

/// What to do after a look at the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It lives, or it is too soon to tell. Look again after so long.
    Wait(Duration),
    /// As `Wait`, and make the peer say something.
    Probe(Duration),
    /// Nothing has arrived for so long.
    Lost(Duration),
}

impl Watch {
    /// From `now` on; `datagrams` have arrived so far.
    pub(crate) fn new(stall: Duration, now: Duration, datagrams: u64) -> Self {
        Self { stall, datagrams, heard: now, due: now }
    }

    /// A look at the link: `datagrams` have arrived in all.
    pub(crate) fn look(&mut self, now: Duration, datagrams: u64, rtt: Duration) -> Verdict {
        if datagrams != self.datagrams {
            (self.datagrams, self.heard) = (datagrams, now);
        }
        // What came while this process was kept from looking may not have been read yet:
        // its own delay is not the link's silence.
        self.heard += now.saturating_sub(self.due);
        // A silence that an acknowledgement may need, delayed by up to 25 ms (RFC 9000,
        // max_ack_delay), and once lost, says nothing.
        let limit = self.stall.max(3 * rtt + Duration::from_millis(100));
        let silence = now.saturating_sub(self.heard);
        if silence >= limit {
            return Verdict::Lost(silence);
        }
        let next = (limit / 8).max(Duration::from_millis(5)).min(limit - silence);
        self.due = now + next;
        if silence >= limit / 4 { Verdict::Probe(next) } else { Verdict::Wait(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Looks whenever asked to, until the link is lost or `until`; `arrivals(t)` is the count at `t`.
    fn run(
        stall: Duration,
        rtt: Duration,
        until: Duration,
        arrivals: impl Fn(Duration) -> u64,
    ) -> (Option<Duration>, u32) {
        let (mut now, mut probes) = (ms(0), 0);
        let mut watch = Watch::new(stall, now, arrivals(now));
        while now < until {
            match watch.look(now, arrivals(now), rtt) {
                Verdict::Wait(next) => now += next,
                Verdict::Probe(next) => {
                    probes += 1;
                    now += next;
                }
                Verdict::Lost(_) => return (Some(now), probes),
            }
        }
        (None, probes)
    }

    #[test]
    fn silence_is_a_loss_and_any_datagram_is_not() {
        let dead = |_| 7;
        let every = |gap: u64| move |t: Duration| t.as_millis() as u64 / gap;
        // A transfer that crawls: no request done, but something comes now and then.
        assert_eq!(run(ms(400), ms(1), ms(60_000), every(300)).0, None);
        let (lost, probes) = run(ms(400), ms(1), ms(60_000), dead);
        assert!(lost.is_some_and(|at| (ms(400)..=ms(460)).contains(&at)), "{lost:?}");
        assert!((1..=8).contains(&probes), "{probes}");
        // It lived for a second, then died.
        let (lost, _) = run(ms(400), ms(1), ms(60_000), |t| (t.as_millis() as u64).min(1000));
        assert!(lost.is_some_and(|at| (ms(1400)..=ms(1510)).contains(&at)), "{lost:?}");
    }

    #[test]
    fn a_long_way_is_given_more_time() {
        let (lost, _) = run(ms(400), ms(600), ms(60_000), |_| 0);
        assert!(lost.is_some_and(|at| (ms(1900)..=ms(2100)).contains(&at)), "{lost:?}");
    }

    #[test]
    fn a_process_that_slept_does_not_blame_the_link() {
        let mut watch = Watch::new(ms(400), ms(0), 0);
        assert_eq!(watch.look(ms(0), 0, ms(1)), Verdict::Wait(ms(50)));
        assert_eq!(watch.look(ms(5000), 0, ms(1)), Verdict::Wait(ms(50)));
        let mut now = ms(5050);
        while let Verdict::Wait(next) | Verdict::Probe(next) = watch.look(now, 0, ms(1)) {
            now += next;
        }
        assert_eq!(now, ms(5350), "it is lost all the same after the rest of the limit");
    }

    #[test]
    fn a_lively_link_is_not_probed() {
        assert_eq!(run(ms(400), ms(1), ms(10_000), |t| t.as_millis() as u64 / 20), (None, 0));
    }
}
