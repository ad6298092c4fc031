//! The rule of the parent module, on numbers alone.

/// Share of a model's MACs within which candidates are near-identical.
const NEAR: f64 = 0.005;

/// Gaps of MACs that are not worth another boundary.
const NARROW: f64 = 0.04;

/// A prefix of the schedule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) nodes: usize,
    /// Share of the model's MACs that are done, 0 to 1.
    pub(super) work: f64,
    /// `None` where a size is not known, which counts as more than any.
    pub(super) bytes: Option<u64>,
    pub(super) tensors: usize,
}

/// At most `max` of the candidates, the first and the last among them. They stand in
/// order; `exits` are prefixes after which an output is there.
pub(super) fn choose(all: &[Candidate], exits: &[usize], max: usize) -> Vec<Candidate> {
    let distinct = without_near(all);
    let mut kept = vec![false; distinct.len()];
    let (Some(first), Some(last)) = (kept.first_mut().map(|_| 0), kept.len().checked_sub(1)) else {
        return Vec::new();
    };
    kept[first] = true;
    kept[last] = true;
    let mut room = max.saturating_sub(2);
    // The hull must leave room for the other two rules.
    for corner in hull(&distinct, room - room / 3) {
        room -= usize::from(!std::mem::replace(&mut kept[corner], true));
    }
    // More exits than room: as evenly spread as they come.
    let stride = exits.len().div_ceil(room.max(1)).max(1);
    for exit in exits.iter().step_by(stride) {
        let after = distinct.partition_point(|candidate| candidate.nodes < *exit).min(last);
        if room > 0 && !kept[after] {
            kept[after] = true;
            room -= 1;
        }
    }
    while room > 0 {
        let Some(next) = middle_of_widest_gap(&distinct, &kept) else { break };
        kept[next] = true;
        room -= 1;
    }
    distinct.into_iter().zip(kept).filter_map(|(candidate, kept)| kept.then_some(candidate)).collect()
}

/// One candidate for each run of near-identical ones. The ends stand for themselves, and
/// an inner candidate near to one of them must be smaller to be worth keeping.
fn without_near(all: &[Candidate]) -> Vec<Candidate> {
    let [first, inner @ .., last] = all else { return all.to_vec() };
    let mut out = vec![first.clone()];
    let mut rest = inner;
    while let [start, ..] = rest {
        let length = rest.iter().take_while(|candidate| candidate.work - start.work <= NEAR).count();
        let (run, after) = rest.split_at(length.max(1));
        rest = after;
        let best = run.iter().min_by_key(|candidate| (rank(candidate), std::cmp::Reverse(candidate.nodes)));
        let is_worth =
            |end: &Candidate, it: &Candidate| (it.work - end.work).abs() > NEAR || rank(it) < rank(end);
        out.extend(best.filter(|best| is_worth(first, best) && is_worth(last, best)).cloned());
    }
    out.push(last.clone());
    out
}

fn rank(candidate: &Candidate) -> (u64, usize) {
    (candidate.bytes.unwrap_or(u64::MAX), candidate.tensors)
}

/// Inner corners of the lower convex hull of bytes over work, at most `room`: those that
/// stand out least are left.
fn hull(candidates: &[Candidate], room: usize) -> Vec<usize> {
    let point = |index: usize| candidates[index].bytes.map(|bytes| (candidates[index].work, bytes as f64));
    // Twice the area of a triangle, positive where `b` lies below the line from `a` to `c`.
    let area = |a: usize, b: usize, c: usize| match (point(a), point(b), point(c)) {
        (Some(a), Some(b), Some(c)) => (b.0 - a.0) * (c.1 - a.1) - (c.0 - a.0) * (b.1 - a.1),
        _ => 0.0,
    };
    let mut corners: Vec<usize> = Vec::new();
    for next in (0..candidates.len()).filter(|index| point(*index).is_some()) {
        while let [.., a, b] = corners[..]
            && area(a, b, next) <= 0.0
        {
            corners.pop();
        }
        corners.push(next);
    }
    while corners.len() > room + 2 {
        let inner = 1..corners.len() - 1;
        let least = inner.min_by(|a, b| {
            let of = |at: usize| area(corners[at - 1], corners[at], corners[at + 1]);
            of(*a).total_cmp(&of(*b))
        });
        let Some(least) = least else { break };
        corners.remove(least);
    }
    corners.retain(|index| *index > 0 && *index + 1 < candidates.len());
    corners
}

/// The best candidate between two kept ones, in the middle half of the gap where there is one.
fn middle_of_widest_gap(candidates: &[Candidate], kept: &[bool]) -> Option<usize> {
    let kept = (0..kept.len()).filter(|index| kept[*index]).collect::<Vec<_>>();
    let mut gaps = kept
        .windows(2)
        .map(|ends| (candidates[ends[1]].work - candidates[ends[0]].work, ends[0], ends[1]))
        .filter(|(width, start, end)| *width >= NARROW && end - start > 1)
        .collect::<Vec<_>>();
    gaps.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (width, start, end) = *gaps.first()?;
    let centre = candidates[start].work + width / 2.0;
    let inside = || start + 1..end;
    let in_the_middle = inside().filter(|index| (candidates[*index].work - centre).abs() <= width / 4.0);
    in_the_middle.min_by_key(|index| rank(&candidates[*index])).or_else(|| {
        inside().min_by(|a, b| {
            let far = |index: usize| (candidates[index].work - centre).abs();
            far(*a).total_cmp(&far(*b))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(points: &[(f64, u64)]) -> Vec<Candidate> {
        let candidate = |(index, (work, bytes)): (usize, &(f64, u64))| Candidate {
            nodes: index,
            work: *work,
            bytes: Some(*bytes),
            tensors: 1,
        };
        points.iter().enumerate().map(candidate).collect()
    }

    #[test]
    fn rule() {
        for (points, exits, max, wanted) in [
            // Nothing between the ends.
            (&[(0.0, 10), (1.0, 10)][..], &[][..], 16, &[0, 1][..]),
            // A convolution, its normalisation and its activation: the last of them.
            (&[(0.0, 100), (0.3, 50), (0.3, 50), (0.302, 50), (1.0, 1)], &[], 16, &[0, 3, 4]),
            // Near the inputs and larger; near the outputs and no smaller.
            (&[(0.0, 100), (0.001, 200), (0.5, 50), (0.999, 4), (1.0, 4)], &[], 16, &[0, 2, 4]),
            // Larger than an earlier one, but far from it.
            (&[(0.0, 100), (0.2, 10), (0.6, 50), (1.0, 5)], &[], 16, &[0, 1, 2, 3]),
            // No room for all: the corner first, then the middle of the widest gap.
            (&[(0.0, 100), (0.2, 10), (0.3, 50), (0.6, 50), (1.0, 5)], &[], 4, &[0, 1, 3, 4]),
            // An exit is more than a gap.
            (&[(0.0, 100), (0.2, 10), (0.3, 50), (0.6, 50), (1.0, 5)], &[2], 4, &[0, 1, 2, 4]),
            (&[(0.0, 100), (0.2, 10), (0.3, 50), (1.0, 5)], &[], 2, &[0, 3]),
        ] {
            let kept = choose(&candidates(points), exits, max);
            assert_eq!(kept.iter().map(|kept| kept.nodes).collect::<Vec<_>>(), wanted, "{points:?}");
        }
    }
}
