//! What now: go on, or ship, what, how compressed, and to whom?
//!
//! Asked at each boundary of each request, with what is known of links and load at that moment,
//! so it takes microseconds and allocates nothing. It is an optimal-stopping rule, solved
//! backwards from the last boundary `n`:
//!
//! ```text
//! ship(x) = min over codecs c and nodes j:
//!           enc + (backlog + B(x, c))·τ_j + r_j + dec + q_j + t_j(x..n) + R·τ'_j
//! V(n)    = 0
//! V(s)    = min( ship(x) of every x still held,
//!                min over u > s: wait_e + e(s..u) + head(u) + (1 − p(u))·V(u) )
//! ```
//!
//! The tensors of every boundary at which the request stops stay held: after a failed exit the
//! small input may be cheaper to send than a wide activation. Which of them is the cheapest to
//! send is part of the state, so the rule is exact for what it assumes: conditions stay as they
//! are, and `p(u)` is the probability that the head at `u` answers after all before it did not
//! (a request that jumps over a head is taken to gain nothing by that).
//!
//! Cost is a weighted sum of seconds, joules, bytes and money. A deadline is kept at the next step:
//! of the actions after which the request can still end in time even if every head fails, the
//! cheapest is taken; where there are none, the fastest.

mod decide;
mod table;

pub use decide::{Action, Conditions, Decision, NodeState, Query, decide};
pub use table::{CloudNode, Edge, Exit, MAX_BOUNDARIES, Model, Shipment, Table, TableError};
