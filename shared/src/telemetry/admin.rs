//! The admin port of a service: `/metrics`, `/healthz`, `/readyz`.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Metrics;
pub use super::readiness::{Calls, Readiness};
use crate::listener;
use crate::shutdown::Shutdown;

/// How often recorded histogram samples are moved on when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Admin {
    metrics: Metrics,
    readiness: Readiness,
    shutdown: Shutdown,
}

/// Binds the admin port and serves it in the background until the process ends, drain
/// included. With `announce`, the address is written to that file, for supervisors that let
/// the system choose the port.
///
/// # Errors
/// The address cannot be bound or the file cannot be written; the message names it.
pub async fn start(
    address: SocketAddr,
    announce: Option<&Path>,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: Shutdown,
) -> io::Result<SocketAddr> {
    let listener = listener::open(address, announce, "admin port").await?;
    let bound = listener.local_addr()?;
    let admin = Admin { metrics: metrics.clone(), readiness, shutdown };
    let routes = Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(admin);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            metrics.upkeep();
        }
    });
    Ok(bound)
}

async fn scrape(State(admin): State<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], admin.metrics.render())
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    if admin.shutdown.is_requested() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
    }
    match admin.readiness.check() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}
