use super::*;
use crate::tiers::{Constraints, Objective, PartKind, plan};
use kerf_profile::{BoundarySize, Device, EngineUsed, FORMAT, Place, RangeTime, Sizes};

/// Three boundaries; one second for each of the two halves on a device of speed 1.
fn profile(host: &str, speed: f64) -> Profile {
    let range = |(from, to): (usize, usize)| RangeTime {
        from,
        to,
        batch: 1,
        runs: 9,
        rounds: 2,
        p50: (to - from) as f64 / speed,
        p90: (to - from) as f64 / speed,
        p99: (to - from) as f64 / speed,
        mean: (to - from) as f64 / speed,
        sd: 0.0,
        compile: 0.1,
        resident_bytes: 1000,
        peak_bytes: None,
        joules: None,
        rested: None,
    };
    let place = |macs_before| Place { after: None, macs_before };
    Profile {
        format: FORMAT,
        model: "m".into(),
        digest: "0".repeat(64),
        boundaries: [0, 50, 100].map(place).to_vec(),
        device: Device {
            host: host.into(),
            cpu: "c".into(),
            cores: 1,
            arch: "x86_64".into(),
            os: "linux".into(),
        },
        engine: EngineUsed { name: "tract".into(), version: "tract 0".into(), threads: 1 },
        taken: "2026-01-01T00:00:00Z".into(),
        complete: true,
        reference: None,
        rest: None,
        peak_rss_bytes: None,
        ranges: [(0, 1), (1, 2), (0, 2)].map(range).to_vec(),
        failed: Vec::new(),
        layers: None,
        sizes: None,
        power: None,
    }
}

fn machine(profile: &Profile) -> Machine<'_> {
    Machine { profile, traffic: Traffic::Dense, memory: None, money_per_second: 0.0 }
}

const WAY: Way = Way { up: 1e6, down: 1e6, rtt: 0.1, money_per_byte: 0.0 };

fn shapes() -> Shapes {
    Shapes { raw: vec![Some(2e6), Some(1e5), Some(4.0)], ..Shapes::default() }
}

#[test]
fn parts_are_arithmetic() {
    let (edge, cloud) = (profile("edge", 1.0), profile("cloud", 100.0));
    let problem = assemble(&[machine(&edge), machine(&cloud)], &[WAY], &shapes()).unwrap();
    let best = plan(&problem, &Objective::Latency, &Constraints::default()).unwrap().best;
    let seconds = |wanted: fn(&PartKind) -> bool| {
        best.parts.iter().filter(|part| wanted(&part.kind)).map(|part| part.time.mean).sum::<f64>()
    };
    assert_eq!(best.stages[0].to, 1, "{:?}", best.stages);
    assert!((seconds(|kind| matches!(kind, PartKind::Compute { tier: 0, .. })) - 1.0).abs() < 1e-9);
    let up = (0.1 + HANDLING) / 2.0 + (1e5 + MESSAGE) * PACKETS / 1e6;
    assert!((seconds(|kind| matches!(kind, PartKind::Up { .. })) - up).abs() < 1e-9);
    let back = (0.1 + HANDLING) / 2.0 + (4.0 + MESSAGE) * PACKETS / 1e6;
    assert!((seconds(|kind| matches!(kind, PartKind::Back { .. })) - back).abs() < 1e-9);
}

#[test]
fn whoever_starts_decodes() {
    let (mut edge, cloud) = (profile("edge", 1.0), profile("cloud", 100.0));
    let row = |boundary, codec, bytes, decode_s| BoundarySize {
        boundary,
        codec,
        bytes_mean: bytes,
        bytes_p90: bytes,
        encode_s: 0.0,
        decode_s,
    };
    let boundaries = vec![row(0, Codec::Encoded, 1e4, 0.25), row(0, Codec::Raw, 2e6, 0.0)];
    edge.sizes = Some(Sizes { samples: 1, inputs: "pictures".into(), boundaries });
    let problem = assemble(&[machine(&edge), machine(&cloud)], &[WAY], &shapes()).unwrap();
    assert_eq!(problem.tiers[0].times.at(0, 1).unwrap().mean, 1.25);
    assert_eq!(problem.tiers[0].times.at(1, 2).unwrap().mean, 1.0);
    assert_eq!(problem.tiers[1].times.at(0, 2).unwrap().mean, 0.02);
    let codecs: Vec<&str> = problem.shipments[0].iter().map(|it| it.codec.as_str()).collect();
    assert_eq!(codecs, ["encoded", "raw"]);
    assert_eq!(problem.shipments[0][0].decode[1].mean, 0.25);
    let front = problem.tiers[0].queue.mean;
    assert_eq!(problem.shipments[0][0].encode[0].mean, front);
    assert_eq!(problem.shipments[0][1].encode[0].mean, 0.25 + front);
}

#[test]
fn what_does_not_fit_is_named() {
    let edge = profile("gateway", 1.0);
    let mut short = profile("short", 1.0);
    short.boundaries.pop();
    let none = profile("none", 1.0);
    let none = Profile { ranges: Vec::new(), ..none };
    for (machines, way, wanted) in [
        ([&edge, &edge], Way { up: 0.0, ..WAY }, "way 0: bandwidth up is 0, it must be more than 0"),
        ([&edge, &edge], Way { rtt: f64::NAN, ..WAY }, "way 0: round-trip time is NaN"),
        ([&edge, &short], WAY, "short (tract) profiled 2 boundaries, the model has 3"),
        ([&none, &edge], WAY, "the profile of none (tract)"),
    ] {
        let error = assemble(&machines.map(machine), &[way], &shapes()).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
    assert!(assemble(&[machine(&edge)], &[WAY], &shapes()).is_err());
}

#[test]
fn sparse_traffic_finds_machines_that_rested() {
    let mut edge = profile("edge", 1.0);
    let way = |profile: &Profile, traffic| {
        let machines = [Machine { traffic, ..machine(profile) }];
        assemble(&machines, &[], &shapes()).unwrap()
    };
    // Without such times there are only those of runs back to back.
    assert_eq!(way(&edge, Traffic::Sparse).tiers[0].times.at(0, 2).unwrap().mean, 2.0);
    edge.ranges.iter_mut().filter(|range| range.from == 0).for_each(|range| {
        range.rested = Some(kerf_profile::Rested { runs: 9, p50: range.p50 + 0.5, sd: 0.01 });
    });
    edge.rest = Some(kerf_profile::Rest { pause: 0.1, handover: 0.01 });
    let (sparse, dense) = (way(&edge, Traffic::Sparse), way(&edge, Traffic::Dense));
    assert_eq!(sparse.tiers[0].times.at(0, 2).unwrap().mean, 2.5);
    assert_eq!(dense.tiers[0].times.at(0, 2).unwrap().mean, 2.0);
    let front = HTTP + (2e6 + 4.0) * HTTP_BYTE + 2.0 * 0.01;
    assert!((sparse.tiers[0].queue.mean - front).abs() < 1e-12);
}

fn coded(name: &str, bytes: f64, agreement_loss: f64) -> Coded {
    let (bytes_mean, bytes_p90) = (bytes, bytes * 1.2);
    Coded { name: name.into(), bytes_mean, bytes_p90, encode: 0.03, decode: 0.02, agreement_loss }
}

#[test]
fn a_codec_is_arithmetic() {
    let (edge, cloud) = (profile("edge", 1.0), profile("cloud", 100.0));
    let result = Coded { encode: 0.005, decode: 0.004, ..coded("half", 2.0, 0.002) };
    let coded = vec![Vec::new(), vec![coded("small", 1e4, 0.01)]];
    let shapes = Shapes { coded, result: Some(result), ..shapes() };
    let problem = assemble(&[machine(&edge), machine(&cloud)], &[WAY], &shapes).unwrap();
    let best = plan(&problem, &Objective::Latency, &Constraints::default()).unwrap().best;
    let ship = best.split().unwrap();
    assert_eq!((ship.boundary, problem.shipments[1][ship.codec].codec.as_str()), (1, "small"));
    let bytes = (1e4 + MESSAGE) * PACKETS;
    assert!((best.egress_bytes - bytes).abs() < 1e-9);
    assert!((best.agreement - (1.0 - 0.01 - 0.002)).abs() < 1e-12);
    let link = 0.1 + HANDLING + (bytes + (2.0 + MESSAGE) * PACKETS) / 1e6;
    let front = problem.tiers[0].queue.mean;
    let computing = 1.0 + 0.03 + 0.02 + 0.01 + 0.005 + 0.004;
    assert!((best.latency.mean - (front + computing + link)).abs() < 1e-9, "{best:#?}");
    let kinds: Vec<PartKind> = best.parts.iter().map(|part| part.kind).collect();
    let end = [PartKind::EncodeResult { tier: 1 }, PartKind::Back { link: 0 }, PartKind::DecodeResult];
    assert!(kinds.ends_with(&end), "{kinds:?}");
}

proptest::proptest! {
    /// Among codecs of rising loss and falling bytes, over a link where bytes are all that counts, the
    /// last one within the floor is taken, and what results lose counts.
    #[test]
    fn a_floor_excludes_what_agrees_too_rarely(
        losses in proptest::collection::btree_set(1u32..2000, 1..6),
        lost_back in 0u32..500,
        floor in 0u32..3000,
    ) {
        let (edge, cloud) = (profile("edge", 1.0), profile("cloud", 100.0));
        let share = |it: u32| f64::from(it) / 1e4;
        let all: Vec<Coded> = losses
            .iter()
            .enumerate()
            .map(|(index, loss)| coded(&format!("c{loss}"), 1e5 / 2f64.powi(index as i32 + 1), share(*loss)))
            .collect();
        let shapes = Shapes {
            coded: vec![Vec::new(), all],
            result: Some(coded("back", 4.0, share(lost_back))),
            ..shapes()
        };
        let way = Way { up: 1e5, down: 1e5, ..WAY };
        let problem = assemble(&[machine(&edge), machine(&cloud)], &[way], &shapes).unwrap();
        let constraints = Constraints { agreement: Some(1.0 - share(floor)), ..Constraints::default() };
        let best = plan(&problem, &Objective::Latency, &constraints).unwrap().best;
        let within = losses.iter().rfind(|loss| **loss + lost_back <= floor);
        let sent = best.split().map(|ship| problem.shipments[ship.boundary][ship.codec].codec.clone());
        // Raw halves take a second each here and as much on the link.
        proptest::prop_assert_eq!(sent, within.map(|loss| format!("c{loss}")));
        let lost = within.map_or(0.0, |loss| share(loss + lost_back));
        proptest::prop_assert!((best.agreement - (1.0 - lost)).abs() < 1e-12);
    }
}

#[test]
fn pixels_under_a_codec_are_there_once_the_picture_is_decoded() {
    let (mut edge, cloud) = (profile("edge", 1.0), profile("cloud", 100.0));
    let encoded = BoundarySize {
        boundary: 0,
        codec: Codec::Encoded,
        bytes_mean: 1e4,
        bytes_p90: 1e4,
        encode_s: 0.0,
        decode_s: 0.25,
    };
    edge.sizes = Some(Sizes { samples: 1, inputs: "pictures".into(), boundaries: vec![encoded] });
    let shapes = Shapes { coded: vec![vec![coded("jpeg90", 5e3, 0.0)]], ..shapes() };
    let problem = assemble(&[machine(&edge), machine(&cloud)], &[WAY], &shapes).unwrap();
    let [encoded, raw, jpeg] = &problem.shipments[0][..] else { panic!("{:?}", problem.shipments[0]) };
    assert_eq!(
        (encoded.codec.as_str(), raw.codec.as_str(), jpeg.codec.as_str()),
        ("encoded", "raw", "jpeg90")
    );
    assert!((jpeg.encode[0].mean - raw.encode[0].mean - 0.03).abs() < 1e-12);
    assert_eq!((jpeg.decode[1].mean, encoded.decode[1].mean), (0.02, 0.25));
}
