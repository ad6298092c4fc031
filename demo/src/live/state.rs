//! What everybody who looks at the page sees.

use super::alternatives::Alternatives;
use super::control::Control;
use super::event::{Event, LinkNow, PredictedMs, Setting, words};
use super::load::Load;
use axum::body::Bytes;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Events that are kept for those who come later: a minute of them.
pub(crate) const KEPT: usize = 240;
/// Pages that are told of events at once.
const LISTENERS: usize = 32;
/// Events that wait for a page; one that reads none for so long is dropped.
const WAITING: usize = 64;

pub(crate) struct State {
    setting: Setting,
    alternatives: Alternatives,
    pub(crate) control: Control,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    events: VecDeque<Event>,
    seq: u64,
    /// Of the newest event alone: it is long.
    why: Option<String>,
    listeners: Vec<mpsc::Sender<Bytes>>,
}

impl State {
    pub(crate) fn new(setting: Setting, alternatives: Alternatives, control: Control) -> Self {
        Self { setting, alternatives, control, told: Mutex::default() }
    }

    /// Looks at everything, keeps it and tells it.
    pub(crate) fn tick(&self, now: Duration, load: &Load, is_connected: bool) {
        let conditions = self.control.conditions();
        let (recent, totals) = load.look(now);
        let predicted = self.alternatives.over(conditions.0);
        let link = LinkNow::new(conditions, is_connected);
        let mut told = self.told();
        told.seq += 1;
        let event = Event {
            seq: told.seq,
            at: now.as_secs_f64(),
            now: words(&recent, &predicted, &link),
            link,
            requests_per_second: *self.control.load().borrow(),
            recent,
            totals,
            predicted: PredictedMs::from(predicted),
        };
        told.why = load.why();
        let line = json!({ "event": event, "why": told.why });
        let line = Bytes::from(format!("data: {line}\n\n"));
        told.listeners.retain(|listener| listener.try_send(line.clone()).is_ok());
        if told.events.len() == KEPT {
            told.events.pop_front();
        }
        told.events.push_back(event);
    }

    /// For machines, and for pages that begin.
    pub(crate) fn to_json(&self) -> Value {
        let told = self.told();
        json!({ "setting": self.setting, "events": told.events, "why": told.why })
    }

    /// Events as they come, in the form of an event stream; none where too many listen already.
    pub(crate) fn listen(&self) -> Option<mpsc::Receiver<Bytes>> {
        let mut told = self.told();
        told.listeners.retain(|listener| !listener.is_closed());
        if told.listeners.len() == LISTENERS {
            return None;
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        told.listeners.push(sender);
        Some(receiver)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
