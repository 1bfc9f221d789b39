//! A snapshot each second, for whoever listens: server-sent events.

use std::convert::Infallible;
use std::sync::{Arc, Weak};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::Channel;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::routes::{Desk, Refused};
use crate::limits::{ADMIN_LISTENER_PATIENCE, ADMIN_LISTENERS, ADMIN_SNAPSHOT};

/// The newest snapshot, made once for all listeners. One that is slow finds the newest when it is ready for it, and never
/// those in between.
pub(super) struct Events {
    desk: Arc<dyn Desk>,
    newest: watch::Sender<Bytes>,
    places: Arc<Semaphore>,
}

impl Events {
    pub(super) fn new(desk: Arc<dyn Desk>) -> Arc<Self> {
        Arc::new(Self {
            desk,
            newest: watch::Sender::default(),
            places: Arc::new(Semaphore::new(ADMIN_LISTENERS)),
        })
    }

    fn refresh(&self) {
        match frame(&self.desk.overview()) {
            Ok(frame) => drop(self.newest.send_replace(frame)),
            Err(error) => tracing::warn!(%error, "a snapshot cannot be written"),
        }
    }

    /// One more listener, from the present snapshot on.
    fn listen(&self) -> Result<Response, Refused> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| {
            Refused::TooMany(format!(
                "{ADMIN_LISTENERS} listen already, which is as many as may: close a tab"
            ))
        })?;
        let newest = self.newest.subscribe();
        if self.newest.receiver_count() == 1 {
            // While nobody listened, none was made.
            self.refresh();
        }
        // One frame under way: what comes later than that is the newest by then.
        let (sender, body) = Channel::<Bytes, Infallible>::new(1);
        tokio::spawn(keep_posted(newest, sender, place));
        let mut response = Response::new(Body::new(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// An event of the stream: JSON has no line breaks of its own.
fn frame(snapshot: &impl serde::Serialize) -> serde_json::Result<Bytes> {
    let mut text = b"data: ".to_vec();
    serde_json::to_writer(&mut text, snapshot)?;
    text.extend_from_slice(b"\n\n");
    Ok(text.into())
}

/// Sends one listener what is newest, until it goes, takes nothing for too long, or no more comes.
async fn keep_posted(
    mut newest: watch::Receiver<Bytes>,
    mut listener: http_body_util::channel::Sender<Bytes, Infallible>,
    place: OwnedSemaphorePermit,
) {
    loop {
        let frame = newest.borrow_and_update().clone();
        if !frame.is_empty() {
            let sent = tokio::time::timeout(ADMIN_LISTENER_PATIENCE, listener.send_data(frame)).await;
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        if newest.changed().await.is_err() {
            break;
        }
    }
    drop(place);
}

/// Makes a snapshot each second while somebody listens, until `stop`.
pub(super) async fn tell(events: Weak<Events>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(ADMIN_SNAPSHOT);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let Some(events) = events.upgrade() else { return };
        if events.newest.receiver_count() > 0 {
            events.refresh();
        }
    }
}

pub(super) fn router(events: Arc<Events>) -> Router {
    Router::new()
        .route("/api/v1/events", get(listen))
        .with_state(events)
}

async fn listen(State(events): State<Arc<Events>>) -> Result<Response, Refused> {
    events.listen()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_line_whatever_a_name_holds() {
        let frame = frame(&["a\nb\r\n\ndata: c", "ü"]).unwrap();
        assert_eq!(frame, "data: [\"a\\nb\\r\\n\\ndata: c\",\"ü\"]\n\n".as_bytes());
    }
}
