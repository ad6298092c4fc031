//! Files that are no models, or lie: each gets its own clear message, whatever is asked of it.

use crate::binary::partitioner;
use std::fs;

/// Just enough protobuf to write models that no exporter would.
mod proto {
    pub(crate) fn int(field: u64, value: u64) -> Vec<u8> {
        [varint(field << 3), varint(value)].concat()
    }

    pub(crate) fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
        [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
    }

    pub(crate) fn text(field: u64, value: &str) -> Vec<u8> {
        bytes(field, value.as_bytes())
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    /// `x: f32[1, 4]` as a graph's input or output.
    pub(crate) fn value(name: &str) -> Vec<u8> {
        let dim = |size| bytes(1, &int(1, size));
        let shape = [dim(1), dim(4)].concat();
        let tensor = [int(1, 1), bytes(2, &shape)].concat();
        [text(1, name), bytes(2, &bytes(1, &tensor))].concat()
    }

    pub(crate) fn node(name: &str, op: &str, inputs: &[&str], outputs: &[&str]) -> Vec<u8> {
        let inputs = inputs.iter().flat_map(|name| text(1, name));
        let outputs = outputs.iter().flat_map(|name| text(2, name));
        [inputs.chain(outputs).collect(), text(3, name), text(4, op)].concat()
    }

    pub(crate) fn model(nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<u8> {
        let nodes = nodes.iter().flat_map(|node| bytes(1, node));
        let constants = constants.iter().flat_map(|tensor| bytes(5, tensor));
        let ends = [bytes(11, &value("x")), bytes(12, &value("y"))].concat();
        let graph: Vec<u8> = nodes.chain(text(2, "g")).chain(constants).chain(ends).collect();
        [int(1, 8), bytes(8, &[text(1, ""), int(2, 13)].concat()), bytes(7, &graph)].concat()
    }

    /// A constant `w: f32[1, 4]` whose data lie in another file.
    pub(crate) fn external(location: &str) -> Vec<u8> {
        let entry = [text(1, "location"), text(2, location)].concat();
        [int(1, 1), int(1, 4), int(2, 1), text(8, "w"), bytes(13, &entry), int(14, 1)].concat()
    }
}

#[test]
fn each_fault_has_a_message() {
    use proto::{bytes, external, int, model, node, text};
    let good = kerf_testbed::models::tiny_classifier();
    let add = || node("sum", "Add", &["x", "w"], &["y"]);
    let relu = |from, to| node(&format!("from-{from}"), "Relu", &[from], &[to]);
    let huge = [int(1, 50_000), int(1, 50_000), int(2, 1), text(8, "w"), bytes(9, &[0; 16])].concat();
    let mut flipped = good.to_vec();
    flipped[0] ^= 0x07;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "model.onnx: "),
        ("text", b"this is no model\n".to_vec(), "not an ONNX model, or a damaged one"),
        ("truncated", good[..good.len() / 2].to_vec(), "not an ONNX model, or a damaged one"),
        ("bit flipped", flipped, "not an ONNX model, or a damaged one"),
        (
            "cycle",
            model(&[node("a", "Add", &["x", "q"], &["p"]), relu("p", "q"), relu("q", "y")], &[]),
            "cycle: ",
        ),
        ("missing input", model(&[add()], &[]), "node `sum`: reads `w`, which nothing produces"),
        (
            "unknown op",
            model(&[node("odd", "Frobnicate", &["x"], &["y"])], &[]),
            "node `odd`: unknown operator Frobnicate",
        ),
        (
            "no such file",
            model(&[add()], &[external("weights.bin")]),
            "tensor `w` in other file \"weights.bin\": no such file beside the model",
        ),
        ("path upwards", model(&[add()], &[external("../secret")]), "tensor `w` in other file \"../secret\""),
        (
            "absolute path",
            model(&[add()], &[external("/etc/passwd")]),
            "tensor `w` in other file \"/etc/passwd\"",
        ),
        ("ten gigabytes", model(&[add()], &[huge]), "tensor `w`"),
        ("two faults", model(&[node("odd", "Frobnicate", &["x", "w"], &["y"])], &[]), "2 problems"),
    ];
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), [0; 16]).unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    let (path, into) = (folder.join("model.onnx"), dir.path().join("models"));
    for (name, file, message) in cases {
        eprintln!("{name}");
        fs::write(&path, file).unwrap();
        let (path, into) = (path.to_str().unwrap(), into.to_str().unwrap());
        partitioner(&["inspect", path]).refuses(message);
        partitioner(&["pack", path, "--name", "bad", "--into", into]).refuses(message);
    }
    assert!(!into.exists(), "nothing was written");
    fs::write(&path, model(&[add()], &[external("weights.bin")])).unwrap();
    fs::write(folder.join("weights.bin"), [0; 15]).unwrap();
    partitioner(&["inspect", path.to_str().unwrap()]).refuses("tensor `w`");
    fs::write(folder.join("weights.bin"), [0; 16]).unwrap();
    partitioner(&["inspect", path.to_str().unwrap()]).succeeds();
}
