use super::*;
use crate::{Device, EngineUsed, LayerTime, Layers, Place, Power, Reference, Rest, Rested, Sizes};
use proptest::prelude::*;

fn range(from: usize, to: usize) -> RangeTime {
    RangeTime {
        from,
        to,
        batch: 1,
        runs: 40,
        rounds: 2,
        p50: 0.010_123_456_789,
        p90: 0.011,
        p99: 0.015,
        mean: 0.0103,
        sd: 0.0004,
        compile: 0.2,
        resident_bytes: 1 << 20,
        peak_bytes: Some(1 << 21),
        joules: Some(0.05),
        rested: Some(Rested { runs: 6, p50: 0.0125, sd: 0.0003 }),
    }
}

fn profile() -> Profile {
    let place = |macs_before, after: Option<&str>| Place { after: after.map(str::to_owned), macs_before };
    Profile {
        format: FORMAT,
        model: "tiny".into(),
        digest: "ab".repeat(32),
        boundaries: vec![place(0, None), place(10, Some("conv \"1\"")), place(30, Some("gemm"))],
        device: Device {
            host: "gw".into(),
            cpu: "some".into(),
            cores: 2,
            arch: "x86_64".into(),
            os: "linux".into(),
        },
        engine: EngineUsed { name: "ort".into(), version: "ONNX Runtime 1.31.1".into(), threads: 1 },
        taken: "2026-01-31T12:00:00Z".into(),
        complete: false,
        reference: Some(Reference { runs: 12, p50: 0.02, fast: 0.98, slow: 1.3 }),
        rest: Some(Rest { pause: 0.1, handover: 0.000_05 }),
        peak_rss_bytes: Some(1 << 27),
        ranges: vec![range(0, 2), range(0, 1)],
        failed: vec![Failure { from: 1, to: 2, batch: 1, reason: "no such operator".into() }],
        layers: Some(Layers {
            runs: 10,
            nodes: vec![LayerTime { node: "conv".into(), seconds: 0.001 }],
            unattributed: 0.0001,
        }),
        sizes: Some(Sizes {
            samples: 4,
            inputs: "pictures".into(),
            boundaries: vec![BoundarySize {
                boundary: 0,
                codec: Codec::Encoded,
                bytes_mean: 16e3,
                bytes_p90: 21e3,
                encode_s: 0.0,
                decode_s: 0.004,
            }],
        }),
        power: Some(Power {
            source: PowerSource::Measured("rapl".into()),
            idle_watts: 2.0,
            busy_watts: 5.0,
            joules_per_byte: 1e-7,
        }),
    }
}

#[test]
fn there_and_back() {
    let mut profile = profile();
    let text = profile.to_json();
    assert!(text.contains("\n    {\"batch\":1,") || text.contains("\n    {\"from\":0,"), "{text}");
    let read = Profile::parse(text.as_bytes()).unwrap();
    // Written with six digits.
    profile.ranges.iter_mut().for_each(|range| range.p50 = 0.010_123_5);
    assert_eq!(read, profile);
    assert_eq!(Profile::parse(read.to_json().as_bytes()).unwrap(), read);
}

#[test]
fn absent_parts_are_no_error() {
    let bare = Profile {
        layers: None,
        sizes: None,
        power: None,
        reference: None,
        peak_rss_bytes: None,
        ..profile()
    };
    assert_eq!(Profile::parse(bare.to_json().as_bytes()).unwrap().layers, None);
}

/// As releases before wrote it: without runs after a pause.
#[test]
fn the_first_format_is_read() {
    let mut old = Profile { rest: None, ..profile() };
    old.ranges.iter_mut().for_each(|range| range.rested = None);
    let text = old.to_json().replacen("\"format\": 2", "\"format\": 1", 1);
    assert!(text.contains("\"format\": 1") && !text.contains("rest"), "{text}");
    let read = Profile::parse(text.as_bytes()).unwrap();
    assert_eq!((read.format, read.rest, read.ranges[0].rested), (FORMAT, None, None));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    type Change = fn(&mut Profile);
    let cases: &[(Change, &str)] = &[
        (|p| p.ranges[0].p50 = -0.001, "range 0..2, batch 1: p50: -0.001 is negative"),
        (|p| p.ranges[0].p50 = 0.0, "range 0..2, batch 1: p50: is zero"),
        (|p| p.ranges[1].mean = f64::NAN, "range 0..1, batch 1: mean: NaN is no number"),
        (|p| p.ranges[1].sd = f64::INFINITY, "range 0..1, batch 1: sd: inf is no number"),
        (|p| p.ranges[0].compile = 1e9, "compile: 1000000000 s is more than a year"),
        (|p| p.ranges[0].p90 = 0.001, "p90: 0.001 is less than the percentile below it, 0.010123456789"),
        (|p| p.ranges[0].p99 = 0.0105, "p99: 0.0105 is less"),
        (|p| p.ranges[0].from = 2, "range 2..2, batch 1: from: a range starts before it ends"),
        (|p| p.ranges[0].to = 3, "range 0..3, batch 1: to: the last boundary is b2"),
        (|p| p.ranges[0].batch = 0, "batch: expected 1 to 65536"),
        (|p| p.ranges[0].runs = 0, "runs: 0 in 2 rounds"),
        (|p| p.ranges[0].joules = Some(-1.0), "joules: -1 is negative"),
        (|p| p.ranges[0].rested.as_mut().unwrap().p50 = 0.0, "range 0..2, batch 1: rested: is zero"),
        (|p| p.ranges[0].rested.as_mut().unwrap().runs = 0, "range 0..2, batch 1: rested: no run"),
        (|p| p.rest.as_mut().unwrap().handover = f64::NAN, "rest: handover: NaN is no number"),
        (|p| p.ranges[0].to = 1, "range 0..1, batch 1 is there twice"),
        (|p| p.failed[0].from = 0, "range 0..2, batch 1 is there twice"),
        (|p| p.failed[0].to = 9, "failed range 1..9, batch 1: to: the last boundary is b2"),
        (|p| p.digest.truncate(10), "profile: digest: expected 64 hexadecimal digits"),
        (|p| p.taken = "yesterday".into(), "taken: \"yesterday\" is not like"),
        (|p| p.boundaries.truncate(1), "boundaries: 1 of them"),
        (|p| p.boundaries[1].macs_before = 31, "macs_before shrinks"),
        (|p| p.layers.as_mut().unwrap().nodes[0].seconds = -1.0, "layer conv: seconds: -1 is negative"),
        (|p| p.sizes.as_mut().unwrap().boundaries[0].boundary = 3, "sizes, b3: boundary: the last one is b2"),
        (|p| p.sizes.as_mut().unwrap().boundaries[0].boundary = 1, "sizes, b1: codec: only inputs"),
        (|p| p.power.as_mut().unwrap().busy_watts = 1.0, "power: busy_watts: 1 is less than 2 without work"),
    ];
    for (change, text) in cases {
        let mut wrong = profile();
        change(&mut wrong);
        let error = wrong.check().unwrap_err().to_string();
        assert!(error.contains(text), "{error}\n{text}");
    }
}

#[test]
fn other_files_are_refused() {
    let good = profile().to_json();
    for (text, reason) in [
        ("".to_owned(), "not a profile: EOF"),
        ("{}".to_owned(), "missing field `format`"),
        (good.replacen("\"format\": 2", "\"format\": 3", 1), "format 3: this release reads formats 1 to 2"),
        (good.replacen("\"model\"", "\"modle\"", 1), "unknown field `modle`"),
        (good.replacen("0.011", "NaN", 1), "expected value at line"),
        (good.replacen("0.011", "1e999", 1), "number out of range"),
        (good.replacen("0.011", "\"1\"", 1), "invalid type: string"),
        (
            good.replacen("\"raw\"", "\"zip\"", 1).replacen("\"encoded\"", "\"zip\"", 1),
            "unknown variant `zip`",
        ),
        (" ".repeat(MAX_BYTES + 1), "bytes; a profile has at most"),
    ] {
        let error = Profile::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}\n{reason}");
    }
}

#[test]
fn a_profile_belongs_to_one_packed_model() {
    let profile = profile();
    let digest = "ab".repeat(32);
    assert_eq!(profile.fits("tiny", &digest, 3), Ok(()));
    for (found, text) in [
        (profile.fits("large", &digest, 3), "a profile of model tiny, not of large"),
        (
            profile.fits("tiny", &"cd".repeat(32), 3),
            "of tiny as packed with digest abababababab…, not with cdcdcdcdcdcd…",
        ),
        (profile.fits("tiny", &digest, 16), "a profile with 3 boundaries of a model with 16"),
    ] {
        assert!(found.clone().unwrap_err().to_string().contains(text), "{found:?}");
    }
}

#[test]
fn dates() {
    for (text, valid) in [
        ("2026-01-31T12:00:00Z", true),
        ("2026-01-31T12:00:00.123456Z", true),
        ("2026-01-31T12:00:00+02:00", true),
        ("2026-01-31 12:00:00Z", false),
        ("2026-01-31T12:00:00", false),
        ("2026-01-31T12:00:00+2", false),
        ("", false),
    ] {
        assert_eq!(is_rfc3339(text), valid, "{text}");
    }
}

proptest! {
    #[test]
    fn hostile_bytes_are_errors(at in 0usize..3000, byte in any::<u8>()) {
        let mut bytes = profile().to_json().into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        // Whatever is read holds what was promised.
        if let Ok(read) = Profile::parse(&bytes) {
            prop_assert!(read.check().is_ok());
        }
    }
}
