//! The life of one request on the edge: as far as its course takes it here, then away, and the
//! rest here after all when the cloud cannot, or while it does.
//!
//! The tensors of every boundary that the request stopped at are kept until an answer is there, so
//! falling back never starts over: it goes on from where the request stands.

mod asker;
mod climb;
mod error;
mod race;
mod route;
mod ship;

pub(crate) use error::PipelineError;
pub(crate) use route::{Exited, Route, Timings};

use crate::course::{Course, Step, Way};
use crate::exits::{Check, Watch};
use crate::models::Model;
use asker::Asker;
use climb::{Climb, Stand};
use kerf_bundle::Coding;
use kerf_engine::Values;
use kerf_mesh::Mesh;
use kerf_serving::{Compute, HeadAnswer};
use kerf_tensor::NamedTensor;
use kerf_wire::RequestId;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What every request needs, besides the model.
pub(crate) struct Pipeline {
    pub(crate) node: String,
    pub(crate) compute: Compute,
    pub(crate) mesh: Mesh,
}

/// A request as the pipeline takes it.
pub(crate) struct Job {
    pub(crate) id: RequestId,
    pub(crate) inputs: Vec<NamedTensor>,
    /// Graph outputs wanted; never empty.
    pub(crate) outputs: Vec<String>,
    pub(crate) deadline: Instant,
    pub(crate) traceparent: Option<String>,
    /// Whether the answer shall say why it was made so.
    pub(crate) explain: bool,
    /// Told of answers that may yet change.
    pub(crate) provisional: Option<OnProvisional>,
}

/// Takes what a head said that was not sure enough.
pub(crate) type OnProvisional = Box<dyn Fn(NamedTensor, &Exited) + Send + Sync>;

/// An answer and how it was made.
pub(crate) struct Outcome {
    pub(crate) outputs: Vec<NamedTensor>,
    pub(crate) route: Route,
    pub(crate) timings: Timings,
    /// To be checked by the whole model, in the background.
    pub(crate) check: Option<Check>,
}

impl Pipeline {
    /// Carries `job` through `model` until there is an answer or its deadline has passed.
    pub(crate) async fn answer(&self, model: &Arc<Model>, mut job: Job) -> Result<Outcome, PipelineError> {
        let mut trip = Trip::new(model, &self.node);
        let values = model.served.accept(0, std::mem::take(&mut job.inputs))?;
        let pictures = model.served.encoded(&values);
        let asker = Asker::new(self, model, &trip.course, &job, pictures.is_some());
        asker.arrived();
        trip.route.explanation = job.explain.then(|| asker.explain(0, 1)).flatten();
        let mut stand = Stand::new(values);
        match asker.next(0, stand.held, false) {
            Step::Ship(way) => {
                trip.route.split = way.split;
                stand.leaves = Some(way);
            }
            Step::GoOn { .. } => {
                stand.watch = model.watch(&job.outputs);
                stand = self.climb(asker, model, stand, &mut job, &mut trip).await?;
            }
        }
        if let Some((exited, said)) = stand.exit {
            let check =
                stand.watch.and_then(|watch| check(model, watch, exited.boundary, stand.values, &said));
            let outputs = vec![said.output];
            return Ok(Outcome { outputs, route: trip.route, timings: trip.timings, check });
        }
        let (at, watch) = (stand.at, stand.watch.take());
        let mut values = stand.values;
        // Outputs that were made on the way already need no tail.
        let is_done = job.outputs.iter().all(|name| values.get(name).is_some());
        if let (false, Some(way)) = (is_done, stand.leaves) {
            if way.split == 0 {
                // As they came they are smaller than what was made of them since.
                values.extend(pictures);
            }
            values = self.finish(model, at, values, way, &job, &mut trip).await?;
        }
        let outputs = model.served.outputs(&job.outputs, &values)?;
        if let (Some(exits), Some(watch)) = (&model.exits, watch) {
            exits.settle(watch, Instant::now());
        }
        Ok(Outcome { outputs, route: trip.route, timings: trip.timings, check: None })
    }

    /// The classes that the whole model gives a request that left early; it goes on from where that was.
    /// Tensors travel as they are, if at all: a codec would be judged with the head.
    pub(crate) async fn whole(
        &self,
        model: &Arc<Model>,
        boundary: usize,
        mut values: Values,
    ) -> Result<Option<Vec<u32>>, PipelineError> {
        let Some(heads) = &model.served.heads else { return Ok(None) };
        let mut trip = Trip::new(model, &self.node);
        let output = &heads.fitted().output;
        let job = Job {
            id: RequestId(rand::random()),
            inputs: Vec::new(),
            outputs: vec![output.clone()],
            deadline: Instant::now() + model.deadline,
            traceparent: None,
            explain: false,
            provisional: None,
        };
        let last = model.served.last();
        let mut at = boundary;
        let asker = Asker::new(self, model, &trip.course, &job, false);
        let split = loop {
            match asker.next(at, 1 << at, false) {
                Step::GoOn { to } => {
                    (values, ..) = self.run(model, values, at, to, job.deadline, &mut trip).await?;
                    at = to;
                    if at == last {
                        break None;
                    }
                }
                // A course may have changed, and leave before the exit now.
                Step::Ship(way) => break Some(way.split).filter(|split| *split >= boundary),
            }
        };
        let way = split.map(|split| Way { split, there: Coding::RAW, back: Coding::RAW, chosen: None });
        if let Some(way) = way.filter(|way| self.may_check_elsewhere(model, way.split, &values)) {
            match self.ship(model, &mut values, way, &job, job.deadline, &mut trip).await {
                Ok(outputs) => values.extend(outputs),
                Err(reason) => tracing::debug!(model = model.served.name, reason, "checking here"),
            }
        }
        if values.get(output).is_none() {
            (values, ..) = self.run(model, values, at, last, job.deadline, &mut trip).await?;
        }
        Ok(values.get(output).and_then(|scores| heads.classes(scores)))
    }

    /// Whether the tensors of a check may travel: never past the privacy floor, nor beyond the hour's
    /// bytes.
    fn may_check_elsewhere(&self, model: &Model, split: usize, values: &Values) -> bool {
        let served = &model.served;
        let (Some(exits), Ok(tensors)) = (&model.exits, served.shipment(split, values)) else { return false };
        let bytes = tensors.iter().map(|named| named.tensor.data().len() as u64).sum();
        split >= model.privacy_floor
            && self.mesh.available(&served.name, &served.digest)
            && exits.checks.may_send(bytes, Instant::now())
    }

    /// As far as the course goes here, past the exits on the way.
    async fn climb(
        &self,
        asker: Asker,
        model: &Arc<Model>,
        stand: Stand,
        job: &mut Job,
        trip: &mut Trip,
    ) -> Result<Stand, PipelineError> {
        let climb = Climb { model: Arc::clone(model), asker, stand, provisional: job.provisional.take() };
        let done = self.compute.run(job.deadline, move || climb.run()).await?;
        trip.timings.queue += done.queued;
        let mut stand = done.value?;
        trip.timings.preprocess += stand.preprocess;
        trip.timings.head = stand.head;
        trip.timings.exits = stand.exits;
        match (stand.leaves, &stand.exit) {
            (Some(way), _) => trip.route.split = way.split,
            (None, None) => trip.route.split = stand.at,
            (None, Some(_)) => {}
        }
        trip.route.head_engine = stand.engine.map(str::to_owned);
        trip.route.exit = stand.exit.as_ref().map(|(exited, _)| *exited);
        trip.route.asked = std::mem::take(&mut stand.asked);
        Ok(stand)
    }

    /// Encoded images to tensors, if the request brought images.
    async fn decode(
        &self,
        model: &Arc<Model>,
        mut values: Values,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Values, PipelineError> {
        if !model.served.has_encoded(&values) {
            return Ok(values);
        }
        let served = Arc::clone(&model.served);
        let done = self.compute.run(deadline, move || served.decode(&mut values).map(|()| values)).await?;
        trip.timings.queue += done.queued;
        trip.timings.preprocess += done.elapsed;
        Ok(done.value?)
    }

    async fn run(
        &self,
        model: &Arc<Model>,
        mut values: Values,
        from: usize,
        to: usize,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<(Values, String, Duration), PipelineError> {
        let runner = Arc::clone(&model.served.runner);
        let done = self
            .compute
            .run(deadline, move || runner.run_through(from, to, &mut values).map(|run| (values, run)))
            .await?;
        trip.timings.queue += done.queued;
        let (values, run) = done.value?;
        Ok((values, run.engine.to_owned(), run.elapsed))
    }
}

/// The check of an early answer, if the coin fell for it.
fn check(
    model: &Arc<Model>,
    mut watch: Watch,
    boundary: usize,
    values: Values,
    said: &HeadAnswer,
) -> Option<Check> {
    let room = watch.check.take()?;
    let classes: Option<Vec<u32>> = said.judged.iter().map(|row| row.map(|row| row.class)).collect();
    Some(Check { model: Arc::clone(model), boundary, values, classes: classes?, rung: watch.rung(), room })
}

/// What is noted along the way.
#[derive(Clone)]
struct Trip {
    course: Course,
    route: Route,
    timings: Timings,
}

impl Trip {
    fn new(model: &Model, node: &str) -> Self {
        let course = model.course();
        let split = course.way().split;
        let route = Route { split, node: node.to_owned(), ..Route::default() };
        Self { course, route, timings: Timings::default() }
    }
}
