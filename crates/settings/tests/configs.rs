//! The files in `configs/` are what a new user starts from: they must mean what they say.

use kerf_settings::wish::{Deadline, Traffic};
use kerf_settings::{
    CloudSettings, CodecChoice, CongestionChoice, EdgeSettings, EngineKind, ExitChoice, Fallback, LogFormat,
    ModelSettings, PowerModel, RaceChoice, Split, TcpChoice, cloud_schema, edge_schema,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[test]
fn edge_example() {
    let settings =
        EdgeSettings::parse(&read("edge.yaml"), "edge.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(settings.models[0].name, "camera");
    assert_eq!(settings.models[0].split, Split::Auto);
    assert_eq!(settings.models[0].fallback, Fallback::Required);
    assert_eq!(settings.cloud[0].address, "127.0.0.1:4433");
    let resolved = settings.resolve(Path::new("/etc/kerf"));
    assert_eq!(resolved.repository, Path::new("/etc/kerf/../models"));
    assert_eq!(resolved.identity.key, Path::new("/etc/kerf/../certs/edge-1.key"));
}

#[test]
fn cloud_example() {
    let settings =
        CloudSettings::parse(&read("cloud.yaml"), "cloud.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.node, "cloud-1");
    assert_eq!(settings.listen.to_string(), "0.0.0.0:4433");
    assert!(settings.models.is_empty());
}

/// What the examples show in comments as defaults are the defaults.
#[test]
fn commented_keys_show_the_defaults() {
    for (name, without) in [("edge.yaml", "library"), ("cloud.yaml", "library")] {
        let said = read(name);
        // A settings line in a comment is `# key:` or `#   key:`, prose is not.
        let spoken: String = said
            .lines()
            .filter(|line| !line.contains(without))
            .map(|line| {
                let inner = line.trim_start().strip_prefix("# ").unwrap_or(line);
                let key = inner.trim_start().split(':').next().unwrap_or_default();
                let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                let indent = line.len() - line.trim_start().len();
                let choice = matches!(key, "auto" | "edge" | "raw" | "required");
                if line.trim_start().starts_with("# ") && is_key && !choice {
                    format!("{}{inner}\n", " ".repeat(indent))
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        if name == "edge.yaml" {
            let [plain, spoken] = [&said, &spoken].map(|text| EdgeSettings::parse(text, name));
            assert_eq!(spoken.unwrap_or_else(|error| panic!("{error}")), plain.unwrap());
        } else {
            let [plain, spoken] = [&said, &spoken].map(|text| CloudSettings::parse(text, name));
            assert_eq!(spoken.unwrap_or_else(|error| panic!("{error}")), plain.unwrap());
        }
    }
}

#[test]
fn every_key_is_read() {
    let settings = EdgeSettings::parse(
        "node: gw.7\nlisten: '[::1]:8001'\nadmin: 0.0.0.0:1\nadmin_remote: true\nrepository: /m\n\
         identity: {ca: a, certificate: b, key: c}\ncloud: [{node: x, address: 'h:1'}, {node: y, address: '[::1]:2'}]\n\
         engine: {kind: ort, threads: 3, library: lib.so}\n\
         models: [{name: m, split: cloud, fallback: best-effort, deadline: 1.5s, codec: k16, agreement: 99.9 %}, {name: n, split: edge, fallback: none, race: always, exits: none, audit: 2.5%, audit_bytes: 1MB}]\n\
         limits: {concurrency: 1, queue: 0, memory: 1GiB, body: 2MB}\n\
         link: {stall: 2s, keep_alive: 1s, idle_timeout: 1min, congestion: bbr, tcp: never}\n\
         plan: {objective: latency + 2*energy, deadline: 80ms@p90, privacy_floor: b0, traffic: dense, price_per_gb: 2, \
         price_per_hour: 3.6, power: {idle: 2W, busy: 5.5 W, per_byte: 100nJ}}\nlog: {filter: debug, format: json}\n",
        "inline",
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.engine.kind, EngineKind::Ort);
    assert_eq!(settings.engine.library, Some(PathBuf::from("lib.so")));
    assert_eq!(settings.models[0].deadline, Duration::from_millis(1500));
    assert_eq!(settings.models[1].fallback, Fallback::None);
    assert_eq!(
        [&settings.models[0], &settings.models[1]].map(|model| model.race),
        [RaceChoice::Deadline, RaceChoice::Always]
    );
    assert_eq!(settings.models[0].codec, CodecChoice::Named("k16".to_owned()));
    assert_eq!(settings.models[0].agreement.as_f64(), 0.999);
    assert_eq!(
        (&settings.models[1].codec, settings.models[1].agreement.millionths),
        (&CodecChoice::Auto, 995_000)
    );
    let exits = |model: &ModelSettings| (model.exits, model.audit.millionths, model.audit_bytes);
    assert_eq!(exits(&settings.models[0]), (ExitChoice::Auto, 10_000, 64 << 20));
    assert_eq!(exits(&settings.models[1]), (ExitChoice::None, 25_000, 1_000_000));
    assert_eq!((settings.limits.queue, settings.limits.body), (0, 2_000_000));
    assert_eq!(settings.link.idle_timeout, Duration::from_secs(60));
    assert_eq!((settings.link.congestion, settings.link.tcp), (CongestionChoice::Bbr, TcpChoice::Never));
    assert_eq!(settings.log.format, LogFormat::Json);
    let plan = settings.plan;
    assert_eq!((plan.objective.latency, plan.objective.energy), (1.0, 2.0));
    assert_eq!(plan.deadline, Some(Deadline { within: Duration::from_millis(80), quantile: 0.9 }));
    assert_eq!((plan.traffic, plan.privacy_floor), (Traffic::Dense, 0));
    assert_eq!((plan.money_per_byte, plan.money_per_second), (2e-9, 1e-3));
    assert_eq!(plan.power, Some(PowerModel { idle: 2.0, busy: 5.5, per_byte: 1e-7 }));
}

/// `KERF_BLESS=1 cargo test -p kerf-settings` rewrites them.
#[test]
fn schemas_are_current() {
    for (name, schema) in [("edge.schema.json", edge_schema()), ("cloud.schema.json", cloud_schema())] {
        let current = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("KERF_BLESS").is_some() {
            std::fs::write(configs().join(name), &current).unwrap();
        }
        assert!(read(name) == current, "configs/{name} is stale; run the tests with KERF_BLESS=1");
    }
}

fn read(name: &str) -> String {
    let path = configs().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}
