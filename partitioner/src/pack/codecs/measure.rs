//! Which codecs are worth having, at every boundary?
//!
//! Each request is judged by codecs that were fitted without it: the half to which it belongs is
//! coded with what was fitted to the other. What is packed in the end is fitted to all. Choosing
//! among many codecs flatters the chosen one, so what would be chosen on one half is also reported
//! on the other ([`Report::choices`]).

use super::ladder::{Calibration, Ladder};
use super::report::{Change, Choice, Place, Reference, Report, Tried};
use super::requests::{Asked, Requests, pixels};
use super::trial::{Stage, Trial, Way};
use crate::print::{progress, warn};
use kerf_agreement::{Criterion, Share, isotonic};
use kerf_bundle::{Bytes, Card, Codecs, Coding, Interval, Measured, MeasuredCodec};
use kerf_codec::{Bits, Book, BuiltIn, CodecId, Entry, Per, Spec};
use kerf_codec_fit::Method;
use kerf_engine::Runner;
use kerf_graph::CutModel;
use kerf_preprocess::Recode;
use kerf_samples::Half;
use std::time::{Duration, Instant};

/// Of every interval.
const CONFIDENCE: f64 = 0.95;

/// JPEG qualities that are tried on the pixels of an input.
const QUALITIES: [u8; 5] = [95, 90, 80, 65, 45];

/// What anyone would do first, and what fitted codecs are compared with.
const BASELINE: BuiltIn = BuiltIn::IntZstd { bits: Bits::B8, per: Per::Channel };

/// What is measured, and how far.
pub(crate) struct Measuring<'a> {
    pub(crate) card: &'a Card,
    pub(crate) model: &'a CutModel,
    pub(crate) runner: &'a Runner,
    pub(crate) criterion: &'a Criterion,
    /// Ladders end below this agreement.
    pub(crate) lowest: f64,
    /// Agreement that is looked for where one codec is chosen.
    pub(crate) floor: f64,
    /// Runs of the tail to find out what the answers feel, for each boundary and half.
    pub(crate) passes: usize,
    /// No new codec is tried after so long.
    pub(crate) budget: Duration,
}

/// A codec that was tried.
struct Candidate {
    name: String,
    kind: Kind,
    trial: Trial,
}

enum Kind {
    BuiltIn(BuiltIn),
    Pixels(Recode),
    /// As fitted to all requests.
    Fitted(Method, Vec<(String, Spec)>),
}

impl Measuring<'_> {
    /// Tries codecs at every boundary; the requests are used up.
    pub(crate) fn run(&self, mut requests: Requests) -> anyhow::Result<(Codecs, Report)> {
        let started = Instant::now();
        let last = self.model.last();
        let bar = progress(last as u64 + 1, "codecs");
        let (mut places, mut cut_short) = (Vec::new(), Vec::new());
        for boundary in 0..=last {
            bar.set_message(format!("b{boundary}"));
            // What a boundary leaves of its share of the time is for the later ones.
            let share = (boundary as f64 + 1.0) / (last as f64 + 1.0);
            let until = started + self.budget.mul_f64(share);
            places.push(self.at(boundary, &requests, until)?);
            if Instant::now() > until {
                cut_short.push(format!("b{boundary}"));
            }
            bar.inc(1);
            if boundary < last {
                requests.advance(self.model, self.runner, boundary)?;
            }
        }
        bar.finish_and_clear();
        if !cut_short.is_empty() {
            let at = cut_short.join(", ");
            warn(&format!("--codec-budget was too short to try every codec at {at}"));
        }
        let codecs = self.codecs(&places, requests.all.len())?;
        Ok((codecs, self.report(&places, &requests)))
    }

    fn at(&self, boundary: usize, requests: &Requests, until: Instant) -> anyhow::Result<Vec<Candidate>> {
        let stage = Stage { model: self.model, runner: self.runner, boundary, criterion: self.criterion };
        let specs = &self.model.boundaries()[boundary].tensors;
        let mut found = Vec::new();
        let mut built_in = vec![BuiltIn::Raw, BuiltIn::Lossless];
        if specs.iter().any(|spec| spec.dtype.is_float()) {
            built_in.extend([BuiltIn::F16, BASELINE, BuiltIn::IntZstd { bits: Bits::B4, per: Per::Channel }]);
        }
        for codec in built_in {
            let way = Way::built_in(codec, specs.iter().map(|spec| spec.name.as_str()))?;
            let trial = stage.try_on(&requests.all, |_| &way, usize::MAX)?.unwrap_or_default();
            found.push(Candidate { name: codec.to_string(), kind: Kind::BuiltIn(codec), trial });
        }
        if let Some(pictures) = pixels(self.card, requests).filter(|_| boundary == 0) {
            let jpeg = QUALITIES.map(Recode::Jpeg);
            for recode in [Recode::Pixels, Recode::Webp].into_iter().chain(jpeg) {
                let way = Way::Pixels(pictures, recode);
                let trial = stage.try_on(&requests.all, |_| &way, usize::MAX)?.unwrap_or_default();
                found.push(Candidate { name: recode.to_string(), kind: Kind::Pixels(recode), trial });
            }
        }
        let gather = |half: Option<Half>| {
            let is_of = |asked: &&Asked| half.is_none_or(|half| asked.half == half);
            let those: Vec<&Asked> = requests.all.iter().filter(is_of).collect();
            let values = those.iter().map(|asked| asked.values.boundary(self.model, boundary));
            let mut gathered = Calibration::gather(specs, values)?;
            if self.passes > 0 && boundary < self.model.last() && Instant::now() < until {
                gathered.probe(&stage, &those, self.passes)?;
            }
            anyhow::Ok(gathered)
        };
        let (all, calibration, held_out) =
            (gather(None)?, gather(Some(Half::Calibration))?, gather(Some(Half::HeldOut))?);
        let baseline =
            found.iter().find(|it| it.name == BASELINE.to_string()).map(|it| it.trial.mean_bytes());
        for method in Method::ALL {
            let [all, calibration, held_out] =
                [&all, &calibration, &held_out].map(|gathered| Ladder::new(method, gathered));
            let mut climb = |bits: f64| -> anyhow::Result<Option<f64>> {
                let Some((name, tensors)) = all.rung(bits) else { return Ok(None) };
                // A request is coded with what the other half was fitted to.
                let ways = [Way::new(&held_out.same_rung(bits)?)?, Way::new(&calibration.same_rung(bits)?)?];
                let of = |asked: &Asked| match asked.half {
                    Half::Calibration => &ways[0],
                    Half::HeldOut => &ways[1],
                };
                // The tail is asked only where fewer bytes are to be had than anyone has at once.
                let first = stage.bytes(of(&requests.all[0]), &requests.all[0])?;
                if baseline.is_some_and(|baseline| first > baseline) {
                    return Ok(Some(1.0));
                }
                let hopeless = (requests.all.len() as f64 * 2.0 * (1.0 - self.lowest)) as usize;
                let Some(trial) = stage.try_on(&requests.all, of, hopeless)? else { return Ok(Some(0.0)) };
                let agreement = trial.agreement();
                found.push(Candidate { name, kind: Kind::Fitted(method, tensors), trial });
                Ok(Some(agreement))
            };
            // Down from the middle until two rungs are below the lowest: one may have been bad luck.
            // Up from there until one agrees often enough.
            let (finer, coarser) = Ladder::BITS.split_at(Ladder::MIDDLE);
            let mut low = 0;
            let mut best: f64 = 0.0;
            for bits in coarser {
                if low == 2 || Instant::now() > until {
                    break;
                }
                let Some(agreement) = climb(*bits)? else { break };
                best = best.max(agreement);
                low = if agreement < self.lowest { low + 1 } else { 0 };
            }
            for bits in finer.iter().rev() {
                if best >= self.floor.max(0.998) || Instant::now() > until {
                    break;
                }
                let Some(agreement) = climb(*bits)? else { break };
                best = best.max(agreement);
            }
        }
        Ok(found)
    }

    /// What is packed: codecs on the front that agree often enough to be of use to someone.
    fn codecs(&self, places: &[Vec<Candidate>], inputs: usize) -> anyhow::Result<Codecs> {
        let mut entries = Vec::new();
        let mut figures = Vec::new();
        for (boundary, tried) in places.iter().enumerate() {
            let boundary = boundary as u16;
            let mut fitted = 0;
            let expected = expected(tried, None);
            for (index, candidate) in tried.iter().enumerate() {
                let is_on_front = is_on_front(tried, &expected, index);
                let id = match &candidate.kind {
                    Kind::BuiltIn(codec) => codec.id(),
                    Kind::Pixels(recode) => CodecId(Coding::Pixels(*recode).number()),
                    Kind::Fitted(..) if !is_on_front || candidate.trial.agreement() < self.lowest => continue,
                    Kind::Fitted(_, tensors) => {
                        let Some(id) = CodecId::fitted(fitted) else { continue };
                        fitted += 1;
                        let (name, tensors) = (candidate.name.clone(), tensors.clone());
                        entries.push(Entry { boundary, name, tensors });
                        id
                    }
                };
                figures.push(figure(boundary, id, candidate, expected[index], is_on_front));
            }
        }
        let measured = Measured {
            inputs: inputs as u32,
            metric: self.criterion.to_string(),
            confidence: CONFIDENCE,
            codecs: figures,
        };
        Ok(Codecs { book: Book::new(entries)?, measured })
    }

    fn report(&self, places: &[Vec<Candidate>], requests: &Requests) -> Report {
        let accuracy = places.first().and_then(|tried| tried.first()).and_then(|raw| raw.trial.accuracy());
        let mut references = Vec::new();
        if let Some(bytes) = requests.mean_encoded() {
            references.push(Reference { name: "the picture as it came".into(), bytes });
        }
        let jpeg = places.first().into_iter().flatten().find(|it| it.name == "jpeg90");
        references.extend(
            jpeg.map(|it| Reference { name: "its pixels as JPEG q90".into(), bytes: it.trial.mean_bytes() }),
        );
        let mut chosen: Vec<(usize, usize)> = places
            .iter()
            .enumerate()
            .filter_map(|(place, tried)| Some((place, smallest(tried, None, self.floor)?)))
            .collect();
        // The least to send first; answers on their way back come last.
        let key = |(place, tried): &(usize, usize)| {
            (*place == self.model.last(), places[*place][*tried].trial.mean_bytes())
        };
        chosen.sort_by(|a, b| key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)));
        Report {
            model: self.card.name.clone(),
            criterion: self.criterion.to_string(),
            why: None,
            inputs: requests.said.clone(),
            confidence: CONFIDENCE,
            accuracy: accuracy.map(|paired| paired.of_reference()),
            references,
            places: places.iter().enumerate().map(|(boundary, tried)| self.place(boundary, tried)).collect(),
            chosen,
            choices: self.choices(places),
            notes: vec![
                "every request was coded with codecs fitted to the other half; times are of this machine"
                    .into(),
            ],
        }
    }

    fn place(&self, boundary: usize, tried: &[Candidate]) -> Place {
        let expected = expected(tried, None);
        let named = |codec: BuiltIn| tried.iter().find(move |it| it.name == codec.to_string());
        Place {
            boundary,
            tensors: self.model.boundaries()[boundary].tensors.iter().map(ToString::to_string).collect(),
            raw: named(BuiltIn::Raw).map_or(0.0, |raw| raw.trial.mean_bytes()),
            eight_bit: named(BASELINE).map(|it| it.trial.mean_bytes()),
            tried: tried
                .iter()
                .enumerate()
                .map(|(index, it)| {
                    let (encode, decode) = it.trial.seconds();
                    let tally = it.trial.tally();
                    let accuracy = it.trial.accuracy();
                    Tried {
                        name: it.name.clone(),
                        mean: it.trial.mean_bytes(),
                        p90: it.trial.p90_bytes(),
                        encode,
                        decode,
                        agreement: tally.requests,
                        distance: tally.mean_distance(),
                        accuracy: accuracy.and_then(|paired| {
                            Some(Change { by: paired.difference()?, within: paired.interval(CONFIDENCE) })
                        }),
                        kept: is_on_front(tried, &expected, index),
                    }
                })
                .collect(),
        }
    }

    /// At each boundary, the smallest codec that agrees often enough on one half, as it does on the
    /// other; both ways round, added up.
    fn choices(&self, places: &[Vec<Candidate>]) -> Vec<Choice> {
        let judged = |(place, tried): (usize, &Vec<Candidate>)| {
            let mut both = Trial::default();
            let (mut names, mut raw, mut eight_bit) = (Vec::new(), Trial::default(), Trial::default());
            for half in [Half::Calibration, Half::HeldOut] {
                let chosen = &tried[smallest(tried, Some(half), self.floor)?];
                if !names.contains(&chosen.name) {
                    names.push(chosen.name.clone());
                }
                both = both.and(chosen.trial.of(half.other()));
                let of = |codec: BuiltIn| {
                    tried.iter().find(|it| it.name == codec.to_string()).map(|it| it.trial.of(half.other()))
                };
                raw = raw.and(of(BuiltIn::Raw)?);
                eight_bit = eight_bit.and(of(BASELINE).unwrap_or_default());
            }
            Some(Choice {
                boundary: place,
                codecs: names,
                bytes: both.mean_bytes(),
                raw: raw.mean_bytes(),
                eight_bit: Some(eight_bit.mean_bytes()).filter(|bytes| *bytes > 0.0),
                agreement: both.tally().requests,
                accuracy: both.accuracy().and_then(|paired| {
                    Some(Change { by: paired.difference()?, within: paired.interval(CONFIDENCE) })
                }),
            })
        };
        places.iter().enumerate().filter_map(judged).collect()
    }
}

/// Whether no other is both smaller and expected to be truer.
fn is_on_front(tried: &[Candidate], expected: &[f64], index: usize) -> bool {
    let key = |index: usize| (tried[index].trial.mean_bytes(), expected[index]);
    let (bytes, agreement) = key(index);
    !(0..tried.len()).any(|other| {
        let (b, a) = key(other);
        // Of equals the first stays.
        b <= bytes && a >= agreement && (b < bytes || a > agreement || other < index)
    })
}

/// How often each may be expected to agree, going by one half or by all: of codecs fitted by one
/// method, one of fewer bytes that did better was lucky.
fn expected(tried: &[Candidate], half: Option<Half>) -> Vec<f64> {
    let seen: Vec<Trial> =
        tried.iter().map(|it| half.map_or_else(|| it.trial.clone(), |half| it.trial.of(half))).collect();
    let mut expected: Vec<f64> = seen.iter().map(Trial::agreement).collect();
    for method in Method::ALL {
        let is_of = |index: &usize| matches!(tried[*index].kind, Kind::Fitted(by, _) if by == method);
        let mut ladder: Vec<usize> = (0..tried.len()).filter(is_of).collect();
        ladder.sort_by(|a, b| seen[*a].mean_bytes().total_cmp(&seen[*b].mean_bytes()));
        let shares: Vec<Share> = ladder.iter().map(|index| seen[*index].tally().requests).collect();
        for (index, value) in ladder.into_iter().zip(isotonic(&shares)) {
            expected[index] = value;
        }
    }
    expected
}

/// The one with the fewest bytes among those that may be expected to agree at least so often.
fn smallest(tried: &[Candidate], half: Option<Half>, floor: f64) -> Option<usize> {
    let expected = expected(tried, half);
    let bytes = |index: &usize| tried[*index].trial.mean_bytes();
    let enough = (0..tried.len()).filter(|index| expected[*index] >= floor);
    enough.min_by(|a, b| bytes(a).total_cmp(&bytes(b)))
}

fn figure(
    boundary: u16,
    id: CodecId,
    candidate: &Candidate,
    expected: f64,
    is_on_front: bool,
) -> MeasuredCodec {
    let trial = &candidate.trial;
    let interval = |share: Share| {
        let within = share.interval(CONFIDENCE);
        Interval { same: share.same as u32, of: share.of as u32, low: within.low, high: within.high }
    };
    let (encode, decode) = trial.seconds();
    MeasuredCodec {
        boundary,
        id: id.0,
        name: candidate.name.clone(),
        bytes: Bytes { mean: trial.mean_bytes(), p90: trial.p90_bytes() },
        encode,
        decode,
        agreement: interval(trial.tally().requests),
        expected,
        accuracy: trial.accuracy().map(|paired| interval(paired.of_other())),
        is_on_front,
    }
}
