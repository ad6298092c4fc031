//! Tables for symbols, and how symbols choose among them.

use kerf_codec::{Contexts, Table, Tables};

/// Symbols of the calibration samples.
pub(crate) struct Symbols {
    pub(crate) components: usize,
    /// Positions of a tile of the cosine transform, which is the whole plane; `None` without.
    pub(crate) plane: Option<usize>,
    pub(crate) samples: Vec<Coded>,
}

/// The symbols of a sample, `[K, height, width]`.
pub(crate) struct Coded {
    pub(crate) width: usize,
    pub(crate) symbols: Vec<i16>,
}

/// Quarter octaves from the lowest level, mean magnitude 2⁻⁸, to 1.
const ONE: f64 = 32.0;

/// Symbols that a table is made from, at least; fewer share the table nearest to theirs.
const ENOUGH: u64 = 256;

/// Most tables.
const MOST: usize = 256;

/// Tables fitted to symbols, and the bits per sample that these then take.
pub(crate) fn fit(symbols: &Symbols) -> (Tables, f64) {
    let (level_of_component, level_of_position) = levels(symbols);
    let contexts = if symbols.plane.is_some() { Contexts::One } else { Contexts::Neighbours };
    let (of_component, of_position) = (level_of_component.iter(), level_of_position.iter());
    let highest =
        of_component.max().map_or(0, |a| i32::from(*a)) + of_position.max().map_or(0, |b| i32::from(*b));
    let levels = ((highest >> 1) + 1).clamp(1, i32::from(Tables::MAX_LEVELS)) as u8;
    let mut tables = Tables {
        level_of_component,
        level_of_position,
        levels,
        contexts,
        map: Vec::new(),
        tables: Vec::new(),
    };

    let mut cells = vec![Cell::default(); usize::from(levels) * contexts.count()];
    each(symbols, &tables, |cell, symbol| cells[cell].add(symbol));
    let mut order: Vec<usize> = (0..cells.len()).collect();
    order.sort_by_key(|cell| std::cmp::Reverse(cells[*cell].total));
    let mut own: Vec<usize> =
        order.iter().copied().filter(|cell| cells[*cell].total >= ENOUGH).take(MOST).collect();
    if own.is_empty() {
        own = order[..1].to_vec();
    }
    let nearest = |cell: usize| {
        let (level, context) = (cell / contexts.count(), cell % contexts.count());
        let far = |other: usize| {
            level.abs_diff(other / contexts.count()) + 2 * context.abs_diff(other % contexts.count())
        };
        (0..own.len()).min_by_key(|place| far(own[*place])).unwrap_or(0)
    };
    tables.map = (0..cells.len()).map(|cell| nearest(cell) as u8).collect();
    let mut merged = vec![Cell::default(); own.len()];
    for (cell, place) in cells.iter().zip(&tables.map) {
        merged[usize::from(*place)].merge(cell);
    }
    tables.tables = merged.iter().map(Cell::table).collect();
    let cost = |cell: &Cell, table: &Table| -> f64 {
        cell.counts().map(|(symbol, count)| count as f64 * table.cost(symbol)).sum()
    };
    let bits: f64 = merged.iter().zip(&tables.tables).map(|(cell, table)| cost(cell, table)).sum();
    (tables, bits / symbols.samples.len().max(1) as f64)
}

/// Levels of components, and of places in the plane, whose sum is nearest to the mean magnitudes.
fn levels(symbols: &Symbols) -> (Vec<i8>, Vec<i8>) {
    let code = |mean: f64, of_one: f64| {
        (4.0 * mean.max(1e-9).log2() + of_one).round().clamp(i8::MIN.into(), i8::MAX.into()) as i8
    };
    let positions = symbols.plane.unwrap_or(1);
    let mut sums = vec![0.0; symbols.components * positions];
    let mut counts = vec![0usize; symbols.components];
    for sample in &symbols.samples {
        let len = sample.symbols.len() / symbols.components.max(1);
        for (component, row) in sample.symbols.chunks_exact(len.max(1)).enumerate() {
            counts[component] += row.len() / positions;
            for (at, symbol) in row.iter().enumerate() {
                sums[component * positions + at % positions] += f64::from(symbol.unsigned_abs());
            }
        }
    }
    let rows = || sums.chunks_exact(positions).zip(&counts);
    // What a component that never leaves 0 would have with one symbol more.
    let mean = |sum: f64, count: usize| (sum + 0.05) / count.max(1) as f64;
    let of_component = rows().map(|(row, count)| mean(row.iter().sum(), count * positions));
    let of_component: Vec<f64> = of_component.collect();
    let codes = of_component.iter().map(|mean| code(*mean, ONE)).collect();
    if symbols.plane.is_none() {
        return (codes, Vec::new());
    }
    let total: f64 = sums.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let of_position = (0..positions).map(|at| {
        let sum: f64 = rows().map(|(row, _)| row[at]).sum();
        code((sum + 0.05) / total * positions as f64, 0.0)
    });
    (codes, of_position.collect())
}

/// Calls `symbol(cell, symbol)` for every symbol, as the coder walks them.
fn each(symbols: &Symbols, tables: &Tables, mut symbol: impl FnMut(usize, i16)) {
    let levels = i32::from(tables.levels);
    for sample in &symbols.samples {
        let len = (sample.symbols.len() / symbols.components.max(1)).max(1);
        for (component, row) in sample.symbols.chunks_exact(len).enumerate() {
            for (at, q) in row.iter().enumerate() {
                let of_position = match tables.level_of_position.len() {
                    0 => 0,
                    places => i32::from(tables.level_of_position[at % places]),
                };
                let level = (i32::from(tables.level_of_component[component]) + of_position) >> 1;
                let cell = level.clamp(0, levels - 1) as usize * tables.contexts.count();
                let context = match tables.contexts {
                    Contexts::One => 0,
                    Contexts::Neighbours => Contexts::of(around(row, at, sample.width)),
                };
                symbol(cell + context, *q);
            }
        }
    }
}

/// Magnitudes to the left and above, one twice where the other is beyond the edge.
fn around(row: &[i16], at: usize, width: usize) -> u32 {
    let magnitude = |at: usize| u32::from(row[at].unsigned_abs());
    let left = (!at.is_multiple_of(width)).then(|| magnitude(at - 1));
    let above = at.checked_sub(width).map(magnitude);
    match (left, above) {
        (Some(left), Some(above)) => left + above,
        (one, other) => 2 * one.or(other).unwrap_or(0),
    }
}

/// How often which symbol occurred.
#[derive(Clone, Debug, Default)]
struct Cell {
    first: i16,
    counts: Vec<u64>,
    total: u64,
}

impl Cell {
    fn add(&mut self, symbol: i16) {
        self.add_many(symbol, 1);
    }

    fn add_many(&mut self, symbol: i16, count: u64) {
        if self.counts.is_empty() {
            self.first = symbol;
        }
        if symbol < self.first {
            let more = usize::from(self.first.abs_diff(symbol));
            self.counts.splice(..0, std::iter::repeat_n(0, more));
            self.first = symbol;
        }
        let at = usize::from(symbol.abs_diff(self.first));
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += count;
        self.total += count;
    }

    fn merge(&mut self, other: &Self) {
        other.counts().for_each(|(symbol, count)| self.add_many(symbol, count));
    }

    fn counts(&self) -> impl Iterator<Item = (i16, u64)> {
        let occurred = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        occurred.map(|(at, count)| ((i32::from(self.first) + at as i32) as i16, *count))
    }

    /// The counts, with some of a two-sided geometric distribution as wide as theirs mixed in: what
    /// a few samples did not show may occur all the same.
    fn table(&self) -> Table {
        let mean =
            self.counts().map(|(symbol, count)| f64::from(symbol.unsigned_abs()) * count as f64).sum::<f64>()
                / self.total.max(1) as f64;
        let shift = (mean / FINE).max(1.0).log2() as u8;
        let mut shifted = Self::default();
        self.counts()
            .for_each(|(symbol, count)| shifted.add_many(symbol >> shift.min(Table::MAX_SHIFT), count));
        shifted.unshifted(shift)
    }

    fn unshifted(&self, shift: u8) -> Table {
        let weight = |symbol: i16| f64::from(symbol.unsigned_abs());
        let sum: f64 = self.counts().map(|(symbol, count)| weight(symbol) * count as f64).sum();
        let mean = (sum + 0.1) / (self.total as f64 + 1.0);
        let ratio = mean / (1.0 + mean);
        let reach = |edge: i32| (edge + edge / 2).clamp(-WIDEST, WIDEST);
        let last = i32::from(self.first) + self.counts.len() as i32 - 1;
        let (low, high) = (reach(i32::from(self.first).min(-2)), reach(last.max(2)));
        let share = |symbol: i32| (1.0 - ratio) / (1.0 + ratio) * ratio.powi(symbol.abs());
        let seen = |symbol: i32| {
            let at = usize::try_from(symbol - i32::from(self.first)).ok();
            at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
        };
        let scaled = |symbol| UNIT * seen(symbol) + (UNIT as f64 * PRIOR * share(symbol)) as u64;
        let counts: Vec<u64> = (low..=high).map(scaled).collect();
        Table::fit(shift, low as i16, &counts)
    }
}

/// Mean magnitudes above this lose nothing when their lowest bit is coded as it is.
const FINE: f64 = 24.0;

/// The largest magnitude that has a place in a table.
const WIDEST: i32 = 4096;

/// What a count is in a table's weights, so that less than one can be said.
const UNIT: u64 = 64;

/// Symbols that the mixed-in distribution counts as.
const PRIOR: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn tables_are_near_the_entropy_and_miss_nothing(
            scale in 1u32..2000,
            positions in 1usize..30,
            noise in prop::collection::vec(-1.0f64..1.0, 2000),
            plane in any::<bool>(),
        ) {
            let symbols: Vec<i16> = noise.iter().map(|value| (value.powi(3) * f64::from(scale)) as i16).collect();
            let size = 2 * positions;
            let samples: Vec<Coded> = symbols
                .chunks_exact(size)
                .map(|symbols| Coded { width: 1, symbols: symbols.to_vec() })
                .collect();
            let count = samples.len() * size;
            let symbols = Symbols { components: 2, plane: plane.then_some(positions), samples };
            let (tables, bits) = fit(&symbols);
            prop_assert_eq!(tables.map.len(), usize::from(tables.levels) * tables.contexts.count());
            prop_assert!(tables.map.iter().all(|place| usize::from(*place) < tables.tables.len()));
            let mut cell = Cell::default();
            each(&symbols, &tables, |_, symbol| cell.add(symbol));
            prop_assert_eq!(cell.total as usize, count);
            let entropy: f64 = cell
                .counts()
                .map(|(_, of)| -(of as f64) * (of as f64 / count as f64).log2())
                .sum::<f64>() / symbols.samples.len() as f64;
            // Many symbols that occur once or twice cost about a bit more than in hindsight.
            prop_assert!(bits < 1.25 * entropy + 1.5 * size as f64, "{} bits, entropy {}", bits, entropy);
            for table in &tables.tables {
                prop_assert!([i16::MIN, -1, 0, 1, i16::MAX].iter().all(|symbol| table.cost(*symbol) < 60.0));
            }
        }
    }

    #[test]
    fn neighbours_are_those_of_the_coder() {
        let row = [1, -2, 3, -4, 5, -6];
        let wanted = [0, 2, 4, 2, 6, 8];
        for (at, wanted) in wanted.into_iter().enumerate() {
            assert_eq!(around(&row, at, 3), wanted, "{at}");
        }
    }
}
