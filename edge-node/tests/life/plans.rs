//! `split: auto` does what the settings' `plan` asks for.

use crate::mesh::Mesh;
use kerf_testbed::models::tiny_classifier;
use std::time::Duration;

/// Quick to compute here, and far to the cloud: what is best depends on what is asked.
#[tokio::test(flavor = "multi_thread")]
async fn the_objective_and_its_limits_move_the_plan() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    mesh.write_profile("edge-1", 0.01);
    mesh.write_profile("cloud-1", 0.000_1);
    let cloud = mesh.start_cloud().await;
    let power = "power: {idle: 1W, busy: 5W, per_byte: 1nJ}";
    let last = format!("b{}", mesh.last());
    for (asked, split, said) in [
        (String::new(), last.as_str(), "least latency: "),
        ("objective: bytes".to_owned(), &last, "least bytes: "),
        (format!("objective: energy, {power}"), "b0", "least energy: "),
        (format!("objective: energy, {power}, privacy_floor: b1"), "b1", "least energy, nothing before b1: "),
        (format!("objective: energy, {power}, deadline: 90ms@p90"), &last, "least energy, p90 within 90ms: "),
        ("objective: money, price_per_hour: 1".to_owned(), &last, "least money: "),
    ] {
        let link = "bandwidth: 10Mbps, rtt: 100ms";
        let more = format!("plan: {{{asked}}}\n");
        let edge = mesh.start_edge_over(link, "auto", "required", "auto", &more).await.unwrap();
        let (planned, plan) = mesh.wait_planned(&edge).await;
        assert_eq!(planned, format!("{split} of {}", mesh.last()), "{asked}: {plan}");
        assert!(plan.starts_with(said), "{plan}");
        assert!(edge.stop(Duration::from_secs(5)).await);
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_before_the_floor_is_sent_by_a_fixed_split() {
    let mesh = Mesh::new("tiny", tiny_classifier());
    for split in ["cloud", "b1"] {
        let link = "bandwidth: 10Mbps, rtt: 100ms";
        let edge = mesh.settings(link, split, "required", "auto", "plan: {privacy_floor: b2}\n");
        let error = edge.err().unwrap().to_string();
        assert!(error.contains("models[0].split: this is sent from before `plan.privacy_floor`"), "{error}");
    }
}
