//! A visit over RTMP.

use std::sync::Arc;

use bytes::BytesMut;
use relay_core::rtmp::address::Url;
use relay_core::rtmp::client::{Action, Event, Session};
use relay_core::rtmp::command::{PLAY_FAILED, PLAY_NOT_FOUND};
use relay_core::rtmp::handshake;
use relay_core::stream::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fault::Fault;
use super::jury::Jury;
use super::visit::{Answer, Progress, Visit, mark};
use crate::conversation::Conversation;

/// Bytes read at a time.
const READ_BUFFER: usize = 16 << 10;

/// Plays the stream; or shakes hands, where there is none.
///
/// # Errors
/// What is wrong there.
pub(super) async fn visit(
    visit: &Visit,
    socket: TcpStream,
    progress: &mut Progress,
) -> Result<Answer, Fault> {
    match &visit.stream {
        None => shake_hands(visit, socket).await,
        Some(stream) => {
            let url = Url {
                authority: visit.endpoint.authority(),
                app: stream.key().app().to_owned(),
                name: format!("{}?{}", stream.key().name(), mark()),
            };
            let session = Session::new(url, Action::Play, random(), visit.clock.now());
            let talk = Conversation::new(session, socket, READ_BUFFER);
            Player { visit, talk }.play(stream, progress).await
        }
    }
}

async fn shake_hands(visit: &Visit, mut socket: TcpStream) -> Result<Answer, Fault> {
    let mut output = Vec::new();
    let mut hands = handshake::Client::start(random(), visit.clock.now(), &mut output);
    let mut input = BytesMut::with_capacity(READ_BUFFER);
    loop {
        socket.write_all(&output).await.map_err(|_| Fault::Broken)?;
        output.clear();
        input.clear();
        let read = socket.read_buf(&mut input).await;
        if read.map_err(|_| Fault::Broken)? == 0 {
            return Err(Fault::Broken);
        }
        match hands.handle_input(&mut &input[..], &mut output) {
            Ok(true) => return Ok(Answer::Fine),
            Ok(false) => {}
            Err(_) => return Err(Fault::NoRelay),
        }
    }
}

struct Player<'a> {
    visit: &'a Visit,
    talk: Conversation,
}

impl Player<'_> {
    async fn play(mut self, stream: &Arc<Stream>, progress: &mut Progress) -> Result<Answer, Fault> {
        let mut jury = Jury::new(Arc::clone(stream));
        let mut started = false;
        loop {
            while let Some(event) = self.talk.poll_event() {
                match event {
                    Event::Started => started = true,
                    // It never announces that it connects anew.
                    Event::ReconnectRequested { .. } => {}
                    Event::Tag { kind, time, payload } => jury.handle_tag(kind, time, &payload),
                    Event::Ended => return jury.verdict().map(|()| Answer::Fine),
                    Event::Refused {
                        elsewhere: Some(_), ..
                    } => return Ok(Answer::Fine),
                    Event::Refused { code, .. } => {
                        return match code.as_str() {
                            PLAY_NOT_FOUND => Ok(Answer::Lacks),
                            PLAY_FAILED => Ok(Answer::Fine),
                            _ => Err(Fault::Refuses),
                        };
                    }
                }
            }
            let read = match started {
                false => Some(self.talk.exchange().await),
                true => progress.listen(&jury, self.talk.exchange()).await,
            };
            match read {
                Some(Ok(read @ 1..)) => jury.count(read),
                Some(Ok(0) | Err(_)) if !started => return Err(Fault::Broken),
                // A connection that breaks is a stream that ends: what came before counts.
                Some(Ok(0) | Err(_)) | None => return jury.verdict().map(|()| Answer::Fine),
            }
            let handled = self.talk.take(self.visit.clock.now());
            handled.map_err(|error| {
                tracing::debug!(%error, "an edge speaks no RTMP");
                if started { Fault::Garbled } else { Fault::NoRelay }
            })?;
        }
    }
}

/// What a handshake is filled with; nothing hangs on it.
fn random() -> [u8; 32] {
    let mut random = [0; 32];
    // Without random bytes zeros do.
    let _ = getrandom::fill(&mut random);
    random
}
