//! How true the emulated link is on this machine, over loopback: constant rates, a generated trace of
//! mahimahi's form, a generated one of rates, and any files.
//!
//! `cargo run --release -p kerf-testbed --example link_fidelity -- --json OUT [--trace FILE]...
//! [--seconds 5]`. Each link is measured twice. *Lone* datagrams, over an idle link: how much later
//! than arithmetic says each arrives. *Saturated*, with a backlog that never ends: the same of each
//! datagram, and how many bytes arrived against how many the trace could have carried meanwhile. The
//! arithmetic is that of the trace alone. Beside them is how late a thread wakes that sleeps, and the
//! machine's load: where all cores are busy, whoever wakes waits for one.

#![allow(clippy::disallowed_methods, reason = "sockets live in time")]

use kerf_testbed::link::{Link, LinkSettings, OVERHEAD, PipeSettings};
use kerf_testbed::trace::{Capacity, Trace};
use serde_json::{Value, json};
use socket2::SockRef;
use std::error::Error;
use std::fmt::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const MBITS: [u64; 4] = [1, 8, 50, 200];
const DELAY: Duration = Duration::from_millis(20);
const MS: Duration = Duration::from_millis(1);
const PAYLOAD: usize = 1200;
/// Of one datagram on the link.
const SIZE: u64 = PAYLOAD as u64 + OVERHEAD;
const LONE: u32 = 150;
/// As much as the trace carries in that time waits, but no more than so many datagrams: the sender
/// may be without a core for as long.
const BACKLOG: Duration = Duration::from_millis(500);
const MOST: u64 = 40_000;
/// Datagrams between the sender and the link: less than any kernel's buffers hold.
const AHEAD: u64 = 128;

struct Arguments {
    json: Option<PathBuf>,
    traces: Vec<PathBuf>,
    saturated: Duration,
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    let mut links = Vec::new();
    for mbits in MBITS {
        let trace = Trace::constant(mbits * 125_000).ok_or("no such rate")?;
        links.push((format!("{mbits} Mbit/s"), trace));
    }
    links.push(("mahimahi, generated".to_owned(), Trace::parse(opportunities().as_bytes())?));
    links.push(("rates, generated".to_owned(), Trace::parse(rates().as_bytes())?));
    for path in &arguments.traces {
        let name = path.file_name().unwrap_or(path.as_os_str()).display().to_string();
        links.push((name, Trace::read(path).map_err(|error| format!("{}: {error}", path.display()))?));
    }
    let mut cells = Vec::new();
    for (name, trace) in links {
        let cell = measure(&name, &Arc::new(trace), arguments.saturated)?;
        println!("{}", line(&cell));
        cells.push(cell);
    }
    if let Some(path) = arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&cells)?)?;
    }
    Ok(())
}

fn arguments() -> Outcome<Arguments> {
    let mut arguments = Arguments { json: None, traces: vec![], saturated: Duration::from_secs(5) };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--json" => arguments.json = Some(value.into()),
            "--trace" => arguments.traces.push(value.into()),
            "--seconds" => arguments.saturated = Duration::try_from_secs_f64(value.parse()?)?,
            _ => return Err(format!("{word}: only --json, --trace and --seconds are known").into()),
        }
    }
    Ok(arguments)
}

fn measure(name: &str, trace: &Arc<Trace>, saturated: Duration) -> Outcome<Value> {
    let lone = lone(trace)?;
    let flood = flood(trace, saturated)?;
    let sleep = |_| {
        let start = Instant::now();
        thread::sleep(MS);
        (start.elapsed() - MS).as_secs_f64()
    };
    let sleeper = (0..200).map(sleep).collect();
    Ok(json!({
        "link": name,
        "mean_mbit_per_s": round(trace.mean_rate() * 8e-6),
        "one_way_ms": DELAY.as_secs_f64() * 1e3,
        "lone_late_ms": quantiles(lone),
        "saturated_late_ms": quantiles(flood.late),
        "rate_error_percent": round(flood.rate_error * 100.0),
        "rate_error_percent_of_a_second": {
            "p50": round(flood.seconds[0] * 100.0),
            "worst": round(flood.seconds[1] * 100.0),
        },
        "missing": flood.missing,
        "sleeper_late_ms": quantiles(sleeper),
        "load": load(),
    }))
}

/// Seconds by which single datagrams come late that are sent at odd times.
fn lone(trace: &Arc<Trace>) -> Outcome<Vec<f64>> {
    let Bench { server, client, since, .. } = &Bench::start(trace)?;
    let mut late = Vec::new();
    for number in 0..LONE {
        // Never in step with a trace, and not as one of its milliseconds ends: what gets to the link
        // 50 µs too late for an opportunity waits for the next, and says nothing of the link.
        thread::sleep(Duration::from_micros(u64::from(number) * 377 % 1000));
        while since.elapsed().subsec_micros() % 1000 > 600 {
            thread::sleep(MS / 5);
        }
        let sent = since.elapsed();
        client.send(&[0; PAYLOAD])?;
        server.recv(&mut [0; PAYLOAD])?;
        let arrived = since.elapsed();
        let through = trace.through(sent, SIZE).ok_or("the trace stands still")?;
        late.push(arrived.as_secs_f64() - (through + DELAY).as_secs_f64());
    }
    Ok(late)
}

struct Flood {
    /// Seconds, of each datagram.
    late: Vec<f64>,
    /// What arrived against what the trace could have carried, less 1.
    rate_error: f64,
    /// Its size in the median second, and in the worst.
    seconds: [f64; 2],
    missing: usize,
}

fn flood(trace: &Arc<Trace>, duration: Duration) -> Outcome<Flood> {
    let bench = Bench::start(trace)?;
    let (sent, arrivals) = thread::scope(|scope| -> Outcome<_> {
        let arrivals = scope.spawn(|| bench.drain());
        let sent = bench.saturate(trace, duration);
        let arrivals = arrivals.join().map_err(|_| "the receiver panicked")??;
        Ok((sent?, arrivals))
    })?;
    // When each is to come, if each gets to the link.
    let mut used = Capacity::default();
    let mut due = Vec::with_capacity(sent.len());
    for at in &sent {
        used = used.max(trace.capacity(*at)) + Capacity::bytes(SIZE);
        due.push((trace.time(used).ok_or("the trace stands still")? + DELAY).as_secs_f64());
    }
    let late = arrivals.iter().filter_map(|(at, number)| Some(at.as_secs_f64() - due.get(*number)?));
    let carried = |at: Duration| trace.capacity(at.saturating_sub(DELAY));
    let error = |part: &[(Duration, usize)]| -> Option<f64> {
        let (first, last) = (part.first()?, part.last()?);
        let could = carried(last.0).less(carried(first.0)).as_bytes();
        let did = (last.1 - first.1) as f64 * SIZE as f64;
        (could > 0.0).then(|| did / could - 1.0)
    };
    let seconds = arrivals.chunk_by(|left, right| left.0.as_secs() == right.0.as_secs());
    // Of few datagrams a part of one would be much.
    let seconds = seconds.filter(|part| part.len() > 50).filter_map(|part| error(part).map(f64::abs));
    let mut seconds: Vec<_> = seconds.collect();
    seconds.sort_by(f64::total_cmp);
    Ok(Flood {
        late: late.collect(),
        rate_error: error(&arrivals).ok_or("too little arrived")?,
        seconds: [0.5, 1.0].map(|part| quantile(&seconds, part).unwrap_or(f64::NAN)),
        missing: sent.len() - arrivals.len(),
    })
}

/// A server, a link to it whose trace began at an instant, and a client.
struct Bench {
    server: UdpSocket,
    link: Link,
    client: UdpSocket,
    since: Instant,
}

impl Bench {
    fn start(trace: &Arc<Trace>) -> Outcome<Self> {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let (server, client) = (bind()?, bind()?);
        SockRef::from(&server).set_recv_buffer_size(4 << 20)?;
        server.set_read_timeout(Some(Duration::from_secs(60)))?;
        let link = Link::start(LinkSettings::symmetric(1e9, MS, 1 << 20)?, server.local_addr()?)?;
        client.connect(link.address())?;
        // The link has a socket for it before the trace begins.
        client.send(&[0; PAYLOAD])?;
        server.recv(&mut [0; PAYLOAD])?;
        let pipe = PipeSettings::over(trace.clone(), DELAY, 64 << 20)?;
        let since = link.set(LinkSettings { up: pipe.clone(), down: pipe });
        Ok(Self { server, link, client, since })
    }

    /// Keeps the link busy, and queues no more than that takes: when each datagram was sent.
    fn saturate(&self, trace: &Trace, duration: Duration) -> Outcome<Vec<Duration>> {
        let (mut payload, mut sent) = ([0; PAYLOAD], Vec::new());
        // One got through before.
        let before = self.link.stats().up.delivered;
        while self.since.elapsed() < duration {
            let now = self.since.elapsed();
            let soon = trace.capacity(now + BACKLOG).less(trace.capacity(now)).as_bytes();
            let wanted = ((soon / SIZE as f64) as u64).min(MOST) + 64;
            let stats = self.link.stats().up;
            let ahead = (sent.len() as u64 + before).saturating_sub(stats.delivered + stats.under_way);
            let missing = wanted.saturating_sub(stats.under_way + ahead);
            for _ in 0..missing.min(AHEAD.saturating_sub(ahead)) {
                payload[..8].copy_from_slice(&(sent.len() as u64).to_be_bytes());
                sent.push(self.since.elapsed());
                self.client.send(&payload)?;
            }
            thread::sleep(if missing == 0 { MS } else { MS / 10 });
        }
        Ok(sent)
    }

    /// Which datagrams arrive, and when, until none does for five seconds.
    fn drain(&self) -> Result<Vec<(Duration, usize)>, std::io::Error> {
        self.server.set_read_timeout(Some(Duration::from_secs(5)))?;
        let (mut buffer, mut number) = ([0; PAYLOAD], [0; 8]);
        let mut arrivals = Vec::new();
        while self.server.recv(&mut buffer).is_ok() {
            number.copy_from_slice(&buffer[..8]);
            arrivals.push((self.since.elapsed(), u64::from_be_bytes(number) as usize));
        }
        Ok(arrivals)
    }
}

/// In every other quarter of a second one datagram or two may pass in most milliseconds, in the rest
/// in one of ten.
fn opportunities() -> String {
    let mut text = String::new();
    for at in 1..=9_000_u32 {
        let mixed = at.wrapping_mul(2_654_435_761) >> 16;
        let count = match (at / 250).is_multiple_of(2) {
            true => mixed % 3 + mixed % 2,
            false => u32::from(mixed.is_multiple_of(10)),
        };
        for _ in 0..count {
            let _ = writeln!(text, "{at}");
        }
    }
    text
}

/// From 0.5 to 60 Mbit/s, another one each half second.
fn rates() -> String {
    let rate = |step: u32| [0.5, 8.0, 60.0, 3.0, 25.0, 1.0, 40.0][step as usize % 7];
    (0..28).fold(String::new(), |text, step| text + &format!("{} {}\n", f64::from(step) / 2.0, rate(step)))
}

/// One, five and fifteen minutes'.
fn load() -> Option<[f64; 3]> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let numbers: Vec<f64> = text.split(' ').take(3).filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok()
}

/// Of seconds, in milliseconds.
fn quantiles(mut seconds: Vec<f64>) -> Value {
    seconds.sort_by(f64::total_cmp);
    let ms = |part: f64| quantile(&seconds, part).map(|seconds| round(seconds * 1e3));
    json!({ "least": ms(0.0), "p50": ms(0.5), "p90": ms(0.9), "p99": ms(0.99), "max": ms(1.0) })
}

fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    sorted.get((part * sorted.len().saturating_sub(1) as f64).round() as usize).copied()
}

fn line(cell: &Value) -> String {
    let late = |key: &str| format!("{}, {}, {} ms", cell[key]["p50"], cell[key]["p90"], cell[key]["max"]);
    format!(
        "{}: lone late {}; saturated late {}; rate off by {}% (a second's at most {}%), {} missing; a sleeper late {}; load {}",
        cell["link"],
        late("lone_late_ms"),
        late("saturated_late_ms"),
        cell["rate_error_percent"],
        cell["rate_error_percent_of_a_second"]["worst"],
        cell["missing"],
        late("sleeper_late_ms"),
        cell["load"][0],
    )
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
