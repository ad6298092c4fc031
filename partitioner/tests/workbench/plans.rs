//! `partitioner plan`: from profiles to a decision, a page, and what it refuses.

use crate::binary::{Run, partitioner};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A packed model, and profiles of it that say what the test wants.
struct Bench {
    dir: tempfile::TempDir,
    folder: String,
    about: Value,
}

impl Bench {
    fn new() -> Self {
        Self::packed_with(tempfile::tempdir().unwrap(), &[])
    }

    /// With codecs, fitted to pictures.
    fn with_codecs() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pictures = dir.path().join("pictures");
        fs::create_dir(&pictures).unwrap();
        for index in 0..24u32 {
            let picture = image::RgbImage::from_fn(24, 20, |x, y| {
                image::Rgb([(x * 9 + index) as u8, (y * 7 * index) as u8, (index * x) as u8])
            });
            picture.save(pictures.join(format!("{index:02}.png"))).unwrap();
        }
        let pictures = pictures.to_str().unwrap().to_owned();
        Self::packed_with(dir, &["--inputs", &pictures])
    }

    fn packed_with(dir: tempfile::TempDir, more: &[&str]) -> Self {
        let model = dir.path().join("tiny.onnx");
        fs::write(&model, kerf_testbed::models::tiny_classifier()).unwrap();
        let into = dir.path().join("models");
        let (model, into) = (model.to_str().unwrap(), into.to_str().unwrap());
        let pack = ["pack", model, "--name", "tiny", "--into", into, "--resize", "16x16"];
        partitioner(&[&pack[..], more].concat()).succeeds();
        let folder = format!("{into}/tiny");
        let about = serde_json::from_str(&partitioner(&["inspect", &folder, "--json"]).succeeds()).unwrap();
        Self { dir, folder, about }
    }

    /// Every range, at so many seconds for each step between boundaries.
    fn profile(&self, step: f64) -> Value {
        profile(&self.about, "tiny", step)
    }

    fn write(&self, name: &str, profile: &Value) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, profile.to_string()).unwrap();
        path
    }

    fn plan(&self, edge: &Path, cloud: &Path, more: &[&str]) -> Run {
        let (edge, cloud) = (edge.to_str().unwrap(), cloud.to_str().unwrap());
        partitioner(&[&["plan", &self.folder, "--edge", edge, "--cloud", cloud], more].concat())
    }
}

/// Every range, at so many seconds for each step between boundaries.
pub(crate) fn profile(about: &Value, model: &str, step: f64) -> Value {
    let boundaries = about["boundaries"].as_array().unwrap();
    let last = boundaries.len() - 1;
    let pairs = (0..last).flat_map(|from| (from + 1..=last).map(move |to| (from, to)));
    let ranges: Vec<Value> = pairs
        .map(|(from, to)| {
            let time = step * (to - from) as f64;
            json!({"from": from, "to": to, "batch": 1, "runs": 9, "rounds": 3, "p50": time, "p90": time,
                "p99": time, "mean": time, "sd": time * 0.02, "compile": 0.1, "resident_bytes": 1000 * (to - from)})
        })
        .collect();
    let places: Vec<Value> =
        boundaries.iter().map(|it| json!({"after": it["after"], "macs_before": it["macs_before"]})).collect();
    json!({"format": 1, "model": model, "digest": about["digest"], "boundaries": places,
        "device": {"host": "h", "cpu": "c", "cores": 1, "arch": "x86_64", "os": "linux"},
        "engine": {"name": "tract", "version": "1", "threads": 1}, "taken": "2026-01-31T12:00:00Z",
        "complete": true, "ranges": ranges,
        "power": {"source": "modelled", "idle_watts": 2.0, "busy_watts": 6.0, "joules_per_byte": 1e-7}})
}

#[test]
fn a_plan_in_words_in_numbers_and_as_a_page() {
    let bench = Bench::new();
    let (edge, cloud) =
        (bench.write("edge", &bench.profile(0.1)), bench.write("cloud", &bench.profile(0.001)));
    let link = ["--bandwidth", "8Mbps", "--rtt", "10ms"];
    let shown = bench.plan(&edge, &cloud, &link).succeeds();
    for part in
        ["at the median", "Baselines", "per-layer chain planner", "What would have to change", "Measured"]
    {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let html = bench.dir.path().join("report.html");
    let asked = [&link[..], &["--json", "--deadline", "80ms@p95", "--html", html.to_str().unwrap()]].concat();
    let told: Value = serde_json::from_str(&bench.plan(&edge, &cloud, &asked).succeeds()).unwrap();
    let chosen = &told["choices"][told["chosen"].as_u64().unwrap() as usize];
    // A hundred times faster and a short link: nothing stays on the edge.
    assert_eq!((chosen["split"].as_u64(), chosen["breaks"].as_array().unwrap().len()), (Some(0), 0));
    assert!(told["choices"].as_array().unwrap().iter().any(|choice| choice["name"] == "u8 pixels → cloud"));
    assert!(chosen["p95_s"].as_f64().unwrap() < 0.08);
    let page = fs::read_to_string(&html).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("</html>") && page.contains("tiny"));

    // The other way round, everything stays.
    let told = bench.plan(&cloud, &edge, &[&link[..], &["--json"]].concat()).succeeds();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["choices"][told["chosen"].as_u64().unwrap() as usize]["name"], "all on the edge");
}

#[test]
fn tiers_between_have_links_of_their_own() {
    let bench = Bench::new();
    let [edge, middle, cloud] =
        [("e", 0.1), ("m", 0.01), ("c", 0.001)].map(|(name, step)| bench.write(name, &bench.profile(step)));
    let tier = ["--tier", middle.to_str().unwrap(), "--bandwidth", "80Mbps,1Mbps", "--rtt", "1ms,200ms"];
    let shown = bench.plan(&edge, &cloud, &tier).succeeds();
    assert!(shown.contains("→ middle"), "{shown}");
    let uneven = ["--tier", middle.to_str().unwrap(), "--bandwidth", "8Mbps,1Mbps,1Mbps", "--rtt", "1ms"];
    bench.plan(&edge, &cloud, &uneven).refuses("--bandwidth has 3 values for 2 links");
}

#[test]
fn wrong_questions_are_refused() {
    let bench = Bench::new();
    let good = bench.profile(0.1);
    let edge = bench.write("edge", &good);
    let link = ["--bandwidth", "8Mbps", "--rtt", "10ms"];
    for (args, message) in [
        (&["--bandwidth", "0Mbps", "--rtt", "10ms"][..], "bandwidth of 0"),
        (&["--bandwidth", "8", "--rtt", "10ms"], "has no unit"),
        (&["--bandwidth", "8Mbps", "--rtt", "10"], "has no unit"),
        (&["--bandwidth", "8Mbps"], "--rtt"),
        (&[&link[..], &["--deadline", "1s@95"]].concat(), "p95"),
        (&[&link[..], &["--objective", "speed"]].concat(), "no objective"),
        (&[&link[..], &["--privacy-floor", "b99"]].concat(), "privacy floor b99"),
        (&[&link[..], &["--deadline", "1ms", "--energy", "1mJ"]].concat(), "no plan keeps to all of: "),
        (&[&link[..], &["--privacy-floor", "b2", "--memory", "1B"]].concat(), "memory of `edge`"),
    ] {
        bench.plan(&edge, &edge, args).refuses(message);
    }
    let with = |key: &str, value: Value| {
        let mut profile = good.clone();
        profile[key] = value;
        profile
    };
    let mut negative = good.clone();
    negative["ranges"][0]["p50"] = json!(-1.0);
    for (profile, message) in [
        (with("model", json!("other")), "a profile of model other, not of tiny"),
        (with("digest", json!("0".repeat(64))), "profile it again"),
        (with("format", json!(9)), "format 9"),
        (with("ranges", json!([])), "no times at batch 1"),
        (with("engine", json!({"name": "torch", "version": "1", "threads": 1})), "times of engine torch"),
        (negative, "negative"),
        (json!({}), "not a profile"),
    ] {
        let wrong = bench.write("wrong", &profile);
        bench.plan(&wrong, &edge, &link).refuses(message);
        bench.plan(&edge, &wrong, &link).refuses(message);
    }
    bench.plan(Path::new("/nowhere"), &edge, &link).refuses("/nowhere");
}

#[test]
fn a_plan_is_run_over_an_emulated_link() {
    let bench = Bench::new();
    let [edge, cloud] =
        [("e", 2e-3), ("c", 1e-3)].map(|(name, step)| bench.write(name, &bench.profile(step)));
    let asked = ["--bandwidth", "50Mbps", "--rtt", "20ms", "--measure", "--requests", "3"];
    let shown = bench.plan(&edge, &cloud, &asked).succeeds();
    for part in
        ["emulated link: 50 Mbps up", "u8 pixels → cloud was not run", "the edge's profile is of h (c)"]
    {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let told = bench.plan(&edge, &cloud, &[&asked[..], &["--json"]].concat()).succeeds();
    let told: Value = serde_json::from_str(&told).unwrap();
    let choices = told["measured"]["choices"].as_array().unwrap();
    let local = |choice: &&Value| choice["name"] == "all on the edge";
    assert_eq!(choices.iter().filter(local).count(), 1);
    assert!(choices.len() >= 3, "{choices:?}");
    for choice in choices {
        let seconds = |part: &str| choice[part]["measured_s"].as_f64().unwrap();
        assert_eq!(choice["requests"], 3);
        if local(&choice) {
            assert!(seconds("cloud") == 0.0 && seconds("edge") > 0.0);
        } else {
            // No link is faster than its delay.
            assert!(seconds("network") >= 0.02 && seconds("cloud") > 0.0, "{choice}");
        }
        assert!(seconds("total") >= seconds("edge") + seconds("cloud"));
    }

    let tier = ["--tier", edge.to_str().unwrap()];
    for (more, message) in [
        (&tier[..], "no tiers in between"),
        (&["--inputs", "/nowhere"], "taken without pictures"),
        (&["--bind", "M=2"], "no such symbolic dimension"),
    ] {
        bench.plan(&edge, &cloud, &[&asked[..], more].concat()).refuses(message);
    }
    bench
        .plan(&edge, &cloud, &["--bandwidth", "1Mbps", "--rtt", "1ms", "--bind", "N=2"])
        .refuses("--measure");
}

/// The codecs that a model was packed with are weighed by name, within the floor, and run.
#[test]
fn codecs_are_planned_with_and_run() {
    let bench = Bench::with_codecs();
    let codecs = Path::new(&bench.folder).join("1/codecs.json");
    let codecs: Value = serde_json::from_slice(&fs::read(codecs).unwrap()).unwrap();
    let measured = |boundary: u64, name: &str| {
        let all = codecs["codecs"].as_array().unwrap().iter();
        let mut those = all.filter(|it| it["boundary"] == boundary && it["name"] == name);
        those.next().unwrap_or_else(|| panic!("{name} of b{boundary}")).clone()
    };
    let [edge, cloud] =
        [("e", 2e-3), ("c", 1e-3)].map(|(name, step)| bench.write(name, &bench.profile(step)));
    let link = ["--bandwidth", "400kbps", "--rtt", "5ms", "--json", "--objective", "bytes"];
    let tell = |more: &[&str]| -> Value {
        let asked = [&link[..], &["--privacy-floor", "b1"], more].concat();
        serde_json::from_str(&bench.plan(&edge, &cloud, &asked).succeeds()).unwrap()
    };
    let told = tell(&["--agreement-floor", "0.9"]);
    let mut coded = 0;
    for choice in told["choices"].as_array().unwrap() {
        let (name, payload) = (choice["name"].as_str().unwrap(), choice["payload"].as_str().unwrap());
        let split = choice["split"].as_u64().unwrap();
        if !name.starts_with(&format!("b{split} as {payload}")) {
            continue;
        }
        coded += 1;
        let codec = measured(split, payload);
        // Packets have headers, messages too.
        let sent = (codec["bytes"]["mean"].as_f64().unwrap() + 300.0) * 1.045;
        assert!((choice["bytes_up"].as_f64().unwrap() - sent).abs() < 1e-6, "{choice}");
        let of = |key: &str| codec["agreement"][key].as_f64().unwrap();
        let agreement = choice["agreement"].as_f64().unwrap();
        assert!((0.9..=of("same") / of("of") + 1e-9).contains(&agreement), "{choice}");
    }
    assert!(coded > 0, "{told:#}");
    let strict = tell(&["--agreement-floor", "100%"]);
    assert!(strict["choices"].as_array().unwrap().iter().all(|choice| choice["agreement"] == 1.0));

    let link = ["--bandwidth", "400kbps", "--rtt", "5ms", "--measure", "--requests", "3", "--json"];
    let told: Value = serde_json::from_str(&bench.plan(&edge, &cloud, &link).succeeds()).unwrap();
    let ran = told["measured"]["choices"].as_array().unwrap();
    let is_coded = |ran: &&Value| {
        let choice = &told["choices"][ran["choice"].as_u64().unwrap() as usize];
        !["raw", "nothing", "picture"].contains(&choice["payload"].as_str().unwrap())
    };
    let coded: Vec<&Value> = ran.iter().filter(is_coded).collect();
    assert!(!coded.is_empty(), "{told:#}");
    for choice in coded {
        let network = |key: &str| choice["network"][key].as_f64().unwrap();
        let sent = |key: &str| choice["sent"][key].as_f64().unwrap();
        // Random tensors are no pictures, but as many numbers.
        assert!(sent("measured") > 0.0 && sent("measured") < 3072.0 && sent("predicted") > 0.0, "{choice}");
        // Raw inputs alone would take 60 ms and more.
        assert!(network("measured_s") >= 5e-3 && network("predicted_s") < 0.06, "{choice}");
    }
}
