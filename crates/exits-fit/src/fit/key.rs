//! A name for a fit, so that one that was made before is known again.

use super::{Lesson, Options};
use crate::Shape;

impl Lesson<'_> {
    /// A number that two fits share only if they make the same head: of everything that goes into one but
    /// the number of threads.
    pub fn key(&self, shape: &Shape, options: &Options) -> u64 {
        let Options { seed, epochs, patience, batch, rate, decay, temperature, labels, held_out, threads: _ } =
            options;
        let said = format!(
            "{shape:?} {seed} {epochs} {patience} {batch} {rate} {decay} {temperature} {labels} {held_out}"
        );
        let mut hash = Fnv::default();
        hash.bytes(said.as_bytes());
        let mut row = vec![0.0; self.features.front().features()];
        for at in 0..self.features.rows() {
            self.features.read(at, &mut row);
            hash.numbers(&row);
        }
        for at in 0..self.teacher.rows() {
            hash.numbers(self.teacher.row(at));
        }
        for at in 0..self.teacher.rows() {
            hash.word(self.teacher.right(at).map_or(u64::MAX, |class| class as u64));
        }
        hash.numbers(self.weights.unwrap_or_default());
        hash.word(self.views as u64);
        hash.0
    }
}

/// FNV-1a over words of 8 bytes, each stirred once more: whole activations go through it.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.word(u64::from(*byte)));
        self.word(bytes.len() as u64);
    }

    fn numbers(&mut self, numbers: &[f32]) {
        numbers.iter().for_each(|number| self.word(u64::from(number.to_bits())));
        self.word(numbers.len() as u64);
    }
}
