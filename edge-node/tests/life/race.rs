//! Both work on a request that left, and the first answer counts.

use crate::image;
use crate::mesh::{Mesh, ask, near};
use kerf_testbed::link::{Link, LinkSettings};
use kerf_testbed::models::tiny_classifier;
use serde_json::json;
use std::time::Duration;

/// So far that the edge is faster whatever else the machine does.
const FAR: Duration = Duration::from_millis(800);
/// Time for the edge after half of it, and not for the cloud before that.
const TIGHT: Duration = Duration::from_millis(1400);

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_wins() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    let cloud = mesh.start_cloud().await;
    let link = LinkSettings::symmetric(1e8, FAR, 1 << 20).unwrap();
    let link = Link::start(link, cloud.quic()).unwrap();
    mesh.use_cloud(link.address());
    let alone = mesh.start_edge("edge", "required").await;
    let whole = ask(&alone, "tiny", &image(3)).await.1["outputs"].clone();
    let cases = [
        ("never", Duration::from_secs(20), "cloud-1", None),
        ("deadline", Duration::from_secs(20), "cloud-1", None),
        ("deadline", TIGHT, "edge-1", Some("edge")),
        ("always", Duration::from_secs(20), "edge-1", Some("edge")),
    ];
    let mut edges = Vec::new();
    for (race, ..) in cases {
        edges.push(mesh.start_edge_racing("b2", race).await);
    }
    for (edge, (race, deadline, node, raced)) in edges.into_iter().zip(cases) {
        mesh.wait_connected(&edge).await;
        let mut body = image(3);
        body["parameters"] = json!({ "timeout": deadline.as_micros() as u64 });
        let (status, answer) = ask(&edge, "tiny", &body).await;
        assert_eq!(status, 200, "{race}: {answer}");
        near(&answer["outputs"], &whole);
        let said = (&answer["parameters"]["node"], answer["parameters"]["raced"].as_str());
        assert_eq!(said, (&json!(node), raced), "{race} within {deadline:?}: {answer}");
        assert!(edge.stop(Duration::from_secs(5)).await);
    }
    cloud.stop().await;
}
