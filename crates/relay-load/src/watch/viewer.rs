//! One viewer: a socket, and how far it has come.

use std::os::fd::OwnedFd;

use super::Role;
use super::answer::Answer;
use super::body::Body;
use super::fate::Fate;
use super::media::{Media, Seen};
use super::place::{Place, Request};
use super::play::Play;
use super::sys;
use super::tally::{Moment, Tally};
use super::walker::{Item, Walker};

/// One viewer. It lives in a vector, at its number.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) socket: Option<OwnedFd>,
    /// Where it is served, or tries to be.
    pub(super) place: u32,
    /// How often it was sent elsewhere.
    pub(super) hops: u8,
    /// Whether its outcome is decided and it was good.
    pub(super) joined: bool,
    verify: bool,
    /// What a slow one may read now, in bytes.
    pub(super) credit: u32,
    stage: Stage,
    pub(super) media: Media,
}

/// How far a viewer has come.
#[derive(Debug)]
enum Stage {
    /// Not begun.
    Waiting,
    Connecting,
    /// Connected; so many bytes of the request are sent.
    Asking(u32),
    /// The head of the answer, as far as it came.
    Answer(Vec<u8>),
    Flv {
        body: Body,
        walker: Walker,
    },
    Rtmp(Box<Play>),
    Over,
}

impl Viewer {
    pub(super) const fn new(place: u32, verify: bool, media: Media) -> Self {
        Self {
            socket: None,
            place,
            hops: 0,
            joined: false,
            verify,
            credit: 0,
            stage: Stage::Waiting,
            media,
        }
    }

    /// It dials: `socket` is on its way.
    pub(super) fn dials(&mut self, socket: OwnedFd) {
        self.socket = Some(socket);
        self.stage = Stage::Connecting;
    }

    /// It is done, for better or worse.
    pub(super) fn ends(&mut self) {
        self.socket = None;
        self.stage = Stage::Over;
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Whether it is one that never reads, and has asked.
    pub(super) fn is_deaf(&self) -> bool {
        self.media.role() == Role::Stalled
            && match &self.stage {
                Stage::Answer(_) => true,
                Stage::Rtmp(play) => play.is_started(),
                _ => false,
            }
    }

    /// Whether its frames are looked at whole.
    pub(super) const fn verifies(&self) -> bool {
        self.verify
    }

    /// Whether it may have something to write: only those who are past that need not try.
    pub(super) const fn has_to_say(&self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Asking(_) | Stage::Rtmp(_))
    }

    /// The socket may be written to: connects, asks, or goes on where it was stopped.
    ///
    /// # Errors
    /// Its end.
    pub(super) fn write(&mut self, number: u32, place: &Place, at: Moment) -> Result<(), Fate> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        if matches!(self.stage, Stage::Connecting) {
            sys::connected(socket).map_err(Fate::from_connect)?;
            self.stage = match &place.request {
                Request::Http(_) => Stage::Asking(0),
                Request::Rtmp(url) => Stage::Rtmp(Box::new(Play::new(url.clone(), number, self.verify, at))),
            };
        }
        match (&mut self.stage, &place.request) {
            (Stage::Asking(sent), Request::Http(request)) => {
                let rest = request.get(*sent as usize..).unwrap_or_default();
                *sent += sys::send(socket, rest).map_err(Fate::from_send)? as u32; // fits: a request is short
                if *sent as usize >= request.len() {
                    self.stage = Stage::Answer(Vec::new());
                }
                Ok(())
            }
            (Stage::Rtmp(play), _) => play.flush(socket),
            _ => Ok(()),
        }
    }

    /// Takes what came from the server.
    ///
    /// # Errors
    /// Its end, or where it is sent.
    pub(super) fn take(&mut self, input: &[u8], at: Moment, tally: &mut Tally) -> Result<(), Fate> {
        let mut input = input;
        if let Stage::Answer(head) = &mut self.stage {
            let earlier = head.len();
            head.extend_from_slice(input);
            let Some(answer) = Answer::parse(head).map_err(|_| Fate::BadAnswer)? else {
                return Ok(());
            };
            // The head's end is in this input: before it there was none.
            input = input
                .get(answer.length.saturating_sub(earlier)..)
                .unwrap_or_default();
            self.stage = Stage::Flv {
                body: accepted(answer)?,
                walker: Walker::new(self.verify),
            };
        }
        match &mut self.stage {
            Stage::Flv { body, walker } => {
                let walked = walk(input, body, walker, at, &mut self.media, tally);
                let over = body.is_over();
                walked.and(if over { Err(Fate::Closed) } else { Ok(()) })
            }
            Stage::Rtmp(play) => {
                play.take(input, at, &mut self.media, tally)?;
                self.socket.as_ref().map_or(Ok(()), |socket| play.flush(socket))
            }
            // A server that speaks before it is asked.
            Stage::Waiting | Stage::Connecting | Stage::Asking(_) | Stage::Answer(_) => Err(Fate::BadAnswer),
            Stage::Over => Ok(()),
        }
    }
}

/// The body of an answer that is a stream.
fn accepted(answer: Answer) -> Result<Body, Fate> {
    match (answer.status, answer.location) {
        (200, _) => Ok(answer.body),
        (301 | 302 | 303 | 307 | 308, Some(location)) => Err(Fate::Redirected(location)),
        (status, _) => Err(Fate::Status(status)),
    }
}

fn walk(
    mut input: &[u8],
    body: &mut Body,
    walker: &mut Walker,
    at: Moment,
    media: &mut Media,
    tally: &mut Tally,
) -> Result<(), Fate> {
    let bad = |media: &Media, tally: &mut Tally| {
        if media.has_tag() {
            media.corrupt(tally);
        }
        Fate::BadAnswer
    };
    loop {
        let mut piece = match body.next(&mut input) {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(()),
            Err(_) => return Err(bad(media, tally)),
        };
        media.first_byte(at, tally);
        loop {
            match walker.next(&mut piece) {
                Ok(Some(Item::Tag(header))) => {
                    let seen = Seen {
                        kind: header.kind,
                        time: header.time,
                        length: header.length,
                        head: walker.head(),
                        whole: walker.whole(),
                    };
                    media.tag(&seen, at, tally);
                }
                Ok(Some(Item::WrongSize)) => media.corrupt(tally),
                Ok(None) => break,
                Err(_) => return Err(bad(media, tally)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Moment = Moment {
        at_us: 5_000,
        wall_us: 1_764_000_000_000_000,
    };

    fn viewer() -> Viewer {
        let mut viewer = Viewer::new(0, false, Media::new(Role::Watching, 0));
        viewer.stage = Stage::Answer(Vec::new());
        viewer
    }

    fn take(pieces: &[&[u8]]) -> (Result<(), Fate>, bool) {
        let (mut viewer, mut tally) = (viewer(), Tally::new(1, 0).unwrap());
        let taken = pieces
            .iter()
            .try_for_each(|piece| viewer.take(piece, AT, &mut tally));
        (taken, viewer.media.has_tag())
    }

    #[test]
    fn a_viewer_is_a_few_hundred_bytes() {
        assert!(size_of::<Viewer>() <= 384, "{}", size_of::<Viewer>());
    }

    #[test]
    fn an_answer_is_taken_at_every_split_point() {
        let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n\
            FLV\x01\x01\0\0\0\x09\0\0\0\0\x09\0\0\x02\0\0\0\0\0\0\0\x17\x01\0\0\0\x0d\r\n";
        for cut in 0..wire.len() {
            let (taken, has_tag) = take(&[&wire[..cut], &wire[cut..]]);
            assert_eq!((taken, has_tag), (Ok(()), true), "cut at {cut}");
        }
    }

    #[test]
    fn an_end_says_why() {
        let status = take(&[b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"]).0;
        assert_eq!(status, Err(Fate::Status(503)));
        let sent_on = take(&[b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n"]).0;
        assert_eq!(sent_on, Err(Fate::Redirected("/b".to_owned())));
        assert_eq!(take(&[b"HTTP/1.1 302 Found\r\n\r\n"]).0, Err(Fate::Status(302)));
        assert_eq!(
            take(&[b"HTTP/1.1 200 OK\r\n\r\n<html></html>"]).0,
            Err(Fate::BadAnswer)
        );
        assert_eq!(take(&[b"hello there"]).0, Err(Fate::BadAnswer));
        let over = take(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]).0;
        assert_eq!(over, Err(Fate::Closed));
    }

    #[test]
    fn framing_that_breaks_in_the_middle_is_corruption() {
        let (mut viewer, mut tally) = (viewer(), Tally::new(1, 0).unwrap());
        let good =
            b"HTTP/1.1 200 OK\r\n\r\nFLV\x01\x01\0\0\0\x09\0\0\0\0\x09\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x0c";
        assert_eq!(viewer.take(good, AT, &mut tally), Ok(()));
        assert_eq!(viewer.take(&[7; 11], AT, &mut tally), Err(Fate::BadAnswer));
        assert_eq!(tally.faults.corrupt, 1);
    }
}
