//! A listener for a few, who are not viewers: metrics, the admin socket, the console. Each connection has a task, and there are so
//! many at a time.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The wait after an accept that failed: out of descriptors, most likely, and the next scrape or glance is soon enough.
const BREATH: Duration = Duration::from_millis(100);

/// What gives connections.
pub trait Accept: Sync {
    /// One of them.
    type Socket: Send + 'static;

    /// The next one.
    fn next(&self) -> impl Future<Output = io::Result<Self::Socket>> + Send;
}

impl Accept for TcpListener {
    type Socket = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(socket, _)| socket)
    }
}

impl Accept for UnixListener {
    type Socket = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(socket, _)| socket)
    }
}

/// Serves what comes, `most` at a time, until `stop`, which ends those under way too. One more waits in the kernel's queue.
pub async fn serve_few<A: Accept, F>(
    listener: &A,
    most: usize,
    stop: &CancellationToken,
    serve: impl Fn(A::Socket) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(most));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.next() => accepted,
        };
        let Ok(socket) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let (serving, stop) = (serve(socket), stop.clone());
        tokio::spawn(async move {
            stop.run_until_cancelled(serving).await;
            drop(place);
        });
    }
}
