//! Profiles change hands when an edge node meets this one: each keeps the other's.

use crate::service::Service;
use kerf_serving::Served;
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_wire::{
    Answer, Arrival, CODEC_RAW, CodedTensor, Load, PROFILE, Reason, Refusal, Request, Response, Timings,
};
use std::sync::Arc;
use std::time::Instant;

/// Keeps what `edge` sent and answers with this node's own profile, where there is one.
pub(crate) async fn exchange(
    service: Arc<Service>,
    edge: String,
    request: Request,
    arrival: Arrival,
) -> Response {
    let id = request.id;
    let node = service.node.clone();
    let started = Instant::now();
    let work = {
        let service = Arc::clone(&service);
        // A place in the queue bounds how many files are read at once.
        move || match service.admission.enter() {
            Some(_permit) => exchange_now(&service, &edge, request),
            None => Err((Reason::Overloaded, "no place is free".to_owned())),
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|error| Err((Reason::Failed, error.to_string())));
    match done {
        Ok(tensors) => Response::Answer(Answer {
            id,
            node,
            engine: String::new(),
            tensors,
            timings: Timings { total: started.elapsed(), ..Timings::default() },
            load: Load {
                queued: service.compute.waiting() as u32,
                running: service.compute.running() as u32,
            },
            arrival,
        }),
        Err((reason, message)) => Response::Refusal(Refusal { id, node, reason, message }),
    }
}

fn exchange_now(
    service: &Service,
    edge: &str,
    request: Request,
) -> Result<Vec<CodedTensor>, (Reason, String)> {
    let missing = || (Reason::ModelMissing, format!("this node has no model '{}'", request.model));
    let served: &Served = service.models.find(&request.model).ok_or_else(missing)?;
    let Some(folder) = &service.profiles else { return Ok(Vec::new()) };
    for CodedTensor { name, dtype, codec, data, .. } in &request.tensors {
        let is_profile = (name.as_str(), *dtype, *codec) == (PROFILE, DType::U8, CODEC_RAW);
        let Some(data) = data.whole().filter(|_| is_profile) else {
            return Err((Reason::BadRequest, format!("'{name}' is not a profile")));
        };
        folder.keep(served, edge, data).map_err(|error| (Reason::BadRequest, error.to_string()))?;
        tracing::info!(model = served.name, edge, "keeps a profile");
    }
    let own = folder.own(served).unwrap_or_else(|error| {
        tracing::warn!(%error, "no profile to give");
        None
    });
    let tensor = own.map(|own| {
        let json = own.to_json().into_bytes();
        Tensor::from_vec(&[json.len()], json)
    });
    let tensor = tensor.transpose().map_err(|error| (Reason::Failed, error.to_string()))?;
    Ok(tensor.map(|tensor| NamedTensor { name: PROFILE.to_owned(), tensor }.into()).into_iter().collect())
}
