//! A model on an edge and in a cloud, as numbers in a file.

use kerf_planner::{MESSAGE, PACKETS};
use serde::{Deserialize, Serialize};

/// Boundaries, the ends included, that a request can keep track of.
const MAX_BOUNDARIES: usize = 33;

/// Everything about the model that time and bytes depend on. Boundaries are 0 (inputs) to `n` (outputs).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// The model.
    pub name: String,
    /// Where the numbers are from, which of them were measured.
    pub source: String,
    /// Row `a`: seconds of `a..a+1`, `a..a+2`, to `a..n` on the edge.
    pub edge: Vec<Vec<f64>>,
    /// Seconds from each boundary but the last to the end, in the cloud.
    pub cloud: Vec<f64>,
    /// By boundary, but for the last.
    pub codecs: Vec<Vec<Codec>>,
    /// In order of their boundaries.
    #[serde(default)]
    pub exits: Vec<Exit>,
    /// Payload of an answer from the cloud.
    pub result_bytes: f64,
    /// Least share of answers that equal the whole model's; losses of codec and exits add up.
    pub agreement: f64,
    /// Watts while the edge computes, above idle.
    pub busy_watts: f64,
    /// Joules of the edge per byte on the wire, either way.
    pub joules_per_byte: f64,
}

/// A way to send a boundary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Codec {
    /// For people.
    pub name: String,
    /// Payload.
    pub bytes: f64,
    /// Seconds on the edge.
    pub encode: f64,
    /// Seconds in the cloud.
    pub decode: f64,
    /// Share of requests whose answer it changes.
    pub loss: f64,
}

/// A head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exit {
    /// Where it is.
    pub boundary: usize,
    /// Seconds on the edge.
    pub head: f64,
    /// How likely it answers if those before it did not.
    pub probability: f64,
    /// Share of all requests whose answer it changes.
    pub loss: f64,
}

/// One way from the inputs to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Path {
    /// All on the edge, no head asked.
    Local,
    /// On the edge to this exit (its index), whose head answers.
    Exit(usize),
    /// On the edge to a boundary, then sent, unless a head there answers; others are not asked.
    Ship {
        /// The split point.
        boundary: usize,
        /// Its index there.
        codec: usize,
    },
}

/// Why a world is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// Not the JSON of one.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Lists that do not fit each other.
    #[error("{what}: {found} entries, there must be {expected}")]
    Count {
        /// Which list.
        what: String,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: String,
    },
    /// Negative, too large, or no number.
    #[error("{what} is {value}")]
    Number {
        /// Which.
        what: String,
        /// What it says.
        value: f64,
    },
}

impl World {
    /// Reads and checks one.
    pub fn parse(json: &str) -> Result<Self, WorldError> {
        let world: Self = serde_json::from_str(json)?;
        world.check()?;
        Ok(world)
    }

    /// The boundary of the outputs.
    pub fn last(&self) -> usize {
        self.edge.len()
    }

    /// Seconds of a range on the edge.
    pub fn range(&self, from: usize, to: usize) -> f64 {
        if from == to { 0.0 } else { self.edge[from][to - from - 1] }
    }

    /// The same on an edge that takes `factor` times as long for everything: emulated.
    #[must_use]
    pub fn slowed(&self, factor: f64) -> Self {
        let mut slow = self.clone();
        slow.edge.iter_mut().flatten().for_each(|time| *time *= factor);
        slow.codecs.iter_mut().flatten().for_each(|codec| codec.encode *= factor);
        slow.exits.iter_mut().for_each(|exit| exit.head *= factor);
        slow
    }

    /// Bytes on the wire of a payload, headers included.
    pub fn wire(payload: f64) -> u64 {
        ((payload + MESSAGE) * PACKETS).ceil() as u64
    }

    /// Whether codec and exits together keep the agreement floor.
    pub fn keeps_floor(&self, codec: &Codec) -> bool {
        let exits: f64 = self.exits.iter().map(|exit| exit.loss).sum();
        exits + codec.loss <= 1.0 - self.agreement + 1e-12
    }

    /// Every way that the floor allows and for which no other one is better, or as good, in time on the
    /// edge, bytes and time in the cloud at once; exits last.
    pub fn paths(&self) -> Vec<Path> {
        let ships = (0..self.last()).flat_map(|boundary| {
            let codecs = self.codecs[boundary].iter().enumerate();
            codecs
                .filter(|(_, it)| self.keeps_floor(it))
                .map(move |(codec, _)| Path::Ship { boundary, codec })
        });
        let all: Vec<(Path, [f64; 3])> =
            ships.chain([Path::Local]).map(|path| (path, self.parts(path))).collect();
        let beats = |one: &[f64; 3], other: &[f64; 3]| one.iter().zip(other).all(|(a, b)| a <= b);
        let kept = all.iter().enumerate().filter(|(index, (_, parts))| {
            !all.iter()
                .enumerate()
                .any(|(rival, (_, better))| beats(better, parts) && (!beats(parts, better) || rival < *index))
        });
        kept.map(|(_, (path, _))| *path).chain((0..self.exits.len()).map(Path::Exit)).collect()
    }

    /// Seconds on the edge, bytes on the wire, seconds in the cloud.
    pub fn parts(&self, path: Path) -> [f64; 3] {
        match path {
            Path::Local => [self.range(0, self.last()), 0.0, 0.0],
            Path::Exit(exit) => {
                let exit = &self.exits[exit];
                [self.range(0, exit.boundary) + exit.head, 0.0, 0.0]
            }
            Path::Ship { boundary, codec } => {
                let it = &self.codecs[boundary][codec];
                let head = self.exits.iter().find(|exit| exit.boundary == boundary);
                let edge = self.range(0, boundary) + head.map_or(0.0, |exit| exit.head) + it.encode;
                [edge, Self::wire(it.bytes) as f64, it.decode + self.cloud[boundary]]
            }
        }
    }

    /// The way to send the inputs within the floor that takes the fewest bytes.
    pub fn smallest_input(&self) -> Option<Path> {
        let allowed = self.codecs[0].iter().enumerate().filter(|(_, codec)| self.keeps_floor(codec));
        let smallest = allowed.min_by(|a, b| a.1.bytes.total_cmp(&b.1.bytes));
        smallest.map(|(codec, _)| Path::Ship { boundary: 0, codec })
    }

    /// For people.
    pub fn name_of(&self, path: Path) -> String {
        match path {
            Path::Local => "edge".into(),
            Path::Exit(exit) => format!("exit b{}", self.exits[exit].boundary),
            Path::Ship { boundary, codec } => format!("b{boundary} {}", self.codecs[boundary][codec].name),
        }
    }

    fn check(&self) -> Result<(), WorldError> {
        let last = self.last();
        let count = |what: &str, found: usize, least: usize, most: usize| {
            let expected = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let error = || WorldError::Count { what: what.into(), found, expected };
            (least..=most).contains(&found).then_some(()).ok_or_else(error)
        };
        count("edge", last, 1, MAX_BOUNDARIES - 1)?;
        for (from, row) in self.edge.iter().enumerate() {
            count(&format!("edge, from b{from}"), row.len(), last - from, last - from)?;
        }
        count("cloud", self.cloud.len(), last, last)?;
        count("codecs", self.codecs.len(), last, last)?;
        count("exits", self.exits.len(), 0, last - 1)?;
        let number = |what: &str, value: f64, most: f64| {
            let error = || WorldError::Number { what: what.into(), value };
            (0.0..=most).contains(&value).then_some(()).ok_or_else(error)
        };
        let longest = 1e6;
        self.edge.iter().flatten().try_for_each(|time| number("seconds on the edge", *time, longest))?;
        self.cloud.iter().try_for_each(|time| number("seconds in the cloud", *time, longest))?;
        for it in self.codecs.iter().flatten() {
            number(&format!("bytes of {}", it.name), it.bytes, 1e12)?;
            number(&format!("seconds to encode {}", it.name), it.encode, longest)?;
            number(&format!("seconds to decode {}", it.name), it.decode, longest)?;
            number(&format!("loss of {}", it.name), it.loss, 1.0)?;
        }
        let mut before = 0;
        for exit in &self.exits {
            let place = exit.boundary as f64;
            number("an exit's boundary (in order, between the ends)", place, (last - 1) as f64)?;
            if exit.boundary <= before {
                return Err(WorldError::Number {
                    what: "an exit's boundary (in order)".into(),
                    value: place,
                });
            }
            before = exit.boundary;
            number("seconds of a head", exit.head, longest)?;
            number("probability of an exit", exit.probability, 1.0)?;
            number("loss of an exit", exit.loss, 1.0)?;
        }
        number("result_bytes", self.result_bytes, 1e12)?;
        number("agreement", self.agreement, 1.0)?;
        number("busy_watts", self.busy_watts, longest)?;
        number("joules_per_byte", self.joules_per_byte, longest)
    }
}
