#![allow(clippy::disallowed_methods, reason = "sockets live in time")]
//! One direction: the pipe, who waits for it, and what it carries.

use crate::link::{OVERHEAD, Pipe, PipeSettings};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::net::UdpSocket;

/// A pipe shared by the thread that receives and the one that delivers.
#[derive(Debug)]
pub(super) struct Lane {
    state: Mutex<State>,
    /// The next arrival is another one.
    changed: Condvar,
    unsent: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) pipe: Pipe<Datagram>,
    stopped: bool,
}

/// Where a payload goes.
#[derive(Debug)]
pub(super) struct Datagram {
    payload: Box<[u8]>,
    socket: Arc<UdpSocket>,
    /// None where the socket is connected.
    to: Option<SocketAddr>,
}

impl Lane {
    pub(super) fn new(settings: PipeSettings, now: Instant) -> Self {
        let state = State { pipe: Pipe::new(settings, now), stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), unsent: AtomicU64::new(0) }
    }

    /// Hands over what was received just now.
    pub(super) fn offer(&self, payload: &[u8], mut datagram: Datagram) {
        datagram.payload = payload.into();
        let pipe = &mut self.lock().pipe;
        let next = pipe.next_arrival();
        pipe.offer(Instant::now(), payload.len() as u32 + OVERHEAD as u32, datagram);
        // Only one that arrives before all others is worth a wake-up.
        if pipe.next_arrival() != next {
            self.changed.notify_one();
        }
    }

    /// Sends what arrives, when it arrives, until stopped.
    pub(super) fn deliver(&self) {
        let mut arrived = Vec::new();
        while self.wait(&mut arrived) {
            for datagram in arrived.drain(..) {
                if datagram.send().is_err() {
                    self.unsent.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Returns with something that has arrived; false when stopped.
    fn wait(&self, arrived: &mut Vec<Datagram>) -> bool {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return false;
            }
            let now = Instant::now();
            arrived.extend(std::iter::from_fn(|| state.pipe.poll(now)));
            if !arrived.is_empty() {
                return true;
            }
            state = match state.pipe.next_arrival() {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(next) => {
                    let left = next.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// The next arrival may be another one.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Datagrams that the kernel did not take.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.wake();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Datagram {
    /// Over a connected socket.
    pub(super) fn to_server(socket: Arc<UdpSocket>) -> Self {
        Self { payload: Box::default(), socket, to: None }
    }

    /// Over the socket that clients send to.
    pub(super) fn to_client(socket: Arc<UdpSocket>, client: SocketAddr) -> Self {
        Self { payload: Box::default(), socket, to: Some(client) }
    }

    /// From a thread outside the runtime: past tokio's readiness, to the kernel.
    fn send(&self) -> io::Result<usize> {
        let socket = SockRef::from(&*self.socket);
        let send = || match self.to {
            Some(client) => socket.send_to(&self.payload, &client.into()),
            None => socket.send(&self.payload),
        };
        match send() {
            // This is told once, of a datagram sent before; it kept this one from being sent.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => send(),
            sent => sent,
        }
    }
}
