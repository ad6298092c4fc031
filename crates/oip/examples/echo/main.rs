//! Serves identity models over the protocol, one per element type: `cargo run -p kerf-oip
//! --example echo -- 127.0.0.1:8000`. It prints the address once it listens.

#![allow(clippy::print_stdout, reason = "the address is what it is asked for")]

mod service;

use std::error::Error;
use std::sync::Arc;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("{}", listener.local_addr()?);
    let router = kerf_oip::router(Arc::new(service::Identity), kerf_oip::Limits::default());
    axum::serve(listener, router).await?;
    Ok(())
}
