//! What must hold of a graph before it is cut.

use super::{DagError, LARGEST, Node, Side, Tensor};

pub(super) fn numbers(nodes: &[Node], tensors: &[Tensor]) -> Result<(), DagError> {
    let count = nodes.len();
    if count.saturating_add(tensors.len()) > (u32::MAX / 4) as usize {
        return Err(DagError::TooLarge { nodes: count, tensors: tensors.len() });
    }
    let is_amount = |value: f64| (0.0..=LARGEST).contains(&value);
    for (node, it) in nodes.iter().enumerate() {
        for (side, cost) in [(Side::Edge, it.edge), (Side::Cloud, it.cloud)] {
            if !is_amount(cost) {
                return Err(DagError::Cost { node, side, cost });
            }
        }
    }
    for (tensor, it) in tensors.iter().enumerate() {
        if !is_amount(it.bytes) {
            return Err(DagError::Bytes { tensor, bytes: it.bytes });
        }
        if let Some(node) = it.producer.iter().chain(&it.consumers).find(|node| **node >= count) {
            return Err(DagError::NoSuchNode { tensor, node: *node, nodes: count });
        }
    }
    Ok(())
}

/// Removes nodes that wait for nothing until none is left.
pub(super) fn acyclic(nodes: usize, tensors: &[Tensor]) -> Result<(), DagError> {
    let mut waits = vec![0usize; nodes];
    let mut made = vec![Vec::new(); nodes];
    for (index, tensor) in tensors.iter().enumerate() {
        if let Some(producer) = tensor.producer {
            made[producer].push(index);
            for consumer in &tensor.consumers {
                waits[*consumer] += 1;
            }
        }
    }
    let mut ready: Vec<usize> = (0..nodes).filter(|node| waits[*node] == 0).collect();
    while let Some(node) = ready.pop() {
        for consumer in made[node].iter().flat_map(|tensor| &tensors[*tensor].consumers) {
            waits[*consumer] -= 1;
            if waits[*consumer] == 0 {
                ready.push(*consumer);
            }
        }
    }
    let Some(stuck) = waits.iter().position(|waits| *waits > 0) else { return Ok(()) };
    // A stuck node may lie behind the cycle; going back from it for long enough leads onto it.
    let mut node = stuck;
    for _ in 0..nodes {
        let feeds = |tensor: &&Tensor| tensor.consumers.binary_search(&node).is_ok();
        let before = tensors.iter().filter(feeds).filter_map(|tensor| tensor.producer);
        node = before.into_iter().find(|node| waits[*node] > 0).unwrap_or(node);
    }
    Err(DagError::Cycle { node })
}

/// Spreads pins along the graph: the edge needs what feeds its nodes, the cloud gets what its
/// nodes feed, and a private tensor keeps its readers with it.
pub(super) fn forced(nodes: &[Node], tensors: &[Tensor]) -> Result<Vec<Option<Side>>, DagError> {
    let mut made = vec![Vec::new(); nodes.len()];
    let mut read = vec![Vec::new(); nodes.len()];
    for (index, tensor) in tensors.iter().enumerate() {
        if let Some(producer) = tensor.producer {
            made[producer].push(index);
        }
        for consumer in &tensor.consumers {
            read[*consumer].push(index);
        }
    }
    let pinned = |side: Side| move |(node, it): (usize, &Node)| (it.pin == Some(side)).then_some(node);
    let mut forced = vec![None; nodes.len()];

    let private_inputs = tensors.iter().filter(|tensor| tensor.must_stay && tensor.producer.is_none());
    let mut open: Vec<usize> = private_inputs.flat_map(|tensor| tensor.consumers.iter().copied()).collect();
    open.extend(nodes.iter().enumerate().filter_map(pinned(Side::Edge)));
    while let Some(node) = open.pop() {
        if forced[node].replace(Side::Edge).is_none() {
            open.extend(read[node].iter().filter_map(|tensor| tensors[*tensor].producer));
            let private = made[node].iter().map(|tensor| &tensors[*tensor]).filter(|tensor| tensor.must_stay);
            open.extend(private.flat_map(|tensor| &tensor.consumers));
        }
    }

    let mut conflict: Option<usize> = None;
    let mut open: Vec<usize> = nodes.iter().enumerate().filter_map(pinned(Side::Cloud)).collect();
    while let Some(node) = open.pop() {
        match forced[node] {
            Some(Side::Cloud) => {}
            Some(Side::Edge) => conflict = Some(conflict.map_or(node, |first| first.min(node))),
            None => {
                forced[node] = Some(Side::Cloud);
                open.extend(made[node].iter().flat_map(|tensor| &tensors[*tensor].consumers));
                let private =
                    read[node].iter().map(|tensor| &tensors[*tensor]).filter(|tensor| tensor.must_stay);
                open.extend(private.filter_map(|tensor| tensor.producer));
            }
        }
    }
    conflict.map_or(Ok(forced), |node| Err(DagError::Conflict { node }))
}
