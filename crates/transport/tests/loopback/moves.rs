//! Connections that move, over an emulated link that gives each address of the client its own towards
//! the server, as a NAT does.

use super::*;
use kerf_testbed::link::{Link, LinkSettings};

#[tokio::test]
async fn a_connection_goes_on_from_another_address() {
    let running = start(Node::slow(Duration::from_millis(300)), Config::default());
    let settings = LinkSettings::symmetric(2.5e6, Duration::from_millis(20), 1 << 18).unwrap();
    let link = Link::start(settings, running.address).unwrap();
    let client = running.client(Config::default());
    let connection = client.connect(link.address(), "cloud-1").await.unwrap();
    // Under way in each direction, and waiting for the node.
    for (number, bytes, moves_after) in [(1, 400_000, 60), (2, 400_000, 550), (3, 100, 100)] {
        let asked = request(number, bytes);
        let (response, ()) = tokio::join!(connection.call(&asked, STALL), async {
            tokio::time::sleep(Duration::from_millis(moves_after)).await;
            client.rebind().unwrap();
        });
        assert_eq!(answer(response.unwrap()).tensors, asked.tensors);
        assert_eq!(link.stats().clients, number as usize + 1, "it comes from yet another address");
    }
    assert!(!connection.is_closed());
}
