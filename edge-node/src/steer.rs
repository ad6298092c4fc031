//! Requests that decide for themselves: at each boundary, by what is known of links and loads then.
//!
//! What is best is a pilot's matter (`kerf_steer`). Here it is told what happened, and its choices become
//! steps: codecs by their number on the wire, nodes by their place in the settings.

use crate::course::{Step, Way};
use kerf_bundle::Coding;
use kerf_planner::online::Action;
use kerf_steer::{Answer, Dist, Pilot, Reason, Situation, Ticket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Actions that an explanation names.
const EXPLAINED: usize = 6;

/// How one model's requests are steered.
#[derive(Debug)]
pub(crate) struct Steered {
    /// The pilots' time starts here.
    origin: Instant,
    /// One for requests that bring tensors, one for those that bring pictures: what leaving at the
    /// inputs costs is not the same.
    pilots: [Mutex<Pilot>; 2],
    options: Options,
}

/// What a pilot's numbers stand for.
#[derive(Debug)]
pub(crate) struct Options {
    /// Boundaries that requests may stop at, in order; from the inputs to the outputs.
    pub(crate) stops: Vec<usize>,
    /// How tensors travel, for each of the pilots by boundary and shipment.
    pub(crate) there: [Vec<Vec<Coding>>; 2],
    /// How answers may.
    pub(crate) back: Coding,
    /// The mesh's nodes that the tables know, in their order, and their names.
    pub(crate) nodes: Vec<(usize, String)>,
    /// Seconds that the tables count before a request's first range, which no range shows: HTTP and
    /// hand-overs.
    pub(crate) front: f64,
    /// Every request is wanted within this time, whatever it brings itself.
    pub(crate) within: Option<Duration>,
    /// Where a request over the expected link would leave.
    pub(crate) planned: Way,
}

/// One request, at a boundary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) at: usize,
    /// Boundaries whose tensors are there, one bit each.
    pub(crate) held: u64,
    /// Whether it brought pictures.
    pub(crate) is_pictures: bool,
    pub(crate) began: Instant,
    pub(crate) deadline: Instant,
    /// Requests that wait for a compute thread here, and how many run at once. One that computes
    /// already goes on without waiting.
    pub(crate) waiting: usize,
    pub(crate) running: usize,
    pub(crate) width: usize,
    pub(crate) is_running: bool,
    /// Which of the mesh's nodes take requests for the model.
    pub(crate) available: &'a [bool],
}

/// What a shipment was chosen as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chosen {
    /// The mesh's node.
    pub(crate) node: usize,
    /// Seconds after which the rest should be begun here too.
    pub(crate) local_after: Option<f64>,
    /// By the table.
    at: (usize, usize, usize),
    regret: f64,
    is_pictures: bool,
}

/// A request on its way. Dropped unanswered, it shows that the link was at least so slow.
pub(crate) struct Flight {
    steered: Arc<Steered>,
    ticket: Option<Ticket>,
    is_pictures: bool,
}

impl Steered {
    /// `pilots` for tensors and for pictures, whose time starts at `origin`.
    pub(crate) fn new(pilots: [Pilot; 2], origin: Instant, options: Options) -> Self {
        Self { origin, pilots: pilots.map(Mutex::new), options }
    }

    /// What was learnt so far, for pilots of other tables of the same nodes; none of other nodes.
    pub(crate) fn learnt(&self, nodes: &[(usize, String)]) -> Option<([Pilot; 2], Instant)> {
        let pilots = [false, true].map(|is_pictures| self.pilot(is_pictures).clone());
        (self.options.nodes == nodes).then_some((pilots, self.origin))
    }

    pub(crate) fn stops(&self) -> &[usize] {
        &self.options.stops
    }

    pub(crate) fn planned(&self) -> Way {
        self.options.planned
    }

    /// A request came, whatever becomes of it.
    pub(crate) fn arrived(&self, is_pictures: bool) {
        self.pilot(is_pictures).arrived(self.origin.elapsed());
    }

    /// What a request does next. All of it here, where nothing can be decided.
    pub(crate) fn next(&self, asking: &Asking<'_>) -> Step {
        let Options { nodes, there, back, stops, .. } = &self.options;
        let choice = self.ask(asking, |pilot, now, situation| pilot.decide(now, situation));
        let Some(choice) = choice else {
            return Step::GoOn { to: stops.last().copied().unwrap_or(asking.at) };
        };
        match choice.offer.action {
            Action::GoOn { to } => Step::GoOn { to },
            Action::Ship { boundary, codec, node } => Step::Ship(Way {
                split: boundary,
                there: there[usize::from(asking.is_pictures)][boundary][codec],
                back: *back,
                chosen: Some(Chosen {
                    node: nodes[node].0,
                    local_after: choice.local_after,
                    at: (boundary, codec, node),
                    regret: match choice.reason {
                        Reason::Trial { regret } => regret,
                        Reason::Best | Reason::Race => 0.0,
                    },
                    is_pictures: asking.is_pictures,
                }),
            }),
        }
    }

    /// What a request could do next, the best first, and what that is expected to take; `name` tells
    /// codings apart.
    pub(crate) fn explain(&self, asking: &Asking<'_>, name: impl Fn(usize, Coding) -> String) -> String {
        let explanation = self.ask(asking, |pilot, now, situation| pilot.explain(now, situation));
        let said = explanation.considered.iter().take(EXPLAINED).map(|considered| {
            let action = match considered.offer.action {
                Action::GoOn { to } => format!("go on to b{to}"),
                Action::Ship { boundary, codec, node } => {
                    let coding = self.options.there[usize::from(asking.is_pictures)][boundary][codec];
                    format!(
                        "ship b{boundary} as {} to {}",
                        name(boundary, coding),
                        self.options.nodes[node].1
                    )
                }
            };
            let Dist { mean, sd } = considered.offer.seconds;
            format!("{action}: {:.1} ± {:.1} ms, {}", mean * 1e3, sd * 1e3, considered.verdict)
        });
        said.collect::<Vec<_>>().join("; ")
    }

    /// Asks the pilot of a request.
    fn ask<T>(
        &self,
        asking: &Asking<'_>,
        question: impl FnOnce(&mut Pilot, Duration, &Situation<'_>) -> T,
    ) -> T {
        let Options { nodes, within, .. } = &self.options;
        let now = Instant::now();
        let mut available = [false; kerf_steer::MAX_NODES];
        for (free, (node, _)) in available.iter_mut().zip(nodes) {
            *free = asking.available.get(*node).copied().unwrap_or(false);
        }
        let wanted = within.map(|within| asking.began + within);
        let until = wanted.map_or(asking.deadline, |wanted| wanted.min(asking.deadline));
        let mut pilot = self.pilot(asking.is_pictures);
        let whole = pilot.table().local(0).unwrap_or_default();
        let queue = (asking.waiting as f64 + 0.5 * asking.running as f64) / asking.width.max(1) as f64;
        let is_free = asking.is_running || asking.waiting + asking.running < asking.width;
        let situation = Situation {
            at: asking.at,
            held: asking.held,
            left: Some(until.saturating_duration_since(now).as_secs_f64()),
            own_wait: if is_free { Dist::default() } else { whole.times(Dist::exact(queue)) },
            // Those that wait are before it when it comes.
            own_waiting: if asking.is_running { asking.waiting as f64 } else { 0.0 },
            energy_factor: 1.0,
            available: &available[..nodes.len()],
        };
        question(&mut pilot, now.saturating_duration_since(self.origin), &situation)
    }

    /// A request leaves, as so many bytes of tensors.
    pub(crate) fn sent(self: &Arc<Self>, chosen: &Chosen, bytes: f64) -> Flight {
        let now = self.origin.elapsed();
        let ticket = self.pilot(chosen.is_pictures).sent(now, chosen.at, bytes, chosen.regret);
        Flight { steered: Arc::clone(self), ticket, is_pictures: chosen.is_pictures }
    }

    /// A range ran here, in one piece, pictures decoded before it included.
    pub(crate) fn ran(&self, is_pictures: bool, range: (usize, usize), with_head: bool, took: Duration) {
        let front = if range.0 == 0 { self.options.front } else { 0.0 };
        let seconds = took.as_secs_f64() + front;
        self.pilot(is_pictures).ran(self.origin.elapsed(), range, with_head, seconds);
    }

    fn pilot(&self, is_pictures: bool) -> MutexGuard<'_, Pilot> {
        self.pilots[usize::from(is_pictures)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Its answer is there, from the node that was chosen.
    pub(crate) fn answered(mut self, answer: &Answer) {
        if let Some(ticket) = self.ticket.take() {
            let mut pilot = self.steered.pilot(self.is_pictures);
            pilot.answered(self.steered.origin.elapsed(), ticket, answer);
        }
    }

    /// Its answer says nothing of the link: a refusal, or another node's.
    pub(crate) fn ended(mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.steered.pilot(self.is_pictures).refused(ticket);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.steered.pilot(self.is_pictures).lost(self.steered.origin.elapsed(), ticket);
        }
    }
}
