//! A cloud node and edge nodes in this process, set up as a user would: packed model, certificates,
//! YAML.

use bytes::Bytes;
use cloud_node::CloudNode;
use edge_node::EdgeNode;
use kerf_bundle::{Codecs, Metric, Pack, PackRequest};
use kerf_graph::{Model, NoExternalData};
use kerf_identity::{Role, passing_certificates};
use kerf_repository::{Overwrite, Repository};
use kerf_settings::{CloudSettings, EdgeSettings, SettingsError};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) struct Mesh {
    folder: TempDir,
    repository: PathBuf,
    model: String,
    last: usize,
    quic: SocketAddr,
}

impl Mesh {
    pub(crate) fn new(model: &str, onnx: Bytes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        passing_certificates(folder.path(), &[(Role::Edge, "edge-1"), (Role::Cloud, "cloud-1")]).unwrap();
        let quic = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut mesh = Self { folder, repository: PathBuf::new(), model: model.to_owned(), last: 0, quic };
        mesh.repack(model, onnx);
        mesh
    }

    /// Packs `onnx` under `model`'s name into a repository of its own.
    pub(crate) fn repack(&mut self, model: &str, onnx: Bytes) {
        self.repack_with(model, onnx, None);
    }

    /// The same with codecs.
    pub(crate) fn repack_with(&mut self, model: &str, onnx: Bytes, codecs: Option<Codecs>) {
        self.repository = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let loaded = Model::load(onnx.clone(), &NoExternalData).unwrap();
        let pack = Pack::new(PackRequest {
            name: model,
            source_file: "test.onnx",
            source: &onnx,
            model: &loaded,
            boundaries: 16,
            preprocess: None,
            metric: Metric::Numeric,
            tolerance: 1e-4,
        })
        .unwrap();
        let pack = match codecs {
            Some(codecs) => pack.with_codecs(codecs),
            None => pack,
        };
        self.last = pack.model().last();
        Repository::new(&self.repository).write(&pack, Overwrite::Refuse).unwrap();
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.repository.clone()
    }

    pub(crate) fn use_repository(&mut self, repository: PathBuf) {
        self.repository = repository;
    }

    pub(crate) fn last(&self) -> usize {
        self.last
    }

    /// Starts the cloud node, on the port that it had before if it had one.
    pub(crate) async fn start_cloud(&mut self) -> CloudNode {
        let yaml = format!("listen: {}\n{}", self.quic, self.common("cloud-1"));
        let settings = CloudSettings::parse(&yaml, "cloud.yaml").unwrap();
        let start = Instant::now();
        // A killed node's socket is closed a moment later, when its connections have ended.
        let node = loop {
            match CloudNode::start(settings.clone()).await {
                Ok(node) => break node,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(10), "{error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.quic = node.quic();
        node
    }

    /// Where the cloud node is, or will be; its certificate is `cloud-1`'s.
    pub(crate) fn use_cloud(&mut self, quic: SocketAddr) {
        self.quic = quic;
    }

    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    pub(crate) async fn start_edge(&self, split: &str, fallback: &str) -> EdgeNode {
        self.start_edge_with(split, fallback, "auto").await
    }

    pub(crate) async fn start_edge_with(&self, split: &str, fallback: &str, codec: &str) -> EdgeNode {
        self.try_start_edge(split, fallback, codec).await.unwrap()
    }

    pub(crate) async fn try_start_edge(
        &self,
        split: &str,
        fallback: &str,
        codec: &str,
    ) -> anyhow::Result<EdgeNode> {
        self.start_edge_over("bandwidth: 1Gbps, rtt: 1ms", split, fallback, codec, "").await
    }

    /// With `fallback: required`, and so much racing.
    pub(crate) async fn start_edge_racing(&self, split: &str, race: &str) -> EdgeNode {
        let fallback = format!("required, race: {race}");
        self.start_edge(split, &fallback).await
    }

    /// With another link expected, and further lines of settings.
    pub(crate) async fn start_edge_over(
        &self,
        link: &str,
        split: &str,
        fallback: &str,
        codec: &str,
        more: &str,
    ) -> anyhow::Result<EdgeNode> {
        EdgeNode::start(self.settings(link, split, fallback, codec, more)?).await
    }

    pub(crate) fn settings(
        &self,
        link: &str,
        split: &str,
        fallback: &str,
        codec: &str,
        more: &str,
    ) -> Result<EdgeSettings, SettingsError> {
        // Port 1 answers to nobody, as long as no cloud node was started.
        let quic = if self.quic.port() == 0 { "127.0.0.1:1".to_owned() } else { self.quic.to_string() };
        let yaml = format!(
            "listen: 127.0.0.1:0\n{}\
             cloud: [{{node: cloud-1, address: '{quic}'}}]\n\
             link: {{{link}, stall: 400ms, keep_alive: 100ms}}\n\
             models: [{{name: {}, split: {split}, fallback: {fallback}, codec: {codec}, deadline: 20s}}]\n{more}",
            self.common("edge-1"),
            self.model
        );
        EdgeSettings::parse(&yaml, "edge.yaml")
    }

    /// Where a node keeps profiles.
    pub(crate) fn profiles(&self, node: &str) -> PathBuf {
        self.folder.path().join(node)
    }

    /// Writes a node's own profile: so many seconds from each boundary to the next.
    pub(crate) fn write_profile(&self, node: &str, seconds: f64) {
        self.write_profile_of(node, "tract", seconds);
    }

    /// The same for another engine.
    pub(crate) fn write_profile_of(&self, node: &str, engine: &str, seconds: f64) {
        let bundle = Repository::new(&self.repository).open(&self.model).unwrap();
        let digest = kerf_bundle::hex(&bundle.digest);
        let ranges = (0..self.last).flat_map(|from| (from + 1..=self.last).map(move |to| (from, to)));
        let range = |(from, to): (usize, usize)| {
            let time = seconds * (to - from) as f64;
            json!({
                "from": from, "to": to, "batch": 1, "runs": 9, "rounds": 2, "p50": time, "p90": time,
                "p99": time, "mean": time, "sd": 0.0, "compile": 0.1, "resident_bytes": 1000
            })
        };
        let profile = json!({
            "format": 1, "model": self.model, "digest": digest, "taken": "2026-01-01T00:00:00Z",
            "boundaries": bundle.model.boundaries().iter().map(|boundary| json!({
                "after": boundary.after, "macs_before": boundary.macs_before
            })).collect::<Vec<_>>(),
            "device": {"host": node, "cpu": "c", "cores": 1, "arch": "x86_64", "os": "linux"},
            "engine": {"name": engine, "version": "1", "threads": 1},
            "complete": true, "ranges": ranges.map(range).collect::<Vec<_>>()
        });
        std::fs::create_dir_all(self.profiles(node)).unwrap();
        std::fs::write(self.profiles(node).join(format!("{}.json", self.model)), profile.to_string())
            .unwrap();
    }

    pub(crate) async fn wait_connected(&self, edge: &EdgeNode) {
        let start = Instant::now();
        while edge.connected() == 0 {
            assert!(start.elapsed() < Duration::from_secs(20), "the edge did not reach the cloud");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The split and the plan of the first model, once there is one; as the status page says them.
    pub(crate) async fn wait_planned(&self, edge: &EdgeNode) -> (String, String) {
        let start = Instant::now();
        loop {
            let status = status(edge).await;
            let sections = status["sections"].as_array().unwrap();
            let models = sections.iter().find(|section| section["title"] == "Models").unwrap();
            let of = |name: &str| {
                let column = models["columns"].as_array().unwrap().iter().position(|it| it == name).unwrap();
                models["rows"][0][column].as_str().unwrap().to_owned()
            };
            if of("plan") != "none yet" {
                return (of("split"), of("plan"));
            }
            assert!(start.elapsed() < Duration::from_secs(20), "no plan: {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn common(&self, node: &str) -> String {
        let folder = self.folder.path().display();
        format!(
            "node: {node}\nadmin: 127.0.0.1:0\nrepository: {}\nprofiles: {folder}/{node}\nengine: {{kind: tract}}\n\
             identity: {{ca: {folder}/ca.pem, certificate: {folder}/{node}.pem, key: {folder}/{node}.key}}\n",
            self.repository.display()
        )
    }
}

/// Asks over plain HTTP, as any client might; the status and the JSON that came back.
pub(crate) async fn ask(edge: &EdgeNode, model: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let head = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    exchange(edge.http(), (head + &body).as_bytes()).await
}

/// What the status page says, as JSON.
pub(crate) async fn status(edge: &EdgeNode) -> Value {
    let request = "GET /status HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n";
    exchange(edge.admin(), request.as_bytes()).await.1
}

async fn exchange(address: SocketAddr, request: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let start = answer.find("\r\n\r\n").unwrap() + 4;
    (status, serde_json::from_str(&answer[start..]).unwrap())
}

/// Fails unless both answers have the same outputs, nearly.
pub(crate) fn near(outputs: &Value, whole: &Value) {
    within(outputs, whole, 1e-4);
}

/// Fails unless both answers have the same outputs, each number within `tolerance`.
pub(crate) fn within(outputs: &Value, whole: &Value, tolerance: f64) {
    let (outputs, whole) = (outputs.as_array().unwrap(), whole.as_array().unwrap());
    assert_eq!(outputs.len(), whole.len());
    for (output, whole) in outputs.iter().zip(whole) {
        assert_eq!((&output["name"], &output["shape"]), (&whole["name"], &whole["shape"]));
        let numbers = |value: &Value| -> Vec<f64> {
            value["data"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
        };
        for (a, b) in numbers(output).into_iter().zip(numbers(whole)) {
            assert!((a - b).abs() <= tolerance, "{a} against {b} in {}", output["name"]);
        }
    }
}
