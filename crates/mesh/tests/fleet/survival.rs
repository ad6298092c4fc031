//! Links that go dark, over an emulated one.

use super::*;
use kerf_mesh::{Manner, OnSilence, Way};
use kerf_testbed::link::{Link, LinkSettings};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const RTT: Duration = Duration::from_millis(30);

/// A link to the node, which the mesh is to find in its place.
fn link(fleet: &mut Fleet, node: &Handle) -> Link {
    let link = Link::start(LinkSettings::symmetric(2.5e6, RTT, 1 << 18).unwrap(), node.address).unwrap();
    for known in &mut fleet.nodes {
        if known.address == node.address.to_string() {
            known.address = link.address().to_string();
        }
    }
    link
}

async fn wait_out(mesh: &Mesh, request: &Request) -> Result<kerf_mesh::Reply, kerf_mesh::MeshError> {
    mesh.call_into(request, Manner { on_silence: OnSilence::WaitOut, first: None }, &mut ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_blackout_takes_is_answered_when_the_link_is_back() {
    let mut fleet = Fleet::new();
    let node = fleet.start("c1", None, Duration::from_millis(100));
    let link = link(&mut fleet, &node);
    let mesh = fleet.mesh(1).await;
    let clean = mesh.call(&request(0)).await.unwrap();
    assert!(
        !clean.again && clean.attempts == 1 && clean.elapsed >= clean.network + Duration::from_millis(100)
    );
    for (round, dark) in [200_u64, 900, 1800].into_iter().enumerate() {
        let (reply, back) = tokio::join!(
            async { wait_out(&mesh, &Request { deadline: Duration::from_secs(20), ..request(0) }).await },
            async {
                until(|| node.handled.load(Ordering::SeqCst) == round + 2).await;
                link.pause();
                tokio::time::sleep(Duration::from_millis(dark)).await;
                link.resume();
                Instant::now()
            }
        );
        let (reply, after) = (reply.unwrap(), back.elapsed());
        assert_eq!(reply.answer.tensors.len(), 1);
        if dark > 400 {
            assert!(reply.again && reply.attempts > 1, "{reply:?}");
            // What a measurement holds to 2 RTT + 300 ms, with the patience of a test.
            assert!(after < 2 * RTT + Duration::from_millis(1000), "{after:?} after the link was back");
        }
        assert_eq!(node.handled.load(Ordering::SeqCst), round + 2, "its copies were known for what they are");
        assert_eq!(connected(&mesh), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_can_do_without_is_told_soon_and_new_requests_at_once() {
    let mut fleet = Fleet::new();
    let node = fleet.start("c1", None, Duration::from_millis(100));
    let link = link(&mut fleet, &node);
    let mesh = fleet.mesh(1).await;
    mesh.call(&request(0)).await.unwrap();
    link.pause();
    let dark = Instant::now();
    let error = mesh.call(&request(0)).await.unwrap_err();
    assert_eq!((&error.failure, error.source), (&MeshFailure::Exhausted, Source::Link));
    assert_eq!(error.attempts.len(), 2, "{error}");
    assert!(dark.elapsed() < Duration::from_secs(4), "{:?}", dark.elapsed());
    let status = mesh.status().remove(0);
    assert_eq!((status.state, status.state.name()), (NodeState::Silent, "silent"));
    assert!(!mesh.available("m", &[0; 32]));
    let start = Instant::now();
    assert_eq!(mesh.call(&request(0)).await.unwrap_err().failure, MeshFailure::Unavailable);
    assert!(start.elapsed() < Duration::from_millis(50));
    // One that waits although it was sent nowhere yet; and one that does not wait for ever.
    let late = Request { deadline: Duration::from_millis(100), ..request(0) };
    assert_eq!(wait_out(&mesh, &late).await.unwrap_err().failure, MeshFailure::Deadline);
    let asked = request(0);
    let (reply, ()) = tokio::join!(wait_out(&mesh, &asked), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        link.resume();
    });
    assert!(!reply.unwrap().again);
}

#[tokio::test]
async fn waiting_is_for_silence_not_for_refusals() {
    let mut fleet = Fleet::new();
    let node = fleet.start("c1", Some(Reason::Overloaded), Duration::ZERO);
    let silent = fleet.start("c2", None, Duration::ZERO);
    let link = link(&mut fleet, &silent);
    let mesh = fleet.mesh(2).await;
    let asked = request(0);
    let (reply, ()) = tokio::join!(wait_out(&mesh, &asked), async {
        link.pause();
        tokio::time::sleep(Duration::from_millis(800)).await;
        link.resume();
    });
    assert_eq!(reply.unwrap().node, "c2");
    assert!(node.asked.load(Ordering::SeqCst) <= 1);
    drop(link);
    silent.stop.send(()).unwrap();
    silent.done.await.unwrap();
    let alone = Mesh::new(
        Client::new(fleet.identity(Role::Edge, "gw-1"), Config::default()).unwrap(),
        fleet.nodes[..1].to_vec(),
        CONFIG,
    );
    alone.connected().await;
    let start = Instant::now();
    assert_eq!(wait_out(&alone, &request(0)).await.unwrap_err().failure, MeshFailure::Exhausted);
    assert!(start.elapsed() < CONFIG.stall);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_link_that_goes_dark_is_found_out_and_found_again() {
    let mut fleet = Fleet::new();
    let node = fleet.start("c1", None, Duration::ZERO);
    let link = link(&mut fleet, &node);
    let config = Config { keep_alive: Duration::from_millis(100), ..Config::default() };
    let client = Client::new(fleet.identity(Role::Edge, "gw-1"), config).unwrap();
    let mesh = Mesh::new(client, fleet.nodes.clone(), CONFIG);
    mesh.connected().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(mesh.status()[0].last_error.is_none(), "quiet is not silent: {:?}", mesh.status());
    link.pause();
    until(|| mesh.status()[0].state == NodeState::Silent).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    link.resume();
    until(|| connected(&mesh) == 1).await;
    assert!(mesh.status()[0].last_error.as_ref().is_some_and(|error| error.contains("nothing arrived for")));
    assert!(!mesh.call(&request(0)).await.unwrap().again);
    // After the vigil, it is a node like one that was never there.
    link.pause();
    until(|| mesh.status()[0].state == NodeState::Silent).await;
    until(|| mesh.status()[0].state != NodeState::Silent).await;
    assert_eq!(wait_out(&mesh, &request(0)).await.unwrap_err().failure, MeshFailure::Unavailable);
}

#[test]
fn a_node_that_is_killed_and_started_again_answers_what_it_was_asked_before() {
    let cloud = Runtime::new().unwrap();
    let edge = Runtime::new().unwrap();
    let mut fleet = Fleet::new();
    let dying = {
        let _within = cloud.enter();
        fleet.start("c1", None, Duration::from_secs(60))
    };
    edge.block_on(async move {
        let mesh = fleet.mesh(1).await;
        let asked = Request { deadline: Duration::from_secs(20), ..request(0) };
        let (reply, again) = tokio::join!(wait_out(&mesh, &asked), async {
            until(|| dying.handled.load(Ordering::SeqCst) == 1).await;
            cloud.shutdown_background();
            tokio::time::sleep(Duration::from_millis(700)).await;
            // It knows no ticket of the one before.
            fleet.start_at(dying.address, "c1", None, Duration::ZERO)
        });
        let reply = reply.unwrap();
        assert!(reply.again && reply.answer.tensors == asked.tensors, "{reply:?}");
        assert_eq!(again.handled.load(Ordering::SeqCst), 1);
    });
}

#[tokio::test]
async fn a_reply_says_how_it_came() {
    let mut fleet = Fleet::new();
    let node = fleet.start("c1", None, Duration::ZERO);
    let _link = link(&mut fleet, &node);
    let mesh = fleet.mesh(1).await;
    let sized = |bytes: usize| {
        let tensor = Tensor::new(DType::U8, vec![bytes], vec![1; bytes].into()).unwrap();
        Request { tensors: vec![NamedTensor { name: "x".into(), tensor }.into()], ..request(0) }
    };
    let large = mesh.call(&sized(200_000)).await.unwrap();
    // 2.5 MB/s each way; less on a busy machine.
    for (way, arrival) in [("there", large.answer.arrival), ("back", large.arrival)] {
        assert!((100_000..200_300).contains(&arrival.bytes_after_first), "{way}: {arrival:?}");
        let rate = arrival.bytes_after_first as f64 / arrival.first_to_last.as_secs_f64();
        assert!((1e5..3.5e6).contains(&rate), "{way}: {rate}");
    }
    assert_eq!((large.ahead, large.again), (0, false));
    assert!(large.elapsed >= RTT + Duration::from_millis(150) && large.network <= large.elapsed);
    // Nothing came after the first chunk: no rate, and nothing to divide by.
    for empty in [sized(0), Request { tensors: vec![], ..request(0) }] {
        let reply = mesh.call(&empty).await.unwrap();
        assert_eq!(reply.arrival, Arrival::default());
        assert_eq!(reply.answer.tensors, empty.tensors);
    }
    let (bulk, small) = (sized(400_000), sized(100));
    let (bulk, small) = tokio::join!(mesh.call(&bulk), async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        mesh.call(&small).await.unwrap()
    });
    assert_eq!(bulk.unwrap().ahead, 0);
    assert!((150_000..=400_000).contains(&small.ahead), "{}", small.ahead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_udp_does_not_pass_tcp_is_found_and_left_when_it_does() {
    let mut fleet = Fleet::new();
    let node = fleet.start("c1", None, Duration::ZERO);
    // A port at which TCP is passed on, and UDP swallowed until it is taken away.
    let wall = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = wall.local_addr().unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let server = node.address;
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = TcpStream::connect(server).await.unwrap();
                from.set_nodelay(true).and_then(|()| to.set_nodelay(true)).unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    fleet.nodes[0].address = address.to_string();
    let mesh = fleet.mesh(1).await;
    assert_eq!(mesh.status()[0].way, Some(Way::Tcp), "reported");
    assert!(!mesh.call(&request(0)).await.unwrap().again);
    // The wall falls: what comes as UDP is passed on now.
    tokio::spawn(async move {
        let inside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (mut out, mut back, mut client) = (vec![0; 65_536], vec![0; 65_536], None);
        loop {
            tokio::select! {
                Ok((length, from)) = wall.recv_from(&mut out) => {
                    client = Some(from);
                    inside.send_to(&out[..length], server).await.unwrap();
                }
                Ok((length, _)) = inside.recv_from(&mut back) => {
                    wall.send_to(&back[..length], client.unwrap()).await.unwrap();
                }
            }
        }
    });
    until(|| mesh.status()[0].way == Some(Way::Udp)).await;
    assert!(!mesh.call(&request(0)).await.unwrap().again);
}
