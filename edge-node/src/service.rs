//! The Open Inference Protocol's questions, answered by the pipeline.

use crate::exits::Check;
use crate::metrics::Metrics;
use crate::models::Model;
use crate::pipeline::{Job, OnProvisional, Outcome, Pipeline, PipelineError};
use crate::report;
use kerf_oip::{
    BoxFuture, Failure, FailureKind, InferRequest, InferResponse, InferenceService, ModelEntry,
    ModelMetadata, Parameters, Provisional, ServerMetadata,
};
use kerf_serving::Admission;
use kerf_wire::RequestId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Request parameter that shortens the deadline, in microseconds; Triton's name for it.
const TIMEOUT_PARAMETER: &str = "timeout";

/// Request parameter that asks for the reasons of the decision.
const EXPLAIN_PARAMETER: &str = "explain";

/// What stands behind the HTTP routes.
pub(crate) struct Service {
    pub(crate) models: BTreeMap<String, Arc<Model>>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) admission: Admission,
    pub(crate) metrics: Metrics,
    pub(crate) draining: AtomicBool,
}

impl InferenceService for Service {
    fn server_metadata(&self) -> ServerMetadata {
        ServerMetadata {
            name: format!("kerf edge-node {}", self.pipeline.node),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: Vec::new(),
        }
    }

    fn live(&self) -> bool {
        true
    }

    fn ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed)
    }

    fn models(&self) -> Vec<ModelEntry> {
        let entry = |model: &Arc<Model>| ModelEntry {
            name: model.served.name.clone(),
            version: model.served.version.clone(),
            ready: self.ready(),
            reason: if self.ready() { String::new() } else { "the node is stopping".to_owned() },
        };
        self.models.values().map(entry).collect()
    }

    fn model_metadata(&self, name: &str, version: Option<&str>) -> Result<ModelMetadata, Failure> {
        let model = self.find(name, version)?;
        Ok(ModelMetadata {
            name: name.to_owned(),
            versions: vec![model.served.version.clone()],
            platform: "onnx".to_owned(),
            inputs: model.served.input_specs(),
            outputs: model.served.model.model().outputs().to_vec(),
            parameters: report::model_parameters(model),
        })
    }

    fn model_ready(&self, name: &str, version: Option<&str>) -> Result<bool, Failure> {
        self.find(name, version).map(|_| self.ready())
    }

    fn infer(&self, request: InferRequest) -> BoxFuture<'_, Result<InferResponse, Failure>> {
        self.count(request, None)
    }

    fn infer_progressively(
        &self,
        request: InferRequest,
        provisional: Provisional,
    ) -> BoxFuture<'_, Result<InferResponse, Failure>> {
        self.count(request, Some(provisional))
    }
}

impl Service {
    fn count(
        &self,
        request: InferRequest,
        provisional: Option<Provisional>,
    ) -> BoxFuture<'_, Result<InferResponse, Failure>> {
        Box::pin(async move {
            let started = Instant::now();
            let name = request.model.clone();
            let outcome = self.answer(request, provisional, started).await;
            // Names that no model has are not labels: a client could invent any number of them.
            if self.models.contains_key(&name) {
                self.metrics.finished(
                    &name,
                    outcome.as_ref().err().map(|failure| failure.kind),
                    started.elapsed(),
                );
            }
            outcome
        })
    }

    async fn answer(
        &self,
        request: InferRequest,
        provisional: Option<Provisional>,
        started: Instant,
    ) -> Result<InferResponse, Failure> {
        let model = Arc::clone(self.find(&request.model, request.version.as_deref())?);
        if !self.ready() {
            return Err(Failure::new(FailureKind::Unavailable, "the node is stopping"));
        }
        let Some(_permit) = self.admission.enter() else {
            let message =
                format!("{} requests are in flight already; try again later", self.admission.capacity());
            return Err(Failure::new(FailureKind::Overloaded, message));
        };
        let given = timeout(&request.parameters)?.unwrap_or(model.deadline).min(model.deadline);
        let id = RequestId(rand::random());
        let outputs = wanted(&model, &request)?;
        let job = Job {
            id,
            provisional: provisional.map(|to| tell(to, &request, &model)),
            outputs,
            explain: request.parameters.get(EXPLAIN_PARAMETER) == Some(&Value::Bool(true)),
            inputs: request.inputs,
            deadline: started + given,
            // A malformed one is the client's loss: tracing is no reason to refuse work.
            traceparent: request.traceparent.filter(|value| kerf_wire::is_traceparent(value)),
        };
        let Outcome { outputs, route, timings, check } =
            self.pipeline.answer(&model, job).await.map_err(failure)?;
        self.metrics.answered(&request.model, &route, &timings);
        if let Some(check) = check {
            tokio::spawn(audit(Arc::clone(&self.pipeline), self.metrics.clone(), check));
        }
        Ok(InferResponse {
            model: request.model,
            version: Some(model.served.version.clone()),
            id: request.id,
            outputs,
            parameters: report::answer_parameters(&id, &route, &timings, started.elapsed()),
        })
    }

    fn find(&self, name: &str, version: Option<&str>) -> Result<&Arc<Model>, Failure> {
        let Some(model) = self.models.get(name) else {
            let known: Vec<_> = self.models.keys().map(String::as_str).collect();
            let message = format!("no model '{name}' here; this node serves {}", known.join(", "));
            return Err(Failure::not_found(message));
        };
        match version {
            Some(version) if version != model.served.version => Err(Failure::not_found(format!(
                "model '{name}' has no version '{version}' here, only '{}'",
                model.served.version
            ))),
            _ => Ok(model),
        }
    }
}

/// Lets the whole model check an early answer, after it went out.
async fn audit(pipeline: Arc<Pipeline>, metrics: Metrics, check: Check) {
    let Check { model, boundary, values, classes, rung, room } = check;
    let found = pipeline.whole(&model, boundary, values).await;
    let lost = match found {
        Ok(Some(whole)) => Some(whole != classes),
        Ok(None) => None,
        Err(error) => {
            tracing::warn!(model = model.served.name, %error, "an early answer could not be checked");
            None
        }
    };
    metrics.checked(&model.served.name, lost);
    if let (Some(lost), Some(exits)) = (lost, &model.exits) {
        exits.checked(rung, lost);
    }
    drop(room);
}

/// Sends what a head said that was not sure enough to be an answer.
fn tell(to: Provisional, request: &InferRequest, model: &Model) -> OnProvisional {
    let (name, id) = (request.model.clone(), request.id.clone());
    let version = model.served.version.clone();
    Box::new(move |output, exited| {
        to.send(InferResponse {
            model: name.clone(),
            version: Some(version.clone()),
            id: id.clone(),
            outputs: vec![output],
            parameters: report::provisional_parameters(exited),
        });
    })
}

/// Graph outputs that the client wants, in its order. Where it names none: all, but of a model with
/// exits only the one that they give.
fn wanted(model: &Model, request: &InferRequest) -> Result<Vec<String>, Failure> {
    let outputs = model.served.model.model().outputs();
    if request.outputs.is_empty() {
        if let (Some(_), Some(heads)) = (&model.exits, &model.served.heads) {
            return Ok(vec![heads.fitted().output.clone()]);
        }
        return Ok(outputs.iter().map(|spec| spec.name.clone()).collect());
    }
    let names = request.outputs.iter().map(|output| &output.name);
    names
        .map(|name| match outputs.iter().any(|spec| spec.name == *name) {
            true => Ok(name.clone()),
            false => {
                let known: Vec<_> = outputs.iter().map(|spec| spec.name.as_str()).collect();
                let message = format!("model has no output '{name}'; it has {}", known.join(", "));
                Err(Failure::invalid(message))
            }
        })
        .collect()
}

fn timeout(parameters: &Parameters) -> Result<Option<Duration>, Failure> {
    match parameters.get(TIMEOUT_PARAMETER) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            // Triton's clients send 0 for "none".
            Some(0) => Ok(None),
            Some(micros) => Ok(Some(Duration::from_micros(micros))),
            None => Err(Failure::invalid(format!(
                "parameter '{TIMEOUT_PARAMETER}' is {value}, expected microseconds as a whole number"
            ))),
        },
    }
}

fn failure(error: PipelineError) -> Failure {
    let kind = match &error {
        PipelineError::Input(_) => FailureKind::Invalid,
        PipelineError::Deadline(_) => FailureKind::Deadline,
        PipelineError::Unavailable { .. } => FailureKind::Unavailable,
        PipelineError::Run(_) | PipelineError::Cut(_) | PipelineError::Stopped(_) => FailureKind::Internal,
    };
    Failure::new(kind, error.to_string())
}
