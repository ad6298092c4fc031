//! The protocol's endpoints, over any [`InferenceService`].

mod body;
mod events;
mod metadata;
mod status;

use crate::codec::{OutputEncoding, RequestTarget, format_response, parse_request};
use crate::{Failure, FailureKind, InferResponse, InferenceService, Limits, ModelEntry};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

/// Where the JSON ends and raw bytes begin.
const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// JSON past this many bytes is read and written off the threads that carry connections.
const LARGE_JSON: usize = 128 << 10;

/// Serves the protocol. Every error is `{"error": "..."}`, unknown paths included.
pub fn router(service: Arc<dyn InferenceService>, limits: Limits) -> Router {
    Router::new()
        .route("/v2", get(server_metadata))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models", get(models))
        .route("/v2/models/{model}", get(model_metadata))
        .route("/v2/models/{model}/versions/{version}", get(model_metadata))
        .route("/v2/models/{model}/ready", get(model_ready))
        .route("/v2/models/{model}/versions/{version}/ready", get(model_ready))
        .route("/v2/models/{model}/infer", post(infer))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Endpoints { service, limits })
}

#[derive(Clone)]
struct Endpoints {
    service: Arc<dyn InferenceService>,
    limits: Limits,
}

/// Path parameters; those of routes without a version lack it.
#[derive(serde::Deserialize)]
struct ModelPath {
    model: String,
    #[serde(default)]
    version: Option<String>,
}

type ModelParameters = Result<Path<ModelPath>, PathRejection>;

async fn server_metadata(State(endpoints): State<Endpoints>) -> Response {
    Json(metadata::server(endpoints.service.server_metadata())).into_response()
}

async fn live(State(endpoints): State<Endpoints>) -> Response {
    health("live", endpoints.service.live())
}

async fn ready(State(endpoints): State<Endpoints>) -> Response {
    health("ready", endpoints.service.ready())
}

async fn models(State(endpoints): State<Endpoints>) -> Json<Vec<ModelEntry>> {
    Json(endpoints.service.models())
}

async fn model_metadata(
    State(endpoints): State<Endpoints>,
    path: ModelParameters,
) -> Result<Json<Value>, Failure> {
    let path = model_path(path)?;
    endpoints.service.model_metadata(&path.model, path.version.as_deref()).map(metadata::model).map(Json)
}

async fn model_ready(State(endpoints): State<Endpoints>, path: ModelParameters) -> Result<Response, Failure> {
    let path = model_path(path)?;
    let ready = endpoints.service.model_ready(&path.model, path.version.as_deref())?;
    let said = json!({ "name": path.model, "ready": ready });
    Ok((status::of_health(ready), Json(said)).into_response())
}

async fn infer(
    State(Endpoints { service, limits }): State<Endpoints>,
    path: ModelParameters,
    request: Request,
) -> Result<Response, Failure> {
    let ModelPath { model, version } = model_path(path)?;
    let (parts, body) = request.into_parts();
    let header_length = check_headers(&parts.headers)?;
    // An unknown model is refused before its body is read.
    service.model_ready(&model, version.as_deref())?;
    let chunks = body::read(body, &parts.headers, &limits).await?;
    let json = header_length.unwrap_or_else(|| chunks.iter().map(bytes::Bytes::len).sum());
    let target = RequestTarget { model, version };
    let (mut request, encoding) =
        off_thread(json, move || parse_request(target, chunks, header_length, &limits)).await?;
    request.traceparent = traceparent(&parts.headers);
    if events::wanted(&parts.headers) {
        return Ok(events::answer(service, request));
    }
    let response = service.infer(request).await?;
    let numbers: usize = json_bytes(&response, &encoding);
    let body = off_thread(numbers, move || format_response(&response, &encoding)).await?;
    let content_type = match body.header_length() {
        Some(_) => "application/octet-stream",
        None => "application/json",
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(length) = body.header_length() {
        headers.insert(HEADER_LENGTH, HeaderValue::from(length));
    }
    Ok((headers, Body::new(body::Chunks::new(body.into_chunks()))).into_response())
}

async fn unknown_path(uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(200).collect();
    Failure::not_found(format!("no such path: {path}"))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let wanted = if uri.path().ends_with("/infer") { "POST" } else { "GET" };
    let message = format!("{method} is not for this path; use {wanted}");
    let allow = HeaderValue::from_static(if wanted == "POST" { "POST" } else { "GET, HEAD" });
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allow)], Json(json!({ "error": message })))
        .into_response()
}

/// The protocol has 200 for yes and 4xx for no.
fn health(what: &str, yes: bool) -> Response {
    (status::of_health(yes), Json(json!({ what: yes }))).into_response()
}

fn model_path(path: ModelParameters) -> Result<ModelPath, Failure> {
    path.map(|Path(path)| path).map_err(|rejection| Failure::not_found(rejection.body_text()))
}

/// Refuses bodies that cannot be read, before they are; gives the length of the JSON, where it is said.
fn check_headers(headers: &HeaderMap) -> Result<Option<usize>, Failure> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
        let message = format!("Content-Encoding {encoding:?} is not supported; send the body as it is");
        return Err(Failure::new(FailureKind::UnsupportedEncoding, message));
    }
    let mut said = headers.get_all(HEADER_LENGTH).iter();
    let Some(first) = said.next() else { return Ok(None) };
    if said.next().is_some() {
        return Err(Failure::invalid("Inference-Header-Content-Length is there twice"));
    }
    let digits = first.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.map(str::parse) {
        Some(Ok(length)) => Ok(Some(length)),
        _ => {
            let text = String::from_utf8_lossy(first.as_bytes()).into_owned();
            Err(Failure::invalid(format!(
                "Inference-Header-Content-Length {text:?} is not a number of bytes"
            )))
        }
    }
}

fn traceparent(headers: &HeaderMap) -> Option<String> {
    headers.get(TRACEPARENT)?.to_str().ok().filter(|text| text.len() <= 256).map(str::to_owned)
}

/// An upper bound, near enough, of the element bytes that become JSON text.
fn json_bytes(response: &InferResponse, encoding: &OutputEncoding) -> usize {
    response
        .outputs
        .iter()
        .filter(|output| !encoding.is_binary(&output.name))
        .map(|output| output.tensor.data().len().saturating_mul(4))
        .sum()
}

async fn off_thread<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    if bytes < LARGE_JSON {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Failure::internal(format!("translating a message: {error}"))))
}
