//! ```text
//! book        "KCB", version, transforms, entries
//! transforms  count, then each: channels, components, mean, forward, 0 where the inverse is the
//!             transpose or else 1 and the inverse
//! entries     count, then each: boundary less that of the one before, name, tensors
//! tensors     count, then each: name, spec
//! spec        0, codec id (u16)
//!             1, axis (u8), channels, components, transform, spatial, step, offset, rounding,
//!             shrink (a list each), min and max (i16) of each component, entropy
//! transform   0: none, or else 1 + its place among the transforms, in order of first use
//! spatial     rows of a tile, or else 0: none; columns, gain (floats)
//! entropy     0: packed
//!             1: coded, levels of components, and with spatial of positions (i8 each), number of
//!             levels (u8), contexts (u8: 1 or 8), map (u8 each), tables
//! tables      count, then each: shift (u8), first (i16), count, frequencies and escape (varints)
//! ```
//! Counts and sizes are varints; lists, floats and names as [`bytes`](super::bytes) has them.

use super::{Book, bytes};
use crate::{Entropy, Fitted, Quantiser, Spec, Tables, Transform};
use std::sync::Arc;

pub(super) const MAGIC: [u8; 3] = *b"KCB";

pub(super) fn book(book: &Book) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(Book::VERSION);
    let transforms = distinct(book);
    bytes::count(transforms.len(), &mut out);
    for one in &transforms {
        transform(one, &mut out);
    }
    bytes::count(book.entries.len(), &mut out);
    let mut before = 0;
    for entry in &book.entries {
        bytes::varint((entry.boundary - before).into(), &mut out);
        before = entry.boundary;
        bytes::name(&entry.name, &mut out);
        bytes::count(entry.tensors.len(), &mut out);
        for (name, spec) in &entry.tensors {
            bytes::name(name, &mut out);
            match spec {
                Spec::BuiltIn(codec) => {
                    out.push(0);
                    out.extend_from_slice(&codec.id().0.to_le_bytes());
                }
                Spec::Fitted(fitted) => {
                    out.push(1);
                    self::fitted(fitted, &transforms, &mut out);
                }
            }
        }
    }
    out
}

/// Each transform once, in order of first use: codecs of one boundary share theirs.
fn distinct(book: &Book) -> Vec<Arc<Transform>> {
    let mut found: Vec<Arc<Transform>> = Vec::new();
    for (_, spec) in book.entries.iter().flat_map(|entry| &entry.tensors) {
        if let Spec::Fitted(fitted) = spec
            && let Some(transform) = &fitted.transform
            && place(transform, &found).is_none()
        {
            found.push(transform.clone());
        }
    }
    found
}

fn place(transform: &Arc<Transform>, among: &[Arc<Transform>]) -> Option<usize> {
    among.iter().position(|one| Arc::ptr_eq(one, transform) || one.same_bits(transform))
}

fn transform(transform: &Transform, out: &mut Vec<u8>) {
    let channels = transform.mean.len();
    let components = transform.forward.len() / channels.max(1);
    bytes::count(channels, out);
    bytes::count(components, out);
    bytes::floats(&transform.mean, out);
    bytes::floats(&transform.forward, out);
    if transform.is_orthogonal() {
        out.push(0);
    } else {
        out.push(1);
        bytes::floats(&transform.inverse, out);
    }
}

fn fitted(fitted: &Fitted, transforms: &[Arc<Transform>], out: &mut Vec<u8>) {
    let Fitted { axis, channels, transform, spatial, quantisers, entropy } = fitted;
    out.push(*axis);
    bytes::count(*channels, out);
    bytes::count(quantisers.len(), out);
    let place = transform.as_ref().and_then(|transform| place(transform, transforms));
    bytes::count(place.map_or(0, |place| place + 1), out);
    match spatial {
        None => out.push(0),
        Some(spatial) => {
            bytes::count(spatial.rows, out);
            bytes::count(spatial.columns, out);
            bytes::floats(&spatial.gain, out);
        }
    }
    let mut list = |of: fn(&Quantiser) -> f32| {
        bytes::list(&quantisers.iter().map(of).collect::<Vec<_>>(), out);
    };
    list(|quantiser| quantiser.step);
    list(|quantiser| quantiser.offset);
    list(|quantiser| quantiser.rounding);
    list(|quantiser| quantiser.shrink);
    for Quantiser { min, max, .. } in quantisers {
        out.extend_from_slice(&min.to_le_bytes());
        out.extend_from_slice(&max.to_le_bytes());
    }
    match entropy {
        Entropy::Packed => out.push(0),
        Entropy::Coded(tables) => {
            out.push(1);
            self::tables(tables, out);
        }
    }
}

fn tables(tables: &Tables, out: &mut Vec<u8>) {
    let levels = tables.level_of_component.iter().chain(&tables.level_of_position);
    out.extend(levels.map(|level| *level as u8));
    out.extend([tables.levels, tables.contexts.count() as u8]);
    out.extend_from_slice(&tables.map);
    bytes::count(tables.tables.len(), out);
    for table in &tables.tables {
        out.push(table.shift());
        out.extend_from_slice(&table.first().to_le_bytes());
        bytes::count(table.frequencies().len(), out);
        for frequency in table.frequencies().iter().chain([&table.escape()]) {
            bytes::varint((*frequency).into(), out);
        }
    }
}
