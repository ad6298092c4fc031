//! Where the values of a block lie: a tensor as samples of `[outer, channels, inner]`, cut
//! into blocks that never span samples.

use kerf_tensor::{TensorError, element_count};
use std::borrow::Cow;
use std::ops::Range;

/// Elements of a block, at most: 64 KiB of f32.
pub(crate) const BLOCK: usize = 16 << 10;

/// A tensor around its channel axis. Axis 0 is the batch in tensors of rank 2 and more, unless
/// it is the channel axis itself; samples are coded apart from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) samples: usize,
    pub(crate) outer: usize,
    pub(crate) channels: usize,
    pub(crate) inner: usize,
    /// Positions next to each other in the last axis that is neither batch nor channels.
    pub(crate) width: usize,
}

impl View {
    /// `None` where the shape has no such axis.
    pub(crate) fn around(shape: &[usize], axis: usize) -> Result<Option<Self>, TensorError> {
        let Some(channels) = shape.get(axis).copied() else { return Ok(None) };
        let batch = usize::from(shape.len() >= 2 && axis != 0);
        let rest = |dims: &[usize]| element_count(dims);
        let width = shape.iter().enumerate().skip(batch).rfind(|(at, _)| *at != axis);
        Ok(Some(Self {
            samples: rest(&shape[..batch])?,
            outer: rest(&shape[batch..axis])?,
            channels,
            inner: rest(&shape[axis + 1..])?,
            width: width.map_or(1, |(_, size)| *size),
        }))
    }

    /// All values of a sample as one channel.
    pub(crate) fn flat(shape: &[usize]) -> Result<Self, TensorError> {
        let batch = usize::from(shape.len() >= 2);
        let inner = element_count(&shape[batch..])?;
        Ok(Self { samples: element_count(&shape[..batch])?, outer: 1, channels: 1, inner, width: inner })
    }

    /// Positions of a channel of a sample.
    pub(crate) fn positions(&self) -> usize {
        self.outer * self.inner
    }
}

/// One block: these channels at these positions of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) sample: usize,
    pub(crate) channels: Range<usize>,
    pub(crate) positions: Range<usize>,
}

impl Rect {
    pub(crate) fn len(&self) -> usize {
        self.channels.len() * self.positions.len()
    }
}

/// How the positions of a block lie: rows of `width`, the last of which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plane {
    pub(crate) len: usize,
    pub(crate) width: usize,
}

/// A view cut into blocks.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub(crate) view: View,
    /// Channels of a block.
    group: usize,
    /// Positions of a block.
    span: usize,
}

impl Grid {
    /// Blocks of few channels with many positions, so that bounds per channel are few. One
    /// channel where it fills a block; 16 at least where channels are innermost, for the sake
    /// of the cache.
    pub(crate) fn by_channel(view: View) -> Self {
        let positions = view.positions().max(1);
        let least = if view.inner == 1 { 16 } else { 1 };
        let group = (BLOCK / positions).max(least).min(view.channels.max(1));
        let span = even(positions, BLOCK / group, 1);
        Self { group: even(view.channels, group, 1), span, view }
    }

    /// Blocks of all channels, of whole rows where they fit; of multiples of so many rows, which
    /// the rows are, where there is a `tile`.
    pub(crate) fn by_position(view: View, tile: Option<usize>) -> Self {
        let span = (BLOCK / view.channels.max(1)).max(1);
        let row = match tile {
            Some(rows) => rows * view.width,
            None if view.width <= span => view.width.max(1),
            None => 1,
        };
        Self { group: view.channels.max(1), span: even(view.positions(), span, row), view }
    }

    /// Number of blocks; 0 where the tensor is empty.
    pub(crate) fn blocks(&self) -> usize {
        self.view.samples * self.per_sample()
    }

    fn per_sample(&self) -> usize {
        self.view.channels.div_ceil(self.group) * self.view.positions().div_ceil(self.span)
    }

    /// Block `index` of [`Self::blocks`].
    pub(crate) fn rect(&self, index: usize) -> Rect {
        let spans = self.view.positions().div_ceil(self.span).max(1);
        let (sample, rest) = (index / self.per_sample().max(1), index % self.per_sample().max(1));
        let (group, span) = (rest / spans, rest % spans);
        let part = |at: usize, size: usize, of: usize| (at * size).min(of)..((at + 1) * size).min(of);
        Rect {
            sample,
            channels: part(group, self.group, self.view.channels),
            positions: part(span, self.span, self.view.positions()),
        }
    }

    /// The positions of a block of [`Self::by_position`]: whole rows, or a piece of one.
    pub(crate) fn plane(&self, rect: &Rect) -> Plane {
        let len = rect.positions.len();
        Plane { len, width: if self.span.is_multiple_of(self.view.width) { self.view.width } else { len } }
    }

    /// The values of a block, channel by channel; borrowed where they lie so.
    pub(crate) fn gather<'a>(&self, values: &'a [f32], rect: &Rect) -> Cow<'a, [f32]> {
        if let Some(range) = self.contiguous(rect) {
            return Cow::Borrowed(&values[range]);
        }
        let mut out = vec![0.0; rect.len()];
        self.each_run(rect, |planar, tensor, stride, len| {
            let source = values[tensor..].iter().step_by(stride);
            out[planar..planar + len].iter_mut().zip(source).for_each(|(to, from)| *to = *from);
        });
        Cow::Owned(out)
    }

    /// Where a block's values lie when they lie channel by channel in one piece.
    pub(crate) fn contiguous(&self, rect: &Rect) -> Option<Range<usize>> {
        let whole = rect.positions.len() == self.view.positions();
        let one = rect.channels.len() <= 1;
        let planar = self.view.outer == 1 || (self.view.inner == 1 && self.view.channels == 1);
        (planar && (whole || one)).then(|| {
            let channel = rect.sample * self.view.channels + rect.channels.start;
            let start = channel * self.view.positions() + rect.positions.start;
            start..start + rect.len()
        })
    }

    /// Puts the values of a block, channel by channel, where they belong.
    pub(crate) fn scatter(&self, planar: &[f32], rect: &Rect, values: &mut [f32]) {
        self.each_run(rect, |at, tensor, stride, len| {
            let target = values[tensor..].iter_mut().step_by(stride);
            target.zip(&planar[at..at + len]).for_each(|(to, from)| *to = *from);
        });
    }

    /// Calls `run(planar offset, tensor offset, tensor stride, length)` until every value was named.
    fn each_run(&self, rect: &Rect, mut run: impl FnMut(usize, usize, usize, usize)) {
        let View { outer, channels, inner, .. } = self.view;
        let base = rect.sample * outer * channels * inner;
        let positions = &rect.positions;
        for (row, channel) in rect.channels.clone().enumerate() {
            let row = row * positions.len();
            if inner == 1 {
                let tensor = base + positions.start * channels + channel;
                run(row, tensor, channels, positions.len());
                continue;
            }
            let mut at = positions.start;
            while at < positions.end {
                let (o, i) = (at / inner, at % inner);
                let len = (inner - i).min(positions.end - at);
                run(row + at - positions.start, base + (o * channels + channel) * inner + i, 1, len);
                at += len;
            }
        }
    }
}

/// The size of the fewest parts of at most `most`, all about equally large and multiples of `unit`.
fn even(total: usize, most: usize, unit: usize) -> usize {
    let units = total.div_ceil(unit).max(1);
    let parts = units.div_ceil((most / unit).max(1));
    units.div_ceil(parts) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(shape: &[usize], axis: usize) -> View {
        View::around(shape, axis).unwrap().unwrap()
    }

    #[test]
    fn views() {
        for (shape, axis, samples, outer, channels, inner, width) in [
            (&[2, 3, 4, 5][..], 1, 2, 1, 3, 20, 5),
            (&[2, 4, 5, 3], 3, 2, 20, 3, 1, 5),
            (&[2, 7, 3], 2, 2, 7, 3, 1, 7),
            (&[2, 3], 1, 2, 1, 3, 1, 1),
            (&[3, 4, 5], 0, 1, 1, 3, 20, 5),
            (&[3], 0, 1, 1, 3, 1, 1),
            (&[2, 4, 3, 5], 2, 2, 4, 3, 5, 5),
        ] {
            let wanted = View { samples, outer, channels, inner, width };
            assert_eq!(view(shape, axis), wanted, "{shape:?} around {axis}");
        }
        assert_eq!(View::around(&[2], 1), Ok(None));
        assert!(View::around(&[1, 3, usize::MAX, 2], 1).is_err());
    }

    #[test]
    fn every_value_is_in_one_block() {
        for (shape, axis) in [
            (&[2, 3, 70, 71][..], 1),
            (&[1, 40_000, 5], 2),
            (&[2, 300, 300], 2),
            (&[1, 20_000, 3], 1),
            (&[2, 50, 30, 40], 2),
            (&[1, 160, 7, 7], 1),
            (&[3, 0, 5], 1),
            (&[1, 0], 1),
            (&[40_000], 0),
            (&[0], 0),
        ] {
            let count = element_count(shape).unwrap();
            let values: Vec<f32> = (0..count).map(|value| value as f32).collect();
            for grid in [
                Grid::by_channel(view(shape, axis)),
                Grid::by_position(view(shape, axis), None),
                Grid::by_channel(View::flat(shape).unwrap()),
            ] {
                let mut back = vec![-1.0; count];
                let mut total = 0;
                for block in 0..grid.blocks() {
                    let rect = grid.rect(block);
                    assert!(rect.len() > 0, "{shape:?}: {rect:?}");
                    assert!(rect.len() <= BLOCK || rect.positions.len() == 1, "{shape:?}: {rect:?}");
                    total += rect.len();
                    let planar = grid.gather(&values, &rect);
                    let first = rect.positions.start / grid.view.inner * grid.view.channels;
                    let base = rect.sample * grid.view.positions() * grid.view.channels;
                    let first = (first + rect.channels.start) * grid.view.inner
                        + rect.positions.start % grid.view.inner;
                    assert_eq!(planar[0], (base + first) as f32);
                    grid.scatter(&planar, &rect, &mut back);
                }
                assert_eq!(total, count);
                assert_eq!(back, values, "{shape:?} around {axis}");
            }
        }
    }
}
