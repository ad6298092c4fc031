//! The link over real sockets, against arithmetic. Exact counts are tested in virtual time
//! (`link::pipe`); here bounds leave room for a machine that is busy with other tests.

#![allow(clippy::disallowed_methods, reason = "sockets live in time")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use kerf_testbed::link::{Blackout, Blackouts, Link, LinkSettings, Loss, OVERHEAD, PipeSettings};
use kerf_testbed::trace::{Capacity, Trace};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(500);
const PAYLOAD: usize = 1200;

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
fn clients_get_their_own_answers() {
    let server = socket();
    let link = Link::start(settings(1e6, 5, 100_000), address(&server)).unwrap();
    for (index, client) in [connected(&link), connected(&link)].iter().enumerate() {
        client.send(&[index as u8; 10]).unwrap();
        let mut buffer = [0; 10];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], from).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 10);
        assert_eq!(buffer, [index as u8; 10]);
    }
    assert_eq!(link.stats().down.delivered, 2);
    assert_eq!(link.stats().down.delivered_bytes, 2 * (10 + OVERHEAD));
}

#[test]
fn a_link_changes_while_it_runs() {
    let server = socket();
    let link = Link::start(settings(25e3, 0, 100_000), address(&server)).unwrap();
    let client = connected(&link);
    let start = Instant::now();
    for _ in 0..20 {
        client.send(&[0; PAYLOAD]).unwrap();
    }
    thread::sleep(MS * 50);
    // 20 datagrams would take 0.98 s; what is left of them is sent within 10 ms now.
    link.set(settings(2.5e6, 0, 100_000));
    let arrivals = drain(&server);
    assert_eq!(arrivals.len(), 20);
    let last = arrivals[19].at - start;
    assert!((MS * 55..MS * 500).contains(&last), "{last:?}");
}

#[test]
fn a_blackout_is_silent_and_ends() {
    let server = socket();
    let link = Link::start(settings(1e6, 500, 64_000), address(&server)).unwrap();
    let client = connected(&link);
    client.send(b"under way").unwrap();
    until(|| link.stats().up.under_way == 1);
    link.pause();
    client.send(b"during").unwrap();
    until(|| link.stats().up.blacked_out == 2);
    link.resume();
    client.send(b"after").unwrap();
    let mut buffer = [0; 16];
    let length = server.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"after");
    assert_eq!(link.stats().up.delivered, 1);
}

#[test]
fn a_scheduled_blackout_begins_and_ends_by_itself() {
    let server = socket();
    let mut once = settings(1e6, 0, 64_000);
    let link = Link::start(once.clone(), address(&server)).unwrap();
    let client = connected(&link);
    let blackout = Blackout { begins: Duration::ZERO, lasts: MS * 300 };
    once.up = once.up.blacked_out(Blackouts::new([blackout]).unwrap());
    let since = link.set(once);
    let mut sent = 0;
    while link.stats().up.delivered == 0 {
        client.send(b"during, and one after").unwrap();
        sent += 1;
        assert!(since.elapsed() < PATIENCE, "it never ended");
        thread::sleep(MS * 10);
    }
    assert!(since.elapsed() >= MS * 300);
    let stats = link.stats().up;
    assert_eq!((stats.blacked_out + stats.delivered, stats.under_way), (sent, 0), "{stats:?}");
}

#[test]
fn addresses_change_in_mid_traffic() {
    let server = socket();
    let link = Link::start(settings(1e6, 1, 64_000), address(&server)).unwrap();
    let clients = [connected(&link), connected(&link)];
    let heard = |client: &UdpSocket| {
        client.send(b"hello").unwrap();
        server.recv_from(&mut [0; 16]).unwrap().1
    };
    let mut seen: Vec<SocketAddr> = clients.iter().map(heard).collect();
    for round in 1..=3 {
        let before = [seen[seen.len() - 2], seen[seen.len() - 1]];
        link.rebind();
        for old in before {
            server.send_to(b"to the old address", old).unwrap();
        }
        until(|| link.stats().misaddressed == 2 * round);
        let after: Vec<_> = clients.iter().map(heard).collect();
        for (client, new) in clients.iter().zip(&after) {
            assert!(!seen.contains(new), "{new} of {seen:?}");
            server.send_to(b"answer", *new).unwrap();
            assert_eq!(client.recv(&mut [0; 32]).unwrap(), 6, "what went to the old one is lost");
        }
        seen.extend(after);
    }
    let stats = link.stats();
    assert_eq!((stats.clients, stats.misaddressed, stats.down.delivered), (2, 6, 6));
}

#[test]
fn what_is_in_the_pipes_survives_a_change_of_addresses() {
    let server = socket();
    let link = Link::start(settings(1e6, 200, 64_000), address(&server)).unwrap();
    let client = connected(&link);
    client.send(b"first").unwrap();
    until(|| link.stats().up.under_way == 1);
    link.rebind();
    client.send(b"second").unwrap();
    let first = server.recv_from(&mut [0; 16]).unwrap().1;
    let second = server.recv_from(&mut [0; 16]).unwrap().1;
    assert_ne!(first, second);
}

#[test]
fn losses_are_counted_by_cause() {
    let server = socket();
    let pipe = |loss| PipeSettings::new(1e6, MS, 64_000).unwrap().losing(loss);
    let (up, down) = (pipe(Loss::random(0.3).unwrap()), pipe(Loss::NONE));
    let link = Link::start(LinkSettings { up, down }.seeded(3), address(&server)).unwrap();
    let client = connected(&link);
    for sent in 1..=200 {
        client.send(&[0; 100]).unwrap();
        // One at a time: how many are lost is the seed's alone.
        until(|| link.stats().up.lost + link.stats().up.delivered == sent);
    }
    let stats = link.stats();
    assert_eq!(stats.up.delivered, drain(&server).len() as u64);
    assert!((30..90).contains(&stats.up.lost), "{stats:?}");
    assert_eq!((stats.up.dropped, stats.up.blacked_out, stats.unsent), (0, 0, 0));
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
            check(median < 0.004, || format!("{median} s late: {late:?}"))
        });
    }
}

#[test]
fn a_server_may_come_late_and_a_link_leaves_nothing_behind() {
    let server = socket();
    let to = address(&server);
    drop(server);
    let link = Link::start(settings(1e6, 1, 64_000), to).unwrap();
    let client = connected(&link);
    for _ in 0..3 {
        client.send(b"nobody").unwrap();
        thread::sleep(MS * 10);
    }
    let server = UdpSocket::bind(to).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send(b"somebody").unwrap();
    assert_eq!(server.recv(&mut [0; 16]).unwrap(), 8);
    let listened = link.address();
    drop(link);
    UdpSocket::bind(listened).unwrap();
}

#[test]
fn the_largest_datagram_and_the_empty_one_pass() {
    let server = socket();
    let link = Link::start(settings(1e8, 0, 1 << 20), address(&server)).unwrap();
    let client = connected(&link);
    for length in [0, 65_507, 1] {
        client.send(&vec![1; length]).unwrap();
        assert_eq!(server.recv(&mut [0; 65_535]).unwrap(), length);
    }
}

#[test]
fn ipv6_servers_have_ipv6_links() {
    let Ok(server) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let link = Link::start(settings(1e6, 1, 64_000), address(&server)).unwrap();
    let client = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    client.send_to(b"six", link.address()).unwrap();
    assert_eq!(server.recv(&mut [0; 16]).unwrap(), 3);
}

/// Applications start and drop links inside of their runtime.
#[tokio::test]
async fn a_link_lives_inside_a_runtime() {
    let server = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let link = Link::start(settings(1e6, 1, 64_000), server.local_addr().unwrap()).unwrap();
    let client = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    client.send_to(b"hello", link.address()).await.unwrap();
    assert_eq!(server.recv(&mut [0; 16]).await.unwrap(), 5);
}

/// Alone among the tests of this file. A machine that had no core to spare may try again: what is
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

struct Arrival {
    at: Instant,
    number: u32,
    from: SocketAddr,
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

/// Everything until nothing has come for [`QUIET`].
fn drain(server: &UdpSocket) -> Vec<Arrival> {
    server.set_read_timeout(Some(QUIET)).unwrap();
    let mut buffer = [0; PAYLOAD];
    let next = || {
        let (_, from) = server.recv_from(&mut buffer).ok()?;
        let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
        Some(Arrival { at: Instant::now(), number, from })
    };
    let arrivals = std::iter::from_fn(next).collect();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    arrivals
}

/// Within 2%, from the first arrival to the last.
fn check_rate(arrivals: &[Arrival], rate: f64) -> Result<(), String> {
    let seconds = arrivals[arrivals.len() - 1].at - arrivals[0].at;
    let measured = (arrivals.len() - 1) as f64 * BYTES / seconds.as_secs_f64();
    check((measured / rate - 1.0).abs() < 0.02, || format!("{measured} bytes/s for {rate}"))
}

fn settings(rate: f64, one_way_ms: u32, queue: u64) -> LinkSettings {
    LinkSettings::symmetric(rate, MS * 2 * one_way_ms, queue).unwrap()
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn connected(link: &Link) -> UdpSocket {
    let socket = socket();
    socket.connect(link.address()).unwrap();
    socket
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it never came");
        thread::sleep(MS);
    }
}

fn quantile(values: &[f64], quantile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(quantile * (sorted.len() - 1) as f64).round() as usize]
}
