use super::bytes::Reader;
use super::write::MAGIC;
use super::{Book, BookError, Entry};
use crate::{CodecId, Contexts, Entropy, Fitted, Kind, Quantiser, Spatial, Spec, Table, Tables, Transform};
use std::sync::Arc;

pub(super) fn book(bytes: &[u8]) -> Result<Book, BookError> {
    let mut reader = Reader::new(bytes);
    match reader.bytes(MAGIC.len() + 1) {
        Ok([magic @ .., version]) if magic == MAGIC && *version == Book::VERSION => {}
        _ => return Err(BookError::Version),
    }
    let mut transforms = Transforms { all: Vec::new(), used: 0 };
    for _ in 0..reader.count()? {
        let transform = Arc::new(transform(&mut reader)?);
        transforms.all.push(transform);
    }
    let mut entries = Vec::new();
    let mut boundary = 0u16;
    for _ in 0..reader.count()? {
        let further = u16::try_from(reader.varint()?).ok();
        boundary = further
            .and_then(|further| boundary.checked_add(further))
            .ok_or(BookError::Malformed("a boundary is beyond 65535"))?;
        let name = reader.name()?;
        let mut tensors: Vec<(String, Spec)> = Vec::new();
        for _ in 0..reader.count()? {
            let name = reader.name()?;
            if tensors.last().is_some_and(|(before, _)| *before >= name) {
                return Err(BookError::Malformed("tensors are not in order"));
            }
            tensors.push((name, spec(&mut reader, &mut transforms)?));
        }
        entries.push(Entry { boundary, name, tensors });
    }
    if transforms.used < transforms.all.len() {
        return Err(BookError::Malformed("a transform is not used"));
    }
    transforms.check_distinct()?;
    reader.finish()?;
    Ok(Book { entries })
}

struct Transforms {
    all: Vec<Arc<Transform>>,
    /// How many were named so far: the next new one has this place.
    used: usize,
}

impl Transforms {
    fn named(&mut self, place: usize) -> Result<Arc<Transform>, BookError> {
        if place > self.used {
            return Err(BookError::Malformed("transforms are not in order of first use"));
        }
        let transform = self.all.get(place).ok_or(BookError::Malformed("there is no such transform"))?;
        self.used = self.used.max(place + 1);
        Ok(transform.clone())
    }

    /// Equal transforms are written once.
    fn check_distinct(&self) -> Result<(), BookError> {
        let mut sorted: Vec<&Transform> = self.all.iter().map(AsRef::as_ref).collect();
        sorted.sort_by(|a, b| a.bits().cmp(b.bits()));
        if sorted.windows(2).any(|pair| pair[0].same_bits(pair[1])) {
            return Err(BookError::Malformed("a transform is there twice"));
        }
        Ok(())
    }
}

fn transform(reader: &mut Reader<'_>) -> Result<Transform, BookError> {
    let channels = reader.varint()? as usize;
    let components = reader.varint()? as usize;
    if channels > Fitted::MAX_CHANNELS || components > channels {
        return Err(BookError::Malformed("a transform is larger than possible"));
    }
    let mean = reader.floats(channels)?;
    let forward = reader.floats(channels * components)?;
    let transposed = transpose(&forward, channels);
    let inverse = match reader.u8()? {
        0 => transposed,
        1 => {
            let inverse = reader.floats(channels * components)?;
            if same_bits(&inverse, &transposed) {
                return Err(BookError::Malformed("an inverse is the transpose and written nevertheless"));
            }
            inverse
        }
        _ => return Err(BookError::Malformed("an inverse is neither given nor the transpose")),
    };
    Ok(Transform { mean, forward, inverse })
}

fn spec(reader: &mut Reader<'_>, transforms: &mut Transforms) -> Result<Spec, BookError> {
    match reader.u8()? {
        0 => {
            let id = CodecId(reader.i16()? as u16);
            match id.kind() {
                Some(Kind::BuiltIn(codec)) => Ok(codec.into()),
                _ => Err(BookError::Codec(id.0)),
            }
        }
        1 => Ok(fitted(reader, transforms)?.into()),
        _ => Err(BookError::Malformed("a spec is neither built in nor fitted")),
    }
}

fn fitted(reader: &mut Reader<'_>, transforms: &mut Transforms) -> Result<Fitted, BookError> {
    let axis = reader.u8()?;
    let channels = reader.varint()? as usize;
    // Each component takes 4 bytes further on.
    let components = reader.count()?;
    let transform = match reader.varint()? as usize {
        0 => None,
        place => Some(transforms.named(place - 1)?),
    };
    let spatial = match reader.varint()? as usize {
        0 => None,
        rows => {
            let columns = reader.varint()? as usize;
            let tile = rows.checked_mul(columns).ok_or(BookError::Truncated)?;
            Some(Spatial { rows, columns, gain: reader.floats(tile)? })
        }
    };
    let step = reader.list(components)?;
    let offset = reader.list(components)?;
    let rounding = reader.list(components)?;
    let shrink = reader.list(components)?;
    let mut quantisers = Vec::with_capacity(components);
    for index in 0..components {
        quantisers.push(Quantiser {
            step: step[index],
            offset: offset[index],
            rounding: rounding[index],
            shrink: shrink[index],
            min: reader.i16()?,
            max: reader.i16()?,
        });
    }
    let entropy = match reader.u8()? {
        0 => Entropy::Packed,
        1 => Entropy::Coded(tables(reader, components, spatial.as_ref())?),
        _ => return Err(BookError::Malformed("an unknown entropy coder")),
    };
    Ok(Fitted { axis, channels, transform, spatial, quantisers, entropy })
}

fn tables(
    reader: &mut Reader<'_>,
    components: usize,
    spatial: Option<&Spatial>,
) -> Result<Tables, BookError> {
    let mut signed = |count: usize| -> Result<Vec<i8>, BookError> {
        Ok(reader.bytes(count)?.iter().map(|byte| *byte as i8).collect())
    };
    let level_of_component = signed(components)?;
    let level_of_position = signed(spatial.map_or(0, |spatial| spatial.gain.len()))?;
    let levels = reader.u8()?;
    let contexts = match reader.u8()? {
        1 => Contexts::One,
        8 => Contexts::Neighbours,
        _ => return Err(BookError::Malformed("neither 1 nor 8 contexts")),
    };
    let map = reader.bytes(usize::from(levels) * contexts.count())?.to_vec();
    let mut tables = Vec::new();
    for _ in 0..reader.count()? {
        let (shift, first) = (reader.u8()?, reader.i16()?);
        let count = reader.count()?;
        let frequency = |reader: &mut Reader<'_>| {
            let frequency = u16::try_from(reader.varint()?);
            frequency.map_err(|_| BookError::Malformed("a frequency is beyond 16 bits"))
        };
        let mut frequencies = Vec::with_capacity(count);
        for _ in 0..count {
            frequencies.push(frequency(reader)?);
        }
        let table = Table::new(shift, first, frequencies, frequency(reader)?);
        tables.push(table.map_err(|_| BookError::Malformed("frequencies are not a table"))?);
    }
    Ok(Tables { level_of_component, level_of_position, levels, contexts, map, tables })
}

impl Transform {
    /// Whether the inverse is the transpose.
    pub(super) fn is_orthogonal(&self) -> bool {
        same_bits(&self.inverse, &transpose(&self.forward, self.mean.len()))
    }

    /// Equality that tells 0 from −0, as bytes do.
    pub(super) fn same_bits(&self, other: &Self) -> bool {
        self.bits().eq(other.bits())
    }

    fn bits(&self) -> impl Iterator<Item = u32> + '_ {
        let lengths = [self.mean.len() as u32, self.forward.len() as u32];
        let values = self.mean.iter().chain(&self.forward).chain(&self.inverse);
        lengths.into_iter().chain(values.map(|value| value.to_bits()))
    }
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// The transpose of a row-major matrix.
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns.max(1)).copied()).collect()
}
