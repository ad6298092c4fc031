use super::table::{Coding, Step, beyond_bits};
use super::{LENGTH, LOW, SCALE, states};

/// Codes symbols, the last one first.
pub(crate) struct Writer {
    states: [u32; 2],
    mask: usize,
    /// From the last to the first.
    words: Vec<u16>,
}

impl Writer {
    /// For so many symbols.
    pub(crate) fn new(symbols: usize) -> Self {
        Self { states: [LOW; 2], mask: states(symbols) - 1, words: Vec::with_capacity(symbols / 4) }
    }

    /// Codes symbol `index`.
    #[inline]
    pub(crate) fn push(&mut self, index: usize, table: &Coding, symbol: i16) {
        let state = index & self.mask;
        if table.shift > 0 {
            self.bits(state, symbol as u32 & ((1 << table.shift) - 1), table.shift);
        }
        let (step, beyond) = table.step(symbol);
        if let Some(beyond) = beyond {
            self.beyond(state, beyond);
        }
        self.step(state, step);
    }

    /// Codes what follows an escape, the other way round than it is read.
    #[cold]
    fn beyond(&mut self, state: usize, beyond: u32) {
        let length = beyond_bits(beyond);
        let low = length.min(SCALE);
        self.bits(state, beyond >> low, length - low);
        self.bits(state, beyond & ((1 << low) - 1), low);
        self.bits(state, length, LENGTH);
    }

    /// Codes `count` bits, [`SCALE`] at most.
    fn bits(&mut self, state: usize, bits: u32, count: u32) {
        if count > 0 {
            self.step(state, Step::new(bits << (SCALE - count), 1 << (SCALE - count)));
        }
    }

    #[inline]
    fn step(&mut self, state: usize, step: Step) {
        let mut x = self.states[state];
        if x >= step.limit {
            self.words.push(x as u16);
            x >>= 16;
        }
        self.states[state] = step.apply(x);
    }

    /// Appends the stream.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        for state in &self.states[..=self.mask] {
            out.extend_from_slice(&state.to_le_bytes());
        }
        out.extend(self.words.iter().rev().flat_map(|word| word.to_le_bytes()));
    }
}
