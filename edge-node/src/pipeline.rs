//! The life of one request on the edge: head here, tail in the cloud, and the
//! rest here after all when the cloud cannot.
//!
//! The boundary's tensors are kept until an answer is there, so falling back
//! never starts over: it goes on from where the head stopped.

use crate::models::{Fallback, Model, Way};
use kerf_bundle::Coding;
use kerf_engine::{RunError, Values};
use kerf_graph::CutError;
use kerf_mesh::{Mesh, MeshError, MeshFailure};
use kerf_serving::{Compute, ComputeError, InputError, Shipment};
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
}

/// An answer and how it was made.
pub(crate) struct Outcome {
    pub(crate) outputs: Vec<NamedTensor>,
    pub(crate) route: Route,
    pub(crate) timings: Timings,
}

/// Who did what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    /// Boundary from which the request was, or would have been, shipped.
    pub(crate) split: usize,
    /// Node that produced the final outputs.
    pub(crate) node: String,
    /// Engine that ran the head here, if there was one.
    pub(crate) head_engine: Option<String>,
    /// Engine that ran the tail, there or here, if there was one.
    pub(crate) tail_engine: Option<String>,
    /// Why the edge finished what the cloud was meant to.
    pub(crate) fallback: Option<String>,
    /// Bytes of tensors shipped.
    pub(crate) shipped: u64,
    /// The codec that they were shipped under.
    pub(crate) codec: String,
    /// Why some went as they were, though a codec was chosen.
    pub(crate) uncoded: Option<String>,
    /// Bytes of the answer's tensors, as they came.
    pub(crate) received: u64,
}

/// Time by stage; zero for stages that did not happen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timings {
    /// Waiting for compute threads here.
    pub(crate) queue: Duration,
    /// Images to tensors, here.
    pub(crate) preprocess: Duration,
    /// The head, here.
    pub(crate) head: Duration,
    /// Tensors to bytes, here.
    pub(crate) encode: Duration,
    /// The call to the cloud less the cloud's stages below: its own bookkeeping counts here.
    pub(crate) network: Duration,
    /// The cloud's own waiting.
    pub(crate) cloud_queue: Duration,
    /// Bytes and images to tensors, in the cloud.
    pub(crate) cloud_decode: Duration,
    /// The cloud's computing.
    pub(crate) cloud_compute: Duration,
    /// Answers to bytes, in the cloud.
    pub(crate) cloud_encode: Duration,
    /// The answer's bytes to tensors, here.
    pub(crate) decode: Duration,
    /// The tail, here.
    pub(crate) tail: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("deadline passed: {0}")]
    Deadline(String),
    #[error("the cloud did not answer and model {model} has no local fallback: {reason}")]
    Unavailable { model: String, reason: String },
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Cut(#[from] CutError),
    #[error("{0}")]
    Stopped(String),
}

impl From<ComputeError> for PipelineError {
    fn from(error: ComputeError) -> Self {
        match error {
            ComputeError::Deadline { .. } => Self::Deadline(error.to_string()),
            ComputeError::Stopped(reason) => Self::Stopped(reason),
        }
    }
}

impl Pipeline {
    /// Carries `job` through `model` until there is an answer or its deadline has passed.
    pub(crate) async fn answer(&self, model: &Arc<Model>, job: Job) -> Result<Outcome, PipelineError> {
        let mut trip = Trip::new(model, &self.node);
        let mut values = model.served.accept(0, job.inputs.clone())?;

        if trip.route.split > 0 {
            values = self.head(model, values, job.deadline, &mut trip).await?;
        }
        // Outputs that the head has produced already need no tail.
        if job.outputs.iter().any(|name| values.get(name).is_none()) {
            match self.ship(model, &mut values, &job, &mut trip).await {
                Ok(outputs) => values.extend(outputs),
                Err(reason) => values = self.fall_back(model, values, &job, reason, &mut trip).await?,
            }
        }
        let outputs = model.served.outputs(&job.outputs, &values)?;
        Ok(Outcome { outputs, route: trip.route, timings: trip.timings })
    }

    async fn head(
        &self,
        model: &Arc<Model>,
        values: Values,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Values, PipelineError> {
        let values = self.decode(model, values, deadline, trip).await?;
        let (values, engine, elapsed) = self.run(model, values, 0, trip.route.split, deadline, trip).await?;
        trip.route.head_engine = Some(engine);
        trip.timings.head = elapsed;
        Ok(values)
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
        let mut reply = match self.mesh.call(&request).await {
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
                self.mesh.call(&request).await
            }
            called => called,
        }
        .map_err(|error| error.to_string())?;
        let coded = std::mem::take(&mut reply.answer.tensors);
        trip.route.received = coded.iter().map(|tensor| tensor.data.len() as u64).sum();
        let answer = reply.answer;
        let wrong = |reason: String| format!("{} sent a wrong answer: {reason}", reply.node);
        let outputs = self.decode_answer(model, coded, job.deadline, trip).await.map_err(wrong)?;
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

    /// The boundary's tensors as they will travel. Pictures go as they came, unless the pixels that
    /// the model looks at are expected to take fewer bytes.
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
            let encode = move || served.codecs.encode(split as u16, tensors, coding);
            let done = self.compute.run(deadline, encode).await.map_err(|error| error.to_string())?;
            trip.timings.queue += done.queued;
            trip.timings.encode = done.elapsed;
            done.value
        };
        trip.route.codec = served.codecs.name(split, coding);
        trip.route.uncoded = shipment.raw.as_ref().map(ToString::to_string);
        trip.route.shipped = shipment.bytes();
        Ok(shipment)
    }

    async fn decode_answer(
        &self,
        model: &Arc<Model>,
        tensors: Vec<CodedTensor>,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Vec<NamedTensor>, String> {
        let served = Arc::clone(&model.served);
        let is_coded = tensors.iter().any(|tensor| tensor.codec != CODEC_RAW);
        let decode = move || served.codecs.decode(served.last() as u16, tensors);
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

impl Route {
    /// Who made the answer: `edge` as planned, `cloud`, or `fallback`.
    pub(crate) fn by(&self) -> &'static str {
        match (&self.fallback, self.shipped) {
            (Some(_), _) => "fallback",
            (None, 0) => "edge",
            (None, _) => "cloud",
        }
    }
}

impl Timings {
    /// The stages in the order in which they happen.
    pub(crate) fn stages(&self) -> [(&'static str, Duration); 11] {
        [
            ("queue", self.queue),
            ("preprocess", self.preprocess),
            ("head", self.head),
            ("encode", self.encode),
            ("network", self.network),
            ("cloud_queue", self.cloud_queue),
            ("cloud_decode", self.cloud_decode),
            ("cloud_compute", self.cloud_compute),
            ("cloud_encode", self.cloud_encode),
            ("decode", self.decode),
            ("tail", self.tail),
        ]
    }
}
