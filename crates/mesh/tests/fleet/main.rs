//! A mesh over real nodes on loopback: which node answers, and how soon one learns that none will.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "connections live in time")]

mod survival;

use kerf_identity::{Authority, Identity, PeerIdentity, Role};
use kerf_mesh::{Manner, Mesh, MeshConfig, MeshFailure, NodeAddress, NodeState};
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_transport::{Client, Config, Drained, Handler, Server, Source};
use kerf_wire::{
    Answer, Arrival, Ask, CODEC_RAW, CodedTensor, Growing, Intake, Load, Payload, Reason, Refusal, Request,
    RequestHeader, RequestId, Response, TensorHeader, Timings,
};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const CONFIG: MeshConfig = MeshConfig {
    stall: Duration::from_millis(300),
    connect_timeout: Duration::from_millis(1000),
    backoff_min: Duration::from_millis(20),
    backoff_max: Duration::from_millis(200),
    attempts: 3,
    avoid: Duration::from_secs(60),
    vigil: Duration::from_secs(2),
    tcp_after: Some(Duration::from_millis(200)),
    udp_again: Duration::from_millis(1500),
};

/// Refuses for `reason`, or echoes after `pause`.
struct Node {
    name: String,
    reason: Option<Reason>,
    pause: Duration,
    asked: Arc<AtomicUsize>,
    handled: Arc<AtomicUsize>,
}

impl Handler for Node {
    fn admit(&self, _: &PeerIdentity, header: &RequestHeader) -> Result<(), Refusal> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let refuse =
            |reason| Refusal { id: header.id, node: self.name.clone(), reason, message: "no".into() };
        self.reason.map_or(Ok(()), |reason| Err(refuse(reason)))
    }

    fn handle(
        &self,
        _: &PeerIdentity,
        request: Request,
        arrival: Arrival,
    ) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        let (node, pause) = (self.name.clone(), self.pause);
        self.handled.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            Response::Answer(Answer {
                id: request.id,
                node,
                engine: "echo".into(),
                tensors: request.tensors,
                timings: Timings { total: pause, ..Timings::default() },
                load: Load::default(),
                arrival,
            })
        })
    }
}

struct Fleet {
    authority: Authority,
    nodes: Vec<NodeAddress>,
}

struct Handle {
    asked: Arc<AtomicUsize>,
    handled: Arc<AtomicUsize>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Drained>,
}

impl Fleet {
    fn new() -> Self {
        Self { authority: Authority::generate("test CA").unwrap(), nodes: Vec::new() }
    }

    fn identity(&self, role: Role, name: &str) -> Identity {
        let validity = Duration::from_secs(3600);
        let made = self.authority.issue(role, name, &[], validity, SystemTime::now()).unwrap();
        Identity::from_pem(self.authority.cert_pem(), &made.cert_pem, &made.key_pem).unwrap()
    }

    /// Starts a node on the runtime that this runs in.
    fn start(&mut self, name: &str, reason: Option<Reason>, pause: Duration) -> Handle {
        let handle = self.start_at((Ipv4Addr::LOCALHOST, 0).into(), name, reason, pause);
        self.nodes.push(NodeAddress { node: name.into(), address: handle.address.to_string() });
        handle
    }

    fn start_at(&self, address: SocketAddr, name: &str, reason: Option<Reason>, pause: Duration) -> Handle {
        let server = Server::bind(address, &self.identity(Role::Cloud, name), Config::default()).unwrap();
        let address = server.local_addr();
        let asked = Arc::new(AtomicUsize::new(0));
        let handled = Arc::new(AtomicUsize::new(0));
        let (asked_too, handled_too) = (asked.clone(), handled.clone());
        let node = Node { name: name.into(), reason, pause, asked: asked_too, handled: handled_too };
        let (stop, stopped) = oneshot::channel::<()>();
        let done = tokio::spawn(server.serve(Arc::new(node), async {
            if stopped.await.is_err() {
                // The test has dropped its end: it wants the node for as long as it runs.
                std::future::pending::<()>().await;
            }
        }));
        Handle { asked, handled, address, stop, done }
    }

    /// A mesh over all the nodes, `up` of them connected.
    async fn mesh(&self, up: usize) -> Mesh {
        let client = Client::new(self.identity(Role::Edge, "gw-1"), Config::default()).unwrap();
        let mesh = Mesh::new(client, self.nodes.clone(), CONFIG);
        until(|| connected(&mesh) == up).await;
        mesh
    }
}

fn connected(mesh: &Mesh) -> usize {
    mesh.status().iter().filter(|node| node.state == NodeState::Connected).count()
}

async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One of its own: a copy of another would not be handled.
fn request(digest: u8) -> Request {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed) as u128;
    let tensor = Tensor::from_vec(&[2], vec![1.0f32, 2.0]).unwrap();
    Request {
        id: RequestId(number.to_le_bytes()),
        ask: Ask::Finish,
        model: "m".into(),
        digest: [digest; 32],
        boundary: 1,
        deadline: Duration::from_secs(5),
        traceparent: None,
        tensors: vec![NamedTensor { name: "x".into(), tensor }.into()],
        outputs: vec![],
        reply: CODEC_RAW,
    }
}

#[tokio::test]
async fn calls_are_spread_and_say_what_they_took() {
    let mut fleet = Fleet::new();
    for name in ["c1", "c2", "c3"] {
        fleet.start(name, None, Duration::from_millis(20));
    }
    let mesh = fleet.mesh(3).await;
    let mut answered: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..6 {
        let start = Instant::now();
        let reply = mesh.call(&request(0)).await.unwrap();
        assert_eq!((reply.attempts, &reply.node), (1, &reply.answer.node));
        assert!(reply.network + Duration::from_millis(20) <= start.elapsed());
        *answered.entry(reply.node).or_default() += 1;
    }
    assert_eq!(answered.into_values().collect::<Vec<_>>(), [2, 2, 2]);
    assert!(mesh.status().iter().all(|node| node.outstanding == 0 && node.rtt.is_some()));
}

#[tokio::test]
async fn a_node_without_the_model_is_asked_once() {
    let mut fleet = Fleet::new();
    let other = Reason::DigestMismatch { have: [9; 32] };
    let lacking = [
        fleet.start("c1", Some(Reason::ModelMissing), Duration::ZERO),
        fleet.start("c2", Some(other), Duration::ZERO),
    ];
    let mesh = fleet.mesh(2).await;
    let error = mesh.call(&request(0)).await.unwrap_err();
    assert_eq!((&error.failure, error.source), (&MeshFailure::Exhausted, Source::Peer));
    assert_eq!(error.attempts.len(), 2);
    assert!(error.to_string().contains("cloud/c2: digest-mismatch: no"), "{error}");
    assert!(!mesh.available("m", &[0; 32]));
    assert!(mesh.available("m", &[1; 32]) && mesh.available("n", &[0; 32]));
    assert_eq!(mesh.call(&request(0)).await.unwrap_err().failure, MeshFailure::Unavailable);
    assert!(lacking.iter().all(|node| node.asked.load(Ordering::SeqCst) == 1));
}

#[tokio::test]
async fn what_a_refusal_leads_to_depends_on_its_reason() {
    for (reason, attempts) in [
        (Reason::Overloaded, 2),
        (Reason::Failed, 2),
        (Reason::Draining, 2),
        (Reason::Unsupported, 2),
        (Reason::BadRequest, 0),
        (Reason::DeadlinePassed, 0),
    ] {
        let mut fleet = Fleet::new();
        fleet.start("c1", Some(reason), Duration::ZERO);
        fleet.start("c2", None, Duration::ZERO);
        let mesh = fleet.mesh(2).await;
        match mesh.call(&request(0)).await {
            Ok(reply) => assert_eq!(
                (reply.node.as_str(), reply.index, reply.attempts),
                ("c2", 1, attempts),
                "{reason}"
            ),
            Err(error) => {
                assert!(matches!(&error.failure, MeshFailure::Refused(refusal) if refusal.reason == reason));
                assert_eq!(attempts, 0, "{reason}");
            }
        }
        let draining = mesh.status()[0].state == NodeState::Draining;
        assert_eq!(draining, reason == Reason::Draining, "{reason}");
    }
}

#[tokio::test]
async fn replicas_of_one_name_are_told_apart() {
    let mut fleet = Fleet::new();
    let replicas = [0, 1, 2].map(|_| fleet.start("c1", None, Duration::ZERO));
    let mesh = fleet.mesh(3).await;
    for first in [2, 0, 1] {
        let manner = Manner { first: Some(first), ..Manner::default() };
        let reply = mesh.call_into(&request(0), manner, &mut ()).await.unwrap();
        assert_eq!((reply.index, reply.node.as_str()), (first, "c1"));
        assert_eq!(replicas[first].handled.load(Ordering::SeqCst), 1);
    }
}

/// The second node gets what the first one was sent, and the intake of its answer starts anew.
#[tokio::test]
async fn a_tensor_that_is_still_made_goes_to_the_next_node_from_its_start() {
    struct Taken(usize, Vec<u8>);
    impl Intake for Taken {
        fn begin(&mut self, tensors: &[TensorHeader]) -> Vec<usize> {
            self.0 += 1;
            self.1.clear();
            (0..tensors.len()).collect()
        }

        fn take(&mut self, _: usize, bytes: &[u8]) {
            self.1.extend_from_slice(bytes);
        }
    }
    let mut fleet = Fleet::new();
    fleet.start("c1", Some(Reason::Overloaded), Duration::ZERO);
    fleet.start("c2", None, Duration::ZERO);
    let mesh = fleet.mesh(2).await;
    let (mut maker, growing) = Growing::new(100_000);
    let tensor = CodedTensor {
        name: "x".into(),
        dtype: DType::F32,
        shape: vec![50_000],
        codec: 0x1002,
        data: Payload::Growing(growing),
    };
    let request = Request { tensors: vec![tensor], ..request(0) };
    let make = async {
        for index in 0..100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            maker.push(vec![index; 1000].into());
        }
        maker.finish();
    };
    let mut taken = Taken(0, Vec::new());
    let (reply, ()) = tokio::join!(mesh.call_into(&request, Manner::default(), &mut taken), make);
    let reply = reply.unwrap();
    assert_eq!((reply.node.as_str(), reply.attempts, taken.0), ("c2", 2, 2));
    assert_eq!(reply.answer.tensors[0].data, Payload::Taken { bytes: 100_000 });
    assert_eq!(taken.1, (0..100).flat_map(|index| vec![index; 1000]).collect::<Vec<u8>>());
}

#[test]
fn a_node_that_dies_costs_its_requests_a_stall_and_comes_back() {
    let cloud = Runtime::new().unwrap();
    let edge = Runtime::new().unwrap();
    let mut fleet = Fleet::new();
    let dying = {
        let _within = cloud.enter();
        fleet.start("c1", None, Duration::from_secs(60))
    };
    edge.block_on(async move {
        fleet.start("c2", None, Duration::ZERO);
        let mesh = fleet.mesh(2).await;
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let mesh = mesh.clone();
            calls.spawn(async move { mesh.call(&request(0)).await });
        }
        until(|| dying.asked.load(Ordering::SeqCst) > 0).await;
        let died = Instant::now();
        cloud.shutdown_background();
        for reply in calls.join_all().await {
            assert_eq!(reply.unwrap().node, "c2", "every request is answered");
        }
        assert!(died.elapsed() < Duration::from_secs(4), "{:?}", died.elapsed());
        until(|| connected(&mesh) == 1).await;
        let status = mesh.status().remove(0);
        assert!(status.last_error.is_some() && status.rtt.is_none() && status.outstanding == 0, "{status:?}");

        fleet.start_at(dying.address, "c1", None, Duration::ZERO);
        until(|| connected(&mesh) == 2).await;
        let replies =
            [mesh.call(&request(0)).await.unwrap().node, mesh.call(&request(0)).await.unwrap().node];
        assert!(replies.contains(&"c1".to_owned()), "{replies:?}");
    });
}

#[tokio::test]
async fn with_every_node_down_a_call_fails_at_once() {
    let mut fleet = Fleet::new();
    fleet.nodes.push(NodeAddress { node: "c1".into(), address: "127.0.0.1:1".into() });
    fleet.nodes.push(NodeAddress { node: "c2".into(), address: "no port".into() });
    let mesh = fleet.mesh(0).await;
    assert!(!mesh.available("m", &[0; 32]));
    let start = Instant::now();
    let error = mesh.call(&request(0)).await.unwrap_err();
    assert_eq!((&error.failure, error.source), (&MeshFailure::Unavailable, Source::Link));
    assert!(error.attempts.is_empty());
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());
    until(|| mesh.status().iter().all(|node| node.last_error.is_some())).await;
    let errors: Vec<_> = mesh.status().into_iter().filter_map(|node| node.last_error).collect();
    assert!(errors[0].starts_with("cloud/c1 at 127.0.0.1:1: no answer within"), "{errors:?}");
    assert!(errors[1].starts_with("cloud/c2: no port does not resolve"), "{errors:?}");
    assert!(
        Mesh::new(
            Client::new(fleet.identity(Role::Edge, "gw-1"), Config::default()).unwrap(),
            vec![],
            CONFIG
        )
        .call(&request(0))
        .await
        .is_err()
    );
}

#[tokio::test]
async fn the_deadline_bounds_all_attempts_together() {
    let mut fleet = Fleet::new();
    fleet.start("c1", None, Duration::from_secs(60));
    fleet.start("c2", None, Duration::from_secs(60));
    let mesh = fleet.mesh(2).await;
    let start = Instant::now();
    let error = mesh.call(&Request { deadline: Duration::from_millis(250), ..request(0) }).await.unwrap_err();
    assert_eq!(error.failure, MeshFailure::Deadline);
    assert_eq!(error.attempts.len(), 1);
    let elapsed = start.elapsed();
    assert!((Duration::from_millis(250)..Duration::from_millis(500)).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test]
async fn a_node_that_drains_is_left_and_found_again() {
    let mut fleet = Fleet::new();
    let first = fleet.start("c1", None, Duration::from_millis(50));
    let mesh = fleet.mesh(1).await;
    mesh.call(&request(0)).await.unwrap();
    first.stop.send(()).unwrap();
    assert_eq!(first.done.await.unwrap(), Drained { cut: 0 });
    until(|| connected(&mesh) == 0).await;
    assert_eq!(mesh.call(&request(0)).await.unwrap_err().failure, MeshFailure::Unavailable);
    let status = mesh.status().remove(0);
    assert!(status.last_error.is_some_and(|error| error.contains("draining")), "{:?}", mesh.status());
    fleet.start_at(first.address, "c1", None, Duration::ZERO);
    mesh.connected().await;
    mesh.call(&request(0)).await.unwrap();
}
