//! A decision allocates nothing.

#![allow(unsafe_code, reason = "counts what the global allocator is asked for")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use kerf_planner::online::{
    CloudNode, Conditions, Edge, Model, NodeState, Query, Reply, Shipment, Table, Terms, decide,
};
use kerf_planner::tiers::{Dist, Exit, Ranges, Weights};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

// The only test of this file: another thread's allocations would count.
#[test]
fn a_decision_allocates_nothing() {
    let table = Table::new(model()).unwrap();
    let nodes = [NodeState {
        is_available: true,
        round_trip: Dist { mean: 0.02, sd: 0.002 },
        up: Dist { mean: 1e-6, sd: 5e-7 },
        down: Dist::exact(1e-6),
        backlog: 0.0,
        price: 0.0,
        queue: Dist { mean: 0.001, sd: 0.001 },
        slowdown: Dist { mean: 1.0, sd: 0.1 },
    }; 8];
    let conditions = Conditions {
        edge_wait: Dist::exact(0.001),
        edge_slowdown: Dist { mean: 1.0, sd: 0.1 },
        edge_price: 0.0,
        energy_factor: 1.0,
        nodes: &nodes,
    };
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut decisions = 0;
    for at in 0..table.last() {
        for left in [None, Some(0.01), Some(1.0)] {
            decisions += usize::from(decide(&table, &conditions, Query { at, held: 1 }, left).is_some());
        }
    }
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!((decisions, after - before), (27, 0));
}

fn model() -> Model {
    let shipment = |boundary: usize, codec: usize| Shipment {
        bytes: Dist::exact(1e5 / (1.0 + boundary as f64) / (1.0 + codec as f64)),
        encode: Dist::exact(1e-4),
        decode: vec![Dist::exact(1e-4); 8],
        agreement_loss: 0.001 * codec as f64,
    };
    Model {
        edge: Edge {
            times: Ranges::new(9, |from, to| Some(Dist::exact(0.01 * (to - from) as f64))),
            busy_watts: 5.0,
            wait_watts: 1.0,
        },
        shipments: (0..10).map(|boundary| (0..4).map(|codec| shipment(boundary, codec)).collect()).collect(),
        nodes: vec![
            CloudNode {
                tails: (0..10).map(|boundary| Some(Dist::exact(0.001 * f64::from(9 - boundary)))).collect(),
                joules_per_byte: 0.0,
                money_per_byte: 0.0,
                money_per_second: 0.0,
            };
            8
        ],
        exits: vec![Exit { boundary: 4, probability: 0.5, head: Dist::exact(1e-4), agreement_loss: 0.0 }],
        reply: Reply { bytes: Dist::exact(4000.0), decode: Dist::default() },
        terms: Terms {
            weights: Weights { latency: 1.0, energy: 0.1, ..Weights::default() },
            agreement: 0.9,
            ..Terms::default()
        },
    }
}
