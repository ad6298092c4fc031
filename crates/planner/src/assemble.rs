//! What do the files that devices wrote about themselves, and a link, amount to as a planning
//! problem?
//!
//! Three things are added to what the profiles say, or predictions would be too good: pictures
//! that are shipped encoded are decoded by whoever runs the first range, the edge included;
//! packets have headers; and a request costs the mesh some time whatever it carries.

use crate::tiers::{Dist, Link, Problem, Ranges, Shipment, Tier};
use kerf_profile::{Codec, FitError, Predictor, Profile};

/// Bytes on the wire per byte of payload, with the headers of IP, UDP and QUIC at an MTU of 1452.
pub const PACKETS: f64 = 1.045;

/// Bytes of a message besides its tensors: the frame's header and what QUIC sends around it.
pub const MESSAGE: f64 = 300.0;

/// Seconds that the two nodes take over a request besides computing and sending: hand-overs between
/// threads and encryption. Measured on loopback, see `docs/benchmarks.md`; half of it on each way.
pub const HANDLING: f64 = 0.4e-3;

/// One machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// What it measured of the model.
    pub profile: &'a Profile,
    /// Bytes that it has for compiled ranges.
    pub memory: Option<f64>,
    /// Units of currency per second of computing.
    pub money_per_second: f64,
}

/// The way from one machine to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// Bytes per second to the next machine.
    pub up: f64,
    /// Bytes per second back.
    pub down: f64,
    /// Seconds there and back for the first byte.
    pub rtt: f64,
    /// Units of currency per byte.
    pub money_per_byte: f64,
}

/// What is not in a profile without sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Shapes {
    /// Raw bytes of each boundary, from the inputs to the outputs, where they are known.
    pub raw: Vec<Option<f64>>,
}

/// Why there is no problem to solve.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// Nothing to plan for.
    #[error("{machines} machines with {ways} ways between them: there must be one way fewer than machines")]
    Chain {
        /// Machines given.
        machines: usize,
        /// Ways given.
        ways: usize,
    },
    /// A profile is of another model, or the shapes are.
    #[error("{device} profiled {found} boundaries, the model has {expected}")]
    Boundaries {
        /// Whose profile.
        device: String,
        /// How many it has.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A profile without usable times.
    #[error("the profile of {device}: {reason}")]
    Times {
        /// Whose profile.
        device: String,
        /// Why.
        reason: FitError,
    },
    /// A link that carries nothing, or a number that is none.
    #[error("way {way}: {what} is {value}, it must be {wanted}")]
    Way {
        /// Between which machines: 0 is from the first to the second.
        way: usize,
        /// Which number.
        what: &'static str,
        /// What it is.
        value: f64,
        /// What would do.
        wanted: &'static str,
    },
}

/// The problem of one request without exits: the first machine is where requests start.
///
/// Times are medians: a machine that was busy with something else has a long tail, which is not the
/// model's. Ranges that were not timed are predicted, see [`Predictor`]. Watts are those above idle.
///
/// # Errors
/// Profiles, shapes and ways that do not fit each other, and numbers that make no sense.
pub fn assemble(machines: &[Machine<'_>], ways: &[Way], shapes: &Shapes) -> Result<Problem, AssembleError> {
    if machines.is_empty() || ways.len() + 1 != machines.len() {
        return Err(AssembleError::Chain { machines: machines.len(), ways: ways.len() });
    }
    for (index, way) in ways.iter().enumerate() {
        check(index, way)?;
    }
    let last = shapes.raw.len().saturating_sub(1);
    let edge = machines[0].profile;
    // A machine that was profiled without pictures is taken to decode them as fast as the first.
    let decode = machines.iter().map(|machine| decoding(machine.profile).or_else(|| decoding(edge)));
    let decode = decode.map(Option::unwrap_or_default).collect::<Vec<_>>();
    let tiers = machines.iter().enumerate().map(|(index, machine)| {
        // Pictures arrive encoded where the first profile was taken with pictures; ranges do not
        // include decoding them. Beyond the first machine the shipment says who does.
        let first = if index == 0 { decode[0] } else { Dist::default() };
        tier(machine, last, first)
    });
    let tiers = tiers.collect::<Result<Vec<_>, _>>()?;
    let links = ways.iter().enumerate().map(|(index, way)| link(way, machines[index].profile));
    let links = links.collect();
    let shipments = (0..=last).map(|boundary| shipments(boundary, last, edge, shapes, &decode));
    let shipments = shipments.collect();
    let result = raw(last, edge, shapes).unwrap_or_default();
    Ok(Problem { tiers, links, shipments, result_bytes: on_the_wire(result), exits: Vec::new() })
}

fn check(index: usize, way: &Way) -> Result<(), AssembleError> {
    const RATE: &str = "more than 0 bytes per second";
    const TIME: &str = "0 seconds or more";
    const MONEY: &str = "0 or more";
    for (what, value, wanted, is_right) in [
        ("bandwidth up", way.up, RATE, way.up > 0.0),
        ("bandwidth down", way.down, RATE, way.down > 0.0),
        ("round-trip time", way.rtt, TIME, way.rtt >= 0.0),
        ("money per byte", way.money_per_byte, MONEY, way.money_per_byte >= 0.0),
    ] {
        if !(is_right && value.is_finite()) {
            return Err(AssembleError::Way { way: index, what, value, wanted });
        }
    }
    Ok(())
}

fn tier(machine: &Machine<'_>, last: usize, first: Dist) -> Result<Tier, AssembleError> {
    let profile = machine.profile;
    let device = || format!("{} ({})", profile.device.host, profile.engine.name);
    if profile.last() != last {
        let (found, expected) = (profile.boundaries.len(), last + 1);
        return Err(AssembleError::Boundaries { device: device(), found, expected });
    }
    let times =
        Predictor::fit(profile, 1).map_err(|reason| AssembleError::Times { device: device(), reason })?;
    let time = |from: usize, to: usize| {
        let estimate = times.time(from, to)?;
        let time = Dist { mean: estimate.p50, sd: estimate.sd };
        Some(if from == 0 { time.plus(first) } else { time })
    };
    let busy = profile.power.as_ref().map_or(0.0, |power| (power.busy_watts - power.idle_watts).max(0.0));
    Ok(Tier {
        name: profile.device.host.clone(),
        times: Ranges::new(last, time),
        resident: Ranges::new(last, |from, to| resident(profile, from, to)),
        memory: machine.memory,
        busy_watts: busy,
        wait_watts: 0.0,
        money_per_second: machine.money_per_second,
        queue: Dist::default(),
    })
}

/// As measured, else the share of the whole model's that its work has.
fn resident(profile: &Profile, from: usize, to: usize) -> f64 {
    if let Some(range) = profile.range(from, to, 1) {
        return range.resident_bytes as f64;
    }
    let last = profile.last();
    let macs = |boundary: usize| profile.boundaries[boundary].macs_before as f64;
    let whole = profile.range(0, last, 1).map_or(0.0, |range| range.resident_bytes as f64);
    whole * (macs(to) - macs(from)) / macs(last).max(1.0)
}

fn link(way: &Way, sender: &Profile) -> Link {
    let delay = Dist::exact((way.rtt + HANDLING) / 2.0);
    Link {
        up_delay: delay,
        down_delay: delay,
        up: Dist::exact(1.0 / way.up),
        down: Dist::exact(1.0 / way.down),
        joules_per_byte: sender.power.as_ref().map_or(0.0, |power| power.joules_per_byte),
        money_per_byte: way.money_per_byte,
    }
}

/// What may be sent from a boundary.
fn shipments(
    boundary: usize,
    last: usize,
    edge: &Profile,
    shapes: &Shapes,
    decode: &[Dist],
) -> Vec<Shipment> {
    let mut all = Vec::new();
    if boundary == last {
        return all;
    }
    let zero = vec![Dist::default(); decode.len()];
    if let Some(encoded) = measured(boundary, Codec::Encoded, edge) {
        all.push(Shipment {
            codec: "encoded".into(),
            bytes: on_the_wire(encoded),
            encode: zero.clone(),
            decode: decode.to_vec(),
            agreement_loss: 0.0,
        });
    }
    if let Some(raw) = raw(boundary, edge, shapes) {
        let mut encode = zero.clone();
        if boundary == 0 {
            // The pixels of an encoded picture are there once it is decoded.
            encode[0] = decode[0];
        }
        all.push(Shipment {
            codec: "raw".into(),
            bytes: on_the_wire(raw),
            encode,
            decode: zero,
            agreement_loss: 0.0,
        });
    }
    all
}

/// Seconds to decode the pictures of a request, where requests were pictures.
fn decoding(profile: &Profile) -> Option<Dist> {
    let rows = &profile.sizes.as_ref()?.boundaries;
    rows.iter().find(|row| row.codec == Codec::Encoded).map(|row| Dist::exact(row.decode_s))
}

fn raw(boundary: usize, edge: &Profile, shapes: &Shapes) -> Option<Dist> {
    let known = || shapes.raw.get(boundary).copied().flatten().map(Dist::exact);
    measured(boundary, Codec::Raw, edge).or_else(known)
}

fn measured(boundary: usize, codec: Codec, edge: &Profile) -> Option<Dist> {
    let rows = &edge.sizes.as_ref()?.boundaries;
    let row = rows.iter().find(|row| row.boundary == boundary && row.codec == codec)?;
    let spread = Dist::of_quantiles(row.bytes_mean, row.bytes_p90).sd;
    Some(Dist { mean: row.bytes_mean, sd: spread })
}

fn on_the_wire(payload: Dist) -> Dist {
    payload.scaled(PACKETS).plus(Dist::exact(MESSAGE * PACKETS))
}

#[cfg(test)]
mod tests {
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
            peak_rss_bytes: None,
            ranges: [(0, 1), (1, 2), (0, 2)].map(range).to_vec(),
            failed: Vec::new(),
            layers: None,
            sizes: None,
            power: None,
        }
    }

    fn machine(profile: &Profile) -> Machine<'_> {
        Machine { profile, memory: None, money_per_second: 0.0 }
    }

    const WAY: Way = Way { up: 1e6, down: 1e6, rtt: 0.1, money_per_byte: 0.0 };

    fn shapes() -> Shapes {
        Shapes { raw: vec![Some(2e6), Some(1e5), Some(4.0)] }
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
        assert_eq!(problem.shipments[0][1].encode[0].mean, 0.25);
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
}
