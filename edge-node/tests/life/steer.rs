//! `split: auto`: requests go where it is best now, by what the link showed.

use crate::image;
use crate::mesh::{Mesh, ask};
use edge_node::EdgeNode;
use kerf_engines::{EngineChoice, EngineKind, open};
use kerf_testbed::link::{Link, LinkSettings};
use kerf_testbed::models::tiny_classifier;
use kerf_testbed::slow::slower;
use serde_json::json;
use std::time::{Duration, Instant};

/// Of the edge against the cloud; both run on this machine.
const SLOWER: f64 = 100.0;

fn link(bytes_per_second: f64) -> LinkSettings {
    LinkSettings::symmetric(bytes_per_second, Duration::from_millis(4), 1 << 20).unwrap()
}

async fn slow_edge(mesh: &Mesh, race: &str) -> EdgeNode {
    let choice = EngineChoice { kind: EngineKind::Tract, threads: 1, library: None };
    let mut engines = open(&choice).unwrap();
    engines.engines = slower(&engines.engines, SLOWER).unwrap();
    let fallback = format!("required, race: {race}");
    let settings = mesh.settings("bandwidth: 80Mbps, rtt: 4ms", "auto", &fallback, "auto", "").unwrap();
    EdgeNode::start_on(settings, engines).await.unwrap()
}

/// Asks until `last` answers in a row were made by `node`.
async fn wait_for(edge: &EdgeNode, node: &str, last: usize) {
    let (start, mut makers) = (Instant::now(), Vec::new());
    while makers.iter().rev().take_while(|maker| *maker == node).count() < last {
        let (status, answer) = ask(edge, "tiny", &image(makers.len())).await;
        assert_eq!(status, 200, "{answer}");
        makers.push(answer["parameters"]["node"].as_str().unwrap().to_owned());
        assert!(start.elapsed() < Duration::from_secs(60), "not {node}: {makers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_follow_the_link() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    let engine = format!("tract, emulated {SLOWER}x slower");
    mesh.write_profile_of("edge-1", &engine, 0.02);
    mesh.write_profile("cloud-1", 0.000_2);
    let cloud = mesh.start_cloud().await;
    let way = Link::start(link(1e7), cloud.quic()).unwrap();
    mesh.use_cloud(way.address());
    let edge = slow_edge(&mesh, "deadline").await;
    wait_for(&edge, "cloud-1", 5).await;
    // Who wants to know why is told.
    let mut body = image(0);
    body["parameters"] = json!({ "explain": true });
    let (_, answer) = ask(&edge, "tiny", &body).await;
    let said = answer["parameters"]["explanation"].as_str().unwrap();
    assert!(said.contains("to cloud-1: ") && said.contains("; go on to b"), "{said}");
    // Three kilobytes take a second and more: the edge is better, slow as it is.
    way.set(link(2e3));
    wait_for(&edge, "edge-1", 5).await;
    // And nobody tells that the link is well again, but a request that is risked.
    way.set(link(1e7));
    wait_for(&edge, "cloud-1", 5).await;
    // Without a cloud the edge is what there is.
    cloud.stop().await;
    wait_for(&edge, "edge-1", 5).await;
    assert!(edge.stop(Duration::from_secs(5)).await);
}
