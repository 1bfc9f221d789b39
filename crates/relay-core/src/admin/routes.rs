//! The API's routes, over a desk that each program staffs itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    EdgeRow, EndedKey, KeyRequest, KeyRow, MadeKey, Overview, SourceRow, StreamRow, TokenRow, ViewerRow,
};
use crate::limits::{ADMIN_BODY_BYTES, ADMIN_LISTED_VIEWERS};

/// Why the desk does not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such thing: an unknown id is an error, not a silent success (R08).
    #[error("{0}")]
    NotFound(String),
    /// This program does no such thing.
    #[error("{0}")]
    NotHere(&'static str),
    /// As many do so already as may.
    #[error("{0}")]
    TooMany(String),
    /// It was tried, and failed.
    #[error("{0}")]
    Failed(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::NotHere(_) => StatusCode::NOT_IMPLEMENTED,
            Self::TooMany(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

/// Whom to let go: one viewer by its id, or whoever publishes a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KickRequest {
    /// A viewer.
    Viewer(u64),
    /// A stream's publisher.
    Stream(String),
}

/// A token to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// For how long it is good, in seconds.
    pub ttl_seconds: u64,
    /// For how many edges.
    pub uses: u32,
}

/// An edge that is to take nobody new, or to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// Whether it is to drain.
    pub drain: bool,
}

/// What takes its time: a list that the fan-out's threads have to be asked for.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who does what the API asks for.
pub trait Desk: Send + Sync + 'static {
    /// All that matters at one glance. It is asked for each second while somebody listens.
    fn overview(&self) -> Overview;

    /// The streams.
    fn streams(&self) -> Vec<StreamRow>;

    /// What is pulled from other servers; nothing on an edge.
    fn sources(&self) -> Vec<SourceRow> {
        Vec::new()
    }

    /// The viewers.
    fn viewers(&self) -> Answer<'_, Vec<ViewerRow>>;

    /// Lets somebody go.
    ///
    /// # Errors
    /// When there is no such viewer or publisher.
    fn kick(&self, whom: KickRequest) -> Answer<'_, Result<(), Refused>>;

    /// The join tokens.
    ///
    /// # Errors
    /// On an edge, which has none.
    fn tokens(&self) -> Result<Vec<TokenRow>, Refused>;

    /// Makes a join token: the one time that its text is shown.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    fn create_token(&self, wish: TokenRequest) -> Result<String, Refused>;

    /// Ends a join token.
    ///
    /// # Errors
    /// When there is none of that id, or it cannot be kept.
    fn revoke_token(&self, id: &str) -> Result<(), Refused>;

    /// The publish keys.
    ///
    /// # Errors
    /// On an edge, which has none.
    fn keys(&self) -> Result<Vec<KeyRow>, Refused>;

    /// Makes a publish key.
    ///
    /// # Errors
    /// When the wish makes no sense, or the key cannot be made or kept.
    fn create_key(&self, wish: KeyRequest) -> Result<MadeKey, Refused>;

    /// Ends a publish key at once, and with it whoever publishes by it.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be kept.
    fn revoke_key(&self, id: &str) -> Result<EndedKey, Refused>;

    /// The pool's edges.
    ///
    /// # Errors
    /// On an edge, which knows of none.
    fn edges(&self) -> Result<Vec<EdgeRow>, Refused>;

    /// Lets an edge drain, or go on. Returns its whole id: a beginning of it that is no other's is enough.
    ///
    /// # Errors
    /// When there is none of that id, or there are several.
    fn drain_edge(&self, id: &str, wish: DrainRequest) -> Result<String, Refused>;

    /// Ends an edge's membership at once and for good. Returns its whole id.
    ///
    /// # Errors
    /// When there is none of that id, or it cannot be written down.
    fn revoke_edge(&self, id: &str) -> Result<String, Refused>;

    /// Where Prometheus finds the nodes' metrics.
    fn metrics_targets(&self) -> Vec<String>;
}

pub(super) fn router(desk: Arc<dyn Desk>) -> Router {
    Router::new()
        .route("/api/v1/overview", get(overview))
        .route("/api/v1/streams", get(streams))
        .route("/api/v1/sources", get(sources))
        .route("/api/v1/viewers", get(viewers))
        .route("/api/v1/kick", post(kick))
        .route("/api/v1/tokens", get(tokens).post(create_token))
        .route("/api/v1/tokens/{id}", delete(revoke_token))
        .route("/api/v1/keys", get(keys).post(create_key))
        .route("/api/v1/keys/{id}", delete(revoke_key))
        .route("/api/v1/edges", get(edges))
        .route("/api/v1/edges/{id}", delete(revoke_edge))
        .route("/api/v1/edges/{id}/drain", post(drain_edge))
        .route("/api/prometheus-targets", get(targets))
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(ADMIN_BODY_BYTES))
        .with_state(desk)
}

type Staff = State<Arc<dyn Desk>>;

async fn overview(State(desk): Staff) -> Json<Overview> {
    Json(desk.overview())
}

async fn streams(State(desk): Staff) -> Json<Vec<StreamRow>> {
    Json(desk.streams())
}

async fn sources(State(desk): Staff) -> Json<Vec<SourceRow>> {
    Json(desk.sources())
}

async fn viewers(State(desk): Staff) -> Json<Vec<ViewerRow>> {
    let mut rows = desk.viewers().await;
    rows.truncate(ADMIN_LISTED_VIEWERS);
    Json(rows)
}

async fn kick(State(desk): Staff, Json(whom): Json<KickRequest>) -> Result<Json<Value>, Refused> {
    desk.kick(whom).await?;
    Ok(Json(json!({})))
}

async fn tokens(State(desk): Staff) -> Result<Json<Vec<TokenRow>>, Refused> {
    desk.tokens().map(Json)
}

async fn create_token(State(desk): Staff, Json(wish): Json<TokenRequest>) -> Result<Json<Value>, Refused> {
    let token = desk.create_token(wish)?;
    Ok(Json(json!({ "token": token })))
}

async fn revoke_token(State(desk): Staff, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    desk.revoke_token(&id)?;
    Ok(Json(json!({})))
}

async fn keys(State(desk): Staff) -> Result<Json<Vec<KeyRow>>, Refused> {
    desk.keys().map(Json)
}

async fn create_key(State(desk): Staff, Json(wish): Json<KeyRequest>) -> Result<Json<MadeKey>, Refused> {
    desk.create_key(wish).map(Json)
}

async fn revoke_key(State(desk): Staff, Path(id): Path<String>) -> Result<Json<EndedKey>, Refused> {
    desk.revoke_key(&id).map(Json)
}

async fn edges(State(desk): Staff) -> Result<Json<Vec<EdgeRow>>, Refused> {
    desk.edges().map(Json)
}

async fn drain_edge(
    State(desk): Staff,
    Path(id): Path<String>,
    Json(wish): Json<DrainRequest>,
) -> Result<Json<Value>, Refused> {
    let id = desk.drain_edge(&id, wish)?;
    Ok(Json(json!({ "id": id })))
}

async fn revoke_edge(State(desk): Staff, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let id = desk.revoke_edge(&id)?;
    Ok(Json(json!({ "id": id })))
}

async fn nothing_here() -> Refused {
    Refused::NotFound("the admin API has nothing of that name".to_owned())
}

/// The form that Prometheus' `http_sd_configs` reads.
async fn targets(State(desk): Staff) -> Json<Value> {
    Json(json!([{ "targets": desk.metrics_targets(), "labels": { "job": "relay" } }]))
}
