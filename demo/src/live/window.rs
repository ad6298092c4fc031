//! What came back lately: shares, times and bytes of the last few seconds. Pure; time is an argument.

use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// How long an outcome counts.
pub(crate) const RECENT: Duration = Duration::from_secs(3);
/// Outcomes that are held: more than the highest load brings in that time.
const MOST: usize = 4096;

/// How a request ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Answered(Answer),
    /// By the node, in words: no room, or no time.
    Refused,
    /// Anything else.
    Failed,
}

/// An answer, and how it was made.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) route: Route,
    /// Who made it.
    pub(crate) node: String,
    /// How tensors travelled, where some did.
    pub(crate) codec: Option<String>,
    /// Seconds, as the application saw them.
    pub(crate) latency: f64,
    /// Bytes of tensors that left the edge.
    pub(crate) bytes: u64,
    /// Whether it says what the whole model says.
    pub(crate) agrees: bool,
    /// Seconds on the edge, on the network and in the cloud, as the nodes saw them.
    pub(crate) spent: [f64; 3],
}

/// Who answered, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    /// All of it on the edge, as decided.
    Edge,
    /// A head on the edge.
    Exit,
    /// The cloud, from this boundary; 0 is the input.
    Cloud(usize),
    /// The edge, in a race with the cloud.
    Race,
    /// The edge, since the cloud did not.
    Fallback,
}

/// Figures of the last few seconds; none of them where there are no answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) answered: usize,
    pub(crate) refused: usize,
    pub(crate) failed: usize,
    /// Of the answers, by route.
    pub(crate) shares: BTreeMap<String, f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    /// Mean over all answers.
    pub(crate) bytes: Option<f64>,
    /// Share of answers that say what the whole model says.
    pub(crate) agreement: Option<f64>,
    /// Means of all answers.
    pub(crate) edge_ms: Option<f64>,
    pub(crate) network_ms: Option<f64>,
    pub(crate) cloud_ms: Option<f64>,
    /// What most of them do.
    pub(crate) usual: Option<Usual>,
}

/// The most frequent route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Usual {
    #[serde(serialize_with = "as_text")]
    pub(crate) route: Route,
    pub(crate) node: String,
    pub(crate) codec: Option<String>,
    /// Median of those that take it.
    pub(crate) p50_ms: f64,
}

/// The outcomes that count, oldest first.
#[derive(Default)]
pub(crate) struct Window(VecDeque<(Duration, Outcome)>);

impl Window {
    pub(crate) fn add(&mut self, at: Duration, outcome: Outcome) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((at, outcome));
    }

    /// Forgets what is old, and counts the rest.
    pub(crate) fn figures(&mut self, now: Duration) -> Figures {
        let since = now.saturating_sub(RECENT);
        while self.0.front().is_some_and(|(at, _)| *at < since) {
            self.0.pop_front();
        }
        let mut figures = Figures::default();
        let mut answers = Vec::new();
        for (_, outcome) in &self.0 {
            match outcome {
                Outcome::Answered(answer) => answers.push(answer),
                Outcome::Refused => figures.refused += 1,
                Outcome::Failed => figures.failed += 1,
            }
        }
        figures.answered = answers.len();
        if answers.is_empty() {
            return figures;
        }
        let mean = |of: &dyn Fn(&Answer) -> f64| {
            Some(answers.iter().map(|answer| of(answer)).sum::<f64>() / answers.len() as f64)
        };
        figures.p50_ms = quantile(answers.iter().map(|answer| answer.latency), 0.5);
        figures.p95_ms = quantile(answers.iter().map(|answer| answer.latency), 0.95);
        figures.bytes = mean(&|answer| answer.bytes as f64);
        figures.agreement = mean(&|answer| f64::from(u8::from(answer.agrees)));
        let spent = |part: usize| mean(&|answer| answer.spent[part] * 1e3);
        (figures.edge_ms, figures.network_ms, figures.cloud_ms) = (spent(0), spent(1), spent(2));
        let mut counts: BTreeMap<Route, usize> = BTreeMap::new();
        for answer in &answers {
            *counts.entry(answer.route).or_default() += 1;
        }
        let share =
            |(route, count): (&Route, &usize)| (route.to_string(), *count as f64 / answers.len() as f64);
        figures.shares = counts.iter().map(share).collect();
        let most = counts.iter().max_by_key(|(_, count)| **count).map(|(route, _)| *route);
        figures.usual = most.and_then(|route| usual(route, &answers));
        figures
    }
}

/// As the newest answer of the route says.
fn usual(route: Route, answers: &[&Answer]) -> Option<Usual> {
    let of_it = || answers.iter().filter(|answer| answer.route == route);
    let newest = of_it().next_back()?;
    Some(Usual {
        route,
        node: newest.node.clone(),
        codec: newest.codec.clone(),
        p50_ms: quantile(of_it().map(|answer| answer.latency), 0.5)?,
    })
}

/// Milliseconds, by nearest rank; none of nothing.
fn quantile(seconds: impl Iterator<Item = f64>, q: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = seconds.collect();
    sorted.sort_by(f64::total_cmp);
    let rank = ((sorted.len() as f64 * q).ceil() as usize).max(1);
    sorted.get(rank - 1).map(|seconds| seconds * 1e3)
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge => f.write_str("edge"),
            Self::Exit => f.write_str("exit"),
            Self::Cloud(0) => f.write_str("cloud"),
            Self::Cloud(boundary) => write!(f, "b{boundary}"),
            Self::Race => f.write_str("race"),
            Self::Fallback => f.write_str("fallback"),
        }
    }
}

fn as_text<S: serde::Serializer>(route: &Route, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(route)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(route: Route, millis: f64) -> Outcome {
        let bytes = if matches!(route, Route::Cloud(_)) { 1000 } else { 0 };
        Outcome::Answered(Answer {
            route,
            node: if bytes > 0 { "cloud-1" } else { "edge-1" }.into(),
            codec: (bytes > 0).then(|| "raw".into()),
            latency: millis / 1e3,
            bytes,
            agrees: route != Route::Race,
            spent: [0.001, 0.002, 0.003],
        })
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn figures_of_known_outcomes() {
        let mut window = Window::default();
        for (index, route) in [Route::Edge, Route::Cloud(3), Route::Cloud(3), Route::Cloud(0), Route::Race]
            .into_iter()
            .enumerate()
        {
            window.add(at(index as u64), answer(route, 10.0 * (index + 1) as f64));
        }
        window.add(at(6), Outcome::Refused);
        window.add(at(7), Outcome::Failed);
        let figures = window.figures(at(8));
        assert_eq!((figures.answered, figures.refused, figures.failed), (5, 1, 1));
        let shares: Vec<_> = figures.shares.iter().map(|(route, share)| (route.as_str(), *share)).collect();
        assert_eq!(shares, [("b3", 0.4), ("cloud", 0.2), ("edge", 0.2), ("race", 0.2)]);
        assert!((figures.shares.values().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!((figures.p50_ms, figures.p95_ms), (Some(30.0), Some(50.0)));
        assert_eq!((figures.bytes, figures.agreement), (Some(600.0), Some(0.8)));
        let usual = figures.usual.unwrap();
        assert_eq!((usual.route, usual.node.as_str(), usual.p50_ms), (Route::Cloud(3), "cloud-1", 20.0));
        assert_eq!(usual.codec.as_deref(), Some("raw"));
    }

    #[test]
    fn what_is_old_does_not_count() {
        let mut window = Window::default();
        window.add(at(0), answer(Route::Edge, 1.0));
        window.add(at(2000), answer(Route::Cloud(0), 1.0));
        assert_eq!(window.figures(at(3000)).answered, 2);
        assert_eq!(window.figures(at(3001)).shares.keys().collect::<Vec<_>>(), ["cloud"]);
        assert_eq!(window.figures(at(9000)), Figures::default());
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let mut window = Window::default();
        for _ in 0..MOST + 10 {
            window.add(at(1), Outcome::Refused);
        }
        assert_eq!(window.figures(at(2)).refused, MOST);
    }
}
