//! Where an encoder is received: one connection, served by a session of the relay's, and kept.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use relay_core::clock::Clock;
use relay_core::rtmp::server::{Config, Event, Session};

use crate::catalogue::Ending;
use crate::no_connection;

/// Input read at a time, as a server would.
const READ: usize = 16 << 10;

/// What came over one connection.
pub(crate) struct Connection {
    /// All of it.
    pub(crate) input: Vec<u8>,
    /// Tags in it.
    pub(crate) tags: usize,
}

/// What the desk tells while it serves.
enum Said {
    Enough,
    Over(Result<Connection>),
}

/// A port of its own, and who serves it.
pub(crate) struct Desk {
    port: u16,
    said: Receiver<Said>,
}

impl Desk {
    pub(crate) fn open(ending: Ending) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        // Two words are said, at most.
        let (say, said) = sync_channel(2);
        std::thread::spawn(move || {
            let served = listener.accept().map_err(Into::into);
            let served = served.and_then(|(socket, _)| serve(socket, ending, &say));
            // Nobody may be waiting any more.
            let _ = say.send(Said::Over(served));
        });
        Ok(Self { port, said })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Waits until the connection is over; `enough` is called when as many tags are there as the ending asks for.
    pub(crate) fn connection(self, patience: Duration, enough: impl Fn()) -> Result<Connection> {
        loop {
            match self.said.recv_timeout(patience).map_err(no_connection)? {
                Said::Enough => enough(),
                Said::Over(connection) => return connection,
            }
        }
    }
}

fn serve(mut socket: TcpStream, ending: Ending, say: &SyncSender<Said>) -> Result<Connection> {
    let clock = Clock::start();
    let mut session = Session::new(Config::default(), [5; 32]);
    let mut connection = Connection {
        input: Vec::new(),
        tags: 0,
    };
    let mut buffer = vec![0; READ];
    loop {
        // An encoder that leaves with replies unread resets the connection.
        let Ok(count @ 1..) = socket.read(&mut buffer) else {
            return Ok(connection);
        };
        connection.input.extend_from_slice(&buffer[..count]);
        session
            .handle_input(&buffer[..count], clock.now())
            .context("the session")?;
        while let Some(event) = session.poll_event() {
            match event {
                Event::Publish { secret, .. } if secret.as_deref() == Some("s3") => {
                    session.accept_publish()?
                }
                Event::Tag { .. } => {
                    connection.tags += 1;
                    if ending == Ending::After(connection.tags) {
                        say.send(Said::Enough)?;
                    }
                }
                Event::Unpublish => {}
                other => bail!("it wants something else: {other:?}"),
            }
        }
        while let Some(output) = session.poll_output() {
            // One that is gone shows at the next read.
            let _ = socket.write_all(&output);
        }
    }
}
