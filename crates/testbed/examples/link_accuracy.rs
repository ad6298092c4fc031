//! How true the emulated link is on this machine: JSON of the error of its rate and of its delay,
//! over five rates and three delays. Takes about two minutes; `cargo run --release -p kerf-testbed
//! --example link_accuracy`.

#![allow(clippy::disallowed_methods, reason = "sockets live in time")]

use kerf_testbed::link::{Link, LinkSettings, OVERHEAD};
use serde_json::json;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

const MBITS: [f64; 5] = [0.25, 2.0, 8.0, 50.0, 200.0];
const DELAYS_MS: [u32; 3] = [5, 20, 100];
const PAYLOAD: usize = 1200;
const BYTES: f64 = PAYLOAD as f64 + OVERHEAD as f64;
const LONE: usize = 30;
const FLOOD: Duration = Duration::from_secs(4);

fn main() -> Result<(), Box<dyn Error>> {
    let mut cells = Vec::new();
    for mbits in MBITS {
        for delay_ms in DELAYS_MS {
            let (rate, delay) = (mbits * 1e6 / 8.0, Duration::from_millis(delay_ms.into()));
            let mut errors = delay_errors(rate, delay)?;
            errors.sort_by(f64::total_cmp);
            let quantile = |part: f64| round(errors[(part * (errors.len() - 1) as f64).round() as usize]);
            let measured = throughput(rate, delay)?;
            cells.push(json!({
                "mbit_per_s": mbits,
                "one_way_ms": delay_ms,
                "rate_error_percent": round((measured / rate - 1.0) * 100.0),
                "delay_error_ms": { "p50": quantile(0.5), "p90": quantile(0.9), "max": quantile(1.0) },
            }));
        }
    }
    println!("{}", serde_json::to_string_pretty(&cells)?);
    Ok(())
}

/// Of single datagrams over an idle link: milliseconds beyond `delay + size / rate`.
fn delay_errors(rate: f64, delay: Duration) -> io::Result<Vec<f64>> {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (link, client) = link(rate, delay, &server)?;
    let expected = delay.as_secs_f64() + BYTES / rate;
    let error = |_| {
        let start = Instant::now();
        client.send(&[0; PAYLOAD])?;
        server.recv(&mut [0; PAYLOAD])?;
        Ok((start.elapsed().as_secs_f64() - expected) * 1e3)
    };
    let errors = (0..LONE).map(error).collect();
    drop(link);
    errors
}

/// Bytes per second that arrive while half as much again is sent.
fn throughput(rate: f64, delay: Duration) -> io::Result<f64> {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (link, client) = link(rate, delay, &server)?;
    server.set_read_timeout(Some(delay + Duration::from_secs(1)))?;
    let arrivals = thread::scope(|scope| {
        let arrivals = scope.spawn(|| {
            let arrival = || server.recv(&mut [0; PAYLOAD]).ok().map(|_| Instant::now());
            std::iter::from_fn(arrival).collect::<Vec<_>>()
        });
        let (start, mut sent) = (Instant::now(), 0.0);
        while start.elapsed() < FLOOD {
            while sent < start.elapsed().as_secs_f64() * rate * 1.5 {
                client.send(&[0; PAYLOAD])?;
                sent += BYTES;
            }
            thread::sleep(Duration::from_millis(1));
        }
        arrivals.join().map_err(|_| io::Error::other("the receiver panicked"))
    })?;
    drop(link);
    match arrivals.as_slice() {
        [first, .., last] => Ok((arrivals.len() - 1) as f64 * BYTES / (*last - *first).as_secs_f64()),
        _ => Err(io::Error::other("fewer than two datagrams arrived")),
    }
}

fn link(rate: f64, delay: Duration, server: &UdpSocket) -> io::Result<(Link, UdpSocket)> {
    // Room for 50 ms, as a router may have, and for some datagrams.
    let queue = (rate * 0.05).max(20.0 * BYTES) as u64;
    let settings = LinkSettings::symmetric(rate, 2 * delay, queue).map_err(io::Error::other)?;
    let link = Link::start(settings, server.local_addr()?)?;
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    client.connect(link.address())?;
    Ok((link, client))
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
