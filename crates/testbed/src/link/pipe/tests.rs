#![allow(clippy::disallowed_methods, reason = "an epoch; time itself is virtual")]

use super::*;
use crate::link::InvalidPipe;

mod faults;
mod traces;

const MS: Duration = Duration::from_millis(1);

fn settings(rate: f64, delay_ms: u32, queue: u64) -> PipeSettings {
    PipeSettings::new(rate, MS * delay_ms, queue).unwrap()
}

/// When what is held arrives.
fn times<T>(pipe: &mut Pipe<T>) -> Vec<Instant> {
    arrivals(pipe).into_iter().map(|(at, _)| at).collect()
}

/// What is held, and when it arrives.
fn arrivals<T>(pipe: &mut Pipe<T>) -> Vec<(Instant, T)> {
    let mut arrived = Vec::new();
    while let Some(at) = pipe.next_arrival() {
        arrived.extend(std::iter::from_fn(|| pipe.poll(at)).map(|item| (at, item)));
    }
    arrived
}

/// When offered (ms), bytes, when it arrives (ms).
type Row = (u32, u32, Option<f64>);

#[test]
fn arrivals_are_arithmetic() {
    let cases: &[(&str, PipeSettings, &[Row])] = &[
        ("alone: size / rate + delay", settings(1e6, 20, 10_000), &[(5, 1000, Some(26.0))]),
        ("idle between", settings(1e6, 20, 0), &[(0, 1000, Some(21.0)), (1, 500, Some(21.5))]),
        (
            "each waits for those before",
            settings(1e6, 10, 10_000),
            &[(0, 1000, Some(11.0)), (0, 3000, Some(14.0)), (2, 500, Some(14.5)), (9, 1000, Some(20.0))],
        ),
        (
            "the one being sent takes no room; two wait; the rest drops",
            settings(1e6, 0, 2000),
            &[
                (0, 1000, Some(1.0)),
                (0, 1000, Some(2.0)),
                (0, 1000, Some(3.0)),
                (0, 1000, None),
                (0, 1, None),
                (1, 1000, Some(4.0)),
                (1, 1000, None),
            ],
        ),
        (
            "a small one may find room where a large one does not",
            settings(1e6, 0, 1200),
            &[(0, 1000, Some(1.0)), (0, 1000, Some(2.0)), (0, 1000, None), (0, 200, Some(2.2))],
        ),
        (
            "without a queue only an idle link takes any",
            settings(2e6, 1, 0),
            &[(0, 4000, Some(3.0)), (1, 100, None), (2, 65_535, Some(35.7675))],
        ),
        (
            "a third of a µs: nothing early, and no rounding adds up",
            settings(3e6, 0, 9_000),
            &[(0, 1, Some(334e-6)), (0, 1, Some(667e-6))],
        ),
    ];
    for (name, settings, rows) in cases {
        let epoch = Instant::now();
        let mut pipe = Pipe::new(settings.clone(), epoch);
        for (index, &(at, bytes, arrives)) in rows.iter().enumerate() {
            let expected = arrives.map_or(Verdict::Dropped, |ms| Verdict::Deliver(epoch + MS.mul_f64(ms)));
            assert_eq!(pipe.offer(epoch + MS * at, bytes, index), expected, "{name}, datagram {index}");
        }
        let accepted = (0..rows.len()).filter(|&index| rows[index].2.is_some());
        let end = epoch + MS * 1000;
        let arrived: Vec<_> = std::iter::from_fn(|| pipe.poll(end)).collect();
        assert_eq!(arrived, accepted.collect::<Vec<_>>(), "{name}: order");
        let (stats, all) = (pipe.stats(), rows.len() as u64);
        assert_eq!((stats.delivered + stats.dropped, stats.under_way), (all, 0), "{name}: {stats:?}");
    }
}

#[test]
fn nothing_arrives_early() {
    let epoch = Instant::now();
    let mut pipe = Pipe::new(settings(1e6, 20, 5000), epoch);
    pipe.offer(epoch, 1000, "first");
    pipe.offer(epoch, 1000, "second");
    assert_eq!(pipe.next_arrival(), Some(epoch + MS * 21));
    assert_eq!(pipe.poll(epoch + MS * 21 - Duration::from_nanos(1)), None);
    assert_eq!(pipe.poll(epoch + MS * 21), Some("first"));
    assert_eq!(pipe.poll(epoch + MS * 21), None);
    assert_eq!(pipe.next_arrival(), Some(epoch + MS * 22));
}

#[test]
fn a_saturated_pipe_has_its_rate() {
    // A sender of twice the rate: the queue is always full, and what arrives is the rate.
    for (rate, bytes) in [(31_250.0, 1228), (250e3, 100), (1e6, 1228), (25e6, 1228), (1.25e9, 9000)] {
        let epoch = Instant::now();
        let mut pipe = Pipe::new(settings(rate, 5, 40 * u64::from(bytes)), epoch);
        let gap = Duration::from_secs_f64(f64::from(bytes) / rate / 2.0);
        let count = 20_000;
        let arrivals: Vec<_> = (0..count)
            .filter_map(|index| match pipe.offer(epoch + gap * index, bytes, ()) {
                Verdict::Deliver(at) => Some(at),
                Verdict::Lost | Verdict::Dropped => None,
            })
            .collect();
        let seconds = (arrivals[arrivals.len() - 1] - arrivals[0]).as_secs_f64();
        let measured = (arrivals.len() - 1) as f64 * f64::from(bytes) / seconds;
        assert!((measured / rate - 1.0).abs() < 1e-3, "{measured} for {rate}");
        // All that was sent in that time, and what the queue and the sender hold at its end.
        let expected = count as usize / 2 + 41;
        assert!(arrivals.len().abs_diff(expected) <= 1, "{} of {expected}", arrivals.len());
    }
}

#[test]
fn a_change_of_rate_moves_what_is_not_yet_sent() {
    let epoch = Instant::now();
    let at = |ms: f64| epoch + MS.mul_f64(ms);
    let cases = [
        // By 1.5 ms one is sent, and half of the second.
        ("half the rate", settings(5e5, 10, 9000), [11.0, 12.5, 14.5, 16.5]),
        ("twice the rate", settings(2e6, 10, 9000), [11.0, 11.75, 12.25, 12.75]),
        ("longer", settings(1e6, 30, 9000), [11.0, 32.0, 33.0, 34.0]),
        ("shorter: none overtakes", settings(1e6, 0, 9000), [11.0, 11.0, 11.0, 11.0]),
        ("a queue that shrinks keeps what it has", settings(1e6, 10, 0), [11.0, 12.0, 13.0, 14.0]),
    ];
    for (name, changed, expected) in cases {
        let mut pipe = Pipe::new(settings(1e6, 10, 9000), epoch);
        for _ in 0..3 {
            pipe.offer(epoch, 1000, ());
        }
        let shrinks = changed.queue() == 0;
        pipe.set(at(1.5), changed);
        if shrinks {
            assert_eq!(pipe.offer(at(1.5), 1, ()), Verdict::Dropped, "{name}");
            pipe.set(at(1.5), settings(1e6, 10, 9000));
        }
        pipe.offer(at(1.5), 1000, ());
        assert_eq!(times(&mut pipe), expected.map(at), "{name}");
    }
}

#[test]
fn a_blackout_loses_everything() {
    let epoch = Instant::now();
    let mut pipe = Pipe::new(settings(1e6, 10, 9000), epoch);
    for _ in 0..3 {
        pipe.offer(epoch, 1000, ());
    }
    pipe.pause(epoch);
    assert_eq!((pipe.next_arrival(), pipe.backlog(epoch)), (None, 0));
    assert_eq!(pipe.offer(epoch + MS, 1000, ()), Verdict::Dropped);
    pipe.resume();
    assert_eq!(pipe.offer(epoch + MS, 1000, ()), Verdict::Deliver(epoch + MS * 12));
    let stats = PipeStats { blacked_out: 4, under_way: 1, ..PipeStats::default() };
    assert_eq!(pipe.stats(), stats);
}

#[test]
fn the_backlog_drains_at_the_rate() {
    let epoch = Instant::now();
    let mut pipe = Pipe::new(settings(1e6, 10, 9000), epoch);
    for _ in 0..4 {
        pipe.offer(epoch, 1000, ());
    }
    for (ms, bytes) in [(0.0, 4000), (0.5, 3500), (3.0, 1000), (4.0, 0), (100.0, 0)] {
        assert_eq!(pipe.backlog(epoch + MS.mul_f64(ms)), bytes, "after {ms} ms");
    }
}

#[test]
fn impossible_links_are_refused() {
    let cases = [
        (0.0, 1, 1, "the rate of a link is 0 bytes/s"),
        (-0.0, 1, 1, "the rate of a link is 0 bytes/s"),
        (-1.0, 1, 1, "the rate of a link is -1 bytes/s; it must be from 1 to"),
        (0.5, 1, 1, "the rate of a link is 0.5 bytes/s"),
        (f64::NAN, 1, 1, "the rate of a link is NaN bytes/s"),
        (f64::INFINITY, 1, 1, "the rate of a link is inf bytes/s"),
        (1e6, 60_001, 1, "the delay of a link is 60.001 s; at most 60 s"),
        (1e9, 300, 1, "may hold more than 256 MiB"),
        (1e6, 20, u64::MAX, "may hold more than 256 MiB"),
    ];
    for (rate, delay, queue, expected) in cases {
        let error = PipeSettings::new(rate, MS * delay, queue).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} lacks {expected}");
    }
}
