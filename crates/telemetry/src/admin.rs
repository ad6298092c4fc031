//! The admin listener: `/metrics` for Prometheus, `/status` for programs, `/` for people.

mod status;

pub use status::{Section, Status, StatusPage};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A bound listener, not serving yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

/// Why the listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Not a loopback address, and nobody said that this is meant.
    #[error(
        "admin address {0} is not a loopback address; the page has no access control, so this must be allowed explicitly"
    )]
    Remote(SocketAddr),
    /// The system refused the address.
    #[error("admin address {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

const PAGE: &str = include_str!("admin/page.html");
const STYLE: &str = include_str!("admin/page.css");
const SCRIPT: &str = include_str!("admin/page.js");

/// The page is its own three files and nothing else, whatever a status might say.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src data:; frame-ancestors 'none'; base-uri 'none'";

impl Admin {
    /// Binds `address`; one that other machines reach only where `allow_remote` says so.
    pub async fn bind(
        address: SocketAddr,
        allow_remote: bool,
        registry: Arc<Registry>,
        status: Arc<dyn StatusPage>,
    ) -> Result<Self, AdminError> {
        if !allow_remote && !address.ip().is_loopback() {
            return Err(AdminError::Remote(address));
        }
        let failed = |source| AdminError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address: bound, router: router(registry, status) })
    }

    /// The address bound, with the port that the system chose where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves for as long as the task lives, a node's last moments included.
    pub async fn run(self) {
        if let Err(error) = self.serve(std::future::pending()).await {
            tracing::error!(%error, "the admin listener stopped");
        }
    }

    /// Serves until `shutdown` is ready.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        axum::serve(self.listener, self.router).with_graceful_shutdown(shutdown).await
    }
}

#[derive(Clone)]
struct Sources {
    registry: Arc<Registry>,
    status: Arc<dyn StatusPage>,
}

fn router(registry: Arc<Registry>, status: Arc<dyn StatusPage>) -> Router {
    Router::new()
        .route("/", get(|| async { asset("text/html; charset=utf-8", PAGE) }))
        .route("/page.css", get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route("/page.js", get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/metrics", get(metrics))
        .route("/status", get(status_json))
        .route("/healthz", get(health))
        .with_state(Sources { registry, status })
}

async fn health(State(sources): State<Sources>) -> Response {
    if sources.status.ready() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &sources.registry) {
        Ok(()) => {
            let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, form)], text).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("encoding metrics: {error}\n")).into_response()
        }
    }
}

async fn status_json(State(sources): State<Sources>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, sources.status.status().into_json().to_string()).into_response()
}

fn asset(form: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(form)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, text).into_response()
}
