//! Identity models `identity_FP32`, `identity_BYTES`, …: output `y` is input `x`, `[N, M]`.

use kerf_oip::codec::{datatype, dtype};
use kerf_oip::{
    BoxFuture, Failure, FailureKind, InferRequest, InferResponse, InferenceService, ModelEntry,
    ModelMetadata, Provisional, ServerMetadata, check_inputs,
};
use kerf_tensor::{DType, Dim, NamedTensor, TensorSpec};

pub(crate) struct Identity;

const VERSION: &str = "1";

impl InferenceService for Identity {
    fn server_metadata(&self) -> ServerMetadata {
        ServerMetadata { name: "echo".to_owned(), version: "0".to_owned(), extensions: Vec::new() }
    }

    fn live(&self) -> bool {
        true
    }

    fn ready(&self) -> bool {
        true
    }

    fn models(&self) -> Vec<ModelEntry> {
        DType::ALL
            .map(|dtype| ModelEntry {
                name: format!("identity_{}", datatype(dtype)),
                version: VERSION.to_owned(),
                ready: true,
                reason: String::new(),
            })
            .into()
    }

    fn model_metadata(&self, name: &str, version: Option<&str>) -> Result<ModelMetadata, Failure> {
        let dtype = find(name, version)?;
        Ok(ModelMetadata {
            name: name.to_owned(),
            versions: vec![VERSION.to_owned()],
            platform: "identity".to_owned(),
            inputs: vec![spec("x", dtype)],
            outputs: vec![spec("y", dtype)],
            parameters: Default::default(),
        })
    }

    fn model_ready(&self, name: &str, version: Option<&str>) -> Result<bool, Failure> {
        find(name, version).map(|_| true)
    }

    fn infer(&self, request: InferRequest) -> BoxFuture<'_, Result<InferResponse, Failure>> {
        Box::pin(async move {
            let dtype = find(&request.model, request.version.as_deref())?;
            check_inputs(&[spec("x", dtype)], &request)?;
            if let Some(output) = request.outputs.iter().find(|output| output.name != "y") {
                return Err(Failure::invalid(format!(
                    "there is no output `{}`; outputs are `y`",
                    output.name
                )));
            }
            // A client may ask for a refusal, to see how it looks.
            match request.parameters.get("fail").and_then(|fail| fail.as_str()) {
                Some("overloaded") => return Err(Failure::new(FailureKind::Overloaded, "the queue is full")),
                Some("deadline") => return Err(Failure::new(FailureKind::Deadline, "too late")),
                Some("internal") => return Err(Failure::internal("broken")),
                _ => {}
            }
            let tensors = request.inputs.into_iter();
            Ok(InferResponse {
                model: request.model,
                version: Some(VERSION.to_owned()),
                id: request.id,
                outputs: tensors.map(|input| NamedTensor { name: "y".to_owned(), ..input }).collect(),
                parameters: request.parameters,
            })
        })
    }

    /// An echo is heard twice, where the client listens.
    fn infer_progressively(
        &self,
        request: InferRequest,
        provisional: Provisional,
    ) -> BoxFuture<'_, Result<InferResponse, Failure>> {
        Box::pin(async move {
            let response = self.infer(request).await?;
            provisional.send(InferResponse { outputs: Vec::new(), ..response.clone() });
            Ok(response)
        })
    }
}

fn find(name: &str, version: Option<&str>) -> Result<DType, Failure> {
    let known = name.strip_prefix("identity_").and_then(dtype);
    let known = known.ok_or_else(|| Failure::not_found(format!("there is no model `{name}`")))?;
    match version {
        None | Some(VERSION) => Ok(known),
        Some(other) => {
            Err(Failure::not_found(format!("model `{name}` has no version `{other}`, only {VERSION}")))
        }
    }
}

fn spec(name: &str, dtype: DType) -> TensorSpec {
    let shape = Some(vec![Dim::Symbol("N".to_owned()), Dim::Symbol("M".to_owned())]);
    TensorSpec { name: name.to_owned(), dtype, shape }
}
