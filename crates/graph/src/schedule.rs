//! An order of the nodes in which few bytes are alive at any time: boundaries are prefixes of
//! it, so what is alive between two nodes is what a cut there would send.
//!
//! Exporters write nodes in the order of the source code, where a detector's heads, or the exits
//! of a classifier, often come after the whole backbone and keep its features alive to the end.

use crate::flow::{Flow, Role};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Sizes beyond this make no difference, and their sums do not overflow.
const LARGEST: i64 = 1 << 40;

/// A better order than the present one, if the greedy one is; both are topological. `bytes`
/// holds the size of each value, where it is known.
pub(crate) fn better(flow: &Flow, bytes: &[Option<u64>]) -> Option<Vec<usize>> {
    // A value of unknown size still costs something to keep.
    let bytes = bytes
        .iter()
        .map(|bytes| bytes.map_or(1, |bytes| bytes.min(LARGEST as u64) as i64))
        .collect::<Vec<_>>();
    let present = (0..flow.active.len()).collect::<Vec<_>>();
    let greedy = delay_inactive(flow, &Greedy::new(flow, &bytes).order());
    (score(flow, &greedy, &bytes) < score(flow, &present, &bytes)).then_some(greedy)
}

/// Bytes alive, summed over the nodes.
fn score(flow: &Flow, order: &[usize], bytes: &[i64]) -> i128 {
    let mut rank = vec![0i64; order.len()];
    let mut active = 0;
    for node in order {
        active += i64::from(flow.active[*node]);
        rank[*node] = active;
    }
    let flowing = flow.values.iter().zip(bytes).filter(|(value, _)| value.role == Role::Flowing);
    flowing
        .filter_map(|(value, bytes)| {
            let readers = value.readers.iter().filter(|reader| flow.active[**reader]);
            let last = readers.map(|reader| rank[*reader]).max()?;
            let first = value.source.map_or(0, |source| rank[source]);
            Some(i128::from(last - first) * i128::from(*bytes))
        })
        .sum()
}

/// Kahn's algorithm that always runs the node that adds the fewest bytes, in O(E log V).
struct Greedy<'a> {
    flow: &'a Flow,
    bytes: &'a [i64],
    /// By node: how many bytes are alive more once it has run.
    growth: Vec<i64>,
    /// By node: values not there yet.
    waiting: Vec<usize>,
    /// By value: active readers that have not run.
    unread: Vec<usize>,
    done: Vec<bool>,
    ready: BinaryHeap<Reverse<(i64, usize)>>,
}

impl<'a> Greedy<'a> {
    fn new(flow: &'a Flow, bytes: &'a [i64]) -> Self {
        let active_readers =
            |readers: &[usize]| readers.iter().filter(|reader| flow.active[**reader]).count();
        let unread = flow.values.iter().map(|value| active_readers(&value.readers)).collect::<Vec<_>>();
        let nodes = 0..flow.active.len();
        let mut greedy = Self {
            flow,
            bytes,
            growth: Vec::new(),
            waiting: nodes
                .clone()
                .map(|node| flow.reads[node].iter().filter(|id| flow.values[**id].source.is_some()).count())
                .collect(),
            unread,
            done: vec![false; flow.active.len()],
            ready: BinaryHeap::new(),
        };
        greedy.growth = nodes.clone().map(|node| greedy.growth(node)).collect();
        nodes
            .filter(|node| greedy.waiting[*node] == 0)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|node| greedy.push(node));
        greedy
    }

    fn order(mut self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.done.len());
        while let Some(Reverse((growth, node))) = self.ready.pop() {
            // An entry from before its growth changed.
            if growth != self.growth[node] || std::mem::replace(&mut self.done[node], true) {
                continue;
            }
            order.push(node);
            self.finish(node);
        }
        order
    }

    fn growth(&self, node: usize) -> i64 {
        if !self.flow.active[node] {
            return i64::MIN;
        }
        let is_flowing = |id: &&usize| self.flow.values[**id].role == Role::Flowing;
        let made = self.flow.writes[node].iter().filter(is_flowing).filter(|id| self.unread[**id] > 0);
        let freed = self.flow.reads[node].iter().filter(is_flowing).filter(|id| self.unread[**id] == 1);
        made.map(|id| self.bytes[*id]).sum::<i64>() - freed.map(|id| self.bytes[*id]).sum::<i64>()
    }

    fn push(&mut self, node: usize) {
        self.ready.push(Reverse((self.growth[node], node)));
    }

    fn finish(&mut self, node: usize) {
        let flow = self.flow;
        if flow.active[node] {
            for id in flow.reads[node].iter().filter(|id| flow.values[**id].role == Role::Flowing) {
                self.unread[*id] -= 1;
                if self.unread[*id] == 1 {
                    self.last_reader(*id);
                }
            }
        }
        for id in &flow.writes[node] {
            for reader in &flow.values[*id].readers {
                self.waiting[*reader] -= 1;
                if self.waiting[*reader] == 0 {
                    self.push(*reader);
                }
            }
        }
    }

    /// Whoever reads this last frees it.
    fn last_reader(&mut self, id: usize) {
        let mut readers = self.flow.values[id].readers.iter();
        if let Some(reader) = readers.find(|reader| self.flow.active[**reader] && !self.done[**reader]) {
            self.growth[*reader] -= self.bytes[id];
            if self.waiting[*reader] == 0 {
                self.push(*reader);
            }
        }
    }
}

/// The same order with each inactive node right before the first node that needs it, where a
/// reader looks for it.
fn delay_inactive(flow: &Flow, order: &[usize]) -> Vec<usize> {
    let mut out = Vec::with_capacity(order.len());
    let mut done = vec![false; order.len()];
    let mut stack = Vec::new();
    for root in order.iter().filter(|node| flow.active[**node]).chain(order) {
        stack.push((*root, 0));
        while let Some((node, next)) = stack.pop() {
            if done[node] {
                continue;
            }
            // Active sources are done: they come earlier in the order.
            let source = flow.reads[node].get(next).map(|id| flow.values[*id].source);
            match source {
                Some(source) => {
                    stack.push((node, next + 1));
                    stack.extend(source.filter(|source| !done[*source]).map(|source| (source, 0)));
                }
                None => {
                    done[node] = true;
                    out.push(node);
                }
            }
        }
    }
    out
}
