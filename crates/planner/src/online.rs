//! What now: go on, or ship, what, how compressed, and to whom?
//!
//! Asked at each boundary of each request, with what is known of links and load at that moment,
//! so it takes microseconds and allocates nothing. It is an optimal-stopping rule, solved
//! backwards from the last boundary `n`:
//!
//! ```text
//! ship(x) = min over codecs c and nodes j:
//!           enc + (backlog + B(x, c))·τ_j + r_j + q_j + (dec + t_j(x..n))·f_j + R·τ'_j + dec_R
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
//! Every number is a mean and a spread ([`Dist`](crate::tiers::Dist)). Cost is a weighted sum of
//! expected seconds, joules, bytes and money. Seconds are those of a request that no head answers,
//! done as fast as can be; what adds up in them is taken to be independent, and their quantile to
//! be that of a normal distribution. A deadline is kept at the next step: of the actions after which
//! the request can still end in time at the wanted quantile, the cheapest is taken; where there are
//! none, the fastest.

mod check;
mod decide;
mod explain;
mod model;
mod offers;
mod stops;
mod table;

pub use check::TableError;
pub use decide::{Action, Decision, Offer, decide};
pub use explain::{Considered, Explanation, Verdict, explain};
pub use model::{CloudNode, Edge, Model, ModelError, Reply, Shipment, Terms};
pub use offers::{Conditions, NodeState, Query};
pub use stops::{Stops, stops};
pub use table::{MAX_BOUNDARIES, Table};
