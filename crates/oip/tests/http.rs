//! Statuses, headers and error bodies, over a real socket.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "../examples/echo/service.rs"]
mod service;

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const JSON: &str = r#"{"id":"a","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[[1,2.5]]}]}"#;

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("no error in {:?}", self.body)).to_owned()
    }
}

async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let limits = kerf_oip::Limits { body: 100_000, pause: Duration::from_millis(200), ..Default::default() };
    let router = kerf_oip::router(Arc::new(service::Identity), limits);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn ask(address: &str, line: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = if headers.starts_with("Content-Length:") || headers.contains("Transfer-Encoding") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{length}{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
    let status = headers[9..12].parse().unwrap();
    Answer { status, headers, body: answer[end + 4..].to_vec() }
}

#[tokio::test]
async fn events_tell_answers_as_they_come_about() {
    let address = server().await;
    let failing = JSON.replace("\"id\"", "\"parameters\":{\"fail\":\"overloaded\"},\"id\"");
    let provisional =
        json!({ "model_name": "identity_FP32", "model_version": "1", "id": "a", "outputs": [] });
    let last = json!({
        "model_name": "identity_FP32", "model_version": "1", "id": "a",
        "outputs": [{ "name": "y", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.5] }],
    });
    let refused = json!({ "error": "the queue is full", "status": 503 });
    for (accept, body, expected) in [
        ("text/event-stream", JSON, vec![("provisional", &provisional), ("final", &last)]),
        (
            "application/json, TEXT/Event-Stream;q=0.5",
            JSON,
            vec![("provisional", &provisional), ("final", &last)],
        ),
        ("text/event-stream", &failing, vec![("error", &refused)]),
    ] {
        let headers = format!("Accept: {accept}\r\n");
        let answer = ask(&address, "POST /v2/models/identity_FP32/infer", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{accept}");
        assert!(answer.headers.contains("content-type: text/event-stream"), "{}", answer.headers);
        let text = String::from_utf8(answer.body).unwrap();
        // The transfer is chunked: lines of events are told from the lengths between them.
        let mut lines = text.split(['\r', '\n']);
        for (name, data) in expected {
            assert!(lines.any(|line| line == format!("event: {name}")), "{text}");
            let line = lines.next().unwrap();
            assert_eq!(serde_json::from_str::<Value>(line.strip_prefix("data: ").unwrap()).unwrap(), *data);
        }
        assert!(!lines.any(|line| line.starts_with("event: ")), "{text}");
    }
    let plain =
        ask(&address, "POST /v2/models/identity_FP32/infer", "Accept: */*\r\n", JSON.as_bytes()).await;
    assert!(plain.headers.contains("content-type: application/json"), "{}", plain.headers);
}

#[tokio::test]
async fn questions() {
    let address = server().await;
    let cases = [
        ("/v2", 200, json!({ "name": "echo", "version": "0", "extensions": ["binary_tensor_data"] })),
        ("/v2/health/live", 200, json!({ "live": true })),
        ("/v2/health/ready", 200, json!({ "ready": true })),
        ("/v2/models/identity_FP32/ready", 200, json!({ "name": "identity_FP32", "ready": true })),
        ("/v2/models/identity_FP32/versions/1/ready", 200, json!({ "name": "identity_FP32", "ready": true })),
        (
            "/v2/models/identity_BYTES/versions/1",
            200,
            json!({
                "name": "identity_BYTES", "versions": ["1"], "platform": "identity",
                "inputs": [{ "name": "x", "datatype": "BYTES", "shape": [-1, -1] }],
                "outputs": [{ "name": "y", "datatype": "BYTES", "shape": [-1, -1] }],
            }),
        ),
        ("/v2/models/nothing", 404, json!({ "error": "there is no model `nothing`" })),
        (
            "/v2/models/identity_FP32/versions/2",
            404,
            json!({ "error": "model `identity_FP32` has no version `2`, only 1" }),
        ),
        ("/v2/modles", 404, json!({ "error": "no such path: /v2/modles" })),
        ("/", 404, json!({ "error": "no such path: /" })),
    ];
    for (path, status, expected) in cases {
        let answer = ask(&address, &format!("GET {path}"), "", b"").await;
        assert_eq!((answer.status, answer.json()), (status, expected), "{path}");
        assert!(answer.headers.contains("content-type: application/json"), "{path}");
    }
    let list = ask(&address, "GET /v2/models", "", b"").await.json();
    assert_eq!(list[0], json!({ "name": "identity_FP32", "version": "1", "ready": true, "reason": "" }));
}

#[tokio::test]
async fn inference_in_both_encodings() {
    let address = server().await;
    let post = "POST /v2/models/identity_FP32/infer";
    let answer = ask(&address, post, "", JSON.as_bytes()).await;
    let outputs = json!([{ "name": "y", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.5] }]);
    let expected =
        json!({ "model_name": "identity_FP32", "model_version": "1", "id": "a", "outputs": outputs });
    assert_eq!((answer.status, answer.json()), (200, expected));

    let json = r#"{"parameters":{"binary_data_output":true,"mine":1},"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}"#;
    let raw = [1f32, f32::NAN].map(f32::to_le_bytes).concat();
    let headers = format!("Inference-Header-Content-Length: {}\r\n", json.len());
    let answer = ask(&address, post, &headers, &[json.as_bytes(), &raw].concat()).await;
    assert_eq!(answer.status, 200);
    let length =
        answer.headers.lines().find_map(|line| line.strip_prefix("inference-header-content-length: "));
    let (said, tail) = answer.body.split_at(length.unwrap().parse().unwrap());
    assert_eq!(tail, raw);
    let said: Value = serde_json::from_slice(said).unwrap();
    assert_eq!(said["parameters"], json!({ "mine": 1 }));
    assert!(answer.headers.contains(&format!("content-length: {}", answer.body.len())));
    assert!(answer.headers.contains("content-type: application/octet-stream"));

    // The same without asking for binary: JSON has no NaN.
    let json = json.replace("true", "false");
    let headers = format!("Inference-Header-Content-Length: {}\r\n", json.len());
    let answer = ask(&address, post, &headers, &[json.as_bytes(), &raw].concat()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.error().starts_with("output `y`: holds NaN or infinity"), "{}", answer.error());
}

#[tokio::test]
async fn refusals() {
    let address = server().await;
    let post = "POST /v2/models/identity_FP32/infer";
    let large = "x".repeat(100_001);
    let chunked = format!("186A1\r\n{large}\r\n0\r\n\r\n");
    let fail = |kind: &str| JSON.replacen('{', &format!(r#"{{"parameters":{{"fail":"{kind}"}},"#), 1);
    let (overloaded, deadline, internal) = (fail("overloaded"), fail("deadline"), fail("internal"));
    let cases: &[(&str, &str, &str, u16, &str, &str)] = &[
        (post, "", "{", 400, "the body is not a JSON message", ""),
        (post, "", &large, 413, "the body is larger than the 100000 bytes accepted", ""),
        (
            post,
            "Content-Length: 999999999999\r\n",
            "",
            413,
            "the body is larger than the 100000 bytes accepted",
            "",
        ),
        (post, "Content-Length: 99\r\n", "{", 408, "nothing of the body came for 0.2 s, after 1 bytes", ""),
        (post, "Transfer-Encoding: chunked\r\n", &chunked, 413, "the body is larger than", ""),
        (
            post,
            "Content-Encoding: gzip\r\n",
            JSON,
            415,
            "Content-Encoding \"gzip\" is not supported",
            "accept-encoding: identity",
        ),
        (
            post,
            "Inference-Header-Content-Length: 1x\r\n",
            JSON,
            400,
            "Inference-Header-Content-Length \"1x\" is not",
            "",
        ),
        (
            post,
            "Inference-Header-Content-Length: -1\r\n",
            JSON,
            400,
            "Inference-Header-Content-Length \"-1\" is not",
            "",
        ),
        (
            post,
            "Inference-Header-Content-Length: 9999\r\n",
            JSON,
            400,
            "Inference-Header-Content-Length is 9999, but",
            "",
        ),
        (post, "", &overloaded, 503, "the queue is full", "retry-after: 1"),
        (post, "", &deadline, 504, "too late", ""),
        (post, "", &internal, 500, "broken", ""),
        ("POST /v2/models/nothing/infer", "", JSON, 404, "there is no model `nothing`", ""),
        ("POST /v2/models/%FF/infer", "", JSON, 404, "", ""),
        (
            "GET /v2/models/identity_FP32/infer",
            "",
            "",
            405,
            "GET is not for this path; use POST",
            "allow: post",
        ),
        (
            "DELETE /v2/models/identity_FP32",
            "",
            "",
            405,
            "DELETE is not for this path; use GET",
            "allow: get",
        ),
    ];
    for (line, headers, body, status, error, header) in cases {
        let answer = ask(&address, line, headers, body.as_bytes()).await;
        assert_eq!(answer.status, *status, "{line} {headers}: {}", answer.error());
        assert!(answer.error().starts_with(error), "{line} {headers}: {}", answer.error());
        assert!(answer.headers.contains(header), "{line} {headers}: {}", answer.headers);
    }
}
