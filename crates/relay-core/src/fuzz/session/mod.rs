//! Whole connections, made of messages: handshakes, calls, media and control in any order, chunked and cut in any way.
//!
//! Bytes at random rarely get beyond `connect`. Here they are choices, so that each input is a conversation: one that
//! keeps the rules, of which every tag has to arrive, or one that breaks some.

mod peer;
mod script;
mod words;

use arbitrary::Unstructured;
use bytes::Bytes;

use self::script::Script;
use crate::clock::Now;
use crate::flv::TagKind;
use crate::rtmp::RtmpError;
use crate::rtmp::chunk::{Limits, MAX_MESSAGE_BYTES, Reader};
use crate::rtmp::command::Command;
use crate::rtmp::handshake::PACKET_BYTES;
use crate::rtmp::message::MessageType;
use crate::rtmp::server::{Config, Event, Session};

/// What a stranger's session may hold, whatever it sends.
const STRANGER_BYTES: usize = 64 << 10;

/// How a driver reads.
const READ_BYTES: usize = 4096;

/// So many bytes of an input are cut finely, anywhere in it: to read all of it byte by byte would take most of a fuzzer's
/// time.
const WINDOW_BYTES: usize = 512;

const NOW: Now = Now {
    mono_ms: 0,
    unix_us: 0,
};

/// How a connection went.
#[derive(Debug, PartialEq)]
struct Story {
    events: Vec<Event>,
    /// Answers, without acknowledgements: those depend on how the input is cut.
    answers: Vec<(MessageType, Bytes)>,
    end: Option<RtmpError>,
}

/// Feeds a conversation to a session, in reads as they come and with some of it in pieces as the data say: what happens is the
/// same, events follow each other as they can, and of an honest peer all is taken.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut choices = Unstructured::new(data);
    let piece = choices.int_in_range(1..=300).unwrap_or(1);
    let window: u16 = choices.arbitrary().unwrap_or(0);
    let script = Script::new(&mut choices);
    let whole = run(&script, script.input.chunks(READ_BYTES));
    if script.honest {
        honest(&script, &whole);
    }
    let start = usize::from(window) % script.input.len().max(1);
    let (before, rest) = script.input.split_at(start);
    let (within, behind) = rest.split_at(WINDOW_BYTES.min(rest.len()));
    let pieces = before
        .chunks(READ_BYTES)
        .chain(within.chunks(piece))
        .chain(behind.chunks(READ_BYTES));
    same(&whole, &run(&script, pieces));
}

fn run<'a>(script: &Script, pieces: impl Iterator<Item = &'a [u8]>) -> Story {
    let mut session = Session::new(Config::default(), [0; 32]);
    let (mut verdicts, mut let_in) = (script.verdicts, false);
    let mut active = Active::Nothing;
    let (mut events, mut replies, mut end) = (Vec::new(), Vec::new(), None);
    for piece in pieces {
        let mut result = session.handle_input(piece, NOW);
        while let Some(event) = session.poll_event() {
            active = active.after(&event);
            let granted = verdicts & 1 == 1;
            match &event {
                Event::Publish { .. } | Event::Play { .. } => verdicts = (verdicts >> 1) | (1 << 63),
                _ => {}
            }
            let decided = match &event {
                Event::Publish { .. } if granted => {
                    let_in = true;
                    session.accept_publish()
                }
                Event::Play { .. } if granted => session.accept_play(),
                Event::Publish { .. } => {
                    session.refuse_publish("NetStream.Publish.Denied", "no");
                    Ok(())
                }
                Event::Play { .. } => {
                    session.refuse_play("NetStream.Play.StreamNotFound", "no");
                    Ok(())
                }
                _ => Ok(()),
            };
            result = result.and(decided);
            events.push(event);
        }
        let held = session.held_bytes();
        assert!(let_in || held <= STRANGER_BYTES, "a stranger holds {held} bytes");
        while let Some(output) = session.poll_output() {
            replies.extend_from_slice(&output);
        }
        if let Err(error) = result {
            end = Some(error);
            break;
        }
    }
    let answers = replies.get(1 + 2 * PACKET_BYTES..).map(read_answers);
    Story {
        events,
        answers: answers.unwrap_or_default(),
        end,
    }
}

/// What a session is about, by what it has told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Active {
    Nothing,
    Publishing,
    Playing,
    Over,
}

impl Active {
    fn after(self, event: &Event) -> Self {
        match (self, event) {
            (Self::Nothing, Event::Publish { .. }) => Self::Publishing,
            (Self::Nothing, Event::Play { .. }) => Self::Playing,
            (Self::Publishing, Event::Tag { payload, .. }) if !payload.is_empty() => self,
            (Self::Publishing, Event::Unpublish) | (Self::Playing, Event::StopPlay) => Self::Nothing,
            (Self::Playing, Event::Pause(_)) => self,
            (Self::Publishing | Self::Playing, Event::Closed) => Self::Over,
            _ => panic!("{event:?} while {self:?}"),
        }
    }
}

/// Whatever we say can be read, and each command of it is one.
fn read_answers(bytes: &[u8]) -> Vec<(MessageType, Bytes)> {
    let mut reader = Reader::new(Limits {
        message: MAX_MESSAGE_BYTES,
        unfinished: MAX_MESSAGE_BYTES as usize,
    });
    let (mut bytes, mut answers) = (bytes, Vec::new());
    loop {
        match reader.read(&mut bytes) {
            Ok(Some(message)) if message.kind == MessageType::Acknowledgement => {}
            Ok(Some(message)) => {
                if message.kind == MessageType::Amf0Command {
                    assert!(Command::parse(&message.payload).is_ok(), "an answer has a name");
                }
                answers.push((message.kind, message.payload));
            }
            Ok(None) => break,
            Err(error) => panic!("our own answers cannot be read: {error}"),
        }
    }
    assert_eq!(reader.unfinished(), 0, "no answer is cut short");
    answers
}

/// Of a peer that keeps the rules every tag arrives, with its time and in its place.
fn honest(script: &Script, story: &Story) {
    // One that asks a lot in one breath is taken for a flood, and rightly so.
    if story.end == Some(RtmpError::Flood) {
        return;
    }
    assert_eq!(story.end, None, "an honest peer is in nobody's way");
    let tags: Vec<_> = story
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Tag { kind, time, payload } if *kind != TagKind::Script => {
                Some((*kind, *time, payload.to_vec()))
            }
            _ => None,
        })
        .collect();
    assert!(
        tags == script.tags,
        "{} tags of {}",
        tags.len(),
        script.tags.len()
    );
}

/// The same whatever the pieces; but what counts as a flood depends on what comes in one breath.
fn same(whole: &Story, pieces: &Story) {
    if whole.end == Some(RtmpError::Flood) || pieces.end == Some(RtmpError::Flood) {
        let common = whole.events.len().min(pieces.events.len());
        assert!(whole.events[..common] == pieces.events[..common]);
        return;
    }
    assert!(whole == pieces, "{:?} and {:?}", whole.end, pieces.end);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn conversations_go_as_they_must(data in prop::collection::vec(any::<u8>(), 0..1500)) {
            body(&data);
        }
    }

    /// The body is worth little if its conversations end at the door: many publish, and some send a lot.
    #[test]
    fn conversations_get_somewhere() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let data = prop::collection::vec(any::<u8>(), 300..1500);
        let (mut published, mut tags, mut played) = (0, 0, 0);
        for _ in 0..200 {
            let data = data.new_tree(&mut runner).unwrap().current();
            let script = Script::new(&mut Unstructured::new(&data));
            let story = run(&script, script.input.chunks(READ_BYTES));
            let count =
                |wanted: fn(&Event) -> bool| story.events.iter().filter(|event| wanted(event)).count();
            published += count(|event| matches!(event, Event::Publish { .. }));
            tags += count(|event| matches!(event, Event::Tag { .. }));
            played += count(|event| matches!(event, Event::Play { .. }));
        }
        assert!(published > 100, "{published} publishes");
        assert!(tags > 1000, "{tags} tags");
        assert!(played > 5, "{played} plays");
    }
}
