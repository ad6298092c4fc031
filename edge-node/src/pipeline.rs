//! The life of one request on the edge: head here, tail in the cloud, and the
//! rest here after all when the cloud cannot.
//!
//! The boundary's tensors are kept until an answer is there, so falling back
//! never starts over: it goes on from where the head stopped.

mod climb;
mod error;
mod route;

pub(crate) use error::PipelineError;
pub(crate) use route::{Exited, Route, Timings};

use crate::exits::{Check, Watch};
use crate::models::{Fallback, Model, Way};
use climb::{Climb, Climbed};
use kerf_bundle::Coding;
use kerf_engine::Values;
use kerf_mesh::{Mesh, MeshError, MeshFailure, OnSilence};
use kerf_serving::{Compute, EarlyDecoder, HeadAnswer, Shipment, Tell};
use kerf_tensor::NamedTensor;
use kerf_wire::{Ask, CODEC_RAW, CodedTensor, Reason, Request, RequestId};
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
        let mut values = model.served.accept(0, std::mem::take(&mut job.inputs))?;
        let mut watch = None;

        if trip.route.split > 0 {
            let climbed = self.head(model, values, &mut job, &mut trip).await?;
            (values, watch) = (climbed.values, climbed.watch);
            if let Some((exited, said)) = climbed.exit {
                let check = watch.and_then(|watch| check(model, watch, exited.boundary, values, &said));
                let outputs = vec![said.output];
                return Ok(Outcome { outputs, route: trip.route, timings: trip.timings, check });
            }
        }
        let values = self.finish(model, values, &job, &mut trip).await?;
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
        values: Values,
    ) -> Result<Option<Vec<u32>>, PipelineError> {
        let Some(heads) = &model.served.heads else { return Ok(None) };
        let mut trip = Trip::new(model, &self.node);
        (trip.way.there, trip.way.back) = (Coding::RAW, Coding::RAW);
        let job = Job {
            id: RequestId(rand::random()),
            inputs: Vec::new(),
            outputs: vec![heads.fitted().output.clone()],
            deadline: Instant::now() + model.deadline,
            traceparent: None,
            provisional: None,
        };
        let last = model.served.last();
        // A plan may have moved the split to before the exit.
        let split = if trip.route.split < boundary { last } else { trip.route.split };
        (trip.way.split, trip.route.split) = (split, split);
        let (mut values, ..) = self.run(model, values, boundary, split, job.deadline, &mut trip).await?;
        if split < last && self.may_check_elsewhere(model, split, &values) {
            match self.ship(model, &mut values, &job, &mut trip).await {
                Ok(outputs) => values.extend(outputs),
                Err(reason) => tracing::debug!(model = model.served.name, reason, "checking here"),
            }
        }
        if values.get(&heads.fitted().output).is_none() {
            (values, ..) = self.run(model, values, split, last, job.deadline, &mut trip).await?;
        }
        Ok(values.get(&heads.fitted().output).and_then(|scores| heads.classes(scores)))
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

    /// From the split to the outputs that are wanted.
    async fn finish(
        &self,
        model: &Arc<Model>,
        mut values: Values,
        job: &Job,
        trip: &mut Trip,
    ) -> Result<Values, PipelineError> {
        // Outputs that the head has produced already need no tail.
        if job.outputs.iter().any(|name| values.get(name).is_none()) {
            match self.ship(model, &mut values, job, trip).await {
                Ok(outputs) => values.extend(outputs),
                Err(reason) => return self.fall_back(model, values, job, reason, trip).await,
            }
        }
        Ok(values)
    }

    /// From the inputs to the split, past the exits before it.
    async fn head(
        &self,
        model: &Arc<Model>,
        values: Values,
        job: &mut Job,
        trip: &mut Trip,
    ) -> Result<Climbed, PipelineError> {
        let values = self.decode(model, values, job.deadline, trip).await?;
        let climb = Climb {
            model: Arc::clone(model),
            split: trip.route.split,
            values,
            watch: model.watch(&job.outputs),
            provisional: job.provisional.take(),
        };
        let done = self.compute.run(job.deadline, move || climb.run()).await?;
        trip.timings.queue += done.queued;
        let climbed = done.value?;
        trip.timings.head = climbed.head;
        trip.timings.exits = climbed.exits;
        trip.route.head_engine = climbed.engine.map(str::to_owned);
        trip.route.exit = climbed.exit.as_ref().map(|(exited, _)| *exited);
        trip.route.asked.clone_from(&climbed.asked);
        Ok(climbed)
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
            .run(deadline, move || runner.run(from, to, &mut values).map(|run| (values, run)))
            .await?;
        trip.timings.queue += done.queued;
        let (values, run) = done.value?;
        Ok((values, run.engine.to_owned(), run.elapsed))
    }

    /// Sends the boundary's tensors to the mesh; an error is the reason to finish here.
    async fn ship(
        &self,
        model: &Arc<Model>,
        values: &mut Values,
        job: &Job,
        trip: &mut Trip,
    ) -> Result<Vec<NamedTensor>, String> {
        let served = &model.served;
        if !self.mesh.available(&served.name, &served.digest) {
            return Err("no cloud node is connected that has the model".into());
        }
        let shipment = self.encode(model, values, job.deadline, trip).await?;
        let wanted: Vec<String> =
            job.outputs.iter().filter(|name| values.get(name).is_none()).cloned().collect();
        let patience = model.patience(job.deadline, Instant::now());
        let mut request = Request {
            id: job.id,
            ask: Ask::Finish,
            model: served.name.clone(),
            digest: served.digest,
            boundary: trip.route.split as u16,
            deadline: patience,
            traceparent: job.traceparent.clone(),
            tensors: shipment.tensors,
            outputs: wanted,
            reply: trip.way.back.number(),
        };
        let mut early = EarlyDecoder::new(Arc::clone(served), served.last() as u16, self.compute.clone());
        let called = self.mesh.call_into(&request, OnSilence::GiveUp, &mut early).await;
        trip.route.shipped = request.tensors.iter().map(|tensor| tensor.data.bytes()).sum();
        trip.route.uncoded = shipment.uncoded.reason().map(ToString::to_string);
        let mut reply = match called {
            Err(MeshError { failure: MeshFailure::Refused(no), .. })
                if no.reason == Reason::Unsupported && request.is_coded() =>
            {
                let tensors = served.shipment(trip.way.split, values).map_err(|error| error.to_string())?;
                let plain = Shipment::raw(tensors);
                trip.route.shipped += plain.bytes();
                trip.route.codec = served.codecs.name(trip.way.split, Coding::RAW);
                trip.route.uncoded = Some(format!("{}: {}", no.node, no.message));
                let deadline = model.patience(job.deadline, Instant::now());
                request = Request { tensors: plain.tensors, reply: CODEC_RAW, deadline, ..request };
                self.mesh.call_into(&request, OnSilence::GiveUp, &mut early).await
            }
            called => called,
        }
        .map_err(|error| error.to_string())?;
        let coded = std::mem::take(&mut reply.answer.tensors);
        trip.route.received = coded.iter().map(|tensor| tensor.data.bytes()).sum();
        let answer = reply.answer;
        let wrong = |reason: String| format!("{} sent a wrong answer: {reason}", reply.node);
        let outputs = self.decode_answer(early, coded, job.deadline, trip).await.map_err(wrong)?;
        served.check_outputs(&request.outputs, &outputs).map_err(|reason| wrong(reason.to_string()))?;
        let spent = answer.timings;
        let stages = spent.queue + spent.decode + spent.compute + spent.encode;
        trip.timings.network = reply.network + spent.total.saturating_sub(stages);
        trip.timings.cloud_queue = answer.timings.queue;
        trip.timings.cloud_decode = answer.timings.decode;
        trip.timings.cloud_compute = answer.timings.compute;
        trip.timings.cloud_encode = answer.timings.encode;
        trip.route.node = reply.node;
        trip.route.tail_engine = Some(answer.engine);
        Ok(outputs)
    }

    /// The boundary's tensors as they will travel; large ones are still being encoded then. Pictures
    /// go as they came, unless the pixels that the model looks at are expected to take fewer bytes.
    async fn encode(
        &self,
        model: &Arc<Model>,
        values: &mut Values,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Shipment, String> {
        let (served, Way { split, there, .. }) = (&model.served, trip.way);
        let mut tensors = served.shipment(split, values).map_err(|error| error.to_string())?;
        let mut coding = there;
        if served.has_encoded(values) {
            let came: usize = tensors.iter().map(|named| named.tensor.data().len()).sum();
            let expected = served.codecs.mean_bytes(split, there);
            if expected.is_some_and(|expected| expected < came as f64) {
                *values = self
                    .decode(model, std::mem::take(values), deadline, trip)
                    .await
                    .map_err(|error| error.to_string())?;
                tensors = served.shipment(split, values).map_err(|error| error.to_string())?;
            } else {
                coding = Coding::RAW;
            }
        }
        let shipment = if coding == Coding::RAW {
            Shipment::raw(tensors)
        } else {
            let served = Arc::clone(served);
            let encode = move |tell: Tell<Shipment>| {
                served.codecs.encode_ahead(split as u16, tensors, coding, |shipment| tell.tell(shipment));
            };
            let done =
                self.compute.run_until_told(deadline, encode).await.map_err(|error| error.to_string())?;
            trip.timings.queue += done.queued;
            trip.timings.encode = done.elapsed;
            done.value
        };
        trip.route.codec = served.codecs.name(split, coding);
        Ok(shipment)
    }

    async fn decode_answer(
        &self,
        early: EarlyDecoder,
        tensors: Vec<CodedTensor>,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Vec<NamedTensor>, String> {
        let is_coded = tensors.iter().any(|tensor| tensor.codec != CODEC_RAW);
        let decode = move || early.finish(tensors);
        if !is_coded {
            return decode().map_err(|error| error.to_string());
        }
        let done = self.compute.run(deadline, decode).await.map_err(|error| error.to_string())?;
        trip.timings.decode = done.elapsed;
        done.value.map_err(|error| error.to_string())
    }

    /// Finishes here, from the tensors that were kept.
    async fn fall_back(
        &self,
        model: &Arc<Model>,
        values: Values,
        job: &Job,
        reason: String,
        trip: &mut Trip,
    ) -> Result<Values, PipelineError> {
        if model.fallback == Fallback::None {
            return Err(if Instant::now() >= job.deadline {
                PipelineError::Deadline(reason)
            } else {
                PipelineError::Unavailable { model: model.served.name.clone(), reason }
            });
        }
        tracing::warn!(model = model.served.name, request = %job.id, reason, "finishing here");
        trip.route.fallback = Some(reason);
        trip.route.node.clone_from(&self.node);
        let values = self.decode(model, values, job.deadline, trip).await?;
        let last = model.served.last();
        let (values, engine, elapsed) =
            self.run(model, values, trip.route.split, last, job.deadline, trip).await?;
        trip.route.tail_engine = Some(engine);
        trip.timings.tail = elapsed;
        model.learn_tail(elapsed);
        Ok(values)
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
struct Trip {
    way: Way,
    route: Route,
    timings: Timings,
}

impl Trip {
    fn new(model: &Model, node: &str) -> Self {
        let way = model.way();
        let route = Route { split: way.split, node: node.to_owned(), ..Route::default() };
        Self { way, route, timings: Timings::default() }
    }
}
