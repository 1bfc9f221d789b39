//! Any bytes as one side of a connection.

use super::choice;
use crate::clock::Now;
use crate::rtmp::chunk::{Limits, MAX_MESSAGE_BYTES, Reader};
use crate::rtmp::handshake::{PACKET_BYTES, VERSION};
use crate::rtmp::server::{Config, Event, Session};
use crate::rtmp::{address, client};

/// What a stranger's session may hold, whatever it sends: what design and documentation promise.
const STRANGER_BYTES: usize = 64 << 10;

/// How a driver reads.
const READ_BYTES: usize = 4096;

const NOW: Now = Now {
    mono_ms: 0,
    unix_us: 0,
};

/// Feeds the data to a server's session (behind a handshake, mostly) that lets in or refuses as the data say, or to a
/// client's. Before a decision it holds little; what it answers is a chunk stream; events of either side follow each
/// other as they can.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut data = data;
    let choices = choice(&mut data);
    let mut input = Vec::new();
    if choices & 1 == 0 {
        input.push(VERSION);
        input.resize(1 + 2 * PACKET_BYTES, 0);
    }
    input.extend_from_slice(data);
    if choices & 2 == 0 {
        serve(&input, choices & 4 == 0);
    } else {
        watch(&input, choices & 4 == 0);
    }
}

fn serve(input: &[u8], accept: bool) {
    let mut session = Session::new(Config::default(), [0; 32]);
    let mut replies = Vec::new();
    let (mut publishing, mut let_in) = (false, false);
    for piece in input.chunks(READ_BYTES) {
        let mut result = session.handle_input(piece, NOW);
        while let Some(event) = session.poll_event() {
            match event {
                Event::Publish { .. } if accept => {
                    (publishing, let_in) = (true, true);
                    result = result.and_then(|()| session.accept_publish());
                }
                Event::Publish { .. } => session.refuse_publish("NetStream.Publish.Denied", "no"),
                Event::Play { .. } if accept => result = result.and_then(|()| session.accept_play()),
                Event::Play { .. } => session.refuse_play("NetStream.Play.StreamNotFound", "no"),
                Event::Tag { payload, .. } => assert!(publishing && !payload.is_empty()),
                Event::Unpublish => assert!(std::mem::take(&mut publishing)),
                Event::Pause(_) => assert!(!publishing),
                Event::StopPlay => assert!(!publishing),
                Event::Closed => assert!(!accept),
            }
        }
        assert!(
            let_in || session.held_bytes() <= STRANGER_BYTES,
            "{}",
            session.held_bytes()
        );
        while let Some(output) = session.poll_output() {
            replies.extend_from_slice(&output);
        }
        if result.is_err() {
            break;
        }
    }
    if let Some(replies) = replies.get(1 + 2 * PACKET_BYTES..) {
        assert_is_chunk_stream(replies);
    }
}

fn watch(input: &[u8], play: bool) {
    let action = if play {
        client::Action::Play
    } else {
        client::Action::Publish
    };
    let url = address::Url {
        authority: "localhost:1935".to_owned(),
        app: "live".to_owned(),
        name: "cam".to_owned(),
    };
    let mut session = client::Session::new(url, action, [0; 32], NOW);
    for piece in input.chunks(READ_BYTES) {
        let result = session.handle_input(piece, NOW);
        while let Some(event) = session.poll_event() {
            if let client::Event::Tag { payload, .. } = event {
                assert!(play && !payload.is_empty());
            }
        }
        while session.poll_output().is_some() {}
        if result.is_err() {
            return;
        }
    }
}

fn assert_is_chunk_stream(bytes: &[u8]) {
    let mut reader = Reader::new(Limits {
        message: MAX_MESSAGE_BYTES,
        unfinished: MAX_MESSAGE_BYTES as usize,
    });
    let mut bytes = bytes;
    loop {
        match reader.read(&mut bytes) {
            Ok(Some(message)) => assert!(!message.payload.is_empty()),
            Ok(None) => break,
            Err(error) => panic!("our own answers cannot be read: {error}"),
        }
    }
    assert_eq!(reader.unfinished(), 0, "no answer is cut short");
}
