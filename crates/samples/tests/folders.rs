//! Folders as people have them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use kerf_bundle::{Card, Encoded, Metric, Source};
use kerf_graph::{Model, NoExternalData};
use kerf_inputs::Generator;
use kerf_preprocess::{Preprocess, Resize, Size, Steps};
use kerf_samples::{Form, Half, Reader, Samples};
use kerf_tensor::{DType, TensorSpec};
use std::path::Path;

/// The arrays `x` and `y` of `savez`, saved by NumPy; see below.
const PAIR: &[u8] = include_bytes!("pair.npz");

fn model(bytes: bytes::Bytes) -> (Model, Card) {
    let model = Model::load(bytes, &NoExternalData).unwrap();
    let card = card(model.inputs());
    (model, card)
}

fn card(inputs: &[TensorSpec]) -> Card {
    Card {
        name: "m".into(),
        version: 1,
        source: Source { file: "m.onnx".into(), sha256: "00".into(), opset: 13 },
        inputs: inputs.to_vec(),
        outputs: Vec::new(),
        preprocess: None,
        metric: Metric::Numeric,
        tolerance: 1e-4,
        batching: None,
    }
}

fn npy(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let dims: String = shape.iter().map(|dim| format!("{dim},")).collect();
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

fn png(path: &Path, level: u8) {
    image::RgbImage::from_pixel(16, 16, image::Rgb([level; 3])).save(path).unwrap();
}

#[test]
fn pictures() {
    let at = tempfile::tempdir().unwrap();
    for (name, level) in [("b.PNG", 255), ("a.png", 0), (".hidden.png", 9)] {
        png(&at.path().join(name), level);
    }
    std::fs::write(at.path().join("labels.tsv"), "a.png\t3\nb.PNG\t7\n").unwrap();
    std::fs::write(at.path().join("README.txt"), "ours").unwrap();
    std::fs::create_dir(at.path().join("c.png")).unwrap();
    let samples = Samples::open(at.path()).unwrap();
    assert_eq!(
        (samples.form(), samples.names().collect::<Vec<_>>()),
        (Form::Pictures, vec!["a.png", "b.PNG"])
    );
    assert_eq!(samples.labels().unwrap().unwrap().class("b.PNG"), Some(7));

    let (model, mut card) = model(kerf_testbed::models::tiny_classifier());
    let generator = Generator::new(&model, &[]).unwrap();
    let error = Reader::new(&samples, &card, &generator).err().unwrap().to_string();
    assert!(error.contains("model m takes no pictures"), "{error}");
    let size = Size { width: 16, height: 16 };
    let steps = Steps { resize: Some(Resize::Exact(size)), crop: None, ..Steps::imagenet() };
    card.preprocess = Some(Encoded::new("x", Preprocess::new(steps).unwrap()));
    let read: Vec<_> = Reader::new(&samples, &card, &generator).unwrap().all().map(Result::unwrap).collect();
    assert_eq!((read.len(), read[1].name.as_str()), (2, "b.PNG"));
    assert_eq!(read[0].inputs[0].tensor.shape(), [1, 3, 16, 16]);
    assert!(read[0].inputs[0].tensor.to_f64().unwrap()[0] < 0.0);
    assert_eq!(read[1].encoded.as_deref(), Some(&std::fs::read(at.path().join("b.PNG")).unwrap()[..]));

    std::fs::write(at.path().join("z.jpg"), "no picture").unwrap();
    let samples = Samples::open(at.path()).unwrap();
    let error = Reader::new(&samples, &card, &generator).unwrap().read(2).unwrap_err().to_string();
    assert!(error.starts_with("z.jpg: "), "{error}");
}

#[test]
fn arrays_one_file_each() {
    let at = tempfile::tempdir().unwrap();
    let (model, card) = model(kerf_testbed::models::tiny_classifier());
    let generator = Generator::new(&model, &[]).unwrap();
    let picture = |value: f64| value.to_le_bytes().repeat(3 * 16 * 16);
    std::fs::write(at.path().join("1.npy"), npy("<f8", &[3, 16, 16], &picture(0.5))).unwrap();
    std::fs::write(at.path().join("2.npy"), npy("<f8", &[1, 3, 16, 15], &picture(1.0)[..8 * 720])).unwrap();
    std::fs::write(at.path().join("3.npy"), "no array").unwrap();
    let samples = Samples::open(at.path()).unwrap();
    let reader = Reader::new(&samples, &card, &generator).unwrap();
    let first = reader.read(0).unwrap().inputs;
    assert_eq!((first[0].tensor.dtype(), first[0].tensor.shape()), (DType::F32, &[1, 3, 16, 16][..]));
    assert_eq!(first[0].tensor.to_f64().unwrap()[0], 0.5);
    for (index, message) in [
        (1, "2.npy: x: f32 of shape [1, 3, 16, 15], where the model takes x: f32[N, 3, 16, 16]"),
        (2, "3.npy: no .npy file"),
        (3, "sample 3 is not there"),
    ] {
        let error = reader.read(index).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    png(&at.path().join("4.png"), 0);
    let error = Samples::open(at.path()).unwrap_err().to_string();
    assert!(error.contains("holds both ") && error.contains("a folder of samples holds one kind"), "{error}");
}

/// `savez(x=arange(8, dtype='f4').reshape(2, 4), negate=array([True, False]))`.
#[test]
fn arrays_by_name() {
    let at = tempfile::tempdir().unwrap();
    let (model, card) = model(kerf_testbed::models::with_if());
    let generator = Generator::new(&model, &[]).unwrap();
    let file = at.path().join("rows.npz");
    std::fs::write(&file, PAIR).unwrap();

    // As one file of two samples.
    let samples = Samples::open(&file).unwrap();
    assert_eq!((samples.form(), samples.names().collect::<Vec<_>>()), (Form::Rows, vec!["0", "1"]));
    let second = Reader::new(&samples, &card, &generator).unwrap().read(1).unwrap().inputs;
    assert_eq!(second.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["x", "negate"]);
    assert_eq!(
        (second[0].tensor.shape(), second[0].tensor.to_f64().unwrap()),
        (&[1, 4][..], vec![4.0, 5.0, 6.0, 7.0])
    );
    assert_eq!((second[1].tensor.shape(), second[1].tensor.data()[0]), (&[][..], 0));

    // As a folder of one sample, which is a batch of two: the scalar does not fit.
    let samples = Samples::open(at.path()).unwrap();
    assert_eq!(samples.form(), Form::Npz);
    let error = Reader::new(&samples, &card, &generator).unwrap().read(0).unwrap_err().to_string();
    assert_eq!(error, "rows.npz: negate: bool of shape [2], where the model takes negate: bool[]");

    // For another model.
    let other = self::card(&card.inputs[..1]);
    let error = Reader::new(&samples, &other, &generator).unwrap().read(0).unwrap_err().to_string();
    assert_eq!(error, "rows.npz: array \"negate\" is no input of the model; it has x");
    let mut renamed = card.clone();
    renamed.inputs[1].name = "flag".into();
    let error = Reader::new(&samples, &renamed, &generator).unwrap().read(0).unwrap_err().to_string();
    assert!(error.starts_with("rows.npz: no array is called \"flag\"; it has negate"), "{error}");

    std::fs::write(at.path().join("one.npy"), npy("|u1", &[1], &[0])).unwrap();
    let one = Samples::open(&at.path().join("one.npy")).unwrap();
    let error = Reader::new(&one, &card, &generator).err().unwrap().to_string();
    assert!(error.contains("model m has 2 inputs, x, negate; a .npy file is one array"), "{error}");
}

#[test]
fn rows_of_one_array_and_their_halves() {
    let at = tempfile::tempdir().unwrap();
    let file = at.path().join("all.npy");
    let values: Vec<u8> = (0..40).flat_map(|row| (row as f32).to_le_bytes().repeat(768)).collect();
    std::fs::write(&file, npy("<f4", &[40, 3, 16, 16], &values)).unwrap();
    std::fs::write(at.path().join("labels.csv"), "row,class\n0,1\n").unwrap();
    let samples = Samples::open(&file).unwrap();
    assert_eq!((samples.len(), samples.labels().unwrap().unwrap().class("0")), (40, Some(1)));
    let (model, card) = model(kerf_testbed::models::tiny_classifier());
    let generator = Generator::new(&model, &[]).unwrap();

    let half = samples.half(Half::Calibration, 7);
    let rest = samples.half(Half::Calibration.other(), 7);
    assert_eq!(half.len() + rest.len(), 40);
    assert!(half.names().all(|name| rest.names().all(|other| other != name)));
    for half in [half, rest.first(3)] {
        let reader = Reader::new(&half, &card, &generator).unwrap();
        for (sample, name) in reader.all().zip(half.names()) {
            let sample = sample.unwrap();
            assert_eq!(sample.inputs[0].tensor.shape(), [1, 3, 16, 16]);
            assert_eq!(sample.inputs[0].tensor.to_f64().unwrap()[9].to_string(), name);
        }
    }
}

#[test]
fn what_is_no_folder_of_samples() {
    let (at, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |name: &str, content: &[u8]| {
        let path = at.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    for (path, message) in [
        (at.path().join("absent"), "absent: "),
        (empty.path().to_owned(), "holds no .jpg, .jpeg, .png, .webp, .npz or .npy files"),
        (write("a.txt", b"x"), "a.txt: expected a folder, or a .npy or .npz file"),
        (write("scalar.npy", &npy("|u1", &[], &[1])), "the array is a single value"),
        (write("none.npy", &npy("|u1", &[0, 3], &[])), "the array holds no samples"),
        (write("broken.npz", b"x"), "broken.npz: no .npz file"),
    ] {
        let error = Samples::open(&path).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let broken = tempfile::tempdir().unwrap();
    png(&broken.path().join("a.png"), 1);
    std::fs::write(broken.path().join("labels.tsv"), "a.png\t1\nb.png\n").unwrap();
    let error = Samples::open(broken.path()).unwrap().labels().unwrap_err().to_string();
    assert!(error.contains("labels.tsv: line 2: expected a name and a class"), "{error}");
}
