//! What a node tells Prometheus and an init system: `/metrics`, `/healthz`, `/readyz`, and nothing else.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, Gauge, GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::config::Secret;
use crate::few::serve_few;
use crate::limits::METRICS_CONNECTIONS;
use crate::readiness::Readiness;
use crate::serve::{BindError, listen};

/// How long a request's head may take: a scraper sends one packet.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// A registry with what every node tells: build and process.
///
/// # Errors
/// When a name is taken: a mistake of ours.
pub fn registry(program: &str) -> prometheus::Result<Registry> {
    let registry = Registry::new();
    let build = IntGaugeVec::new(
        Opts::new("relay_build_info", "Always 1; which program and version this is."),
        &["program", "version"],
    )?;
    build
        .with_label_values(&[program, env!("CARGO_PKG_VERSION")])
        .set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(
        prometheus::process_collector::ProcessCollector::for_self(),
    ))?;
    Ok(registry)
}

/// Values that are read when somebody asks, such as those of a list of streams: no series is kept for what is gone.
struct AtScrape<F> {
    description: Desc,
    read: F,
}

impl<F: Fn() -> prometheus::Result<Vec<MetricFamily>> + Send + Sync> Collector for AtScrape<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.read)().unwrap_or_else(|error| {
            tracing::warn!(%error, "a metric could not be read");
            Vec::new()
        })
    }
}

/// Registers `read`, to be called at each scrape; `family` names one of the families that it returns.
///
/// # Errors
/// When that name is taken.
pub fn at_scrape<F>(registry: &Registry, family: &str, read: F) -> prometheus::Result<()>
where
    F: Fn() -> prometheus::Result<Vec<MetricFamily>> + Send + Sync + 'static,
{
    let description = Desc::new(family.to_owned(), family.to_owned(), Vec::new(), HashMap::new())?;
    registry.register(Box::new(AtScrape { description, read }))
}

/// One family with one value, as it stands now.
///
/// # Errors
/// When the name is none.
pub fn gauge(name: &str, help: &str, value: f64) -> prometheus::Result<Vec<MetricFamily>> {
    let gauge = Gauge::new(name, help)?;
    gauge.set(value);
    Ok(gauge.collect())
}

/// One family with one total, as it stands now.
///
/// # Errors
/// When the name is none.
pub fn counter(name: &str, help: &str, value: u64) -> prometheus::Result<Vec<MetricFamily>> {
    let counter = IntCounter::new(name, help)?;
    counter.inc_by(value);
    Ok(counter.collect())
}

/// One family of totals by one label, as they stand now.
///
/// # Errors
/// When the name is none.
pub fn counters<'a>(
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'a str, u64)>,
) -> prometheus::Result<Vec<MetricFamily>> {
    let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
    for (value, count) in values {
        counters.with_label_values(&[value]).inc_by(count);
    }
    Ok(counters.collect())
}

/// One family of values by one label, as they stand now.
///
/// # Errors
/// When the name is none.
pub fn gauges<'a>(
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'a str, f64)>,
) -> prometheus::Result<Vec<MetricFamily>> {
    let gauges = GaugeVec::new(Opts::new(name, help), &[label])?;
    for (value, number) in values {
        gauges.with_label_values(&[value]).set(number);
    }
    Ok(gauges.collect())
}

/// The metrics listener.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    readiness: Readiness,
    token: Option<Secret>,
}

impl MetricsServer {
    /// Binds the listener. With a token, only who shows it as `Authorization: Bearer …` gets `/metrics`; the two health
    /// paths tell nothing that needs one.
    ///
    /// # Errors
    /// Which port could not be had, and why.
    pub async fn bind(
        address: SocketAddr,
        registry: Registry,
        readiness: Readiness,
        token: Option<Secret>,
    ) -> Result<Self, BindError> {
        let (name, key) = ("metrics", "[metrics] listen");
        let bound = listen::open(address, |_| Ok(()));
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => BindError::InUse { name, key, address },
            _ => BindError::Other {
                name,
                key,
                address,
                error,
            },
        })?;
        Ok(Self {
            listener,
            address,
            shared: Arc::new(Shared {
                registry,
                readiness,
                token,
            }),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        serve_few(&self.listener, METRICS_CONNECTIONS, &stop, |socket| {
            let shared = Arc::clone(&self.shared);
            async move { serve(&shared, socket).await }
        })
        .await;
    }
}

async fn serve(shared: &Shared, socket: TcpStream) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let response = shared.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(socket), service);
    if let Err(error) = serving.await {
        tracing::debug!(%error, "metrics connection over");
    }
}

impl Shared {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is of use here\n".into());
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, format!("alive\n{}", self.readiness.remarks())),
            "/readyz" => {
                let ready = self.readiness.is_ready();
                let status = if ready {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                text(status, self.readiness.report())
            }
            "/metrics" if !self.may_read(request) => text(
                StatusCode::UNAUTHORIZED,
                "this needs the bearer token of [metrics] token\n".into(),
            ),
            "/metrics" => self.metrics(),
            _ => text(
                StatusCode::NOT_FOUND,
                "here are /metrics, /healthz and /readyz\n".into(),
            ),
        }
    }

    fn may_read(&self, request: &Request<Incoming>) -> bool {
        let Some(token) = &self.token else { return true };
        let shown = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let shown = shown
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        token.matches(shown)
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut body = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut body) {
            Ok(()) => respond(StatusCode::OK, prometheus::TEXT_FORMAT, body.into()),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", body.into())
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    response
}

#[cfg(test)]
mod tests;
