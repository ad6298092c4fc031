use crate::{BuiltIn, Fitted};
use std::sync::Arc;

/// A codec with all its parameters, as a [`Book`](crate::Book) holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// Needs nothing else.
    BuiltIn(BuiltIn),
    /// Fitted to the activations of a model.
    Fitted(Arc<Fitted>),
}

impl From<BuiltIn> for Spec {
    fn from(codec: BuiltIn) -> Self {
        Self::BuiltIn(codec)
    }
}

impl From<Fitted> for Spec {
    fn from(fitted: Fitted) -> Self {
        Self::Fitted(Arc::new(fitted))
    }
}

/// Why parameters are not those of a codec.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// None, or more than [`Fitted::MAX_CHANNELS`].
    #[error("{0} channels; from 1 to {max} are possible", max = Fitted::MAX_CHANNELS)]
    Channels(usize),
    /// A list is not as long as the channels and components ask for.
    #[error("{what} has {actual} values, {expected} expected")]
    Length {
        /// Which list.
        what: &'static str,
        /// Its length.
        actual: usize,
        /// As it should be.
        expected: usize,
    },
    /// A number is not finite, or out of its range.
    #[error("{what} {index} is {value}, {expected} expected")]
    Value {
        /// Which number.
        what: &'static str,
        /// Its place in its list.
        index: usize,
        /// Its value.
        value: f32,
        /// What it may be.
        expected: &'static str,
    },
    /// A tile is larger than [`Fitted::MAX_TILE`], or has no values.
    #[error("{channels} tiles of {rows}x{columns} cannot be transformed over space")]
    Tile {
        /// How many.
        channels: usize,
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
    /// Too many of something, or none.
    #[error("{count} {what}, from 1 to {most} are possible")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// The map names a table that is not there.
    #[error("map {index} is table {place}, of {tables}")]
    Place {
        /// Where in the map.
        index: usize,
        /// The table.
        place: u8,
        /// How many there are.
        tables: usize,
    },
    /// A component's symbols have no range.
    #[error("symbols of component {component} go from {min} to {max}")]
    Symbols {
        /// The component.
        component: usize,
        /// Smallest.
        min: i16,
        /// Largest.
        max: i16,
    },
}
