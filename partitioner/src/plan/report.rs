//! All that a plan has to say for itself, as plain data: the terminal's text, the JSON and the page
//! are three renderings of one [`Report`].
//!
//! Times are seconds, sizes bytes, rates bits per second, energies joules, money units of currency
//! per million requests.

use serde::Serialize;

/// A plan for one model under given conditions, with what it was weighed against.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) model: Subject,
    pub(crate) asked: Asked,
    /// From the inputs to the outputs.
    pub(crate) boundaries: Vec<Place>,
    /// From the one that runs upstream most.
    pub(crate) devices: Vec<Device>,
    /// Every way that was weighed, by where the request first leaves the edge.
    pub(crate) choices: Vec<Choice>,
    /// Index among the choices.
    pub(crate) chosen: usize,
    pub(crate) baselines: Vec<Baseline>,
    /// What would have to change for another choice to win.
    pub(crate) changes: Vec<Change>,
    pub(crate) map: Map,
    /// Where each device's time goes.
    pub(crate) layers: Vec<Layers>,
    /// For the picture only: `partitioner inspect --json` tells it whole.
    #[serde(skip)]
    pub(crate) graph: Graph,
    /// What a reader should know before believing it.
    pub(crate) notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) digest: String,
    pub(crate) nodes: usize,
    pub(crate) macs: u64,
}

/// The question.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Asked {
    pub(crate) uplink_bps: f64,
    pub(crate) downlink_bps: f64,
    pub(crate) rtt_s: f64,
    /// Further links, in words.
    pub(crate) further: Vec<String>,
    /// `latency`, `energy`, `0.7 latency + 0.3 energy`.
    pub(crate) objective: String,
    /// `p95 ≤ 100 ms`, `nothing before b2 leaves the edge`.
    pub(crate) limits: Vec<String>,
}

/// A boundary.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Place {
    /// Name of the last node before it; none at the inputs.
    pub(crate) after: Option<String>,
    /// Nodes before it.
    pub(crate) nodes: usize,
    /// Share of the model's multiply-accumulates before it.
    pub(crate) work: f64,
    pub(crate) tensors: Vec<Crossing>,
    pub(crate) bytes: Option<u64>,
}

/// A tensor that crosses a boundary.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Crossing {
    pub(crate) name: String,
    /// `f32[1, 96, 14, 14]`.
    pub(crate) form: String,
    pub(crate) bytes: Option<u64>,
}

/// A machine and what is known of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Device {
    /// `edge`, `gateway`, `cloud`.
    pub(crate) role: String,
    pub(crate) host: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    /// Name and version.
    pub(crate) engine: String,
    pub(crate) threads: usize,
    /// RFC 3339.
    pub(crate) taken: String,
    /// Ranges that were timed, and those whose times are predicted from them.
    pub(crate) timed: usize,
    pub(crate) predicted: usize,
    /// Error of predictions, where it could be told.
    pub(crate) error: Option<PredictionError>,
    /// Where figures of power come from: `measured by RAPL package-0`, `modelled: 2 W idle, 6 W busy`.
    pub(crate) power: String,
}

/// Relative errors of ranges predicted from all the others.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct PredictionError {
    pub(crate) ranges: usize,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

/// A way to run a request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Choice {
    /// `b5`, `all on the edge`, `picture → cloud`.
    pub(crate) name: String,
    /// Where the request leaves the edge; the last boundary where it does not.
    pub(crate) split: usize,
    /// Who runs what, in order.
    pub(crate) route: Vec<Leg>,
    /// What leaves the edge: `raw`, `picture`, `u8 pixels`, or the name of a codec.
    pub(crate) payload: String,
    /// Expected times, in the order in which they pass.
    pub(crate) parts: Vec<Part>,
    pub(crate) p50_s: f64,
    pub(crate) p95_s: f64,
    pub(crate) bytes_up: f64,
    pub(crate) bytes_down: f64,
    /// Of the edge device.
    pub(crate) joules: Option<f64>,
    pub(crate) money: Option<f64>,
    /// How often the answer is the whole model's, 0 to 1.
    pub(crate) agreement: f64,
    /// What is minimised, in its own unit.
    pub(crate) objective: f64,
    /// Whether every range in it was timed, rather than predicted.
    pub(crate) timed: bool,
    /// Nothing else is better in latency, energy, bytes and agreement at once.
    pub(crate) on_front: bool,
    /// It does what a user without this tool would do.
    pub(crate) is_baseline: bool,
    /// The limits that it breaks; empty where it may be chosen.
    pub(crate) breaks: Vec<String>,
}

/// A device's share of a route; `from == to` where it runs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Leg {
    pub(crate) device: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// A part of the latency.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) stage: Stage,
    pub(crate) seconds: f64,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Edge,
    Encode,
    Up,
    /// Tiers between edge and cloud.
    Middle,
    Queue,
    Decode,
    Cloud,
    Down,
}

/// What a user without this tool would do.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Baseline {
    pub(crate) name: String,
    /// Index among the choices; none where it cannot be, and the note says why.
    pub(crate) choice: Option<usize>,
    pub(crate) note: String,
}

/// A condition that, changed so far, makes another choice the best.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Change {
    /// `the uplink`, `the edge's speed`.
    pub(crate) what: String,
    pub(crate) now: String,
    pub(crate) then: String,
    /// How many times more, or less.
    pub(crate) factor: f64,
    pub(crate) winner: String,
}

/// The best choice over bandwidth and round-trip time, all else as asked; empty where it is not shown.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Map {
    /// Bits per second, ascending, evenly spaced in the logarithm.
    pub(crate) bandwidths: Vec<f64>,
    /// Seconds, likewise.
    pub(crate) rtts: Vec<f64>,
    pub(crate) regions: Vec<Region>,
    /// Index among the regions, by rows of one round-trip time; none where no choice keeps the limits.
    pub(crate) cells: Vec<Option<usize>>,
    /// Where a per-layer planner of chains comes to the same choice.
    pub(crate) chain_agrees: Vec<bool>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Region {
    pub(crate) name: String,
    /// Where the request leaves the edge, if it does.
    pub(crate) split: usize,
    pub(crate) is_baseline: bool,
}

/// Where one device's time goes along the schedule.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Layers {
    pub(crate) role: String,
    /// `the engine's own profiler, 20 runs`, `differences of timed ranges`.
    pub(crate) source: String,
    pub(crate) bars: Vec<Bar>,
}

/// Nodes `first..end` and their time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bar {
    pub(crate) first: usize,
    pub(crate) end: usize,
    pub(crate) name: String,
    pub(crate) seconds: f64,
}

/// The nodes in schedule order, and what flows between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) wires: Vec<Wire>,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) op: String,
    /// Type and shape of its first output.
    pub(crate) form: String,
    pub(crate) bytes: Option<u64>,
}

/// A tensor on its way to one of its readers.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    /// None for an input of the model.
    pub(crate) from: Option<usize>,
    pub(crate) to: usize,
    pub(crate) tensor: String,
    pub(crate) bytes: Option<u64>,
}

impl Report {
    pub(crate) fn chosen(&self) -> &Choice {
        &self.choices[self.chosen]
    }

    /// The baseline that does best among those that keep the limits.
    pub(crate) fn best_baseline(&self) -> Option<(&Baseline, &Choice)> {
        let all = self.baselines.iter().filter_map(|it| Some((it, self.choices.get(it.choice?)?)));
        all.filter(|(_, choice)| choice.breaks.is_empty())
            .min_by(|a, b| a.1.objective.total_cmp(&b.1.objective))
    }

    /// How many times worse the best baseline is; 1 where the choice is no better.
    pub(crate) fn gain(&self) -> Option<f64> {
        let (_, best) = self.best_baseline()?;
        let (ours, theirs) = (self.chosen().objective, best.objective);
        Some(if ours > 0.0 { (theirs / ours).max(1.0) } else { 1.0 })
    }

    /// Whether the choice is what a user without this tool might do just as well.
    pub(crate) fn baseline_is_chosen(&self) -> bool {
        self.best_baseline().is_some_and(|(baseline, _)| baseline.choice == Some(self.chosen))
    }

    /// The other choices that keep the limits, best first, one for each place to leave the edge.
    pub(crate) fn runners_up(&self) -> Vec<&Choice> {
        let mut others: Vec<&Choice> = self
            .choices
            .iter()
            .enumerate()
            .filter(|(index, choice)| *index != self.chosen && choice.breaks.is_empty())
            .map(|(_, choice)| choice)
            .collect();
        others.sort_by(|a, b| a.objective.total_cmp(&b.objective));
        let chosen = self.chosen();
        let mut seen: Vec<&Choice> = Vec::new();
        others.retain(|choice| {
            // At the inputs every encoding is a choice of its own.
            let has = |other: &Choice| choice.split > 0 && other.route == choice.route;
            let is_known = seen.iter().copied().chain([chosen]).any(has);
            seen.push(choice);
            !is_known
        });
        others
    }
}

impl Choice {
    /// Sum of the expected times.
    pub(crate) fn mean_s(&self) -> f64 {
        self.parts.iter().map(|part| part.seconds).sum()
    }

    pub(crate) fn of(&self, stage: Stage) -> f64 {
        self.parts.iter().filter(|part| part.stage == stage).map(|part| part.seconds).sum()
    }
}

impl Stage {
    pub(crate) const ALL: [Self; 8] = [
        Self::Edge,
        Self::Encode,
        Self::Up,
        Self::Middle,
        Self::Queue,
        Self::Decode,
        Self::Cloud,
        Self::Down,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge compute",
            Self::Encode => "encode",
            Self::Up => "network up",
            Self::Middle => "middle tiers",
            Self::Queue => "queue",
            Self::Decode => "decode",
            Self::Cloud => "cloud compute",
            Self::Down => "result back",
        }
    }
}
