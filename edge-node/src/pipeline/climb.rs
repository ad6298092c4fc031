//! As far as a request goes on this node: one piece of work for a compute thread, since handing
//! a request from thread to thread takes about as long as a head.

use super::asker::Asker;
use super::{Exited, OnProvisional, PipelineError};
use crate::course::{Step, Way};
use crate::exits::{Turn, Watch};
use crate::models::Model;
use kerf_engine::Values;
use kerf_serving::HeadAnswer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request on its way.
pub(super) struct Climb {
    pub(super) model: Arc<Model>,
    pub(super) asker: Asker,
    pub(super) stand: Stand,
    pub(super) provisional: Option<OnProvisional>,
}

/// How far it came, and what that took.
pub(super) struct Stand {
    /// The boundary that it is at.
    pub(super) at: usize,
    /// Boundaries whose tensors are among the values, one bit each.
    pub(super) held: u64,
    pub(super) values: Values,
    /// What it is held to at exits; none where no exit may answer it.
    pub(super) watch: Option<Watch>,
    /// The head that answered, and where.
    pub(super) exit: Option<(Exited, HeadAnswer)>,
    /// How it leaves, if it does.
    pub(super) leaves: Option<Way>,
    pub(super) asked: Vec<Exited>,
    pub(super) engine: Option<&'static str>,
    pub(super) preprocess: Duration,
    pub(super) head: Duration,
    pub(super) exits: Duration,
}

impl Stand {
    /// At the inputs.
    pub(super) fn new(values: Values) -> Self {
        Self {
            at: 0,
            held: 1,
            values,
            watch: None,
            exit: None,
            leaves: None,
            asked: Vec::new(),
            engine: None,
            preprocess: Duration::ZERO,
            head: Duration::ZERO,
            exits: Duration::ZERO,
        }
    }
}

impl Climb {
    /// Runs segments and asks heads until one is sure, the request leaves, or the answer is there.
    /// Asks anew at the inputs: it may have waited long for its thread. Blocks.
    pub(super) fn run(mut self) -> Result<Stand, PipelineError> {
        let last = self.model.served.last();
        while self.stand.at < last && self.stand.exit.is_none() {
            match self.asker.next(self.stand.at, self.stand.held, true) {
                Step::Ship(way) => {
                    self.stand.leaves = Some(way);
                    break;
                }
                Step::GoOn { to } => self.stretch(to)?,
            }
        }
        Ok(self.stand)
    }

    /// Runs to a boundary, and asks the head there if there is one.
    fn stretch(&mut self, to: usize) -> Result<(), PipelineError> {
        let stand = &mut self.stand;
        if stand.at == 0 {
            let began = Instant::now();
            self.model.served.decode(&mut stand.values)?;
            stand.preprocess = began.elapsed();
        }
        let (from, before) = (stand.at, stand.exits);
        let run = self.model.served.runner.run_through(from, to, &mut stand.values)?;
        stand.at = to;
        stand.held |= 1u64.checked_shl(to as u32).unwrap_or(0);
        stand.engine = Some(run.engine);
        stand.head += run.elapsed;
        let asked = stand.asked.len();
        if let Some(exit) = self.model.exit_at(to) {
            self.ask(exit);
        }
        // Several programs take longer than the one that is being made for them.
        if run.pieces == 1 {
            let with_head = self.stand.asked.len() > asked;
            let preprocess = if from == 0 { self.stand.preprocess } else { Duration::ZERO };
            self.asker.ran((from, to), with_head, preprocess + run.elapsed + (self.stand.exits - before));
        } else {
            self.model.fuse(from, to);
        }
        Ok(())
    }

    fn ask(&mut self, exit: usize) {
        let (model, stand) = (&self.model, &mut self.stand);
        let (Some(watch), Some(exits), Some(heads)) = (&mut stand.watch, &model.exits, &model.served.heads)
        else {
            return;
        };
        if !watch.asks(exit) {
            return;
        }
        let said = match heads.ask(exit, &stand.values) {
            Ok(said) => said,
            // A head may fail; the model goes on without it.
            Err(error) => {
                let at = format!("b{}", stand.at);
                tracing::warn!(model = model.served.name, exit = at, %error, "a head failed");
                return;
            }
        };
        stand.exits += said.elapsed;
        let (turn, confidence) = exits.turn(watch, exit, &said, rand::random());
        let asked = Exited { boundary: stand.at, confidence };
        stand.asked.push(asked);
        match (turn, &self.provisional) {
            (Turn::Exit, _) => stand.exit = Some((asked, said)),
            (Turn::GoOn, Some(tell)) => tell(said.output, &asked),
            (Turn::GoOn, None) => {}
        }
    }
}
