//! The API's client, for the command line.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use super::place::Place;
use crate::limits::{ADMIN_PATIENCE, ADMIN_REPLY_BYTES};

/// Why a verb got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody is there.
    #[error("no {program} answers on {}: is it running, and as you? ({error})", path.display())]
    NotRunning {
        /// Who should.
        program: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It answered no.
    #[error("{0}")]
    Refused(String),
    /// It answered what is no answer, or not in time.
    #[error("the answer over {} makes no sense: {reason}", path.display())]
    BadAnswer {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Asks a running program over its admin socket.
#[derive(Clone, Debug)]
pub struct AdminClient {
    program: &'static str,
    path: PathBuf,
}

impl AdminClient {
    /// Whoever answers on `path`; `program` is who should, for messages.
    pub fn new(program: &'static str, path: &Path) -> Self {
        Self {
            program,
            path: path.to_owned(),
        }
    }

    /// Reads.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, route, Bytes::new()).await
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// Why it was not.
    pub async fn post<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.bad(&error))?;
        self.ask(Method::POST, route, body.into()).await
    }

    /// Asks for something to be ended.
    ///
    /// # Errors
    /// Why it was not.
    pub async fn delete<T: DeserializeOwned>(&self, route: &str) -> Result<T, ClientError> {
        self.ask(Method::DELETE, route, Bytes::new()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let exchange = tokio::time::timeout(ADMIN_PATIENCE, self.exchange(method, route, body));
        let (status, body) = exchange
            .await
            .map_err(|_| self.bad(&"it did not come in time"))??;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| self.bad(&error));
        }
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let said = answer.get("error").and_then(Value::as_str).map(str::to_owned);
        Err(ClientError::Refused(said.unwrap_or_else(|| {
            String::from_utf8_lossy(&body).trim().to_owned()
        })))
    }

    /// Passes a request on as it is, over a connection of its own, and gives the answer as soon as its head is there; its body may
    /// take for ever.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn forward<B>(&self, request: Request<B>) -> Result<Response<Incoming>, ClientError>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let answer = tokio::time::timeout(ADMIN_PATIENCE, self.send(request));
        answer.await.map_err(|_| self.bad(&"it did not come in time"))?
    }

    /// Sends a request over a connection of its own, which ends with the answer's body.
    async fn send<B>(&self, request: Request<B>) -> Result<Response<Incoming>, ClientError>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let connecting = async {
            let place = Place::of(&self.path)?;
            UnixStream::connect(place.path()).await
        };
        let socket = connecting.await.map_err(|error| ClientError::NotRunning {
            program: self.program,
            path: self.path.clone(),
            error,
        })?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.bad(&error))?;
        tokio::spawn(connection);
        let sent = sender.send_request(request).await;
        sent.map_err(|error| self.bad(&error))
    }

    async fn exchange(
        &self,
        method: Method,
        route: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let request = Request::builder().method(method).uri(route).header(HOST, "admin");
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body));
        let request = request.map_err(|error| self.bad(&error))?;
        let response = self.send(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ADMIN_REPLY_BYTES)
            .collect()
            .await;
        let body = body.map_err(|error| self.bad(&error))?.to_bytes();
        Ok((status, body))
    }

    fn bad(&self, reason: &dyn std::fmt::Display) -> ClientError {
        ClientError::BadAnswer {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }
}
