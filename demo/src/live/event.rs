//! What the page is told, four times a second.

use super::alternatives::{Predicted, Sent};
use super::control::{Bounds, Conditions};
use super::load::Totals;
use super::window::{Figures, Route, Usual};
use serde::Serialize;

/// What does not change while it runs.
#[derive(Clone, Serialize)]
pub(crate) struct Setting {
    pub(crate) model: String,
    /// The boundary of the outputs.
    pub(crate) last: usize,
    pub(crate) inputs: String,
    pub(crate) edge_engine: String,
    pub(crate) cloud_engine: String,
    pub(crate) slowdown: f64,
    pub(crate) race: &'static str,
    pub(crate) trace: Option<String>,
    pub(crate) bounds: Bounds,
    /// Seconds that figures of answers are over.
    pub(crate) recent: f64,
    /// Milliseconds between two events, and events that are kept.
    pub(crate) tick_ms: u64,
    pub(crate) kept: usize,
}

/// One moment.
#[derive(Clone, Serialize)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    /// Seconds since the start.
    pub(crate) at: f64,
    pub(crate) link: LinkNow,
    pub(crate) requests_per_second: f64,
    pub(crate) recent: Figures,
    pub(crate) totals: Totals,
    pub(crate) predicted: PredictedMs,
    /// The state in words.
    pub(crate) now: String,
}

/// The emulated link, as it is.
#[derive(Clone, Serialize)]
pub(crate) struct LinkNow {
    rate_bps: f64,
    rtt_ms: f64,
    plugged: bool,
    /// Whether the rate follows a trace.
    traced: bool,
    /// Whether the edge node has a connection to the cloud node.
    connected: bool,
}

/// [`Predicted`] in milliseconds.
#[derive(Clone, Serialize)]
pub(crate) struct PredictedMs {
    edge_ms: f64,
    cloud_ms: Option<f64>,
    cloud_as: Option<String>,
    split_ms: Option<f64>,
    split: Option<String>,
    split_as: Option<String>,
}

impl LinkNow {
    pub(crate) fn new((link, traced): (Conditions, bool), connected: bool) -> Self {
        let (rate_bps, rtt_ms) = (link.rate, link.rtt.as_secs_f64() * 1e3);
        Self { rate_bps, rtt_ms, plugged: link.is_plugged, traced, connected }
    }
}

impl From<Predicted> for PredictedMs {
    fn from(it: Predicted) -> Self {
        let ms = |sent: &Option<Sent>| sent.as_ref().map(|sent| sent.seconds * 1e3);
        Self {
            edge_ms: it.edge * 1e3,
            cloud_ms: ms(&it.cloud),
            split_ms: ms(&it.split),
            split: it.split.as_ref().map(|sent| format!("b{}", sent.boundary)),
            cloud_as: it.cloud.map(|sent| sent.codec),
            split_as: it.split.map(|sent| sent.codec),
        }
    }
}

/// `ships b12 as fitted q6 to cloud-1: 31 ms; all-edge would take 120 ms`.
pub(crate) fn words(figures: &Figures, predicted: &Predicted, link: &LinkNow) -> String {
    let Some(usual) = &figures.usual else {
        return match figures.refused {
            0 => "no answers in the last seconds".to_owned(),
            refused => format!("no answers in the last seconds, {refused} requests refused"),
        };
    };
    let edge = format!("all-edge would take {}", millis(predicted.edge * 1e3));
    let cloud =
        predicted.cloud.as_ref().map(|sent| format!("all-cloud would take {}", millis(sent.seconds * 1e3)));
    let other = match usual.route {
        Route::Edge if link.plugged => cloud.unwrap_or_else(|| "nothing crosses the link".to_owned()),
        Route::Edge => "the link is unplugged".to_owned(),
        _ => edge,
    };
    format!("{}: {}; {other}", does(usual), millis(usual.p50_ms))
}

fn does(usual: &Usual) -> String {
    let Usual { route, node, codec, .. } = usual;
    let form = match codec.as_deref() {
        None | Some("raw") => String::new(),
        Some(codec) => format!(" as {codec}"),
    };
    match route {
        Route::Edge => "answers all on the edge".to_owned(),
        Route::Exit => "leaves through an exit on the edge".to_owned(),
        Route::Cloud(0) => format!("ships the input{form} to {node}"),
        Route::Cloud(boundary) => format!("ships b{boundary}{form} to {node}"),
        Route::Race => "ships, and the edge is first in the race".to_owned(),
        Route::Fallback => "ships, gets no answer, and finishes on the edge".to_owned(),
    }
}

fn millis(value: f64) -> String {
    match value {
        value if value < 9.95 => format!("{value:.1} ms"),
        value if value < 9999.5 => format!("{value:.0} ms"),
        value => format!("{:.1} s", value / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn usual(route: Route, codec: Option<&str>) -> Figures {
        let node = "cloud-1".to_owned();
        let usual = Usual { route, node, codec: codec.map(str::to_owned), p50_ms: 31.4 };
        Figures { answered: 1, usual: Some(usual), ..Figures::default() }
    }

    #[test]
    fn states_in_words() {
        let sent = Sent { seconds: 0.0456, boundary: 0, codec: "the picture as it came".to_owned() };
        let there = Predicted { edge: 0.12, cloud: Some(sent), split: None };
        let gone = Predicted { edge: 12.0, cloud: None, split: None };
        for (figures, predicted, plugged, said) in [
            (
                usual(Route::Cloud(12), Some("fitted q6")),
                &there,
                true,
                "ships b12 as fitted q6 to cloud-1: 31 ms; all-edge would take 120 ms",
            ),
            (
                usual(Route::Cloud(0), Some("raw")),
                &there,
                true,
                "ships the input to cloud-1: 31 ms; all-edge would take 120 ms",
            ),
            (
                usual(Route::Edge, None),
                &there,
                true,
                "answers all on the edge: 31 ms; all-cloud would take 46 ms",
            ),
            (usual(Route::Edge, None), &gone, false, "answers all on the edge: 31 ms; the link is unplugged"),
            (
                usual(Route::Fallback, None),
                &gone,
                false,
                "ships, gets no answer, and finishes on the edge: 31 ms; all-edge would take 12.0 s",
            ),
            (Figures::default(), &gone, false, "no answers in the last seconds"),
            (
                Figures { refused: 3, ..Figures::default() },
                &gone,
                false,
                "no answers in the last seconds, 3 requests refused",
            ),
        ] {
            let link = Conditions { rate: 8e6, rtt: Duration::from_millis(40), is_plugged: plugged };
            assert_eq!(words(&figures, predicted, &LinkNow::new((link, false), true)), said);
        }
    }

    #[test]
    fn predictions_are_told_in_milliseconds() {
        let split = Sent { seconds: 0.05, boundary: 3, codec: "int8".to_owned() };
        let told = PredictedMs::from(Predicted { edge: 0.1, cloud: None, split: Some(split) });
        let told = serde_json::to_value(told).unwrap();
        let expected = serde_json::json!({ "edge_ms": 100.0, "cloud_ms": null, "cloud_as": null,
            "split_ms": 50.0, "split": "b3", "split_as": "int8" });
        assert_eq!(told, expected);
    }
}
