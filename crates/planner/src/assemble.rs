//! What do the files that devices wrote about themselves, and a link, amount to as a planning
//! problem?
//!
//! Four things are added to what the profiles say, or predictions would be too good: pictures
//! that are shipped encoded are decoded by whoever runs the first range, the edge included;
//! packets have headers; a request costs the mesh some time whatever it carries; and it comes to
//! the edge, and its result leaves, over HTTP.

use crate::tiers::{Dist, Link, Problem, Ranges, Reply, Shipment, Tier};
use kerf_profile::{Codec, FitError, Predictor, Profile};

/// Bytes on the wire per byte of payload, with the headers of IP, UDP and QUIC at an MTU of 1452.
pub const PACKETS: f64 = 1.045;

/// Bytes of a message besides its tensors: the frame's header and what QUIC sends around it.
pub const MESSAGE: f64 = 300.0;

/// Seconds that the two nodes take over a request besides computing and sending: hand-overs between
/// threads and encryption. Measured on loopback, see `docs/benchmarks.md`; half of it on each way.
pub const HANDLING: f64 = 0.4e-3;

/// Seconds per byte of a request and its result over HTTP on one machine: copies, and the kernel's.
pub const HTTP_BYTE: f64 = 0.6e-9;

/// Seconds of a request over HTTP besides: headers, names and shapes, by code that rested. Measured
/// on loopback, see `docs/benchmarks.md`.
pub const HTTP: f64 = 0.25e-3;

/// Times that a request's work is handed from thread to thread and back: to the one that reads HTTP
/// and to the one that computes; to one more for a picture.
const HANDOVERS: f64 = 2.0;

/// Seconds of one such time where the profile does not say.
const HANDOVER: f64 = 0.05e-3;

/// How requests come to a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traffic {
    /// So far apart that it rests in between, a tenth of a second or more: times are those of runs
    /// after a pause, where the profile has such.
    #[default]
    Sparse,
    /// One after the other: caches are warm.
    Dense,
}

/// One machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// What it measured of the model.
    pub profile: &'a Profile,
    /// How busy it is.
    pub traffic: Traffic,
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

/// What crosses the boundaries of a model, whichever device it runs on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shapes {
    /// Raw bytes of each boundary, from the inputs to the outputs, where they are known and the
    /// edge's profile does not say.
    pub raw: Vec<Option<f64>>,
    /// Codecs that may be used at each boundary beside none; boundaries beyond the end of the list
    /// have no others.
    pub coded: Vec<Vec<Coded>>,
    /// The codec of results on their way back; none sends them as they are.
    pub result: Option<Coded>,
}

/// What was measured of a codec at a boundary, when the model was packed.
///
/// Seconds are those of the machine that packed, and are taken to be the same on all machines: no
/// profile times codecs.
#[derive(Clone, Debug, PartialEq)]
pub struct Coded {
    /// Its name.
    pub name: String,
    /// Mean bytes of one request.
    pub bytes_mean: f64,
    /// Nine of ten requests take no more.
    pub bytes_p90: f64,
    /// Seconds to encode one request.
    pub encode: f64,
    /// Seconds to decode it.
    pub decode: f64,
    /// Share of all requests whose answer it changes.
    pub agreement_loss: f64,
}

impl Coded {
    fn bytes(&self) -> Dist {
        Dist::of_quantiles(self.bytes_mean, self.bytes_p90)
    }
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
    let front = front(edge, last, shapes);
    let tiers = machines.iter().enumerate().map(|(index, machine)| {
        // Pictures arrive encoded where the first profile was taken with pictures; ranges do not
        // include decoding them. Beyond the first machine the shipment says who does.
        let (first, front) = if index == 0 { (decode[0], front) } else { Default::default() };
        tier(machine, last, first, front)
    });
    let tiers = tiers.collect::<Result<Vec<_>, _>>()?;
    let links = ways.iter().enumerate().map(|(index, way)| link(way, machines[index].profile));
    let links = links.collect();
    let shipments = (0..=last).map(|boundary| shipments(boundary, last, edge, shapes, &decode, front));
    let shipments = shipments.collect();
    Ok(Problem {
        tiers,
        links,
        shipments,
        reply: reply(last, edge, shapes, machines.len()),
        exits: Vec::new(),
    })
}

fn reply(last: usize, edge: &Profile, shapes: &Shapes, tiers: usize) -> Reply {
    let Some(coded) = &shapes.result else {
        return Reply::plain(on_the_wire(raw(last, edge, shapes).unwrap_or_default()), tiers);
    };
    Reply {
        bytes: on_the_wire(coded.bytes()),
        encode: vec![Dist::exact(coded.encode); tiers],
        decode: Dist::exact(coded.decode),
        agreement_loss: coded.agreement_loss,
    }
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

fn tier(machine: &Machine<'_>, last: usize, first: Dist, queue: Dist) -> Result<Tier, AssembleError> {
    let profile = machine.profile;
    let device = || format!("{} ({})", profile.device.host, profile.engine.name);
    if profile.last() != last {
        let (found, expected) = (profile.boundaries.len(), last + 1);
        return Err(AssembleError::Boundaries { device: device(), found, expected });
    }
    let times = times(profile, machine.traffic)
        .map_err(|reason| AssembleError::Times { device: device(), reason })?;
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
        queue,
    })
}

/// What ranges of the model take where requests come so.
pub fn times(profile: &Profile, traffic: Traffic) -> Result<Predictor, FitError> {
    let rested = match traffic {
        Traffic::Sparse => Predictor::rested(profile)?,
        Traffic::Dense => None,
    };
    rested.map_or_else(|| Predictor::fit(profile, 1), Ok)
}

/// What every request takes on the machine that it comes to, wherever it is computed.
fn front(edge: &Profile, last: usize, shapes: &Shapes) -> Dist {
    let encoded = measured(0, Codec::Encoded, edge);
    let handovers = HANDOVERS + if encoded.is_some() { 1.0 } else { 0.0 };
    let handover = edge.rest.map_or(HANDOVER, |rest| rest.handover);
    let request = encoded.or_else(|| raw(0, edge, shapes)).unwrap_or_default();
    let result = raw(last, edge, shapes).unwrap_or_default();
    let bytes = Dist::exact(request.mean + result.mean);
    bytes.scaled(HTTP_BYTE).plus(Dist::exact(HTTP + handovers * handover))
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
    front: Dist,
) -> Vec<Shipment> {
    let mut all = Vec::new();
    if boundary == last {
        return all;
    }
    let zero = vec![Dist::default(); decode.len()];
    let mut first = zero.clone();
    if boundary == 0 {
        first[0] = front;
    }
    if let Some(encoded) = measured(boundary, Codec::Encoded, edge) {
        all.push(Shipment {
            codec: "encoded".into(),
            bytes: on_the_wire(encoded),
            encode: first.clone(),
            decode: decode.to_vec(),
            agreement_loss: 0.0,
        });
    }
    if boundary == 0 {
        // The pixels of an encoded picture are there once it is decoded.
        first[0] = first[0].plus(decode[0]);
    }
    if let Some(raw) = raw(boundary, edge, shapes) {
        all.push(Shipment {
            codec: "raw".into(),
            bytes: on_the_wire(raw),
            encode: first.clone(),
            decode: zero,
            agreement_loss: 0.0,
        });
    }
    all.extend(shapes.coded.get(boundary).into_iter().flatten().map(|coded| Shipment {
        codec: coded.name.clone(),
        bytes: on_the_wire(coded.bytes()),
        encode: first.iter().map(|first| first.plus(Dist::exact(coded.encode))).collect(),
        decode: vec![Dist::exact(coded.decode); decode.len()],
        agreement_loss: coded.agreement_loss,
    }));
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
mod tests;
