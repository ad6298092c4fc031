//! The application beside the edge node: sends one encoded image at a time over
//! HTTP, with the binary-tensor extension, and reads what comes back.

use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use kerf_tensor::{DType, Tensor};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// The protocol's header for the length of the JSON part.
const JSON_LENGTH: &str = "inference-header-content-length";

/// A kept-alive connection to an edge node.
pub(crate) struct Client {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// What is asked, the same for each image.
#[derive(Clone)]
pub(crate) struct Question {
    /// Model name.
    pub(crate) model: String,
    /// Name of the input that takes encoded images.
    pub(crate) input: String,
    /// The output to compare.
    pub(crate) output: String,
    /// Whether answers shall say what else was considered.
    pub(crate) explain: bool,
}

/// An answer, and what the node says of how it was made.
pub(crate) struct Reply {
    pub(crate) output: Tensor,
    pub(crate) parameters: serde_json::Map<String, Value>,
}

/// An answer that is none.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {said}")]
pub(crate) struct NoAnswer {
    status: StatusCode,
    said: String,
}

impl NoAnswer {
    /// Whether the node said that it has no room or no time, and so did what it should.
    pub(crate) fn is_refusal(&self) -> bool {
        [StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT].contains(&self.status)
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot reach the edge node on {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    pub(crate) async fn ask(&mut self, question: &Question, image: &Bytes) -> anyhow::Result<Reply> {
        let payload = Tensor::from_strings(&[1], &[image])?;
        let header = json!({
            "inputs": [{
                "name": question.input, "shape": [1], "datatype": "BYTES",
                "parameters": { "binary_data_size": payload.data().len() },
            }],
            "outputs": [{ "name": question.output, "parameters": { "binary_data": true } }],
            "parameters": { "explain": question.explain },
        })
        .to_string();
        let mut body = BytesMut::with_capacity(header.len() + payload.data().len());
        body.extend_from_slice(header.as_bytes());
        body.extend_from_slice(payload.data());
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/v2/models/{}/infer", question.model))
            .header("host", self.address.to_string())
            .header("content-type", "application/octet-stream")
            .header(JSON_LENGTH, header.len())
            .body(Full::new(body.freeze()))?;

        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let json_length =
            response.headers().get(JSON_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(NoAnswer { status, said: String::from_utf8_lossy(&body).into_owned() }.into());
        }
        read(&body, json_length.unwrap_or(body.len()), &question.output)
    }
}

fn read(body: &Bytes, json_length: usize, output: &str) -> anyhow::Result<Reply> {
    ensure!(json_length <= body.len(), "the answer's header length is past its end");
    let mut header: Value = serde_json::from_slice(&body[..json_length])?;
    let outputs = header["outputs"].as_array().context("the answer has no outputs")?;
    let found = outputs.iter().find(|found| found["name"] == output);
    let found = found.with_context(|| format!("the answer lacks output '{output}'"))?;
    ensure!(found["datatype"] == "FP32", "output '{output}' is {}, expected FP32", found["datatype"]);
    let shape = found["shape"].as_array().context("an output has no shape")?;
    let shape: Option<Vec<usize>> = shape.iter().map(|dim| dim.as_u64()?.try_into().ok()).collect();
    let output = Tensor::new(
        DType::F32,
        shape.context("a shape is not of whole numbers")?,
        body.slice(json_length..),
    )?;
    let parameters = match header["parameters"].take() {
        Value::Object(parameters) => parameters,
        _ => serde_json::Map::new(),
    };
    Ok(Reply { output, parameters })
}
