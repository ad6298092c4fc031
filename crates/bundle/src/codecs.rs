//! Which codecs were fitted to the model, and what does each of them cost?
//!
//! The book holds their parameters, for the nodes that encode and decode; the figures say what
//! packing measured of each, for those who choose: an edge node, a planner, a person.

use kerf_codec::{Book, BookError, CodecId, Kind};
use kerf_planner::Coded;
use kerf_preprocess::Recode;
use serde::{Deserialize, Serialize};

/// The codecs of a packed model.
#[derive(Clone, Debug, PartialEq)]
pub struct Codecs {
    /// Their parameters.
    pub book: Book,
    /// What was measured of them.
    pub measured: Measured,
}

/// What packing measured, over requests that the codecs in question were not fitted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Requests.
    pub inputs: u32,
    /// How answers were compared, in words.
    pub metric: String,
    /// Confidence level of the intervals, e.g. 0.95.
    pub confidence: f64,
    /// By boundary, then by size.
    pub codecs: Vec<MeasuredCodec>,
}

/// One codec at one boundary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredCodec {
    /// The boundary; the last one for answers on their way back.
    pub boundary: u16,
    /// The number by which the wire names it.
    pub id: u16,
    /// The name by which people do; unique at its boundary.
    pub name: String,
    /// Bytes of one request.
    pub bytes: Bytes,
    /// Seconds to encode one request, on the machine that packed.
    pub encode: f64,
    /// Seconds to decode it, there.
    pub decode: f64,
    /// Answers that said the same as the whole model's.
    pub agreement: Interval,
    /// The share that may be expected to: as measured, without the luck of a coarse codec that did
    /// better than finer ones.
    pub expected: f64,
    /// Answers that were right, where labels were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Interval>,
    /// Whether no other codec of the boundary is both smaller and truer.
    pub is_on_front: bool,
}

/// Sizes over requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Their mean.
    pub mean: f64,
    /// Nine of ten are no larger.
    pub p90: f64,
}

/// A share, and the interval in which the true one lies at the confidence level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// How many.
    pub same: u32,
    /// Of how many.
    pub of: u32,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What the number of a codec in a header stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// A codec of tensors, built in or of the model's book.
    Tensor(CodecId),
    /// The pixels that the model's preprocessing made into an input.
    Pixels(Recode),
}

/// What is wrong with a model's codecs.
#[derive(Debug, thiserror::Error)]
pub enum CodecsError {
    /// The book's bytes.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The figures' syntax.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// A figure that cannot be.
    #[error("codec {name:?} of b{boundary}: {what}")]
    Figure {
        /// Its boundary.
        boundary: u16,
        /// Its name.
        name: String,
        /// What cannot be.
        what: &'static str,
    },
    /// Figures of a codec that the book lacks.
    #[error("codec {name:?} of b{boundary} has number {id:#06x}, which is no codec of that boundary")]
    Number {
        /// Its boundary.
        boundary: u16,
        /// Its name.
        name: String,
        /// Its number.
        id: u16,
    },
}

impl Codecs {
    /// Reads both files and checks them against each other.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(book: &[u8], measured: &[u8]) -> Result<Self, CodecsError> {
        let codecs = Self { book: Book::decode(book)?, measured: serde_json::from_slice(measured)? };
        codecs.measured.codecs.iter().try_for_each(|codec| codecs.check(codec))?;
        Ok(codecs)
    }

    /// The two codecs with the fewest bytes, for what leaves a boundary and for the answers, of
    /// which both together agree at least so often: what they lose adds up, at the worst.
    pub fn pair(&self, boundary: usize, last: usize, agreement: f64) -> Pair<'_> {
        let there = self.smallest(boundary, agreement);
        let lost = there.map_or(0.0, |codec| 1.0 - codec.expected);
        // Shares are quotients of small integers; their sums are not.
        Pair { there, back: self.smallest(last, agreement + lost - 1e-9) }
    }

    /// Of the codecs at a boundary that may be expected to agree at least so often, the one with the
    /// fewest bytes.
    pub fn smallest(&self, boundary: usize, agreement: f64) -> Option<&MeasuredCodec> {
        let fits = |codec: &&MeasuredCodec| codec.expected >= agreement;
        self.at(boundary).filter(fits).min_by(|a, b| a.bytes.mean.total_cmp(&b.bytes.mean))
    }

    /// The codec of that name at a boundary.
    pub fn named(&self, boundary: usize, name: &str) -> Option<&MeasuredCodec> {
        self.at(boundary).find(|codec| codec.name == name)
    }

    /// The codecs at a boundary.
    pub fn at(&self, boundary: usize) -> impl Iterator<Item = &MeasuredCodec> {
        self.measured.codecs.iter().filter(move |codec| usize::from(codec.boundary) == boundary)
    }

    fn check(&self, codec: &MeasuredCodec) -> Result<(), CodecsError> {
        let MeasuredCodec { boundary, id, ref name, .. } = *codec;
        let figure = |what| CodecsError::Figure { boundary, name: name.clone(), what };
        let is_amount = |value: &f64| value.is_finite() && *value >= 0.0;
        if ![codec.bytes.mean, codec.bytes.p90, codec.encode, codec.decode].iter().all(is_amount) {
            return Err(figure("a size or a time is not a number from 0 on"));
        }
        if !(0.0..=1.0).contains(&codec.expected) {
            return Err(figure("the expected agreement is not a share"));
        }
        let shares = std::iter::once(&codec.agreement).chain(&codec.accuracy);
        if !shares.into_iter().all(Interval::is_one) {
            return Err(figure("a share does not lie in its interval"));
        }
        if self.at(usize::from(boundary)).filter(|other| other.name == *name).count() > 1 {
            return Err(figure("the name is there twice"));
        }
        let is_known = match Coding::from_number(id) {
            Some(Coding::Tensor(id)) => match id.kind() {
                Some(Kind::Fitted(entry)) => entry < self.book.at(boundary).len(),
                kind => kind.is_some(),
            },
            Some(Coding::Pixels(_)) => boundary == 0,
            None => false,
        };
        if !is_known {
            return Err(CodecsError::Number { boundary, name: name.clone(), id });
        }
        Ok(())
    }
}

/// [`Codecs::pair`]; `None` where none was measured to agree so often.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// For the boundary's tensors.
    pub there: Option<&'a MeasuredCodec>,
    /// For the outputs.
    pub back: Option<&'a MeasuredCodec>,
}

/// Numbers from here on are [`Recode`]'s; codecs of tensors have those below.
const PIXELS: u16 = 0x2000;

impl Coding {
    /// As tensors are in memory.
    pub const RAW: Self = Self::Tensor(CodecId::RAW);

    /// The number that names it on the wire.
    pub fn number(self) -> u16 {
        match self {
            Self::Tensor(id) => id.0,
            Self::Pixels(recode) => PIXELS | recode.number(),
        }
    }

    /// What a number stands for; `None` for those that this version does not know.
    pub fn from_number(number: u16) -> Option<Self> {
        let pixels = || number.checked_sub(PIXELS).and_then(Recode::from_number).map(Self::Pixels);
        let id = CodecId(number);
        id.kind().map(|_| Self::Tensor(id)).or_else(pixels)
    }
}

impl From<&MeasuredCodec> for Coded {
    /// As a planner counts with it.
    fn from(codec: &MeasuredCodec) -> Self {
        Self {
            name: codec.name.clone(),
            bytes_mean: codec.bytes.mean,
            bytes_p90: codec.bytes.p90,
            encode: codec.encode,
            decode: codec.decode,
            agreement_loss: 1.0 - codec.expected,
        }
    }
}

impl Interval {
    /// How many of one hundred percent; nothing measured is 0.
    pub fn share(&self) -> f64 {
        if self.of == 0 { 0.0 } else { f64::from(self.same) / f64::from(self.of) }
    }

    fn is_one(&self) -> bool {
        self.same <= self.of
            && (0.0..=self.share()).contains(&self.low)
            && (self.share()..=1.0).contains(&self.high)
    }
}
