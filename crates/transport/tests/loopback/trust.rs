use super::*;
use kerf_transport::ConnectError;

/// Who refuses, and in what words.
#[derive(Debug)]
enum Outcome {
    Connected,
    /// The edge node does not trust the cloud node.
    Untrusted(&'static str),
    /// The cloud node refuses the edge node, and says why.
    Refused(&'static str),
}

#[tokio::test]
async fn each_end_says_what_is_wrong_with_the_other() {
    let ours = Authority::generate("our CA").unwrap();
    let theirs = Authority::generate("their CA").unwrap();
    let now = SystemTime::now();
    let long_ago = now - Duration::from_secs(86_400);
    let some_day = now + Duration::from_secs(86_400);
    let edge = |authority, now| identity(&ours, authority, Role::Edge, "gw-1", now);
    let cloud = |authority, name, now| identity(&ours, authority, Role::Cloud, name, now);
    use Outcome::*;
    let cases = [
        (edge(&ours, now), cloud(&ours, "cloud-1", now), Connected),
        (
            edge(&ours, now),
            cloud(&theirs, "cloud-1", now),
            Untrusted("certificate of cloud/cloud-1 is from a CA that is not trusted here"),
        ),
        (
            edge(&ours, now),
            cloud(&ours, "cloud-1", long_ago),
            Untrusted("certificate of cloud/cloud-1 expired 20"),
        ),
        (
            edge(&ours, now),
            cloud(&ours, "cloud-1", some_day),
            Untrusted("certificate of cloud/cloud-1 is not valid before 20"),
        ),
        (
            edge(&ours, now),
            cloud(&ours, "cloud-2", now),
            Untrusted("peer is cloud/cloud-2, expected cloud/cloud-1"),
        ),
        (
            edge(&ours, now),
            identity(&ours, &ours, Role::Edge, "cloud-1", now),
            Untrusted("peer is edge/cloud-1, expected a node of role cloud"),
        ),
        (
            edge(&theirs, now),
            cloud(&ours, "cloud-1", now),
            Refused("certificate of edge/gw-1 is from a CA that is not trusted here"),
        ),
        (edge(&ours, long_ago), cloud(&ours, "cloud-1", now), Refused("certificate of edge/gw-1 expired 20")),
        (
            identity(&ours, &ours, Role::Cloud, "gw-1", now),
            cloud(&ours, "cloud-1", now),
            Refused("peer is cloud/gw-1, expected a node of role edge"),
        ),
    ];
    for (edge, cloud, outcome) in cases {
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), &cloud, Config::default()).unwrap();
        let address = server.local_addr();
        let serving = tokio::spawn(server.serve(Arc::new(Node::echo()), std::future::pending()));
        let connected = Client::new(edge, Config::default()).unwrap().connect(address, "cloud-1").await;
        match (&connected, &outcome) {
            (Ok(connection), Connected) => {
                drop(answer(connection.call(&request(1, 1), STALL).await.unwrap()))
            }
            (Err(ConnectError::Untrusted { node, reason, .. }), Untrusted(wanted))
            | (Err(ConnectError::Refused { node, reason, .. }), Refused(wanted)) => {
                assert!(reason.contains(wanted) && node == "cloud-1", "{reason}, wanted {wanted}");
            }
            _ => panic!("{connected:?}, wanted {outcome:?}"),
        }
        serving.abort();
    }
}

#[tokio::test]
async fn nobody_there_is_a_timeout_that_names_the_node() {
    let authority = Authority::generate("test CA").unwrap();
    let edge = identity(&authority, &authority, Role::Edge, "gw-1", SystemTime::now());
    let config = Config { connect_timeout: Duration::from_millis(200), ..Config::default() };
    let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap();
    let error = Client::new(edge, config).unwrap().connect(address, "cloud-1").await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
    assert_eq!(error.to_string(), format!("cloud/cloud-1 at {address}: no answer within 200 ms"));
}
