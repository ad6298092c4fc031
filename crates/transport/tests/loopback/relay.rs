//! A link that can be cut, or made long.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Passes datagrams between one client and a server.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    cut: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// `delay` is one way's.
    pub(crate) async fn new(server: SocketAddr, delay: Duration) -> Self {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let back = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        back.connect(server).await.unwrap();
        let address = front.local_addr().unwrap();
        let cut = Arc::new(AtomicBool::new(false));
        let sent = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let (client, clients) = watch::channel(address);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (front, back, cut, sent) = (front.clone(), back.clone(), cut.clone(), sent.clone());
            async move {
                let mut buffer = vec![0; 65_536];
                while let Ok((length, from)) = front.recv_from(&mut buffer).await {
                    client.send_replace(from);
                    sent.lock().unwrap().push(buffer[..length].to_vec());
                    if !cut.load(Ordering::SeqCst) {
                        let (back, datagram) = (back.clone(), buffer[..length].to_vec());
                        tokio::spawn(async move {
                            tokio::time::sleep(delay).await;
                            drop(back.send(&datagram).await);
                        });
                    }
                }
            }
        });
        tasks.spawn({
            let cut = cut.clone();
            async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(length) = back.recv(&mut buffer).await {
                    if !cut.load(Ordering::SeqCst) {
                        let (front, client) = (front.clone(), *clients.borrow());
                        let datagram = buffer[..length].to_vec();
                        tokio::spawn(async move {
                            tokio::time::sleep(delay).await;
                            drop(front.send_to(&datagram, client).await);
                        });
                    }
                }
            }
        });
        Self { address, cut, sent, _tasks: tasks }
    }

    /// All datagrams that the client sent.
    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        self.sent.lock().unwrap().clone()
    }

    /// From now on nothing passes, either way, and nobody is told.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}
