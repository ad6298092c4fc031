use super::affine::{Affine, on_plane};
use super::{Entropy, Fitted, Quantiser, Tables, packed};
use crate::grid::{Grid, Plane, View};
use crate::rans::{self, Coding, Decoding, Reader, Writer};
use crate::{CoderError, DecodeError, EncodeError, SpecError, kernel};
use std::sync::Arc;

/// A [`Fitted`] that was checked, with what can be computed beforehand.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) axis: usize,
    channels: usize,
    affine: Affine,
    quantisers: Vec<Quantiser>,
    coded: Option<Coded>,
}

#[derive(Debug)]
struct Coded {
    tables: Tables,
    /// As [`Tables::map`] has them.
    coding: Vec<Arc<Coding>>,
    decoding: Vec<Arc<Decoding>>,
    tile: (usize, usize),
    /// Components that are coded, for they are not constant.
    components: usize,
}

/// The symbols of a block, as they are coded: for fitting tables to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbols {
    /// `[K, positions]`
    pub symbols: Vec<i16>,
    /// Place in [`Tables::map`] by which each symbol is coded; `None` where nothing is coded, for
    /// the component is constant or symbols are packed.
    pub places: Vec<Option<u16>>,
    /// Columns of the components' planes.
    pub width: usize,
}

impl Prepared {
    pub(crate) fn new(fitted: &Fitted) -> Result<Self, SpecError> {
        fitted.validate()?;
        let coded = match &fitted.entropy {
            Entropy::Packed => None,
            Entropy::Coded(tables) => Some(Coded::new(tables, fitted)),
        };
        Ok(Self {
            axis: fitted.axis.into(),
            channels: fitted.channels,
            affine: Affine::new(fitted),
            quantisers: fitted.quantisers.clone(),
            coded,
        })
    }

    /// Whether tensors of this view have the channels and planes that the codec was fitted to.
    pub(crate) fn check(&self, view: &View) -> Result<(), CoderError> {
        if view.channels != self.channels {
            return Err(CoderError::Channels {
                axis: self.axis,
                fitted: self.channels,
                actual: view.channels,
            });
        }
        let plane = (view.positions() / view.width.max(1), view.width);
        match self.affine.tile() {
            Some(tile) if !plane.0.is_multiple_of(tile.0) || !plane.1.is_multiple_of(tile.1) => {
                Err(CoderError::Plane { tile, plane })
            }
            _ => Ok(()),
        }
    }

    /// The blocks of a tensor: of whole tiles, where there are any.
    pub(crate) fn grid(&self, view: View) -> Grid {
        Grid::by_position(view, self.affine.tile().map(|(rows, _)| rows))
    }

    /// The longest that a block gets.
    pub(crate) fn max_len(&self, positions: usize) -> usize {
        match &self.coded {
            None => packed::len(&self.quantisers, positions),
            Some(coded) => rans::max_len(coded.components * positions),
        }
    }

    /// Appends a block: `values` are rows of one channel each.
    pub(crate) fn encode(&self, values: &[f32], plane: Plane, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let symbols = self.quantised(values, plane)?;
        match &self.coded {
            None => packed::encode(&self.quantisers, &symbols, out),
            Some(coded) => coded.encode(&self.quantisers, &symbols, plane, out),
        }
        Ok(())
    }

    fn quantised(&self, values: &[f32], plane: Plane) -> Result<Vec<i16>, EncodeError> {
        let transformed = self.affine.forward(values, plane);
        let coefficients = transformed.as_deref().unwrap_or(values);
        // NaN and infinities of the input are in every coefficient that has a share in them.
        if !kernel::finite(coefficients) {
            return Err(EncodeError::NotFinite);
        }
        let mut symbols = vec![0; coefficients.len()];
        let rows = coefficients.chunks_exact(plane.len).zip(symbols.chunks_exact_mut(plane.len));
        for ((values, symbols), quantiser) in rows.zip(&self.quantisers) {
            kernel::symbols(values, quantiser, symbols);
        }
        Ok(symbols)
    }

    /// What [`Self::encode`] codes.
    pub(crate) fn symbols(&self, values: &[f32], plane: Plane) -> Result<Symbols, EncodeError> {
        let symbols = self.quantised(values, plane)?;
        let mut places = vec![None; symbols.len()];
        if let Some(coded) = &self.coded {
            coded.places(&self.quantisers, &symbols, plane, |at, place| places[at] = Some(place as u16));
        }
        Ok(Symbols { symbols, places, width: plane.width })
    }

    /// A block's values, rows of one channel each.
    pub(crate) fn decode(&self, block: &[u8], plane: Plane) -> Result<Vec<f32>, DecodeError> {
        let mut symbols = vec![0; self.quantisers.len() * plane.len];
        match &self.coded {
            None => packed::decode(&self.quantisers, block, &mut symbols)?,
            Some(coded) => coded.decode(&self.quantisers, block, plane, &mut symbols)?,
        }
        let mut coefficients = vec![0.0; symbols.len()];
        let rows = coefficients.chunks_exact_mut(plane.len).zip(symbols.chunks_exact(plane.len));
        for ((values, symbols), quantiser) in rows.zip(&self.quantisers) {
            kernel::values(symbols, quantiser, values);
        }
        Ok(self.affine.inverse(coefficients, plane))
    }
}

impl Coded {
    fn new(tables: &Tables, fitted: &Fitted) -> Self {
        let coding: Vec<_> = tables.tables.iter().map(|table| Arc::new(Coding::new(table))).collect();
        let decoding: Vec<_> = tables.tables.iter().map(|table| Arc::new(Decoding::new(table))).collect();
        Self {
            coding: tables.map.iter().map(|place| coding[usize::from(*place)].clone()).collect(),
            decoding: tables.map.iter().map(|place| decoding[usize::from(*place)].clone()).collect(),
            tables: tables.clone(),
            tile: fitted.spatial.as_ref().map_or((1, 1), |spatial| (spatial.rows, spatial.columns)),
            components: fitted.quantisers.iter().filter(|quantiser| constant(quantiser).is_none()).count(),
        }
    }

    /// Calls `found(place among the symbols, place in the map)` for each symbol that is coded, in order.
    fn places(
        &self,
        quantisers: &[Quantiser],
        symbols: &[i16],
        plane: Plane,
        mut found: impl FnMut(usize, usize),
    ) {
        let of_position = self.of_position(plane);
        let walked = self.tables.walk(
            plane,
            &of_position,
            |component| constant(&quantisers[component]).is_some(),
            |component, position, place| {
                let at = component * plane.len + position;
                found(at, place);
                Ok::<_, std::convert::Infallible>(symbols[at])
            },
        );
        match walked {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    fn of_position(&self, plane: Plane) -> Vec<i8> {
        match &self.tables.level_of_position[..] {
            [] => Vec::new(),
            of_tile => on_plane(of_tile, self.tile, plane),
        }
    }

    fn encode(&self, quantisers: &[Quantiser], symbols: &[i16], plane: Plane, out: &mut Vec<u8>) {
        // Tables are chosen forwards, symbols coded backwards.
        let mut chosen = Vec::with_capacity(self.components * plane.len);
        self.places(quantisers, symbols, plane, |at, place| chosen.push((place as u16, symbols[at])));
        let mut writer = Writer::new(chosen.len());
        for (index, (place, symbol)) in chosen.iter().enumerate().rev() {
            writer.push(index, &self.coding[usize::from(*place)], *symbol);
        }
        writer.finish(out);
    }

    fn decode(
        &self,
        quantisers: &[Quantiser],
        block: &[u8],
        plane: Plane,
        symbols: &mut [i16],
    ) -> Result<(), DecodeError> {
        for (quantiser, row) in quantisers.iter().zip(symbols.chunks_exact_mut(plane.len)) {
            if let Some(symbol) = constant(quantiser) {
                row.fill(symbol);
            }
        }
        let mut reader = Reader::new(self.components * plane.len, block)?;
        let mut index = 0;
        self.tables.walk(
            plane,
            &self.of_position(plane),
            |component| constant(&quantisers[component]).is_some(),
            |component, position, place| {
                let symbol = reader.next(index, &self.decoding[place])?;
                index += 1;
                let Quantiser { min, max, .. } = quantisers[component];
                if !(min..=max).contains(&symbol) {
                    return Err(DecodeError::Malformed("a symbol is beyond its component's range"));
                }
                symbols[component * plane.len + position] = symbol;
                Ok(symbol)
            },
        )?;
        reader.finish()
    }
}

/// The only symbol of a component that has but one.
fn constant(quantiser: &Quantiser) -> Option<i16> {
    (quantiser.min == quantiser.max).then_some(quantiser.min)
}
