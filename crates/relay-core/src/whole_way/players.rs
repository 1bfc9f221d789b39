//! Viewers that read what the fan-out would send them, and unwrap its times as players do.

use bytes::Bytes;

use super::START;
use super::relay::connect;
use crate::flavour::Flavour;
use crate::flv::{RawTag, Reader, TagKind};
use crate::rtmp::{client, server};
use crate::stream::{Stream, View};

/// A viewer of one flavour, at its place in the log's own bytes.
pub(super) struct Player {
    flavour: Flavour,
    view: View,
    cursor: u64,
    wire: Wire,
    /// What its file header promised, of a player of FLV: (audio, video).
    pub(super) promised: Option<(bool, bool)>,
    /// What has come and was not looked at yet.
    pub(super) got: Vec<RawTag>,
    /// The unwrapped time of the newest tag of each kind.
    newest: [Option<u64>; 3],
    /// Bytes that came.
    pub(super) received: u64,
}

enum Wire {
    Flv { chunks: Vec<u8>, reader: Reader },
    Rtmp(Box<(client::Session, server::Session)>),
}

impl Player {
    /// One who joins now, at the newest start point.
    pub(super) fn join(stream: &Stream, flavour: Flavour) -> Self {
        let wire = match flavour {
            Flavour::Rtmp => Wire::Rtmp(Box::new(connect(client::Action::Play))),
            Flavour::Flv | Flavour::FlvBare => Wire::Flv {
                chunks: Vec::new(),
                reader: Reader::new(),
            },
        };
        let mut player = Self {
            flavour,
            view: View::default(),
            cursor: 0,
            wire,
            promised: None,
            got: Vec::new(),
            newest: [None; 3],
            received: 0,
        };
        assert!(stream.sync(flavour, &mut player.view), "the flavour is made");
        // As a shard's feed has it.
        let start = player.view.newest_start().map(|start| &start.start);
        let headers = stream.joiners_headers(start);
        let time = start.map_or_else(|| stream.last_time().unwrap_or(0), |start| start.time);
        let prelude = flavour.prelude(&headers, time);
        player.cursor = player
            .view
            .newest_start()
            .map_or_else(|| player.view.end(), |start| start.offset);
        player.take(&prelude);
        player.watch(stream);
        player
    }

    /// Counts its bytes from here, as one who has watched for long.
    pub(super) fn count_from(&mut self, bytes: u64) {
        self.received = bytes;
        if let Wire::Rtmp(pair) = &mut self.wire {
            pair.0.count_from(bytes);
        }
    }

    /// Takes all that there is.
    pub(super) fn watch(&mut self, stream: &Stream) {
        assert!(stream.sync(self.flavour, &mut self.view), "the flavour is made");
        while self.cursor < self.view.end() {
            let piece = self.view.piece(self.cursor, self.view.end());
            let bytes = Bytes::copy_from_slice(piece.expect("nobody here is late").bytes);
            self.cursor += bytes.len() as u64;
            self.take(&bytes);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        match &mut self.wire {
            Wire::Flv { chunks, reader } => {
                if self.flavour == Flavour::Flv {
                    chunks.extend_from_slice(bytes);
                    let whole = dechunked(chunks, |body| reader.push(body));
                    chunks.drain(..whole);
                } else {
                    reader.push(bytes);
                }
                while let Some(tag) = reader.poll_tag().unwrap() {
                    self.got.push(tag);
                }
                assert_eq!(reader.wrong_sizes(), 0);
                self.promised = reader.tracks();
            }
            Wire::Rtmp(pair) => {
                let (client, server) = &mut **pair;
                client.handle_input(bytes, START).unwrap();
                while let Some(event) = client.poll_event() {
                    let client::Event::Tag { kind, time, payload } = event else {
                        panic!("{event:?}");
                    };
                    self.got.push(RawTag { kind, time, payload });
                }
                // Its acknowledgements, which the relay reads and never waits for.
                while let Some(bytes) = client.poll_output() {
                    server.handle_input(&bytes, START).unwrap();
                }
            }
        }
    }

    /// What has come, with its times unwrapped as players do: to what is nearest to the last one of the kind.
    pub(super) fn take_tags(&mut self) -> Vec<(TagKind, u64, Bytes)> {
        let got = std::mem::take(&mut self.got);
        let tags = got.into_iter().map(|tag| {
            let place = match tag.kind {
                TagKind::Audio => 0,
                TagKind::Video => 1,
                TagKind::Script => 2,
            };
            let of_others = || self.newest.iter().flatten().max().copied();
            let last = self.newest[place].or_else(of_others);
            let time = match last {
                None => u64::from(tag.time),
                Some(last) => {
                    let step = tag.time.wrapping_sub(last as u32).cast_signed();
                    last.checked_add_signed(step.into()).unwrap()
                }
            };
            self.newest[place] = Some(time);
            (tag.kind, time, tag.payload)
        });
        tags.collect()
    }
}

/// Gives out the bodies of whole HTTP/1.1 chunks; how many bytes they were, with their framing.
fn dechunked(bytes: &[u8], mut give: impl FnMut(&[u8])) -> usize {
    let mut at = 0;
    while let Some(end) = bytes[at..].windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&bytes[at..at + end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let body = at + end + 2;
        let Some(framed) = bytes.get(body..body + size + 2) else {
            break;
        };
        assert_eq!(&framed[size..], b"\r\n");
        give(&framed[..size]);
        at = body + size + 2;
    }
    at
}
