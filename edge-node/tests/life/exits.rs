//! Early exits on a node: heads that were really fitted, on the way to a real cloud node.

use crate::mesh::{Mesh, ask, near};
use edge_node::EdgeNode;
use kerf_bundle::{Bundle, ExitHead, ExitInputs, Exits, FittedExit, FittedExits};
use kerf_engine::{Runner, SegmentStore, Values};
use kerf_engines::{EngineChoice, EngineKind, open};
use kerf_exits::{
    Calibration, Certified, Gate, Kind, Loss, Measure, Outcome, Outcomes, Promise, Reference, Thresholds,
    certify,
};
use kerf_exits_fit::{Features, Front, Lesson, Options, Shape, Teacher};
use kerf_repository::Repository;
use kerf_tensor::Tensor;
use kerf_testbed::models::{tiny_classifier, tiny_image};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const EXIT: usize = 1;
const SPLIT: &str = "b2";
const CLASSES: usize = 10;
/// Fitted to these, calibrated on as many more.
const INPUTS: u64 = 400;

/// What the model makes of many inputs at the exit, and in the end.
struct Seen {
    features: Features,
    answers: Vec<Tensor>,
}

impl Seen {
    fn of(bundle: &Bundle, seeds: std::ops::Range<u64>) -> Self {
        let engines =
            open(&EngineChoice { kind: EngineKind::Tract, threads: 1, library: None }).unwrap().engines;
        let runner = Runner::new(Arc::clone(&bundle.model), engines, Arc::new(SegmentStore::new(1 << 30)));
        let front = Front::new(&bundle.model.boundaries()[EXIT].tensors).unwrap();
        let mut seen = Self { features: Features::new(front), answers: Vec::new() };
        for seed in seeds {
            let mut values = Values::new();
            values.insert("x", tiny_image(1, seed));
            runner.run(0, EXIT, &mut values).unwrap();
            seen.features.push(&values.boundary(&bundle.model, EXIT).unwrap()).unwrap();
            runner.run(EXIT, bundle.model.last(), &mut values).unwrap();
            seen.answers.push(values.remove("logits").unwrap());
        }
        seen
    }

    fn classes(&self) -> Vec<u32> {
        self.answers.iter().map(|answer| kerf_tensor::top1(answer)[0] as u32).collect()
    }
}

/// A head that learnt from the model's answers, `turned` by so many classes: then it is always wrong.
fn head(bundle: &Bundle, seen: &Seen, turned: usize) -> (ExitHead, kerf_exits_fit::Head) {
    let output = &bundle.model.model().outputs()[0];
    let mut teacher = Teacher::new(output, Kind::Logits).unwrap();
    for answer in &seen.answers {
        let mut logits = answer.elements::<f32>().unwrap().into_owned();
        logits.rotate_right(turned);
        teacher.push(&Tensor::from_vec(&[1, CLASSES], logits).unwrap()).unwrap();
    }
    let lesson = Lesson { features: &seen.features, teacher: &teacher, weights: None, views: 1 };
    let fitted = lesson.fit(&Shape::Linear, &Options::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    let model = fitted.head.to_model(output, Kind::Logits).unwrap();
    (ExitHead::new(EXIT as u16, model.to_onnx().unwrap()).unwrap(), fitted.head)
}

fn gate() -> Gate {
    Gate::new(Kind::Logits, 1.0, Measure::MaxProbability).unwrap()
}

fn promise() -> Promise {
    Promise::new(0.1, 0.9, Loss::Disagreement).unwrap()
}

fn exits(bundle: &Bundle, head: ExitHead, outcomes: &Outcomes, certified: Certified) -> Exits {
    let all = 0..outcomes.len();
    let exit = FittedExit {
        boundary: EXIT as u16,
        kind: "linear".to_owned(),
        macs: 1000,
        seconds: 1e-5,
        gate: gate(),
        calibration: Calibration::fit(outcomes, 0, all).unwrap(),
        reference: Some(Reference::of(outcomes, &certified.loosest().thresholds, 0, 0).unwrap()),
    };
    let inputs = ExitInputs { fit: INPUTS as u32, tune: 0, calibrate: INPUTS as u32 };
    let fitted = FittedExits { output: "logits".to_owned(), inputs, exits: vec![exit], certified };
    Exits::new(fitted, vec![head], &bundle.model).unwrap()
}

/// A mesh whose model has one exit with a promise that holds, and the confidence that is needed.
fn honest(mesh: &Mesh) -> f64 {
    let repository = Repository::new(mesh.repository());
    let bundle = repository.open("tiny").unwrap();
    let (head, inside) = head(&bundle, &Seen::of(&bundle, 0..INPUTS), 0);
    let seen = Seen::of(&bundle, INPUTS..2 * INPUTS);
    let logits = inside.logits(&seen.features).unwrap();
    let mut outcomes = Outcomes::new(1).unwrap();
    for (row, class) in logits.chunks_exact(CLASSES).zip(seen.classes()) {
        let said = gate().judge(row).unwrap();
        outcomes.push(&[Outcome { confidence: Some(said.confidence), wrong: said.class != class }]).unwrap();
    }
    let mut confidences: Vec<f64> =
        (0..outcomes.len()).filter_map(|row| outcomes.of(row, 0)?.confidence).collect();
    confidences.sort_by(f64::total_cmp);
    let thresholds = |share: f64| {
        Thresholds::new(vec![Some(confidences[(share * confidences.len() as f64) as usize])]).unwrap()
    };
    let path = [0.9, 0.7, 0.5, 0.3].map(thresholds);
    let certified = certify(&path, &outcomes, &promise()).unwrap();
    let least = certified.loosest().thresholds.of(0).unwrap();
    repository.write_exits("tiny", Some(&exits(&bundle, head, &outcomes, certified))).unwrap();
    least
}

/// The same with a head that is always wrong, certified by outcomes that say the opposite: as when what
/// comes is no longer what was calibrated on.
fn broken(mesh: &Mesh) {
    let repository = Repository::new(mesh.repository());
    let bundle = repository.open("tiny").unwrap();
    let seen = Seen::of(&bundle, 0..INPUTS);
    let (head, inside) = head(&bundle, &seen, 1);
    let mut outcomes = Outcomes::new(1).unwrap();
    for row in inside.logits(&seen.features).unwrap().chunks_exact(CLASSES) {
        let confidence = Some(gate().judge(row).unwrap().confidence);
        outcomes.push(&[Outcome { confidence, wrong: false }]).unwrap();
    }
    let path = [Thresholds::new(vec![Some(0.0)]).unwrap()];
    let certified = certify(&path, &outcomes, &promise()).unwrap();
    repository.write_exits("tiny", Some(&exits(&bundle, head, &outcomes, certified))).unwrap();
}

fn body(seed: u64) -> Value {
    let data = tiny_image(1, seed).elements::<f32>().unwrap().into_owned();
    json!({ "inputs": [{ "name": "x", "shape": [1, 3, 16, 16], "datatype": "FP32", "data": data }] })
}

async fn edge(mesh: &Mesh, more: &str) -> EdgeNode {
    let edge = mesh.start_edge(SPLIT, &format!("required, {more}")).await;
    mesh.wait_connected(&edge).await;
    edge
}

/// Seeds that nothing was fitted to or calibrated on.
const FRESH: std::ops::Range<u64> = 5000..5060;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sure_heads_answer_and_others_go_on() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    let least = honest(&mesh);
    let cloud = mesh.start_cloud().await;
    let (with, without) = (edge(&mesh, "audit: 100%").await, edge(&mesh, "exits: none").await);
    let (mut early, mut agreed) = (0, 0);
    for seed in FRESH {
        let (status, answer) = ask(&with, "tiny", &body(seed)).await;
        let (_, whole) = ask(&without, "tiny", &body(seed)).await;
        assert_eq!(status, 200, "{answer}");
        assert!(whole["parameters"].get("exit").is_none());
        let told = &answer["parameters"];
        assert_eq!(answer["outputs"][0]["name"], "logits");
        if told.get("exit").is_some() {
            early += 1;
            agreed += u32::from(class(&answer) == class(&whole));
            assert_eq!((&told["exit"], &told["node"]), (&json!("b1"), &json!("edge-1")));
            assert!(told["confidence"].as_f64().unwrap() >= least && told.get("shipped_bytes").is_none());
        } else {
            assert_eq!(told["node"], "cloud-1");
            near(&answer["outputs"], &whole["outputs"]);
        }
    }
    assert!((5..56).contains(&early), "{early} of 60 left early");
    assert!(f64::from(agreed) >= 0.7 * f64::from(early), "{agreed} of {early} agree");
    // Every request was chosen for the audit, so all of them are in it once the checks are done.
    let audited = wait_for(&with, "audited", |row| row.ends_with("of 60")).await;
    assert!(audited.ends_with("of 60"), "{audited}");
    with.stop(Duration::from_secs(5)).await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_that_breaks_closes_the_exit() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    broken(&mesh);
    let cloud = mesh.start_cloud().await;
    let edge = edge(&mesh, "audit: 100%").await;
    let start = Instant::now();
    let mut asked = 0;
    loop {
        let (_, answer) = ask(&edge, "tiny", &body(7000 + asked)).await;
        if answer["parameters"].get("exit").is_none() {
            break;
        }
        asked += 1;
        assert!(start.elapsed() < Duration::from_secs(60), "{asked} wrong answers, and no end");
    }
    // A risk of 100% against 10%: a handful of checks tells.
    assert!((1..200).contains(&asked), "{asked} were answered early");
    let said = wait_for(&edge, "thresholds", |row| row.starts_with("all closed")).await;
    assert!(said.starts_with("all closed"), "{said}");
    edge.stop(Duration::from_secs(5)).await;
    cloud.stop().await;
}

/// A node that starts again is as tight as it was, for the same exits; of others it knows nothing yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thresholds_stay_tight_over_a_start() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    broken(&mesh);
    let cloud = mesh.start_cloud().await;
    let thresholds = async |mesh: &Mesh| {
        let edge = edge(mesh, "audit: 100%").await;
        let said = wait_for(&edge, "thresholds", |_| true).await;
        edge.stop(Duration::from_secs(5)).await;
        said
    };
    let kept = mesh.profiles("edge-1").join("tiny@@exits.json");
    assert_eq!(thresholds(&mesh).await, "as calibrated");
    assert!(!kept.exists());
    let node = edge(&mesh, "audit: 100%").await;
    let start = Instant::now();
    while !kept.exists() {
        ask(&node, "tiny", &body(7000)).await;
        assert!(start.elapsed() < Duration::from_secs(60), "nothing was kept");
    }
    node.stop(Duration::from_secs(5)).await;
    assert!(thresholds(&mesh).await.starts_with("all closed"));

    let written = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, &written[..written.len() / 2]).unwrap();
    assert!(thresholds(&mesh).await.starts_with("all closed"), "a damaged file opens no exit");
    std::fs::write(&kept, written).unwrap();

    honest(&mesh);
    assert_eq!(thresholds(&mesh).await, "as calibrated", "other exits");
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_head_thinks_goes_out_as_an_event() {
    let mut mesh = Mesh::new("tiny", tiny_classifier());
    honest(&mesh);
    let cloud = mesh.start_cloud().await;
    let edge = edge(&mesh, "audit: 0%").await;
    let mut seen = (0, 0);
    for seed in FRESH {
        let events = events(&edge, &body(seed)).await;
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        let last = &events.last().unwrap().1["parameters"];
        match names.as_slice() {
            ["final"] => {
                assert_eq!(last["exit"], "b1");
                seen.0 += 1;
            }
            ["provisional", "final"] => {
                let told = &events[0].1;
                assert_eq!(told["parameters"]["provisional"], true);
                assert_eq!((&told["parameters"]["exit"], &last["node"]), (&json!("b1"), &json!("cloud-1")));
                assert_eq!(told["outputs"][0]["shape"], json!([1, CLASSES]));
                seen.1 += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(seen.0 > 0 && seen.1 > 0, "{seen:?}");
    edge.stop(Duration::from_secs(5)).await;
    cloud.stop().await;
}

#[test]
fn exits_of_another_model_are_refused() {
    let mesh = Mesh::new("tiny", tiny_classifier());
    honest(&mesh);
    let repository = Repository::new(mesh.repository());
    let digest = repository.open("tiny").unwrap().digest;
    let exits = repository.open("tiny").unwrap().exits.unwrap();
    let place = |boundary: u16| {
        let mut fitted = exits.fitted.clone();
        fitted.exits[0].boundary = boundary;
        let model = repository.open("tiny").unwrap().model;
        Exits::new(fitted, exits.heads.clone(), &model).err().map(|error| error.to_string())
    };
    assert_eq!(place(EXIT as u16), None);
    for (boundary, message) in
        [(0, "an exit at b0"), (mesh.last() as u16, "an exit at b"), (EXIT as u16 + 1, "wants")]
    {
        let error = place(boundary).unwrap();
        assert!(error.contains(message), "b{boundary}: {error}");
    }
    // Clouds need not hear of exits.
    repository.write_exits("tiny", None).unwrap();
    let bare = repository.open("tiny").unwrap();
    assert!(bare.exits.is_none() && bare.digest == digest);
    // A head that somebody changed is none.
    repository.write_exits("tiny", Some(&exits)).unwrap();
    let head = mesh.repository().join("tiny/1/exits/b1.onnx");
    let mut bytes = std::fs::read(&head).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&head, bytes).unwrap();
    let error = repository.open("tiny").err().unwrap().to_string();
    assert!(error.contains("1/exits/b1.onnx differs from its digest"), "{error}");
}

fn class(answer: &Value) -> usize {
    let data = answer["outputs"][0]["data"].as_array().unwrap();
    let scores: Vec<f64> = data.iter().map(|score| score.as_f64().unwrap()).collect();
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
}

/// A column of the promises on the status page, once it is as wanted or time is up.
async fn wait_for(edge: &EdgeNode, column: &str, is_there: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    loop {
        let status = crate::mesh::status(edge).await;
        let sections = status["sections"].as_array().unwrap();
        let exits = sections.iter().find(|section| section["title"] == "Promises").unwrap();
        let at = exits["columns"].as_array().unwrap().iter().position(|it| it == column).unwrap();
        let found = exits["rows"][0][at].as_str().unwrap().to_owned();
        if is_there(&found) || start.elapsed() > Duration::from_secs(20) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn events(edge: &EdgeNode, body: &Value) -> Vec<(String, Value)> {
    let body = body.to_string();
    let head = format!(
        "POST /v2/models/tiny/infer HTTP/1.1\r\nhost: edge\r\nconnection: close\r\naccept: text/event-stream\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(edge.http()).await.unwrap();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let mut events = Vec::new();
    let mut lines = answer.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("event: ") {
            let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
            events.push((name.to_owned(), serde_json::from_str(data).unwrap()));
        }
    }
    events
}
