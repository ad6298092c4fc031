use super::table::{Decoding, unfold};
use super::{LENGTH, LOW, SCALE, states};
use crate::DecodeError;

const BEYOND: DecodeError = DecodeError::Malformed("a symbol is beyond 16 bits");

/// Reads symbols, the first one first.
pub(crate) struct Reader<'a> {
    states: [u32; 2],
    mask: usize,
    words: std::slice::Iter<'a, [u8; 2]>,
}

impl<'a> Reader<'a> {
    /// For so many symbols.
    pub(crate) fn new(symbols: usize, stream: &'a [u8]) -> Result<Self, DecodeError> {
        let count = states(symbols);
        let mut read = [LOW; 2];
        let (heads, words) = stream.split_at_checked(4 * count).ok_or(DecodeError::Truncated)?;
        for (state, bytes) in read.iter_mut().zip(heads.as_chunks::<4>().0) {
            *state = u32::from_le_bytes(*bytes);
            if !(LOW..LOW << 16).contains(state) {
                return Err(DecodeError::Malformed("a state is out of range"));
            }
        }
        match words.as_chunks::<2>() {
            (words, []) => Ok(Self { states: read, mask: count - 1, words: words.iter() }),
            _ => Err(DecodeError::Truncated),
        }
    }

    /// Symbol `index`.
    #[inline]
    pub(crate) fn next(&mut self, index: usize, table: &Decoding) -> Result<i16, DecodeError> {
        let state = index & self.mask;
        let slot = self.states[state] & ((1 << SCALE) - 1);
        let (symbol, start, frequency) = table.find(slot);
        self.step(state, frequency, slot - start)?;
        let symbol = match symbol {
            Some(symbol) => symbol,
            None => self.escaped(state, table.first)?,
        };
        if table.shift == 0 {
            return Ok(symbol as i16);
        }
        let low = self.bits(state, table.shift)? as i32;
        (symbol << table.shift | low).try_into().map_err(|_| BEYOND)
    }

    #[cold]
    fn escaped(&mut self, state: usize, first: i32) -> Result<i32, DecodeError> {
        let length = self.bits(state, LENGTH)?;
        // Differences of two 16-bit numbers, folded, are 17 bits.
        if length > 17 {
            return Err(BEYOND);
        }
        let low = length.min(SCALE);
        let below = self.bits(state, low)?;
        let above = self.bits(state, length - low)?;
        let symbol = unfold(above << low | below) + first;
        i16::try_from(symbol).map(i32::from).map_err(|_| BEYOND)
    }

    fn bits(&mut self, state: usize, count: u32) -> Result<u32, DecodeError> {
        let shift = SCALE - count;
        let slot = self.states[state] & ((1 << SCALE) - 1);
        self.step(state, 1 << shift, slot & ((1 << shift) - 1))?;
        Ok(slot >> shift)
    }

    #[inline]
    fn step(&mut self, state: usize, frequency: u32, offset: u32) -> Result<(), DecodeError> {
        let mut x = frequency * (self.states[state] >> SCALE) + offset;
        if x < LOW {
            let word = self.words.next().ok_or(DecodeError::Truncated)?;
            x = x << 16 | u32::from(u16::from_le_bytes(*word));
        }
        self.states[state] = x;
        Ok(())
    }

    /// Whether all states are where the encoder started, and every word was read.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.words.len() > 0 {
            return Err(DecodeError::Trailing { bytes: 2 * self.words.len() });
        }
        if self.states[..=self.mask].iter().any(|state| *state != LOW) {
            return Err(DecodeError::Malformed("the entropy coder does not end where it began"));
        }
        Ok(())
    }
}
