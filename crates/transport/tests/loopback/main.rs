//! Real sockets on loopback: what only the whole stack shows.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "sockets live in time")]

mod calls;
mod chunks;
mod drain;
mod loss;
mod moves;
mod once;
mod relay;
mod resume;
mod tcp;
mod trust;

use kerf_identity::{Authority, Identity, PeerIdentity, Role};
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_transport::{Client, Config, Connection, Drained, Handler, Server};
use kerf_wire::{
    Answer, Arrival, Ask, CODEC_RAW, Load, Refusal, Request, RequestHeader, RequestId, Response, Timings,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const STALL: Duration = Duration::from_millis(400);

type Admit = dyn Fn(&RequestHeader) -> Result<(), Refusal> + Send + Sync;
type Handling = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A node whose model is a closure.
struct Node {
    admit: Box<Admit>,
    handle: Box<dyn Fn(Request, Arrival) -> Handling + Send + Sync>,
}

impl Node {
    fn new<F>(handle: impl Fn(Request, Arrival) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        Self {
            admit: Box::new(|_| Ok(())),
            handle: Box::new(move |request, arrival| Box::pin(handle(request, arrival))),
        }
    }

    /// Answers with the tensors that came.
    fn echo() -> Self {
        Self::new(|request, arrival| async move { echo(request, arrival) })
    }

    /// Echoes after a while.
    fn slow(pause: Duration) -> Self {
        Self::new(move |request, arrival| async move {
            tokio::time::sleep(pause).await;
            echo(request, arrival)
        })
    }
}

impl Handler for Node {
    fn admit(&self, peer: &PeerIdentity, header: &RequestHeader) -> Result<(), Refusal> {
        assert_eq!(peer.to_string(), "edge/gw-1");
        (self.admit)(header)
    }

    fn handle(&self, _: &PeerIdentity, request: Request, arrival: Arrival) -> Handling {
        (self.handle)(request, arrival)
    }
}

fn echo(request: Request, arrival: Arrival) -> Response {
    Response::Answer(Answer {
        id: request.id,
        node: "cloud-1".into(),
        engine: "echo".into(),
        tensors: request.tensors,
        timings: Timings::default(),
        load: Load::default(),
        arrival,
    })
}

fn request(number: u64, bytes: usize) -> Request {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    let data: Vec<u8> = (0..bytes).map(|index| (index as u64 ^ number) as u8).collect();
    Request {
        id: RequestId(id),
        ask: Ask::Finish,
        model: "m".into(),
        digest: [0; 32],
        boundary: 1,
        deadline: Duration::from_secs(30),
        traceparent: None,
        tensors: vec![
            NamedTensor {
                name: "x".into(),
                tensor: Tensor::new(DType::U8, vec![bytes], data.into()).unwrap(),
            }
            .into(),
        ],
        outputs: vec![],
        reply: CODEC_RAW,
    }
}

fn answer(response: Response) -> Answer {
    match response {
        Response::Answer(answer) => answer,
        Response::Refusal(refusal) => panic!("{refusal:?}"),
    }
}

fn refusal(response: Response) -> Refusal {
    match response {
        Response::Refusal(refusal) => refusal,
        Response::Answer(answer) => panic!("{answer:?}"),
    }
}

/// An identity that `trusted` is to check, issued by `authority`.
fn identity(trusted: &Authority, authority: &Authority, role: Role, name: &str, now: SystemTime) -> Identity {
    let made = authority.issue(role, name, &[], Duration::from_secs(3600), now).unwrap();
    Identity::from_pem(trusted.cert_pem(), &made.cert_pem, &made.key_pem).unwrap()
}

struct Running {
    address: SocketAddr,
    authority: Authority,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<Drained>,
}

/// Serves as `cloud-1`.
fn start(node: impl Handler, config: Config) -> Running {
    let authority = Authority::generate("test CA").unwrap();
    let cloud = identity(&authority, &authority, Role::Cloud, "cloud-1", SystemTime::now());
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), &cloud, config).unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let done = tokio::spawn(server.serve(Arc::new(node), async {
        let _ = stopped.await;
    }));
    Running { address, authority, stop: Some(stop), done }
}

impl Running {
    fn client(&self, config: Config) -> Client {
        let edge = identity(&self.authority, &self.authority, Role::Edge, "gw-1", SystemTime::now());
        Client::new(edge, config).unwrap()
    }

    async fn connect(&self) -> Connection {
        self.client(Config::default()).connect(self.address, "cloud-1").await.unwrap()
    }
}
