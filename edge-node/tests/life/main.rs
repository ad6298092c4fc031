//! The life of a request through real nodes on loopback: HTTP in, QUIC between them, and the cloud
//! taken away.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests wait for real nodes, and fail by panicking"
)]

mod blocks;
mod codecs;
mod exits;
mod mesh;
mod plans;
mod race;
mod steer;

use kerf_testbed::models::{branchy, tiny_classifier};
use mesh::{Mesh, ask, near};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn image(seed: usize) -> Value {
    let data: Vec<f64> =
        (0..3 * 16 * 16).map(|index| ((index * 37 + seed * 101) % 97) as f64 / 97.0).collect();
    json!({ "inputs": [{ "name": "x", "shape": [1, 3, 16, 16], "datatype": "FP32", "data": data }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_split_gives_the_whole_models_answer() {
    let data: Vec<f64> = (0..4 * 8 * 8).map(|index| f64::from(index % 13) / 13.0).collect();
    let body =
        json!({ "inputs": [{ "name": "x", "shape": [1, 4, 8, 8], "datatype": "FP32", "data": data }] });
    let mut mesh = Mesh::new("branchy", branchy());
    let cloud = mesh.start_cloud().await;
    let whole = {
        let edge = mesh.start_edge("edge", "required").await;
        let (status, answer) = ask(&edge, "branchy", &body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["parameters"]["node"], "edge-1");
        assert!(edge.stop(Duration::from_secs(5)).await);
        answer["outputs"].clone()
    };
    for boundary in 0..mesh.last() {
        let edge = mesh.start_edge(&format!("b{boundary}"), "required").await;
        mesh.wait_connected(&edge).await;
        let (status, answer) = ask(&edge, "branchy", &body).await;
        assert_eq!(status, 200, "b{boundary}: {answer}");
        let parameters = &answer["parameters"];
        assert_eq!(
            (&parameters["node"], &parameters["fallback"]),
            (&json!("cloud-1"), &Value::Null),
            "b{boundary}"
        );
        assert_eq!(parameters["split"], format!("b{boundary}"));
        near(&answer["outputs"], &whole);

        // An output that the head makes needs no cloud, if there is such a head.
        let mut early = body.clone();
        early["outputs"] = json!([{ "name": "early" }]);
        let (_, answer) = ask(&edge, "branchy", &early).await;
        near(&answer["outputs"], &json!([whole[0]]));
        assert!(edge.stop(Duration::from_secs(5)).await);
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_meet_exchange_profiles_and_the_edge_plans() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    mesh.write_profile("edge-1", 0.5);
    mesh.write_profile("cloud-1", 0.000_1);
    let last = mesh.last();
    let cloud = mesh.start_cloud().await;
    let edge = mesh.start_edge("auto", "required").await;
    // Nothing is known of the cloud at first; then it is far faster, over a fast link.
    let start = Instant::now();
    loop {
        let (status, answer) = ask(&edge, "tiny", &image(0)).await;
        assert_eq!(status, 200, "{answer}");
        let split = &answer["parameters"]["split"];
        if split == "b0" && answer["parameters"]["node"] == "cloud-1" {
            break;
        }
        assert!(split == &json!(format!("b{last}")) || split == "b0", "{answer}");
        assert!(start.elapsed() < Duration::from_secs(20), "no plan: {answer}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (node, other) in [("edge-1", "cloud-1"), ("cloud-1", "edge-1")] {
        let kept = std::fs::read(mesh.profiles(node).join(format!("tiny@{other}.json"))).unwrap();
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        assert_eq!(kept["device"]["host"], other);
    }
    assert!(edge.stop(Duration::from_secs(5)).await);

    // The next time the plan is there before the cloud is, and requests know that it is not.
    cloud.stop().await;
    let edge = mesh.start_edge("auto", "required").await;
    let (planned, _) = mesh.wait_planned(&edge).await;
    assert_eq!(planned, format!("b0 of {last}"));
    let (status, answer) = ask(&edge, "tiny", &image(1)).await;
    let parameters = &answer["parameters"];
    assert_eq!((status, &parameters["node"]), (200, &json!("edge-1")), "{answer}");
    assert_eq!((&parameters["split"], &parameters["fallback"]), (&json!(format!("b{last}")), &Value::Null));
    assert!(edge.stop(Duration::from_secs(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_cloud_loses_no_request() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    let cloud = mesh.start_cloud().await;
    let edge = mesh.start_edge("b2", "required").await;
    mesh.wait_connected(&edge).await;
    let mut cloud = Some(cloud);
    let mut makers = Vec::new();
    for round in 0..60 {
        match round {
            20 => cloud.take().unwrap().kill(),
            40 => {
                cloud = Some(mesh.start_cloud().await);
                mesh.wait_connected(&edge).await;
            }
            _ => {}
        }
        let (status, answer) = ask(&edge, "tiny", &image(round)).await;
        assert_eq!(status, 200, "round {round}: {answer}");
        makers.push(answer["parameters"]["node"].as_str().unwrap().to_owned());
    }
    assert!(makers[..20].iter().all(|maker| maker == "cloud-1"), "{makers:?}");
    assert!(makers[20..40].iter().all(|maker| maker == "edge-1"), "{makers:?}");
    assert!(makers[40..].iter().all(|maker| maker == "cloud-1"), "{makers:?}");
    edge.stop(Duration::from_secs(5)).await;
    cloud.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_with_another_version_is_not_used() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    let edge_repository = mesh.repository();
    mesh.repack("tiny", branchy());
    let cloud = mesh.start_cloud().await;
    mesh.use_repository(edge_repository);
    let edge = mesh.start_edge("b1", "required").await;
    mesh.wait_connected(&edge).await;
    let (status, answer) = ask(&edge, "tiny", &image(1)).await;
    assert_eq!(status, 200, "{answer}");
    let reason = answer["parameters"]["fallback"].as_str().unwrap();
    assert!(reason.contains("another version"), "{reason}");
    edge.stop(Duration::from_secs(5)).await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_why() {
    let mesh = Mesh::new("tiny", tiny_classifier());
    let edge = mesh.start_edge("b1", "none").await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = image(1);
        change(&mut body);
        body
    };
    let cases: [(u16, &str, Value); 6] = [
        (503, "no local fallback", image(1)),
        (400, "expected x: f32[N, 3, 16, 16]", with(&|body| body["inputs"][0]["name"] = json!("y"))),
        (
            400,
            "expected x: f32[N, 3, 16, 16]",
            with(&|body| {
                body["inputs"][0]["shape"] = json!([1, 3, 8, 32]);
            }),
        ),
        (400, "no output 'nothing'", with(&|body| body["outputs"] = json!([{ "name": "nothing" }]))),
        (400, "microseconds", with(&|body| body["parameters"] = json!({ "timeout": "soon" }))),
        (504, "deadline", with(&|body| body["parameters"] = json!({ "timeout": 1 }))),
    ];
    for (expected, why, body) in cases {
        let started = Instant::now();
        let (status, answer) = ask(&edge, "tiny", &body).await;
        let said = answer["error"].as_str().unwrap_or_default();
        assert_eq!(status, expected, "{said}");
        assert!(said.contains(why), "expected {why:?} in {said:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{why} took {:?}", started.elapsed());
    }
    let (status, answer) = ask(&edge, "other", &image(1)).await;
    assert_eq!(status, 404, "{answer}");
    edge.stop(Duration::from_secs(5)).await;
}
