#![allow(clippy::disallowed_methods, reason = "sockets live in time")]
//! When datagrams arrive, and how many.

use super::*;
use kerf_testbed::link::PipeSettings;
use kerf_testbed::trace::{Capacity, Trace};
use std::sync::{Mutex, PoisonError};

/// Of one datagram, on the link.
const BYTES: f64 = PAYLOAD as f64 + OVERHEAD as f64;

#[test]
fn a_lone_datagram_takes_delay_and_size_over_rate() {
    for (rate, one_way) in [(250e3, 5), (1e6, 20), (25e6, 20)] {
        timed(|| {
            let server = socket();
            let link = Link::start(settings(rate, one_way, 65_536), address(&server)).unwrap();
            let client = connected(&link);
            let expected = MS * one_way + Duration::from_secs_f64(BYTES / rate);
            let (mut late, mut sleeper_late) = (Vec::new(), Vec::new());
            for _ in 0..41 {
                let start = Instant::now();
                client.send(&[7; PAYLOAD]).unwrap();
                server.recv(&mut [0; PAYLOAD]).unwrap();
                late.push(start.elapsed().as_secs_f64() - expected.as_secs_f64());
                let start = Instant::now();
                thread::sleep(expected);
                sleeper_late.push((start.elapsed() - expected).as_secs_f64());
            }
            assert!(late.iter().all(|&late| late > -1e-6), "one came early: {late:?}");
            let ms = |values: &[f64], part| quantile(values, part) * 1e3;
            let (median, p90, sleeper) = (ms(&late, 0.5), ms(&late, 0.9), ms(&sleeper_late, 0.5));
            eprintln!(
                "{rate} bytes/s, {one_way} ms: median {median:.3} ms late, p90 {p90:.3}; a sleeper {sleeper:.3}"
            );
            // Where all cores are busy, whoever wakes waits for the scheduler's next tick.
            check(median < 1.0 + sleeper, || {
                format!("{median} ms late at {rate} bytes/s, {one_way} ms; a sleeper {sleeper} ms")
            })
        });
    }
}

#[test]
fn a_saturating_sender_gets_the_rate_and_loses_the_rest() {
    for (rate, queue) in [(250e3, 20_000), (1e6, 64_000), (6.25e6, 300_000)] {
        timed(|| {
            let server = socket();
            let link = Link::start(settings(rate, 10, queue), address(&server)).unwrap();
            let Flood { sent, seconds, arrivals } =
                flood(&[connected(&link)], &server, 1.5 * rate, MS * 1000);
            let order: Vec<u32> = arrivals.iter().map(|arrival| arrival.number).collect();
            assert!(order.is_sorted_by(|a, b| a < b), "out of order");
            let stats = link.stats();
            assert_eq!((stats.up.under_way, stats.unsent), (0, 0));

            check_rate(&arrivals, rate)?;
            // What the kernel's buffers lost where a thread got no core is in no count.
            let nearly = |part: u64, whole: u64| part <= whole && part as f64 >= whole as f64 * 0.99;
            check(nearly(arrivals.len() as u64, stats.up.delivered), || {
                format!("{} arrived: {stats:?}", arrivals.len())
            })?;
            check(nearly(stats.up.delivered + stats.up.dropped, u64::from(sent)), || {
                format!("{sent} sent: {stats:?}")
            })?;
            let carried = rate * seconds + queue as f64 + BYTES;
            let expected = f64::from(sent) - carried / BYTES;
            let off = (stats.up.dropped as f64 - expected).abs() / f64::from(sent);
            check(off < 0.03, || format!("{expected} of {sent} should be dropped: {stats:?}"))
        });
    }
}

#[test]
fn clients_share_the_pipe() {
    timed(|| {
        let (rate, server) = (1e6, socket());
        let link = Link::start(settings(rate, 5, 100_000), address(&server)).unwrap();
        let clients = [connected(&link), connected(&link)];
        let arrivals = flood(&clients, &server, 1.5 * rate, MS * 700).arrivals;
        assert_eq!(link.stats().clients, 2);
        check_rate(&arrivals, rate)?;
        let of_first = arrivals.iter().filter(|arrival| arrival.from == arrivals[0].from).count();
        let share = of_first as f64 / arrivals.len() as f64;
        check((0.4..0.6).contains(&share), || format!("one of two has {share}"))
    });
}

#[test]
fn a_trace_is_carried_as_it_was_recorded() {
    // 4 Mbit/s with opportunities in pairs, and rates of 2, 0 and 8 Mbit/s.
    let pairs: String = (1..=60).flat_map(|pair| [pair * 6, pair * 6]).map(|at| format!("{at}\n")).collect();
    for text in [pairs, "0 2\n0.2 0\n0.3 8\n0.4 8\n".to_owned()] {
        timed(|| {
            let server = socket();
            let trace = Trace::parse(text.as_bytes()).unwrap();
            let pipe = PipeSettings::over(trace.clone(), MS * 5, 1 << 20).unwrap();
            let idle = settings(1e9, 0, 1 << 20);
            let link = Link::start(idle, address(&server)).unwrap();
            let client = connected(&link);
            let since = link.set(LinkSettings { up: pipe.clone(), down: pipe });
            for _ in 0..250 {
                client.send(&[0; PAYLOAD]).unwrap();
            }
            let late: Vec<f64> = drain(&server)
                .iter()
                .zip(1..)
                .map(|(arrival, number)| {
                    let through = trace.time(Capacity::bytes(number * BYTES as u64)).unwrap() + MS * 5;
                    (arrival.at - since).as_secs_f64() - through.as_secs_f64()
                })
                .collect();
            // All waited before the first opportunity, or the sender had no core.
            check(late.len() == 250, || format!("{} of 250 arrived", late.len()))?;
            let (earliest, median) = (quantile(&late, 0.0), quantile(&late, 0.5));
            assert!(earliest > -1e-6, "one came early: {late:?}");
            check(median < 0.03, || format!("{median} s late: {late:?}"))
        });
    }
}

/// Alone among the tests of this kind. A machine that had no core to spare may try again: what is
/// wrong with the link itself stays wrong.
fn timed(test: impl Fn() -> Result<(), String>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut failures = Vec::new();
    while let Err(failure) = test() {
        failures.push(failure);
        assert!(failures.len() < 8, "{failures:#?}");
    }
}

fn check(holds: bool, failure: impl Fn() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(failure()) }
}

struct Flood {
    sent: u32,
    /// Over which it was sent.
    seconds: f64,
    /// Until nothing had come for a while.
    arrivals: Vec<Arrival>,
}

/// Numbered datagrams from each client in turn, in bursts of a millisecond; what a late burst
/// missed is made up for. The server stamps what arrives meanwhile.
fn flood(clients: &[UdpSocket], server: &UdpSocket, rate: f64, duration: Duration) -> Flood {
    thread::scope(|scope| {
        let arrivals = scope.spawn(|| drain(server));
        let start = Instant::now();
        let mut sent = 0u32;
        while start.elapsed() < duration {
            while f64::from(sent) * BYTES < start.elapsed().as_secs_f64() * rate {
                let mut payload = [0; PAYLOAD];
                payload[..4].copy_from_slice(&sent.to_be_bytes());
                clients[sent as usize % clients.len()].send(&payload).unwrap();
                sent += 1;
            }
            thread::sleep(MS);
        }
        let seconds = start.elapsed().as_secs_f64();
        Flood { sent, seconds, arrivals: arrivals.join().unwrap() }
    })
}

/// Within 2%, from the first arrival to the last.
fn check_rate(arrivals: &[Arrival], rate: f64) -> Result<(), String> {
    let seconds = arrivals[arrivals.len() - 1].at - arrivals[0].at;
    let measured = (arrivals.len() - 1) as f64 * BYTES / seconds.as_secs_f64();
    check((measured / rate - 1.0).abs() < 0.02, || format!("{measured} bytes/s for {rate}"))
}

fn quantile(values: &[f64], quantile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(quantile * (sorted.len() - 1) as f64).round() as usize]
}
