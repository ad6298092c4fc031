//! `partitioner exits`: exits that a model was made with, where they are put, and what is refused.

use crate::binary::{Run, partitioner};
use crate::plans::profile;
use kerf_graph::{Builder, Op};
use kerf_tensor::{DType, Dim, Tensor, TensorSpec};
use serde_json::Value;
use std::fs;

const INPUT: usize = 1024;
const WIDTH: usize = 512;
const CLASSES: usize = 4;
const LAYERS: usize = 6;
/// Of all inputs, and how many of them are there once more.
const INPUTS: usize = 700;
const COPIES: usize = 40;

/// A model with an early output that always says what the last one says, and others that are no exits of it.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("model.onnx"), model()).unwrap();
        let mut rows: Vec<Vec<f32>> = (0..INPUTS - COPIES).map(input).collect();
        rows.extend_from_within(..COPIES);
        fs::write(dir.path().join("inputs.npy"), npy(&rows)).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn pack(&self, outputs: &str) -> Run {
        let (model, into) = (self.path("model.onnx"), self.path("models"));
        partitioner(&["pack", &model, "--name", "m", "--into", &into, "--force", "--outputs", outputs])
    }

    fn fit(&self, more: &[&str]) -> Run {
        let (model, inputs) = (self.path("models/m"), self.path("inputs.npy"));
        partitioner(&[&["exits", "fit", &model, "--calibrate", &inputs][..], more].concat())
    }
}

/// `x` to `r0`, then layers that change nothing; `last` and `early` read the same of the last and of `r0`.
fn model() -> bytes::Bytes {
    let spec = |name: &str, dims: &[usize]| {
        let batch = std::iter::once(Dim::Symbol("N".to_owned()));
        let shape = Some(batch.chain(dims.iter().map(|dim| Dim::Fixed(*dim))).collect());
        TensorSpec { name: name.to_owned(), dtype: DType::F32, shape }
    };
    let weights = |rows: usize, columns: usize, of: &dyn Fn(usize, usize) -> f32| {
        let values = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Tensor::from_vec(&[rows, columns], values.map(|(row, column)| of(row, column)).collect()).unwrap()
    };
    let waves = |row: usize, column: usize| ((row * 31 + column * 17) as f32 * 0.37).sin();
    let mut built = Builder::new("model", 13);
    built.input(&spec("x", &[INPUT]));
    for (name, dims) in [("early", &[CLASSES][..]), ("five", &[5]), ("map", &[2, 2]), ("last", &[CLASSES])] {
        built.output(&spec(name, dims));
    }
    built.constant("v", &weights(INPUT, WIDTH, &waves));
    built.constant("same", &weights(WIDTH, WIDTH, &|row, column| f32::from(u8::from(row == column))));
    built.constant("w", &weights(WIDTH, CLASSES, &waves)).constant("u", &weights(WIDTH, 5, &waves));
    built.constant("square", &Tensor::from_vec(&[3], vec![-1i64, 2, 2]).unwrap());
    built.node(Op::new("MatMul", &["x", "v"], &["a"])).node(Op::new("Relu", &["a"], &["r0"]));
    for layer in 0..LAYERS {
        let (from, made, to) = (format!("r{layer}"), format!("m{layer}"), format!("r{}", layer + 1));
        built.node(Op::new("MatMul", &[&from, "same"], &[&made]));
        built.node(Op::new("Relu", &[&made], &[&to]));
    }
    built.node(Op::new("MatMul", &[&format!("r{LAYERS}"), "w"], &["last"]));
    built.node(Op::new("MatMul", &["r0", "w"], &["early"])).node(Op::new("MatMul", &["r0", "u"], &["five"]));
    built.node(Op::new("MatMul", &["r0", "w"], &["flat"]));
    built.node(Op::new("Reshape", &["flat", "square"], &["map"]));
    built.build().unwrap().to_onnx().unwrap()
}

fn input(row: usize) -> Vec<f32> {
    (0..INPUT).map(|column| ((row * 7919 + column * 104_729) as f32 * 0.013).sin()).collect()
}

/// Version 1.0 of NumPy's format.
fn npy(rows: &[Vec<f32>]) -> Vec<u8> {
    let shape = format!("({}, {INPUT})", rows.len());
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    let length = (header.len() as u16).to_le_bytes();
    let mut file = [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes()].concat();
    file.extend(rows.iter().flatten().flat_map(|value| value.to_le_bytes()));
    file
}

fn report(run: Run) -> Value {
    serde_json::from_str::<Value>(&run.succeeds()).unwrap()["report"].clone()
}

#[test]
fn declared_exits_are_used_as_they_are() {
    let bench = Bench::new();
    bench.pack("last").succeeds();
    let about = partitioner(&["inspect", &bench.path("models/m"), "--json"]).succeeds();
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!(about["outputs"].as_array().unwrap().len(), 1);
    let source = bench.path("model.onnx");
    let told = report(bench.fit(&["--declared", "early", "--source", &source, "--json"]));
    let exit = &told["exits"][0];
    assert_eq!((&exit["kind"], &told["sets"]["fit"]), (&"declared early".into(), &"nothing".into()));
    assert_eq!(told["certified"]["errors"], 0);
    assert!(exit["threshold"].is_f64() && told["certified"]["judged"]["saved"].as_f64().unwrap() > 0.3);
    let notes = told["notes"].to_string();
    assert!(notes.contains(&format!("{COPIES} inputs are copies of others")), "{notes}");
    let inputs = exit["right"]["of"].as_u64().unwrap();
    assert!(
        (INPUTS - COPIES) as u64 * 6 / 10 < inputs && inputs < (INPUTS - COPIES) as u64 * 8 / 10,
        "{inputs}"
    );
    let folder = bench.path("models/m");
    let at = exit["boundary"].as_u64().unwrap();
    assert!(fs::exists(format!("{folder}/1/exits/b{at}.onnx")).unwrap());
    partitioner(&["verify", &folder, "--engine", "tract"]).succeeds();
    partitioner(&["exits", "remove", &folder]).succeeds();
    assert!(!fs::exists(format!("{folder}/1/exits.json")).unwrap());
}

#[test]
fn outputs_that_are_no_exits_are_refused() {
    let bench = Bench::new();
    bench.pack("nothing").refuses("--outputs: no output \"nothing\"; there are early, five, map, last");
    bench.pack("early,five,map,last").succeeds();
    for (more, message) in [
        (&["--declared", "none"][..], "--declared none: the model has no such output, but early: f32"),
        (&["--declared", "last"], "--declared last: this is the whole model's answer"),
        (&["--declared", "map"], "--declared map: not a classifier's"),
        (
            &["--declared", "five"],
            "--declared five: five: f32[N, 5] is no answer in place of last: f32[N, 4]",
        ),
        (&["--declared", "early,early"], "both start from b"),
        (&["--declared", "early", "--boundaries", "b1"], "--inputs"),
    ] {
        bench.fit(&[&["--output", "last"], more].concat()).refuses(message);
    }
    // It may be taken out of a model that computes it as well, but that is said.
    let told = report(bench.fit(&["--declared", "early", "--output", "last", "--json"]));
    let notes = told["notes"].to_string();
    assert!(notes.contains("packed with --outputs last it would not"), "{notes}");

    bench.pack("last").succeeds();
    let other = bench.path("other.onnx");
    fs::write(&other, kerf_testbed::models::tiny_classifier()).unwrap();
    let declared = ["--declared", "early"];
    bench.fit(&declared).refuses("--source names the file that it was packed from");
    bench
        .fit(&[&declared[..], &["--source", &other]].concat())
        .refuses("m was packed from another file, model.onnx");
    let (model, source) = (bench.path("models/m"), bench.path("model.onnx"));
    let run = partitioner(&["exits", "fit", &model, "--declared", "early", "--source", &source]);
    run.refuses("--calibrate: declared exits are not fitted, but their promise is tested on inputs");
}

/// Where the link is good requests are shipped at once, and an exit on the slow edge only loses.
#[test]
fn exits_are_placed_with_the_link() {
    let bench = Bench::new();
    bench.pack("last").succeeds();
    let about = partitioner(&["inspect", &bench.path("models/m"), "--json"]).succeeds();
    let about: Value = serde_json::from_str(&about).unwrap();
    for (name, step) in [("edge", 0.1), ("cloud", 0.001)] {
        fs::write(bench.path(name), profile(&about, "m", step).to_string()).unwrap();
    }
    let (source, edge, cloud) = (bench.path("model.onnx"), bench.path("edge"), bench.path("cloud"));
    let asked = ["--declared", "early", "--source", &source, "--profile", &edge, "--json"];
    let over = |more: &[&str]| bench.fit(&[&asked[..], &["--cloud-profile", &cloud], more].concat());

    let near = over(&["--bandwidth", "100Mbps", "--rtt", "5ms"]);
    assert_eq!(near.status, 1, "{near:?}");
    let told: Value = serde_json::from_str(&near.stdout).unwrap();
    let ways = &told["report"]["ways"];
    assert!(told["written"].is_null() && ways["with"].is_null(), "{told}");
    assert!(told["report"]["refusal"].as_str().unwrap().contains("no exit saves more than its head costs"));
    assert!(ways["without"]["expected"].as_f64().unwrap() < 0.05, "{ways}");

    let far = report(over(&["--bandwidth", "100Mbps", "--rtt", "900ms"]));
    let ways = &far["ways"];
    let expected = |way: &str| ways[way]["expected"].as_f64().unwrap();
    assert_eq!((&far["unit"], &ways["asked"]), (&"seconds".into(), &"latency over 100 Mbps, 900 ms".into()));
    assert!(expected("with") < 0.6 * expected("without"), "{ways}");

    // On the edge alone, by energy.
    let alone = report(bench.fit(&[&asked[..], &["--objective", "energy"]].concat()));
    let ways = &alone["ways"];
    assert_eq!((&alone["unit"], &ways["asked"]), (&"joules".into(), &"energy on the edge alone".into()));
    assert_eq!(ways["without"]["at"], "all on the edge");
    assert!(ways["with"]["expected"].as_f64().unwrap() < ways["without"]["expected"].as_f64().unwrap());
    let bare = ["--declared", "early", "--source", &source, "--objective", "energy"];
    bench.fit(&bare).refuses("without --profile exits are placed by multiplications");
}
