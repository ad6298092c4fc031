//! Which table codes a symbol: by how large symbols of its component and place are, and by the
//! symbols next to it.
//!
//! Scales of components and of cosine coefficients differ by orders of magnitude while the shapes
//! of their densities hardly do, so a few tables serve all of them. All of this is in integers: no
//! floating-point difference between two machines can make them choose differently.

use super::validate::length;
use crate::grid::Plane;
use crate::{SpecError, Table};

/// Tables, and how one is chosen for each symbol.
///
/// Symbols of a block are coded component by component, each row by row. The level of a symbol is
/// `(level_of_component + level_of_position) >> 1`, clamped to `0..levels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// By component, about twice the binary logarithm of its symbols' magnitudes (quarter octaves
    /// before the shift).
    pub level_of_component: Vec<i8>,
    /// By place in a tile of [`Spatial`](super::Spatial); empty without.
    pub level_of_position: Vec<i8>,
    /// Number of levels, 1 to [`Tables::MAX_LEVELS`].
    pub levels: u8,
    /// What chooses beside the level.
    pub contexts: Contexts,
    /// `[levels, contexts]`: place of the table.
    pub map: Vec<u8>,
    /// The tables, at most 256.
    pub tables: Vec<Table>,
}

/// What chooses a table beside the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contexts {
    /// Nothing.
    One,
    /// The sum `n` of the magnitudes of the symbols to the left and above in the block, one of them
    /// twice where the other is beyond the edge: 0, 1, 2, 3 to 4, 5 to 8, 9 to 16, 17 to 32, more.
    Neighbours,
}

impl Contexts {
    /// How many there are.
    pub fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Neighbours => 8,
        }
    }

    /// The context of a sum of magnitudes.
    #[inline]
    pub fn of(sum: u32) -> usize {
        match sum {
            0..3 => sum as usize,
            _ => (1 + (sum - 1).ilog2() as usize + 1).min(7),
        }
    }
}

impl Tables {
    /// The most levels.
    pub const MAX_LEVELS: u8 = 64;

    pub(super) fn validate(&self, components: usize, tile: usize) -> Result<(), SpecError> {
        length("level_of_component", self.level_of_component.len(), components)?;
        length("level_of_position", self.level_of_position.len(), tile)?;
        if !(1..=Self::MAX_LEVELS).contains(&self.levels) {
            return Err(SpecError::Count {
                what: "levels",
                count: self.levels.into(),
                most: Self::MAX_LEVELS.into(),
            });
        }
        if !(1..=256).contains(&self.tables.len()) {
            return Err(SpecError::Count { what: "tables", count: self.tables.len(), most: 256 });
        }
        length("map", self.map.len(), usize::from(self.levels) * self.contexts.count())?;
        match self.map.iter().position(|place| usize::from(*place) >= self.tables.len()) {
            Some(index) => Err(SpecError::Place { index, place: self.map[index], tables: self.tables.len() }),
            None => Ok(()),
        }
    }

    /// The first place in [`Self::map`] for a component at a position of a tile.
    #[inline]
    fn row(&self, of_component: i8, of_position: i8) -> usize {
        let level = (i32::from(of_component) + i32::from(of_position)) >> 1;
        level.clamp(0, i32::from(self.levels) - 1) as usize * self.contexts.count()
    }

    /// Walks the symbols of a block in coding order, but for components that are `constant`.
    /// `symbol` is given component, position and place in [`Self::map`], and returns the symbol,
    /// as known or as just decoded. `of_position` has a level for each position of the block.
    pub(super) fn walk<E>(
        &self,
        plane: Plane,
        of_position: &[i8],
        constant: impl Fn(usize) -> bool,
        mut symbol: impl FnMut(usize, usize, usize) -> Result<i16, E>,
    ) -> Result<(), E> {
        let mut rows = vec![0; plane.len];
        for (component, level) in self.level_of_component.iter().enumerate() {
            if constant(component) {
                continue;
            }
            match of_position {
                [] => rows.fill(self.row(*level, 0)),
                _ => rows.iter_mut().zip(of_position).for_each(|(row, of)| *row = self.row(*level, *of)),
            }
            match self.contexts {
                Contexts::One => {
                    for (position, row) in rows.iter().enumerate() {
                        symbol(component, position, *row)?;
                    }
                }
                Contexts::Neighbours => neighbours(plane, |position, context| {
                    symbol(component, position, rows[position] + context)
                })?,
            }
        }
        Ok(())
    }
}

/// Walks one plane, with the context of each position.
fn neighbours<E>(plane: Plane, mut symbol: impl FnMut(usize, usize) -> Result<i16, E>) -> Result<(), E> {
    let mut above = vec![0u32; plane.width];
    for start in (0..plane.len).step_by(plane.width) {
        let mut left = None;
        let len = plane.width.min(plane.len - start);
        for (column, above) in above[..len].iter_mut().enumerate() {
            let sum = match (left, start > 0) {
                (Some(left), true) => left + *above,
                (Some(left), false) => 2 * left,
                (None, true) => 2 * *above,
                (None, false) => 0,
            };
            let magnitude = symbol(start + column, Contexts::of(sum))?.unsigned_abs().into();
            (left, *above) = (Some(magnitude), magnitude);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_of_sums() {
        for (context, sums) in
            [0..=0, 1..=1, 2..=2, 3..=4, 5..=8, 9..=16, 17..=32, 33..=65_535].into_iter().enumerate()
        {
            for sum in sums {
                assert_eq!(Contexts::of(sum), context, "{sum}");
            }
        }
    }

    #[test]
    fn neighbours_at_edges_count_twice() {
        let symbols = [1i16, -2, 0, 3, 0, 40];
        let mut contexts = Vec::new();
        let plane = Plane { len: 6, width: 3 };
        neighbours(plane, |position, context| {
            contexts.push(context);
            Ok::<_, ()>(symbols[position])
        })
        .unwrap();
        // Sums: 0, 2·1, 2·2, 2·1 (above), 3 + 2, 0 + 0
        assert_eq!(contexts, [0, 2, 3, 2, 4, 0]);
    }
}
