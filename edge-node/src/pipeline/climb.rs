//! From the inputs to the split, past the exits: one piece of work for a compute thread, since handing
//! a request from thread to thread takes about as long as a head.

use super::{Exited, OnProvisional};
use crate::exits::{Turn, Watch};
use crate::models::Model;
use kerf_engine::{RunError, Values};
use kerf_serving::HeadAnswer;
use std::sync::Arc;
use std::time::Duration;

/// A request on its way.
pub(super) struct Climb {
    pub(super) model: Arc<Model>,
    pub(super) split: usize,
    pub(super) values: Values,
    pub(super) watch: Option<Watch>,
    pub(super) provisional: Option<OnProvisional>,
}

/// How far it came, and what that took.
pub(super) struct Climbed {
    pub(super) values: Values,
    pub(super) watch: Option<Watch>,
    /// The head that answered, and where.
    pub(super) exit: Option<(Exited, HeadAnswer)>,
    pub(super) asked: Vec<Exited>,
    pub(super) engine: Option<&'static str>,
    pub(super) head: Duration,
    pub(super) exits: Duration,
}

impl Climb {
    /// Runs segments and asks heads until one is sure, or the split is there. Blocks.
    pub(super) fn run(self) -> Result<Climbed, RunError> {
        let Self { model, split, values, watch, provisional } = self;
        let mut so_far = Climbed {
            values,
            watch,
            exit: None,
            asked: Vec::new(),
            engine: None,
            head: Duration::ZERO,
            exits: Duration::ZERO,
        };
        let mut from = 0;
        for (exit, boundary) in model.stops(split) {
            so_far.stretch(&model, from, boundary)?;
            from = boundary;
            so_far.ask(&model, exit, boundary, provisional.as_ref());
            if so_far.exit.is_some() {
                return Ok(so_far);
            }
        }
        so_far.stretch(&model, from, split)?;
        Ok(so_far)
    }
}

impl Climbed {
    fn stretch(&mut self, model: &Model, from: usize, to: usize) -> Result<(), RunError> {
        if from < to {
            let run = model.served.runner.run(from, to, &mut self.values)?;
            self.engine = Some(run.engine);
            self.head += run.elapsed;
        }
        Ok(())
    }

    fn ask(&mut self, model: &Model, exit: usize, boundary: usize, provisional: Option<&OnProvisional>) {
        let (Some(watch), Some(exits), Some(heads)) = (&mut self.watch, &model.exits, &model.served.heads)
        else {
            return;
        };
        if !watch.asks(exit) {
            return;
        }
        let said = match heads.ask(exit, &self.values) {
            Ok(said) => said,
            // A head may fail; the model goes on without it.
            Err(error) => {
                tracing::warn!(model = model.served.name, exit = %format!("b{boundary}"), %error, "a head failed");
                return;
            }
        };
        self.exits += said.elapsed;
        let (turn, confidence) = exits.turn(watch, exit, &said, rand::random());
        let asked = Exited { boundary, confidence };
        self.asked.push(asked);
        match (turn, provisional) {
            (Turn::Exit, _) => self.exit = Some((asked, said)),
            (Turn::GoOn, Some(tell)) => tell(said.output, &asked),
            (Turn::GoOn, None) => {}
        }
    }
}
