//! Entropy coding with tables known beforehand: range asymmetric numeral systems (Duda,
//! "Asymmetric numeral systems", arXiv:1311.2540), states interleaved (Giesen, "Interleaved
//! entropy coders", arXiv:1402.3392).
//!
//! ```text
//! stream   states (u32 each), words (u16 each)
//! symbol   one step with its table, then as many of its lowest bits as the table leaves out
//! escape   for a symbol that its table lacks: a step of its own, then how far from the table's
//!          first symbol it lies, signs folded: 5 bits that say how many bits follow, and those
//! ```
//! Symbol `i` is coded with state `i mod` [`states`]. The encoder starts from the end, with every
//! state at [`LOW`]; so that is where the decoder must arrive, with no word left: damage shows.

mod read;
mod table;
mod write;

pub(crate) use read::Reader;
pub(crate) use table::{Coding, Decoding};
pub use table::{Table, TableError};
pub(crate) use write::Writer;

/// Frequencies of a table add up to `1 << SCALE`.
pub(crate) const SCALE: u32 = 14;

/// States are from here to below `LOW << 16`.
const LOW: u32 = 1 << 15;

/// Bits that say how many bits of an escaped symbol follow.
const LENGTH: u32 = 5;

/// How many states code so many symbols: each costs two bytes more than it carries, and lets a
/// processor work on one while it waits for another.
pub(crate) fn states(symbols: usize) -> usize {
    if symbols < 2048 { 1 } else { 2 }
}

/// The longest stream of so many symbols.
pub(crate) fn max_len(symbols: usize) -> usize {
    // An escape is up to 14 bits, its length 5, itself 17, and 12 may be left out.
    4 * states(symbols) + 6 * symbols + 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DecodeError;
    use proptest::prelude::*;

    fn encode(table: &Table, symbols: &[i16]) -> Vec<u8> {
        let coding = Coding::new(table);
        let mut writer = Writer::new(symbols.len());
        for (index, symbol) in symbols.iter().enumerate().rev() {
            writer.push(index, &coding, *symbol);
        }
        let mut out = Vec::new();
        writer.finish(&mut out);
        assert!(out.len() <= max_len(symbols.len()));
        out
    }

    fn decode(table: &Table, count: usize, stream: &[u8]) -> Result<Vec<i16>, DecodeError> {
        let decoding = Decoding::new(table);
        let mut reader = Reader::new(count, stream)?;
        let symbols = (0..count).map(|index| reader.next(index, &decoding)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(symbols)
    }

    /// The sum of about as many coins as `spread` says.
    fn bell(count: usize, spread: u32) -> Vec<i16> {
        let mut state = 1u64;
        let mut coin = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 63) as i16
        };
        (0..count).map(|_| (0..spread).map(|_| coin() - coin()).sum()).collect()
    }

    fn fitted(symbols: &[i16]) -> Table {
        let mut counts = vec![0; 65_536];
        symbols.iter().for_each(|symbol| counts[(i32::from(*symbol) + 32_768) as usize] += 1);
        Table::fit(0, i16::MIN, &counts)
    }

    #[test]
    fn streams_are_as_short_as_their_entropy() {
        for (count, spread) in [(100_000, 1), (100_000, 4), (100_000, 40), (50_000, 6), (1500, 8)] {
            let mut symbols = bell(count, spread);
            if count == 50_000 {
                // Of one sign, as what comes out of a ReLU.
                symbols.iter_mut().for_each(|symbol| *symbol = (*symbol).max(0));
            }
            let table = fitted(&symbols);
            let stream = encode(&table, &symbols);
            assert_eq!(decode(&table, count, &stream).unwrap(), symbols);
            let mut counts = std::collections::BTreeMap::new();
            symbols.iter().for_each(|symbol| *counts.entry(*symbol).or_insert(0.0) += 1.0);
            let entropy: f64 =
                counts.values().map(|times: &f64| -times * (times / count as f64).log2()).sum::<f64>() / 8.0;
            let cost = symbols.iter().map(|symbol| table.cost(*symbol)).sum::<f64>() / 8.0;
            assert!(cost < 1.002 * entropy + 1.0, "{cost:.1} with this table, {entropy:.1} bytes of entropy");
            let length = stream.len() as f64;
            assert!(length < 1.0005 * cost + 8.0, "{length} bytes, {cost:.1} expected");
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(symbols: Vec<i16>, seen in proptest::collection::vec(any::<i16>(), 1..50), long: bool) {
            let repeat = if long { 1 + 5000 / (symbols.len() + 1) } else { 1 };
            let symbols = symbols.repeat(repeat);
            for table in [fitted(&symbols), fitted(&seen), Table::new(0, 0, vec![16_383], 1).unwrap(), Table::new(12, -1, vec![8000, 8000], 384).unwrap()] {
                let stream = encode(&table, &symbols);
                prop_assert_eq!(decode(&table, symbols.len(), &stream), Ok(symbols.clone()));
                if let Some((_, cut)) = stream.split_last_chunk::<2>() {
                    prop_assert!(decode(&table, symbols.len(), &stream[..cut.len() / 2]).is_err() || symbols.is_empty());
                }
                let longer = [&stream[..], &[0, 0]].concat();
                prop_assert!(decode(&table, symbols.len(), &longer).is_err());
            }
        }

        #[test]
        fn no_stream_is_a_panic(stream: Vec<u8>, seen in proptest::collection::vec(-40i16..40, 1..50), count in 0usize..5000) {
            let _ = decode(&fitted(&seen), count, &stream);
        }

        #[test]
        fn reciprocals_divide(frequency in 1u32..=Table::TOTAL, start in 0u32..Table::TOTAL, state in LOW..LOW << 16) {
            let start = start.min(Table::TOTAL - frequency);
            let step = table::Step::new(start, frequency);
            let state = if state >= step.limit { state >> 16 } else { state };
            let wanted = state / frequency * Table::TOTAL + start + state % frequency;
            prop_assert_eq!(step.apply(state), wanted);
        }

        #[test]
        fn fitted_tables_are_tables(shift in 0u8..=12, first: i16, counts in proptest::collection::vec(0u64..1 << 40, 0..300)) {
            let table = Table::fit(shift, first, &counts);
            let again = Table::new(shift, table.first(), table.frequencies().to_vec(), table.escape());
            prop_assert_eq!(again, Ok(table));
        }
    }
}
