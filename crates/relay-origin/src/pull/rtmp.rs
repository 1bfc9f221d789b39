//! A pull over RTMP: a player that keeps what it gets.

use relay_core::clock::Clock;
use relay_core::config::HostPort;
use relay_core::flv::RawTag;
use relay_core::rtmp::address::Url;
use relay_core::rtmp::client::{Action, Event, Session};
use tokio::time::{Instant, timeout_at};

use super::fault::{Fault, shown_code};
use super::intake::Intake;
use super::{ANSWER_TIME, MAX_REDIRECTS, Way};
use crate::conversation::Conversation;

/// Bytes read at a time.
const READ_BUFFER: usize = 64 << 10;

/// How playing ended, if not by a fault.
enum Over {
    /// The stream ended, as the server says.
    Ended,
    /// The server sends us on.
    Elsewhere(Box<Url>),
}

/// Takes the stream from there until it ends.
///
/// # Errors
/// Why it ended, if not by its own end.
pub(super) async fn pull(way: &Way, url: &Url, clock: Clock, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let mut player = Player::dial(way, &url, clock).await?;
        match player.play(intake).await? {
            Over::Ended => return Ok(()),
            Over::Elsewhere(next) => url = *next,
        }
    }
    Err(Fault::Redirects)
}

struct Player {
    talk: Conversation,
    clock: Clock,
    /// Until then the server has to say that it plays.
    answer_by: Instant,
}

impl Player {
    async fn dial(way: &Way, url: &Url, clock: Clock) -> Result<Self, Fault> {
        // A URL of the configuration has a good authority; where a server sends us may have none.
        let authority = url.authority.parse::<HostPort>();
        let authority = authority.map_err(|_| Fault::BadRedirect("to no host"))?;
        let socket = way.dialler.connect(authority.host(), authority.port()).await?;
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let session = Session::new(url.clone(), Action::Play, random, clock.now());
        Ok(Self {
            talk: Conversation::new(session, socket, READ_BUFFER),
            clock,
            answer_by: Instant::now() + ANSWER_TIME,
        })
    }

    async fn play(&mut self, intake: &mut Intake<'_>) -> Result<Over, Fault> {
        let mut started = false;
        loop {
            while let Some(event) = self.talk.poll_event() {
                match event {
                    Event::Started => started = true,
                    Event::Tag { kind, time, payload } => {
                        // Some servers do not say that they begin.
                        started = true;
                        intake.handle_tag(RawTag { kind, time, payload })?;
                    }
                    // A player does not say that it does so, and is sent on by `Refused`.
                    Event::ReconnectRequested { .. } => {}
                    Event::Ended => return Ok(Over::Ended),
                    Event::Refused {
                        elsewhere: Some(url), ..
                    } => return Ok(Over::Elsewhere(url)),
                    Event::Refused { code, .. } => return Err(Fault::Refused(shown_code(&code))),
                }
            }
            let read = if started {
                intake.answered();
                intake.wait(self.talk.exchange()).await?
            } else {
                let answer = timeout_at(self.answer_by, self.talk.exchange()).await;
                answer.map_err(|_| Fault::NoAnswer)?
            };
            match read {
                Ok(0) => return Err(Fault::Broken(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(bytes) => intake.count(bytes),
                Err(error) => return Err(Fault::Broken(error)),
            }
            self.talk.take(self.clock.now())?;
        }
    }
}
