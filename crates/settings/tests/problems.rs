//! Every mistake in a file is reported, in one go, each with its place.

use kerf_settings::{CloudSettings, EdgeSettings};
use proptest::prelude::*;

const GOOD: &str = "node: e\nrepository: m\nidentity: {ca: a, certificate: b, key: c}\n";

#[test]
fn all_at_once() {
    let yaml = "\
node: bad name
listen: 8000
admin: 0.0.0.0:9901
repositry: ../models
identity:
  ca: ../certs/ca.pem
  key: [1]
cloud:
  - node: cloud-1
    address: cloud-1
  - node: cloud-1
    address: cloud-2:4433
engine:
  kind: orrt
  threads: 5000
models:
  - name: camera
    split: auto
    fallback: best_effort
    deadline: 40
  - split: b32
  - name: 7
    split: x
  - text
limits:
  memory: 64Mb
  queue: many
  body: -1
link: {bandwidth: 0bps, rtt: 40, stall: 1s, keep_alive: 2s}
log:
  format: xml
  colour: true
";
    let error = EdgeSettings::parse(yaml, "edge.yaml").unwrap_err();
    let expected = "\
edge.yaml:1:1: missing key `repository`
edge.yaml:1:7: node: `bad name` is not a name: up to 63 letters, digits, `-`, `_` and `.`, the first a letter or digit
edge.yaml:2:9: listen: expected an address such as 127.0.0.1:8000, got the number 8000
edge.yaml:3:8: admin: 0.0.0.0:9901 is not a loopback address; metrics and status have no access control, so this needs `admin_remote: true`
edge.yaml:4:1: unknown key `repositry`, did you mean `repository`?
edge.yaml:6:3: identity: missing key `certificate`
edge.yaml:7:8: identity.key: expected a path, got a list
edge.yaml:10:14: cloud[0].address: `cloud-1` is not host:port, such as cloud.example.net:4433
edge.yaml:11:11: cloud[1].node: `cloud-1` is already named at line 9
edge.yaml:14:9: engine.kind: unknown value `orrt`, did you mean `ort`?; allowed: auto, tract, ort
edge.yaml:15:12: engine.threads: 5000 is out of range, allowed is 0 to 1024
edge.yaml:18:12: models[0].split: `auto` needs `link.bandwidth` and `link.rtt`, such as 8Mbps and 40ms, to plan for
edge.yaml:18:12: models[0].split: `auto` needs `profiles`, the folder that `edge-node --profile` fills
edge.yaml:19:15: models[0].fallback: unknown value `best_effort`, did you mean `best-effort`?; allowed: required, best-effort, none
edge.yaml:20:15: models[0].deadline: 40 has no unit; write for example 40ms (units: ns, us, ms, s, min, h)
edge.yaml:21:5: models[1]: missing key `name`
edge.yaml:21:12: models[1].split: `b32` is out of range, boundaries are b0 to b31
edge.yaml:22:11: models[2].name: expected a name, got the number 7; put it in quotes
edge.yaml:23:12: models[2].split: `x` is not a split; allowed: auto, edge, cloud or a boundary such as b7
edge.yaml:24:5: models[3]: expected a mapping of keys to values, got the text `text`
edge.yaml:26:11: limits.memory: unknown unit `Mb`, did you mean `MB`?; units are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB
edge.yaml:27:10: limits.queue: expected a whole number, got the text `many`
edge.yaml:28:9: limits.body: expected a size such as 64MiB, got the number -1
edge.yaml:29:7: link: `keep_alive` (2s) must be shorter than `stall`, or a slow answer looks like a lost link (1s)
edge.yaml:29:19: link.bandwidth: `0bps` carries nothing, allowed is 1bps and more
edge.yaml:29:30: link.rtt: 40 has no unit; write for example 40ms (units: ns, us, ms, s, min, h)
edge.yaml:31:11: log.format: unknown value `xml`; allowed: text, json
edge.yaml:32:3: log: unknown key `colour`, allowed: filter, format";
    let actual = error.to_string();
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        assert_eq!(actual, expected);
    }
    assert_eq!(actual.lines().count(), expected.lines().count(), "{actual}");
}

#[test]
fn single_mistakes() {
    for (rest, expected) in [
        ("", "e:1:1: missing key `models`"),
        (
            "models: [{name: m, split: b3}]",
            "e:4:27: models[0].split: the model needs a cloud node, but `cloud` lists none; list one, or use `edge`",
        ),
        (
            "models: [{name: m, split: edge}]\nadmin: 127.0.0.1:8000",
            "e:5:8: admin: `listen` and `admin` are both 127.0.0.1:8000",
        ),
        (
            "models: [{name: m, split: edge}]\nengine: {kind: tract, library: x}",
            "e:5:32: engine.library: the engine `tract` loads no library; leave this out, or choose `ort` or `auto`",
        ),
        (
            "models: [{name: m, split: edge, agreement: 101%}]",
            "e:4:44: models[0].agreement: `101%` is not a share from 0% to 100%; write for example 99.5%",
        ),
        ("models: [{name: m, split: edge, codec: ''}]", "e:4:40: models[0].codec: the name is empty"),
        ("models: [{name: m, split: edge}]\nengine:\n", "fine"),
        (
            "models: [{name: m, split: edge}]\nplan: {objective: speed, deadline: 40, privacy_floor: edge, traffic: much, \
             price_per_gb: -1, power: {idle: 2W, busy: 1W}}",
            "e:5:19: plan.objective: `speed` is no objective: write latency, energy, bytes, money, or a sum as latency+2.5*energy\n\
             e:5:36: plan.deadline: 40 has no unit; write for example 40ms (units: ns, us, ms, s, min, h)\n\
             e:5:55: plan.privacy_floor: `edge` is not a boundary; boundaries are b0 to b31\n\
             e:5:70: plan.traffic: unknown value `much`; allowed: sparse, dense\n\
             e:5:90: plan.price_per_gb: -1 is no price\n\
             e:5:101: plan.power: `busy` (1 W) must be at least `idle` (2 W)\n\
             e:5:101: plan.power: missing key `per_byte`",
        ),
        (
            "models: [{name: m, split: edge}]\nplan: {objective: money}",
            "e:5:19: plan.objective: nothing costs money; give `price_per_gb` or `price_per_hour`",
        ),
        (
            "models: [{name: m, split: b3}]\ncloud: [{node: c, address: 'h:1'}]\nplan: {privacy_floor: b4}",
            "e:4:27: models[0].split: this is sent from before `plan.privacy_floor`",
        ),
    ] {
        let shown = match EdgeSettings::parse(&format!("{GOOD}{rest}"), "e") {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }
}

#[test]
fn not_settings_at_all() {
    for (yaml, expected) in [
        ("", "c:1:1: missing key `node`"),
        ("just text", "expected a mapping of keys to values, got the text `just text`"),
        ("- 1\n- 2", "expected a mapping of keys to values, got a list"),
        ("node: [", "c:"),
        ("node: a\nnode: b", "c:2:1: "),
        ("\t\0\u{1b}", "c:1:"),
        ("a: *nothing", "c:1:4: "),
    ] {
        let shown = CloudSettings::parse(yaml, "c").unwrap_err().to_string();
        assert!(shown.contains(expected), "{yaml:?}: {shown}");
    }
}

#[test]
fn hostile_files_are_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    for (what, yaml) in [
        ("alias bomb", bomb),
        ("deep lists", format!("node: {}", "[".repeat(100_000))),
        ("deep mappings", (0..5_000).map(|depth| format!("{}a:\n", " ".repeat(depth.min(150)))).collect()),
        ("a huge file", "#".repeat(2 << 20)),
        ("many keys", (0..100_000).map(|n| format!("k{n}: 1\n")).collect()),
        ("recursion", "a: &a [*a]".to_owned()),
    ] {
        let error = CloudSettings::parse(&yaml, "hostile").unwrap_err().to_string();
        assert!(error.len() < 20_000, "{what}: {} bytes of error", error.len());
    }
}

proptest! {
    #[test]
    fn any_text_is_settings_or_an_error(text in "(node|models|cloud|: |\\[|\\{|\\]|\\}|- |\n|&a |\\*a|'|\"|[a-z0-9.]|\\PC){0,40}") {
        let _ = (EdgeSettings::parse(&text, "t"), CloudSettings::parse(&text, "t"));
    }
}
