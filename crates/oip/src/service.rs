//! What the protocol asks of whoever answers it.

use kerf_tensor::{NamedTensor, TensorSpec};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// A future that a trait object may return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// `parameters` of a request, response or tensor.
pub type Parameters = serde_json::Map<String, serde_json::Value>;

/// Answers the protocol's questions. [`infer`](Self::infer) is dropped when its client goes away.
pub trait InferenceService: Send + Sync + 'static {
    /// `GET /v2`.
    fn server_metadata(&self) -> ServerMetadata;

    /// `GET /v2/health/live`: whether the process should be left running.
    fn live(&self) -> bool;

    /// `GET /v2/health/ready`: whether every model can be asked.
    fn ready(&self) -> bool;

    /// `GET /v2/models`: every model, ready or not.
    fn models(&self) -> Vec<ModelEntry>;

    /// `GET /v2/models/{name}[/versions/{version}]`.
    fn model_metadata(&self, name: &str, version: Option<&str>) -> Result<ModelMetadata, Failure>;

    /// `GET /v2/models/{name}[/versions/{version}]/ready`; [`FailureKind::NotFound`] where there is none such.
    fn model_ready(&self, name: &str, version: Option<&str>) -> Result<bool, Failure>;

    /// `POST /v2/models/{name}[/versions/{version}]/infer`.
    fn infer(&self, request: InferRequest) -> BoxFuture<'_, Result<InferResponse, Failure>>;

    /// The same for a client that accepts `text/event-stream`: answers that may yet change go to
    /// `provisional` as they come about. There need not be any.
    fn infer_progressively(
        &self,
        request: InferRequest,
        provisional: Provisional,
    ) -> BoxFuture<'_, Result<InferResponse, Failure>> {
        drop(provisional);
        self.infer(request)
    }
}

/// Where answers that may yet change go.
#[derive(Clone, Debug)]
pub struct Provisional(pub(crate) mpsc::Sender<InferResponse>);

/// One inference, in neither encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct InferRequest {
    /// Model name, from the path.
    pub model: String,
    /// Version, from the path.
    pub version: Option<String>,
    /// The client's own id, to be returned.
    pub id: Option<String>,
    /// Inputs, names unique, each checked to hold what its shape and type need.
    pub inputs: Vec<NamedTensor>,
    /// Outputs wanted, names unique; empty is all of them.
    pub outputs: Vec<RequestedOutput>,
    /// Request parameters, except those of the binary extension, which this crate answers itself.
    pub parameters: Parameters,
    /// W3C trace context, from the header of that name.
    pub traceparent: Option<String>,
}

/// One output that the client names.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestedOutput {
    /// Name in the model.
    pub name: String,
    /// Whether it goes out as raw bytes; `None` leaves that to the request.
    pub binary: Option<bool>,
    /// The remaining parameters of the output.
    pub parameters: Parameters,
}

/// An answer, in neither encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct InferResponse {
    /// Model name.
    pub model: String,
    /// Version that answered.
    pub version: Option<String>,
    /// The request's id.
    pub id: Option<String>,
    /// Outputs, in order.
    pub outputs: Vec<NamedTensor>,
    /// Response parameters.
    pub parameters: Parameters,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What sort of failure, which decides the HTTP status.
    pub kind: FailureKind,
    /// What the client is told.
    pub message: String,
}

/// Sorts of failure; `status.rs` maps them to HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No such model, version or path.
    NotFound,
    /// The request can never be answered as it stands.
    Invalid,
    /// The request is larger than the node accepts.
    TooLarge,
    /// The body stopped coming.
    SlowBody,
    /// An encoding of the body that is not spoken here.
    UnsupportedEncoding,
    /// A queue is full; later may do.
    Overloaded,
    /// The deadline passed.
    Deadline,
    /// Nobody who could answer is reachable, or the node is stopping.
    Unavailable,
    /// A fault of this node.
    Internal,
}

/// Answer of `GET /v2`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServerMetadata {
    /// Server name.
    pub name: String,
    /// Server version.
    pub version: String,
    /// Extensions spoken; `binary_tensor_data` is added by the router.
    pub extensions: Vec<String>,
}

/// Answer of `GET /v2/models/{name}`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelMetadata {
    /// Model name.
    pub name: String,
    /// Versions that can be asked for.
    pub versions: Vec<String>,
    /// Framework and format, e.g. `onnx_runtime`.
    pub platform: String,
    /// Inputs.
    pub inputs: Vec<TensorSpec>,
    /// Outputs.
    pub outputs: Vec<TensorSpec>,
    /// Anything more that the model's card says.
    pub parameters: Parameters,
}

/// One line of `GET /v2/models`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ModelEntry {
    /// Model name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Whether it can be asked now.
    pub ready: bool,
    /// Why not, or empty.
    pub reason: String,
}

/// Bounds on what one request may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Inputs, and outputs asked for.
    pub tensors: usize,
    /// Dimensions of a tensor.
    pub rank: usize,
    /// Silence within a body after which its request is given up: who sends nothing must not hold
    /// a connection and what it sent so far for ever.
    pub pause: Duration,
}

impl Provisional {
    /// Sends an answer; a client that does not keep up misses it, and gets the final one.
    pub fn send(&self, response: InferResponse) {
        let _ = self.0.try_send(response);
    }
}

impl Failure {
    /// A failure of `kind`.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// [`FailureKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, message)
    }

    /// [`FailureKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, message)
    }

    /// [`FailureKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, message)
    }
}

impl Default for Limits {
    /// 64 MiB, 64 tensors, 16 dimensions, 30 seconds.
    fn default() -> Self {
        Self { body: 64 << 20, tensors: 64, rank: 16, pause: Duration::from_secs(30) }
    }
}
