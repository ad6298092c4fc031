#![allow(clippy::disallowed_methods, reason = "sockets live in time")]
//! Blackouts, losses and changes of address.

use super::*;
use kerf_testbed::link::{Blackout, Blackouts, Loss, PipeSettings};

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
