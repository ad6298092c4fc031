//! The application: asks the edge node over HTTP and reads how the answer was made.

use super::compare::Seen;
use super::requests::Question;
use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use kerf_oip::codec::{OutputEncoding, format_request, parse_response};
use kerf_oip::{InferRequest, Limits, Parameters};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::TcpStream;

/// The protocol's header for the length of the JSON part.
const JSON_LENGTH: &str = "inference-header-content-length";

/// A connection that is kept open, as an application beside the node would.
pub(super) struct Client {
    address: SocketAddr,
    model: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr, model: &str) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("the edge node on {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, model: model.to_owned(), sender })
    }

    /// The answer's times; to write the request and to read the answer's tensors does not count.
    pub(super) async fn ask(&mut self, question: &Question) -> anyhow::Result<Seen> {
        let request = InferRequest {
            model: self.model.clone(),
            version: None,
            id: None,
            inputs: question.inputs.clone(),
            outputs: Vec::new(),
            parameters: Parameters::new(),
            traceparent: None,
        };
        let encoding = OutputEncoding { binary: true, ..OutputEncoding::default() };
        let body = format_request(&request, &encoding, |_| true)?;
        let json_length = body.header_length().unwrap_or(body.len());
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/v2/models/{}/infer", self.model))
            .header("host", self.address.to_string())
            .header("content-type", "application/octet-stream")
            .header(JSON_LENGTH, json_length)
            .body(Full::new(Bytes::from(body.into_chunks().concat())))?;

        self.sender.ready().await?;
        let start = Instant::now();
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let json_length =
            response.headers().get(JSON_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.into_body().collect().await?.to_bytes();
        let total = start.elapsed().as_secs_f64() + question.decode;
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));

        let answer = parse_response(vec![body], json_length, &Limits::default())?;
        let said = &answer.parameters;
        if let Some(reason) = said.get("fallback") {
            bail!("the edge finished what the cloud was meant to: {reason}");
        }
        let seconds = |keys: &[&str]| -> f64 {
            // A sum of nothing is −0.
            0.0 + keys.iter().filter_map(|key| said.get(*key)?.as_f64()).sum::<f64>() / 1e6
        };
        Ok(Seen {
            network: seconds(&["network_us"]),
            cloud: seconds(&["cloud_queue_us", "cloud_decode_us", "cloud_compute_us", "cloud_encode_us"]),
            total,
            sent: said.get("shipped_bytes").and_then(|bytes| bytes.as_f64()).unwrap_or(0.0),
        })
    }
}
