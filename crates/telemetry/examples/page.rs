//! The status page with tables as an edge node has them: `cargo run -p kerf-telemetry --example page
//! -- 127.0.0.1:9901`.

#![allow(clippy::disallowed_methods, reason = "an example is a program, and has a clock")]
#![allow(clippy::print_stdout, reason = "the address is what it is asked for")]

use kerf_telemetry::{Admin, Section, Status, StatusPage};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use serde_json::json;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

struct Page {
    start: Instant,
    asked: Counter,
}

impl StatusPage for Page {
    fn status(&self) -> Status {
        let asked = self.asked.inc() + 1;
        let models = ["name", "split", "fallback", "engine", "resident MiB", "requests"];
        let peers = ["node", "address", "state", "round trip ms", "in flight"];
        Status {
            node: "edge-1".to_owned(),
            role: "edge node".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.start.elapsed(),
            sections: vec![
                Section::new("Models", &models)
                    .row([
                        json!("camera"),
                        json!("b7"),
                        json!("required"),
                        json!("ort"),
                        json!(13.6),
                        json!(48_213),
                    ])
                    .row([
                        json!("doorbell"),
                        json!("edge"),
                        json!("none"),
                        json!("tract"),
                        json!(4.25),
                        json!(77),
                    ]),
                Section::new("Cloud nodes", &peers)
                    .row([
                        json!("cloud-1"),
                        json!("10.3.0.7:4433"),
                        json!("connected"),
                        json!(8.31),
                        json!(2),
                    ])
                    .row([
                        json!("cloud-2"),
                        json!("10.3.0.9:4433"),
                        json!("dialling"),
                        json!(null),
                        json!(0),
                    ]),
                Section::new("Waiting", &["model", "since"]),
                Section::new("Counters", &["what", "count"])
                    .row([json!("answered here"), json!(1_204)])
                    .row([json!("answered in the cloud"), json!(47_009 + asked)])
                    .row([json!("finished here after a cloud failure"), json!(3)])
                    .row([json!("refused: queue full"), json!(0)]),
            ],
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse()?;
    let (mut registry, asked) = (Registry::default(), Counter::default());
    registry.register("status_requests", "Status documents made", asked.clone());
    let page = Page { start: Instant::now(), asked };
    let admin = Admin::bind(address, false, Arc::new(registry), Arc::new(page)).await?;
    println!("http://{}/", admin.local_addr());
    admin.serve(std::future::pending()).await?;
    Ok(())
}
