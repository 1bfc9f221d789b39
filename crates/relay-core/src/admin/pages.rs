//! The console: one page at `/`, and its parts.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use relay_web::Assets;

use super::routes::Refused;
use crate::serve::pages;

pub(super) fn router() -> Router {
    Router::new()
        .route("/", get(part))
        .route("/assets/{*path}", get(part))
        .with_state(Arc::new(Assets::console()))
}

async fn part(State(assets): State<Arc<Assets>>, request: Request) -> Result<Response, Refused> {
    let fence = relay_web::console_headers();
    let found = pages::asset(&assets, request.uri().path(), request.headers(), fence);
    let found = found.ok_or_else(|| Refused::NotFound("the console has no such part".to_owned()))?;
    Ok(found.map(Body::new))
}
