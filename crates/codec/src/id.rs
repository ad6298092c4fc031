use std::fmt;

/// Names a codec and its parameters in the wire's per-tensor header.
///
/// 0 is raw, `1..=0x0fff` are built in, `0x1000 | k` is entry `k` of the model's
/// [`Book`](crate::Book) at the boundary that is shipped. Everything else is unknown to this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodecId(pub u16);

impl CodecId {
    /// The bytes as they are.
    pub const RAW: Self = Self(0);

    /// Entry `k` of a boundary, as [`Book`](crate::Book) numbers them; `None` beyond 4095.
    pub fn fitted(k: usize) -> Option<Self> {
        u16::try_from(k).ok().filter(|k| *k <= 0x0fff).map(|k| Self(FITTED | k))
    }

    /// Which codec this is; `None` for numbers that this version does not know.
    pub fn kind(self) -> Option<Kind> {
        match self.0 >> 12 {
            0 => BuiltIn::from_code(self.0).map(Kind::BuiltIn),
            1 => Some(Kind::Fitted(usize::from(self.0 & 0x0fff))),
            _ => None,
        }
    }
}

/// What a [`CodecId`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A codec that needs nothing.
    BuiltIn(BuiltIn),
    /// An entry of the model's book, counted within its boundary.
    Fitted(usize),
}

/// Codecs that need no calibration: whatever they depend on is in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuiltIn {
    /// The bytes as they are; any element type.
    Raw,
    /// IEEE half precision, rounded to nearest even. A finite value that half precision cannot
    /// hold is an error rather than an infinity; infinities and NaN stay what they are.
    F16,
    /// Byte planes and zstd; exact, any element type, strings included.
    Lossless,
    /// Uniform quantisation between the smallest and the largest value.
    Int {
        /// How many levels.
        bits: Bits,
        /// Of what the bounds are taken.
        per: Per,
    },
    /// [`BuiltIn::Int`], and zstd over the codes: slower, and smaller where the codes repeat.
    IntZstd {
        /// How many levels.
        bits: Bits,
        /// Of what the bounds are taken.
        per: Per,
    },
}

/// Bits of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the variants are the numbers")]
pub enum Bits {
    B2 = 2,
    B3 = 3,
    B4 = 4,
    B6 = 6,
    B8 = 8,
}

impl Bits {
    /// Every width.
    pub const ALL: [Self; 5] = [Self::B8, Self::B6, Self::B4, Self::B3, Self::B2];

    /// The width of a number of bits.
    pub fn new(bits: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|width| width.count() == bits)
    }

    /// The number of bits.
    pub fn count(self) -> u32 {
        self as u32
    }

    /// The largest code.
    pub(crate) fn levels(self) -> u8 {
        (0xffu16 >> (8 - self.count())) as u8
    }
}

/// Of what a range is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// The whole tensor (of each block of it, where it is larger than a block).
    Tensor,
    /// Each channel: the last axis of tensors of rank 3 and below (tokens, features),
    /// axis 1 above (images).
    Channel,
    /// Each index along this axis, at most 13.
    Axis(u8),
}

const FITTED: u16 = 0x1000;
const INT: u16 = 0x0100;
const INT_ZSTD: u16 = 0x0200;

impl BuiltIn {
    /// The number that names it on the wire.
    pub fn id(self) -> CodecId {
        let int = |base: u16, bits: Bits, per: Per| {
            let per = match per {
                Per::Tensor => 0,
                Per::Channel => 1,
                // Beyond the last axis that has a number, `Coder::new` refuses.
                Per::Axis(axis) => 2 + u16::from(axis.min(Per::MAX_AXIS)),
            };
            base | per << 4 | bits.count() as u16
        };
        CodecId(match self {
            Self::Raw => 0,
            Self::F16 => 1,
            Self::Lossless => 2,
            Self::Int { bits, per } => int(INT, bits, per),
            Self::IntZstd { bits, per } => int(INT_ZSTD, bits, per),
        })
    }

    pub(crate) fn from_code(code: u16) -> Option<Self> {
        let int = || {
            let bits = Bits::new(u32::from(code & 0xf))?;
            let per = match (code >> 4) as u8 & 0xf {
                0 => Per::Tensor,
                1 => Per::Channel,
                axis => Per::Axis(axis - 2),
            };
            Some((bits, per))
        };
        match code & 0xff00 {
            0 => match code {
                0 => Some(Self::Raw),
                1 => Some(Self::F16),
                2 => Some(Self::Lossless),
                _ => None,
            },
            INT => int().map(|(bits, per)| Self::Int { bits, per }),
            INT_ZSTD => int().map(|(bits, per)| Self::IntZstd { bits, per }),
            _ => None,
        }
    }
}

impl Per {
    pub(crate) const MAX_AXIS: u8 = 13;
}

impl fmt::Display for BuiltIn {
    /// `raw`, `f16`, `lossless`, `int8`, `int4c` (per channel), `int4a3` (per axis 3), `int8c+zstd`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bits, per, zstd) = match self {
            Self::Raw => return f.write_str("raw"),
            Self::F16 => return f.write_str("f16"),
            Self::Lossless => return f.write_str("lossless"),
            Self::Int { bits, per } => (bits, per, ""),
            Self::IntZstd { bits, per } => (bits, per, "+zstd"),
        };
        write!(f, "int{}", bits.count())?;
        match per {
            Per::Tensor => {}
            Per::Channel => f.write_str("c")?,
            Per::Axis(axis) => write!(f, "a{axis}")?,
        }
        f.write_str(zstd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_one_codec_each() {
        let mut known = 0;
        for code in 0..=u16::MAX {
            match CodecId(code).kind() {
                Some(Kind::BuiltIn(codec)) => assert_eq!(codec.id(), CodecId(code), "{codec}"),
                Some(Kind::Fitted(k)) => assert_eq!(CodecId::fitted(k), Some(CodecId(code))),
                None => continue,
            }
            known += 1;
        }
        assert_eq!(known, 3 + 2 * 5 * 16 + 4096);
        assert_eq!(CodecId::fitted(4096), None);
    }

    #[test]
    fn names() {
        for (codec, name) in [
            (BuiltIn::Raw, "raw"),
            (BuiltIn::Int { bits: Bits::B8, per: Per::Channel }, "int8c"),
            (BuiltIn::IntZstd { bits: Bits::B3, per: Per::Axis(2) }, "int3a2+zstd"),
        ] {
            assert_eq!(codec.to_string(), name);
        }
        assert_eq!(Bits::ALL.map(Bits::levels), [255, 63, 15, 7, 3]);
    }
}
