//! The page over HTTP, and what it asks for.

use super::control::Change;
use super::state::State;
use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hyper::body::{Body as HttpBody, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const PAGE: [&str; 4] = [
    include_str!("page/page.html"),
    include_str!("page/style.css"),
    include_str!("page/plot.js"),
    include_str!("page/live.js"),
];
/// The page is one file, and asks nobody but this server.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";
/// Bytes of a change.
const BODY: usize = 4 << 10;

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/", get(|| async { page() }))
        .route("/state", get(state_json))
        .route("/events", get(events))
        .route("/link", post(link))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(state);
    axum::serve(listener, router).await.context("serving the page")
}

fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, document()).into_response()
}

/// One file out of four.
fn document() -> String {
    let [page, style, plot, live] = PAGE;
    page.replacen("/* style */", style, 1).replacen("/* script */", &format!("{plot}\n{live}"), 1)
}

async fn state_json(Shared(state): Shared<Arc<State>>) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(state.to_json())).into_response()
}

async fn events(Shared(state): Shared<Arc<State>>) -> Response {
    match state.listen() {
        Some(events) => {
            let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
            (headers, Body::new(Stream(events))).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n").into_response(),
    }
}

/// Takes JSON alone, which no page from elsewhere can send without being asked first.
async fn link(Shared(state): Shared<Arc<State>>, asked: Result<Json<Change>, JsonRejection>) -> Response {
    let change = match asked {
        Ok(Json(change)) => change,
        Err(error) => return (error.status(), format!("{}\n", error.body_text())).into_response(),
    };
    match state.control.change(&change) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// Events until the page or the demo ends.
struct Stream(mpsc::Receiver<Bytes>);

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_one_file_that_asks_nobody_else() {
        let document = document();
        assert!(document.starts_with("<!doctype html>"));
        for part in ["/* style */", "/* script */", "src=", "href=", "@import", "url("] {
            assert!(!document.contains(part), "{part}");
        }
        assert_eq!(document.matches("://").count(), document.matches("http://www.w3.org/2000/svg").count());
        // Text from outside is never markup.
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!document.contains(way), "{way}");
        }
    }
}
