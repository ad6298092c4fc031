//! The admin listener over a real socket.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use kerf_telemetry::{Admin, AdminError, Section, Status, StatusPage};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Fixed;

impl StatusPage for Fixed {
    fn status(&self) -> Status {
        Status {
            node: "edge-1".to_owned(),
            role: "edge node".to_owned(),
            version: "0.1.0".to_owned(),
            uptime: Duration::from_millis(1500),
            sections: vec![Section::new("Models", &["name", "requests"]).row([json!("camera"), json!(7)])],
        }
    }
}

async fn admin() -> Admin {
    let mut registry = Registry::default();
    let requests: Counter = Counter::default();
    requests.inc_by(7);
    registry.register("requests", "Requests answered", requests);
    let address = "127.0.0.1:0".parse().unwrap();
    Admin::bind(address, false, Arc::new(registry), Arc::new(Fixed)).await.unwrap()
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn endpoints() {
    let admin = admin().await;
    let address = admin.local_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(admin.serve(async {
        let _ = stopped.await;
    }));
    for (path, expected) in [
        ("/metrics", "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("/metrics", "# TYPE requests counter\nrequests_total 7\n# EOF\n"),
        ("/healthz", "\r\n\r\nok\n"),
        ("/status", "content-type: application/json"),
        ("/", "content-type: text/html; charset=utf-8"),
        ("/", "content-security-policy: default-src 'none'"),
        ("/page.css", "content-type: text/css"),
        ("/page.js", "content-type: text/javascript"),
        ("/nothing", "HTTP/1.1 404"),
    ] {
        let answer = ask(address, path).await;
        assert!(answer.contains(expected), "{path}: {answer}");
    }
    let status = ask(address, "/status").await;
    let status: Value = serde_json::from_str(status.split_once("\r\n\r\n").unwrap().1).unwrap();
    let section = json!({ "title": "Models", "columns": ["name", "requests"], "rows": [["camera", 7]] });
    let expected = json!({
        "node": "edge-1", "role": "edge node", "version": "0.1.0", "uptime_s": 1.5, "sections": [section],
    });
    assert_eq!(status, expected);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn addresses() {
    let registry = || Arc::new(Registry::default());
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = Admin::bind(everywhere, false, registry(), Arc::new(Fixed)).await.unwrap_err();
    assert!(matches!(refused, AdminError::Remote(_)), "{refused}");
    assert!(Admin::bind(everywhere, true, registry(), Arc::new(Fixed)).await.is_ok());
    let taken = admin().await;
    let error = Admin::bind(taken.local_addr(), false, registry(), Arc::new(Fixed)).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("admin address {}: ", taken.local_addr())), "{error}");
}
