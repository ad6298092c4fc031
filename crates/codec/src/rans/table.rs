use super::SCALE;

/// How often symbols occur, out of [`Table::TOTAL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Lowest bits of a symbol that are coded as they are.
    shift: u8,
    /// What the first frequency is of: a symbol without those bits.
    first: i16,
    /// Of `first`, `first + 1`, ...; 0 for symbols that are escaped.
    frequencies: Vec<u16>,
    /// Of all other symbols together, at least 1: there is none that cannot be coded.
    escape: u16,
}

/// Why frequencies are not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// They do not add up.
    #[error("frequencies add up to {0}, {total} expected", total = Table::TOTAL)]
    Sum(u64),
    /// More bits than [`Table::MAX_SHIFT`].
    #[error("{0} bits are coded as they are, {max} are the most", max = Table::MAX_SHIFT)]
    Shift(u8),
    /// Symbols are 16 bits.
    #[error("{count} frequencies from symbol {first} go beyond 32767")]
    Symbols {
        /// The first symbol.
        first: i16,
        /// How many frequencies there are.
        count: usize,
    },
    /// Frequencies of 0 at either end: the same table is shorter without.
    #[error("the first or the last frequency is 0")]
    Ends,
    /// Symbols that are not in the table could not be coded.
    #[error("the escape has no frequency")]
    Escape,
}

impl Table {
    /// The sum of all frequencies.
    pub const TOTAL: u32 = 1 << SCALE;

    /// The most bits that are coded as they are.
    pub const MAX_SHIFT: u8 = 12;

    /// Frequencies of `first`, `first + 1`, ..., and of everything else together. These are of
    /// symbols `>> shift`, at most 12; the bits shifted out are coded as they are.
    pub fn new(shift: u8, first: i16, frequencies: Vec<u16>, escape: u16) -> Result<Self, TableError> {
        let count = frequencies.len();
        if shift > Self::MAX_SHIFT {
            return Err(TableError::Shift(shift));
        }
        if i32::from(first) + count as i32 > 32_768 || count > 65_536 {
            return Err(TableError::Symbols { first, count });
        }
        let sum = frequencies.iter().map(|frequency| u64::from(*frequency)).sum::<u64>() + u64::from(escape);
        if sum != u64::from(Self::TOTAL) {
            return Err(TableError::Sum(sum));
        }
        if frequencies.first() == Some(&0) || frequencies.last() == Some(&0) {
            return Err(TableError::Ends);
        }
        if escape == 0 {
            return Err(TableError::Escape);
        }
        Ok(Self { shift, first, frequencies, escape })
    }

    /// The table that codes symbols `>> shift` which occurred so often, from `first` on, in the
    /// fewest bits. What never occurred, and what is rarer than the smallest frequency, is escaped.
    pub fn fit(shift: u8, first: i16, counts: &[u64]) -> Self {
        let shift = shift.min(Self::MAX_SHIFT);
        let room = usize::try_from(32_768 - i32::from(first)).unwrap_or(0);
        let counts = &counts[..counts.len().min(room)];
        let total: u64 = counts.iter().sum();
        // So that there are fewer places than frequencies.
        let rare = total / u64::from(Self::TOTAL);
        let kept = |count: &u64| *count > rare;
        let (Some(start), Some(end)) = (counts.iter().position(kept), counts.iter().rposition(kept)) else {
            let half = (Self::TOTAL / 2) as u16;
            return Self { shift, first: 0, frequencies: vec![half], escape: half };
        };
        let inside = &counts[start..=end];
        let escaped = total - inside.iter().filter(|count| kept(count)).sum::<u64>();
        let weights: Vec<u64> = inside.iter().map(|count| if kept(count) { *count } else { 0 }).collect();
        let mut shares = share(&weights, escaped.max(1));
        let escape = shares.pop().unwrap_or(1);
        // In range, for there are no more counts than symbols from `first` on.
        let first = (i32::from(first) + start as i32) as i16;
        Self { shift, first, frequencies: shares, escape }
    }

    /// Lowest bits of a symbol that are coded as they are.
    pub fn shift(&self) -> u8 {
        self.shift
    }

    /// What the first frequency is of.
    pub fn first(&self) -> i16 {
        self.first
    }

    /// Frequencies from [`Self::first`] on.
    pub fn frequencies(&self) -> &[u16] {
        &self.frequencies
    }

    /// The frequency of all symbols that have none.
    pub fn escape(&self) -> u16 {
        self.escape
    }

    /// Bits that a symbol takes.
    pub fn cost(&self, symbol: i16) -> f64 {
        let bits = |frequency: u16| f64::from(SCALE) - f64::from(frequency).log2();
        let index = i32::from(symbol >> self.shift) - i32::from(self.first);
        let frequency = usize::try_from(index).ok().and_then(|index| self.frequencies.get(index));
        f64::from(self.shift)
            + match frequency {
                None | Some(0) => bits(self.escape) + f64::from(super::LENGTH + beyond_bits(fold(index))),
                Some(frequency) => bits(*frequency),
            }
    }
}

/// 0, −1, 1, −2, 2, ... as 0, 1, 2, 3, 4, ...
pub(super) fn fold(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

pub(super) fn unfold(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Bits that an escaped symbol's distance takes.
pub(super) fn beyond_bits(beyond: u32) -> u32 {
    32 - beyond.leading_zeros()
}

/// Frequencies for counts and, last, for `escaped`: at least 1 where there is any, together
/// [`Table::TOTAL`], the fewest bits that such frequencies allow.
fn share(counts: &[u64], escaped: u64) -> Vec<u16> {
    let counts: Vec<u64> = counts.iter().copied().chain([escaped]).collect();
    let total: u128 = counts.iter().map(|count| u128::from(*count)).sum();
    let scaled = |count: u64| (u128::from(count) * u128::from(Table::TOTAL) / total) as u16;
    let mut shares: Vec<u16> = counts.iter().map(|count| scaled(*count).max(u16::from(*count > 0))).collect();
    let there: Vec<usize> = (0..counts.len()).filter(|at| counts[*at] > 0).collect();
    let mut sum: u32 = shares.iter().map(|share| u32::from(*share)).sum();
    // Bits that a symbol saves with one more; the further it went, the fewer. So taking the best
    // one at a time is optimal.
    let gain = |at: usize, share: u16| counts[at] as f64 * (1.0 / f64::from(share)).ln_1p();
    while sum < Table::TOTAL {
        let best = there.iter().max_by(|a, b| gain(**a, shares[**a]).total_cmp(&gain(**b, shares[**b])));
        best.into_iter().for_each(|at| shares[*at] += 1);
        sum += 1;
    }
    while sum > Table::TOTAL {
        let able = there.iter().filter(|at| shares[**at] > 1);
        let best = able.min_by(|a, b| gain(**a, shares[**a] - 1).total_cmp(&gain(**b, shares[**b] - 1)));
        best.into_iter().for_each(|at| shares[*at] -= 1);
        sum -= 1;
    }
    shares
}

/// A table for the encoder.
#[derive(Clone, Debug)]
pub(crate) struct Coding {
    pub(super) shift: u32,
    first: i32,
    steps: Vec<Step>,
    escape: Step,
}

/// What a symbol does to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// ⌈2^(31 + shift)/frequency⌉: a division as a multiplication (Alverson 1991), exact below 2^31.
    reciprocal: u32,
    shift: u32,
    bias: u32,
    /// `TOTAL − frequency`
    rest: u32,
    /// States from here on give off a word first; 0 where the symbol cannot be coded.
    pub(super) limit: u32,
}

impl Step {
    /// The step for the frequencies `start..start + frequency`.
    pub(super) fn new(start: u32, frequency: u32) -> Self {
        let (reciprocal, shift, bias) = match frequency {
            0 => (0, 0, 0),
            // The reciprocal of 1 has no place in 32 bits; this one is 1 short, and the bias makes up for it.
            1 => (u32::MAX, 0, start + Table::TOTAL - 1),
            _ => {
                let shift = (frequency - 1).ilog2() + 1;
                let reciprocal = (1u64 << (shift + 31)).div_ceil(u64::from(frequency));
                (reciprocal as u32, shift - 1, start)
            }
        };
        let limit = frequency << (15 - SCALE + 16);
        Self { reciprocal, shift, bias, rest: Table::TOTAL - frequency, limit }
    }

    /// `(state / frequency · TOTAL) + start + state mod frequency`
    pub(super) fn apply(self, state: u32) -> u32 {
        let quotient = ((u64::from(state) * u64::from(self.reciprocal)) >> 32) as u32 >> self.shift;
        state + self.bias + quotient * self.rest
    }
}

impl Coding {
    pub(crate) fn new(table: &Table) -> Self {
        let mut start = 0;
        let mut next = |frequency: u16| {
            let step = Step::new(start, frequency.into());
            start += u32::from(frequency);
            step
        };
        let steps = table.frequencies.iter().map(|frequency| next(*frequency)).collect();
        Self { shift: table.shift.into(), first: table.first.into(), steps, escape: next(table.escape) }
    }

    /// The step of a symbol, and where that is the escape, how far the symbol is beyond the first.
    #[inline]
    pub(super) fn step(&self, symbol: i16) -> (Step, Option<u32>) {
        let index = i32::from(symbol >> self.shift) - self.first;
        match usize::try_from(index).ok().and_then(|index| self.steps.get(index)) {
            Some(step) if step.limit > 0 => (*step, None),
            _ => (self.escape, Some(fold(index))),
        }
    }
}

/// A table for the decoder.
#[derive(Clone, Debug)]
pub(crate) struct Decoding {
    pub(super) shift: u32,
    pub(super) first: i32,
    /// By the highest bits of a slot: the first symbol that ends behind them.
    near: Vec<u16>,
    /// Where each symbol starts, the escape last, and [`Table::TOTAL`].
    starts: Vec<u16>,
}

/// Bits of a slot that [`Decoding::near`] knows.
const NEAR: u32 = 9;

impl Decoding {
    pub(crate) fn new(table: &Table) -> Self {
        let mut starts = vec![0u16];
        let frequencies = table.frequencies.iter().chain([&table.escape]);
        starts.extend(frequencies.scan(0u16, |sum, frequency| {
            *sum += frequency;
            Some(*sum)
        }));
        let mut at = 0;
        let near = (0..1u32 << NEAR)
            .map(|bucket| {
                while u32::from(starts[at + 1]) <= bucket << (SCALE - NEAR) {
                    at += 1;
                }
                at as u16
            })
            .collect();
        Self { shift: table.shift.into(), first: table.first.into(), near, starts }
    }

    /// The symbol, but for its lowest bits, at a slot below [`Table::TOTAL`], its start and frequency; `None` for the escape.
    #[inline]
    pub(super) fn find(&self, slot: u32) -> (Option<i32>, u32, u32) {
        let mut at = usize::from(self.near[(slot >> (SCALE - NEAR)) as usize & ((1 << NEAR) - 1)]);
        // The last start is above every slot.
        while u32::from(self.starts[at + 1]) <= slot {
            at += 1;
        }
        let start = u32::from(self.starts[at]);
        let frequency = u32::from(self.starts[at + 1]) - start;
        let symbol = (at + 2 < self.starts.len()).then(|| self.first + at as i32);
        (symbol, start, frequency)
    }
}
