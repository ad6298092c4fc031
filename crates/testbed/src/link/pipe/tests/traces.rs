#![allow(clippy::disallowed_methods, reason = "an epoch; time itself is virtual")]
//! Recorded networks.

use super::*;
use crate::trace::Trace;
use proptest::prelude::*;

fn over(trace: &str, delay_ms: u32, queue: u64) -> PipeSettings {
    PipeSettings::over(Trace::parse(trace.as_bytes()).unwrap(), MS * delay_ms, queue).unwrap()
}

/// When offered (ms), bytes, when it arrives (ms).
type Row = (f64, u32, Option<f64>);

fn check(name: &str, settings: PipeSettings, rows: &[Row]) {
    let epoch = Instant::now();
    let mut pipe = Pipe::new(settings, epoch);
    for (index, &(at, bytes, arrives)) in rows.iter().enumerate() {
        let expected = arrives.map_or(Verdict::Dropped, |ms| Verdict::Deliver(epoch + MS.mul_f64(ms)));
        assert_eq!(pipe.offer(epoch + MS.mul_f64(at), bytes, ()), expected, "{name}, datagram {index}");
    }
}

#[test]
fn opportunities_are_those_of_mahimahi() {
    let trace = "1\n5\n5\n9\n";
    let cases: &[(&str, PipeSettings, &[Row])] = &[
        ("each at the next one", over(trace, 20, 9000), &[(0.0, 1500, Some(21.0)), (2.0, 100, Some(25.0))]),
        (
            "small ones share one",
            over(trace, 0, 9000),
            &[
                (0.5, 500, Some(1.0)),
                (0.6, 500, Some(1.0)),
                (0.7, 500, Some(1.0)),
                (0.8, 500, Some(5.0)),
                (1.1, 2500, Some(5.0)),
                (1.2, 1, Some(9.0)),
            ],
        ),
        (
            "what is left of a datagram waits for the next",
            over(trace, 0, 9000),
            &[(0.0, 1000, Some(1.0)), (0.0, 1000, Some(5.0)), (0.0, 2500, Some(5.0)), (0.0, 1, Some(9.0))],
        ),
        (
            "an opportunity that found nothing is lost, and so is its rest",
            over(trace, 0, 9000),
            &[(0.0, 100, Some(1.0)), (1.5, 1500, Some(5.0)), (6.0, 1500, Some(9.0))],
        ),
        (
            "starts over where it ends, 9 ms later",
            over(trace, 0, 9000),
            &[(9.5, 1500, Some(10.0)), (9.5, 3000, Some(14.0)), (20.0, 1500, Some(23.0))],
        ),
        (
            "from an offset, past the end too",
            over(trace, 0, 9000).from_offset(MS * (4 + 9 * 7)),
            &[(0.0, 1500, Some(1.0)), (1.5, 1500, Some(5.0)), (5.2, 100, Some(6.0))],
        ),
        (
            "the first in line takes no room in the queue",
            over("1\n50\n", 0, 1000),
            &[(2.0, 1500, Some(50.0)), (3.0, 1000, Some(51.0)), (4.0, 1, None), (50.5, 1000, Some(100.0))],
        ),
    ];
    for (name, settings, rows) in cases {
        check(name, settings.clone(), rows);
    }
}

#[test]
fn rates_change_while_a_datagram_is_sent() {
    // 1 MB/s, 2 MB/s from 10 ms on, nothing from 20 to 30 ms.
    let trace = "0 8\n0.01 16\n0.02 0\n0.03 8\n0.04 8\n";
    let cases: &[(&str, PipeSettings, &[Row])] = &[
        ("within one rate", over(trace, 5, 0), &[(0.0, 1000, Some(6.0)), (12.0, 1000, Some(17.5))]),
        ("over two", over(trace, 0, 0), &[(9.0, 3000, Some(11.0))]),
        ("over none", over(trace, 0, 0), &[(19.0, 3000, Some(31.0))]),
        ("over the end", over(trace, 0, 0), &[(49.0, 3000, Some(52.0))]),
        ("from an offset", over(trace, 0, 0).from_offset(MS * 9), &[(0.0, 3000, Some(2.0))]),
    ];
    for (name, settings, rows) in cases {
        check(name, settings.clone(), rows);
    }
}

#[test]
fn a_change_moves_what_is_left_onto_the_new_trace() {
    let epoch = Instant::now();
    let at = |ms: f64| epoch + MS.mul_f64(ms);
    let opportunities = over("5\n10\n15\n20\n", 10, 9000);
    let cases = [
        // By 7 ms an opportunity is used, for the first datagram and half of the second: 2 ms more at
        // 250 kB/s, then 4 ms for the third; or an opportunity for both.
        ("slower", settings(250e3, 10, 9000), [15.0, 19.0, 23.0]),
        ("another trace begins then", over("1\n2\n2\n", 10, 9000), [15.0, 18.0, 18.0]),
        ("the same goes on", over("5\n10\n15\n20\n", 20, 9000), [15.0, 30.0, 30.0]),
    ];
    for (name, changed, expected) in cases {
        let mut pipe = Pipe::new(opportunities.clone(), epoch);
        pipe.offer(epoch, 1000, ());
        pipe.offer(epoch, 1000, ());
        pipe.offer(epoch, 1000, ());
        pipe.set(at(7.0), changed);
        assert_eq!(times(&mut pipe), expected.map(at), "{name}");
    }
    let mut pipe = Pipe::new(settings(1e6, 0, 9000), epoch);
    pipe.set(at(7.0), opportunities.from_offset(MS * 4));
    assert_eq!(pipe.offer(at(7.5), 100, ()), Verdict::Deliver(at(18.0)), "counted from the change");
}

#[test]
fn a_trace_far_above_its_mean_fills_no_memory() {
    let epoch = Instant::now();
    // 1.25 GB/s for a second, and a delay of 2 s.
    let trace = Trace::parse(&b"0 10000\n1 0.1\n100 0.1\n"[..]).unwrap();
    let mut pipe = Pipe::new(PipeSettings::over(trace, MS * 2000, 1 << 20).unwrap(), epoch);
    for datagram in 0..6000 {
        pipe.offer(epoch + MS * datagram / 10, 65_000, ());
    }
    let held = pipe.stats().under_way * 65_000;
    assert!((255 << 20..=256 << 20).contains(&held), "{held}");
    assert!(pipe.stats().dropped > 0);
}

/// What `mm-link` does, opportunity by opportunity: when each datagram leaves, in milliseconds.
fn mahimahi(opportunities: &[u64], datagrams: &[(f64, u32)]) -> Vec<f64> {
    let mut left: Vec<u32> = datagrams.iter().map(|(_, bytes)| *bytes).collect();
    let (mut leaves, mut first, mut lap) = (Vec::new(), 0, 0);
    while first < datagrams.len() {
        for &at in opportunities {
            let (at, mut room) = ((lap + at) as f64, 1500);
            while room > 0 && first < datagrams.len() && datagrams[first].0 < at {
                let sent = room.min(left[first]);
                room -= sent;
                left[first] -= sent;
                if left[first] == 0 {
                    leaves.push(at);
                    first += 1;
                }
            }
        }
        lap += opportunities[opportunities.len() - 1];
    }
    leaves
}

proptest! {
    #[test]
    fn any_opportunities_serve_any_datagrams_as_mahimahi_does(
        gaps in prop::collection::vec(0_u64..12, 1..40),
        datagrams in prop::collection::vec((0_u32..30, 1_u32..5000), 1..60),
        offset in 0_u64..100,
    ) {
        let mut at = 1;
        let mut opportunities = vec![at];
        for gap in gaps {
            at += gap;
            opportunities.push(at);
        }
        let text: String = opportunities.iter().map(|at| format!("{at}\n")).collect();
        let epoch = Instant::now();
        let settings = over(&text, 3, 1 << 20).from_offset(MS * offset as u32);
        let mut pipe = Pipe::new(settings, epoch);
        // Between opportunities, never at one.
        let mut offered = 0.5;
        let datagrams: Vec<_> = datagrams
            .into_iter()
            .map(|(gap, bytes)| {
                offered += f64::from(gap);
                (offered, bytes)
            })
            .collect();
        let in_trace: Vec<_> = datagrams.iter().map(|(at, bytes)| (at + offset as f64, *bytes)).collect();
        for ((at, bytes), leaves) in datagrams.iter().zip(mahimahi(&opportunities, &in_trace)) {
            let arrives = epoch + MS.mul_f64(leaves - offset as f64 + 3.0);
            prop_assert_eq!(pipe.offer(epoch + MS.mul_f64(*at), *bytes, ()), Verdict::Deliver(arrives));
        }
    }

    /// Whatever the rates, what arrives is what the trace could have carried by then.
    #[test]
    fn a_saturated_trace_is_carried_whole(
        rates in prop::collection::vec(0_u32..400, 1..30),
        bytes in 40_u32..65_000,
    ) {
        prop_assume!(rates.iter().any(|rate| *rate > 0));
        let text: String = rates
            .iter()
            .enumerate()
            .map(|(second, rate)| format!("{} {}\n", f64::from(second as u32) / 10.0, f64::from(*rate) / 10.0))
            .collect();
        let trace = Trace::parse(text.as_bytes());
        prop_assume!(trace.is_ok());
        let trace = trace.unwrap();
        let epoch = Instant::now();
        let mut pipe = Pipe::new(PipeSettings::over(trace.clone(), MS * 7, 64 << 20).unwrap(), epoch);
        for number in 1..=300_u64 {
            let through = trace.time(Capacity::bytes(number * u64::from(bytes))).unwrap();
            prop_assert_eq!(pipe.offer(epoch, bytes, ()), Verdict::Deliver(epoch + through + MS * 7));
        }
    }
}
