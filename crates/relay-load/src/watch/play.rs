//! A viewer's side of RTMP, over a socket that never waits.

use std::os::fd::OwnedFd;

use bytes::{Buf as _, Bytes};
use relay_core::clock::Now;
use relay_core::rtmp::address::Url;
use relay_core::rtmp::client::{Action, Event, Session};

use super::fate::Fate;
use super::media::{Media, Seen};
use super::sys;
use super::tally::{Moment, Tally};
use crate::mark::MARK_END;

/// Plays one stream. It allocates per tag, which limits an audience to some thousands.
#[derive(Debug)]
pub(super) struct Play {
    session: Session,
    /// What the socket has not taken yet.
    waiting: Bytes,
    verify: bool,
    started: bool,
}

impl Play {
    pub(super) fn new(url: Url, number: u32, verify: bool, at: Moment) -> Self {
        // The handshake's random bytes need only differ: nobody is kept out by them.
        let mut random = [0x5A; 32];
        random[..4].copy_from_slice(&number.to_be_bytes());
        Self {
            session: Session::new(url, Action::Play, random, now(at)),
            waiting: Bytes::new(),
            verify,
            started: false,
        }
    }

    /// Whether the server has said that it plays.
    pub(super) const fn is_started(&self) -> bool {
        self.started
    }

    /// Sends what there is to say.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn flush(&mut self, socket: &OwnedFd) -> Result<(), Fate> {
        loop {
            if self.waiting.is_empty() {
                let Some(more) = self.session.poll_output() else {
                    return Ok(());
                };
                self.waiting = more;
            }
            match sys::send(socket, &self.waiting).map_err(Fate::from_send)? {
                0 => return Ok(()),
                sent => self.waiting.advance(sent),
            }
        }
    }

    /// Takes what came.
    ///
    /// # Errors
    /// The server refused, ended the stream, or spoke no RTMP.
    pub(super) fn take(
        &mut self,
        input: &[u8],
        at: Moment,
        media: &mut Media,
        tally: &mut Tally,
    ) -> Result<(), Fate> {
        self.session.handle_input(input, now(at)).map_err(|_| {
            if media.has_tag() {
                media.corrupt(tally);
            }
            Fate::BadAnswer
        })?;
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Started => self.started = true,
                // It never announces that it connects anew.
                Event::ReconnectRequested { .. } => {}
                Event::Refused {
                    elsewhere: Some(url), ..
                } => {
                    return Err(Fate::Redirected(format!("{}/{}", url.tc_url(), url.name)));
                }
                Event::Refused { .. } => return Err(Fate::Denied),
                Event::Ended => return Err(Fate::Closed),
                Event::Tag { kind, time, payload } => {
                    media.first_byte(at, tally);
                    let seen = Seen {
                        kind,
                        time,
                        length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
                        head: &payload[..payload.len().min(MARK_END)],
                        whole: self.verify.then_some(&payload),
                    };
                    media.tag(&seen, at, tally);
                }
            }
        }
        Ok(())
    }
}

const fn now(at: Moment) -> Now {
    Now {
        mono_ms: at.at_us / 1000,
        unix_us: at.wall_us,
    }
}
