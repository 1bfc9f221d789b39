//! Our wire read by rml_rtmp, and its wire by us.

use bytes::Bytes;
use proptest::prelude::*;
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
};
use rml_rtmp::time::RtmpTimestamp;

use super::{NOW, captures};
use crate::flv::TagKind;
use crate::rtmp::chunk::{Limits, Message, Reader, Writer, shared_csid};
use crate::rtmp::handshake::PACKET_BYTES;
use crate::rtmp::message::MessageType;
use crate::rtmp::server::{Config, Event, Session};

const LIMITS: Limits = Limits {
    message: 1 << 20,
    unfinished: 4 << 20,
};

fn ours(mut stream: &[u8]) -> Vec<Message> {
    let mut reader = Reader::new(LIMITS);
    std::iter::from_fn(|| reader.read(&mut stream).unwrap()).collect()
}

/// What rml_rtmp reads, given the chunk size when one is set: as its own sessions do it.
fn theirs(stream: &[u8]) -> Vec<Message> {
    let mut reader = ChunkDeserializer::new();
    let mut messages = Vec::new();
    let mut input = stream;
    while let Some(message) = reader.get_next_message(input).unwrap() {
        input = &[];
        let kind = MessageType::from_wire(message.type_id);
        match kind {
            MessageType::SetChunkSize => {
                let size = u32::from_be_bytes(message.data[..].try_into().unwrap());
                reader.set_max_chunk_size(size as usize).unwrap();
            }
            MessageType::Abort => {}
            _ => messages.push(Message {
                kind,
                stream_id: message.message_stream_id,
                time: message.timestamp.value,
                payload: Bytes::copy_from_slice(&message.data),
            }),
        }
    }
    messages
}

/// What follows the handshake.
fn chunks_of(capture: &[u8]) -> &[u8] {
    &capture[1 + 2 * PACKET_BYTES..]
}

#[test]
fn captures_read_as_rml_rtmp_reads_them() {
    for (name, capture) in captures::ALL {
        let (ours, theirs) = (ours(chunks_of(capture)), theirs(chunks_of(capture)));
        assert!(!ours.is_empty());
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(ours, theirs, "{name}, message {number}");
        }
    }
}

fn any_message() -> impl Strategy<Value = (TagKind, u32, Vec<u8>)> {
    let kind = prop_oneof![Just(TagKind::Audio), Just(TagKind::Video), Just(TagKind::Script)];
    let time = prop_oneof![0u32..2000, 0xFF_FFF0u32..0x100_0010, any::<u32>()];
    (kind, time, prop::collection::vec(any::<u8>(), 1..3000))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The extended time is on each chunk, where they look for it.
    #[test]
    fn r14_what_we_write_is_read_by_rml_rtmp(
        messages in prop::collection::vec(any_message(), 1..12),
        chunk_size in prop_oneof![Just(128u32), Just(1), 2u32..5000, Just(65536)],
    ) {
        let mut stream = Vec::new();
        Writer::new(128).write(MessageType::SetChunkSize, 2, 0, 0, &chunk_size.to_be_bytes(), &mut stream);
        for (kind, time, payload) in &messages {
            Writer::new(chunk_size).write((*kind).into(), shared_csid(*kind), 1, *time, payload, &mut stream);
        }
        let read = theirs(&stream);
        prop_assert_eq!(read.len(), messages.len());
        for (read, (kind, time, payload)) in read.iter().zip(&messages) {
            prop_assert_eq!((read.kind, read.stream_id, read.time), ((*kind).into(), 1, *time));
            prop_assert!(read.payload == payload);
        }
    }

    /// They compress headers, down to type 3.
    #[test]
    fn what_rml_rtmp_writes_is_read_by_us(
        messages in prop::collection::vec(any_message(), 1..12),
        chunk_size in prop_oneof![Just(128u32), 1u32..5000],
    ) {
        let mut writer = ChunkSerializer::new();
        let mut stream = writer.set_max_chunk_size(chunk_size, RtmpTimestamp::new(0)).unwrap().bytes;
        // They cannot write time that goes back.
        let mut times: Vec<u32> = messages.iter().map(|(_, time, _)| time / 2).collect();
        times.sort_unstable();
        for ((kind, _, payload), time) in messages.iter().zip(&times) {
            let message = MessagePayload {
                timestamp: RtmpTimestamp::new(*time),
                type_id: MessageType::from(*kind).to_wire(),
                message_stream_id: 1,
                data: Bytes::copy_from_slice(payload),
            };
            stream.extend(writer.serialize(&message, false, false).unwrap().bytes);
        }
        let read = ours(&stream);
        prop_assert_eq!(read.len(), messages.len());
        for (read, ((kind, _, payload), time)) in read.iter().zip(messages.iter().zip(times)) {
            prop_assert_eq!((read.kind, read.stream_id, read.time), ((*kind).into(), 1, time));
            prop_assert!(read.payload == payload);
        }
    }
}

/// rml_rtmp as an encoder: its digest handshake, its commands and its chunks.
struct TheirEncoder {
    session: ClientSession,
    server: Session,
    events: Vec<ClientSessionEvent>,
    heard: Vec<Event>,
}

impl TheirEncoder {
    fn connect() -> Self {
        let mut server = Session::new(Config::default(), [2; 32]);
        let mut handshake = Handshake::new(PeerType::Client);
        let hello = handshake.generate_outbound_p0_and_p1().unwrap();
        server.handle_input(&hello, NOW).unwrap();
        let reply = server.poll_output().unwrap();
        match handshake.process_bytes(&reply).unwrap() {
            HandshakeProcessResult::Completed {
                response_bytes,
                remaining_bytes,
            } => {
                assert!(remaining_bytes.is_empty());
                server.handle_input(&response_bytes, NOW).unwrap();
            }
            HandshakeProcessResult::InProgress { .. } => panic!("it does not take our handshake"),
        }
        let (session, first) = ClientSession::new(ClientSessionConfig::new()).unwrap();
        let mut encoder = Self {
            session,
            server,
            events: Vec::new(),
            heard: Vec::new(),
        };
        encoder.take(first);
        encoder
    }

    fn call(
        &mut self,
        call: impl FnOnce(
            &mut ClientSession,
        ) -> Result<ClientSessionResult, rml_rtmp::sessions::ClientSessionError>,
    ) {
        let result = call(&mut self.session).unwrap();
        self.take(vec![result]);
    }

    /// Carries out what their session says, until both sides are silent.
    fn take(&mut self, results: Vec<ClientSessionResult>) {
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    self.server.handle_input(&packet.bytes, NOW).unwrap();
                }
                ClientSessionResult::RaisedEvent(event) => self.events.push(event),
                ClientSessionResult::UnhandleableMessageReceived(message) => {
                    let kind = MessageType::from_wire(message.type_id);
                    assert_eq!(kind, MessageType::SetPeerBandwidth, "all else they know");
                }
            }
        }
        while let Some(event) = self.server.poll_event() {
            if matches!(event, Event::Publish { .. }) {
                self.server.accept_publish().unwrap();
            }
            self.heard.push(event);
        }
        while let Some(reply) = self.server.poll_output() {
            let results = self.session.handle_input(&reply).unwrap();
            self.take(results);
        }
    }
}

/// A client with a digest in its handshake, that waits for each of our answers.
#[test]
fn r23_r24_rml_rtmp_publishes_to_us() {
    let mut encoder = TheirEncoder::connect();
    encoder.call(|session| session.request_connection("live".to_owned()));
    assert!(matches!(
        encoder.events[..],
        [ClientSessionEvent::ConnectionRequestAccepted]
    ));
    encoder.call(|session| session.request_publishing("cam?key=s3".to_owned(), PublishRequestType::Live));
    assert!(matches!(
        encoder.events.last(),
        Some(ClientSessionEvent::PublishRequestAccepted)
    ));
    for number in 0..50u32 {
        let body = |first: u8| Bytes::from(vec![first; 1 + 100 * number as usize]);
        let time = RtmpTimestamp::new(0xFF_FE00 + 40 * number);
        encoder.call(|session| session.publish_video_data(body(0x27), time, false));
        encoder.call(|session| session.publish_audio_data(body(0xAF), time, false));
    }
    let last = encoder.session.stop_publishing().unwrap();
    encoder.take(last);
    assert!(
        matches!(&encoder.heard[0], Event::Publish { name, secret, .. } if name == "cam" && secret.as_deref() == Some("s3"))
    );
    let tags: Vec<_> = encoder
        .heard
        .iter()
        .filter_map(|event| match event {
            Event::Tag { kind, time, payload } => Some((*kind, *time, payload.len())),
            _ => None,
        })
        .collect();
    let sent: Vec<_> = (0..50u32)
        .flat_map(|number| {
            let (time, length) = (0xFF_FE00 + 40 * number, 1 + 100 * number as usize);
            [(TagKind::Video, time, length), (TagKind::Audio, time, length)]
        })
        .collect();
    assert_eq!(tags, sent);
    assert_eq!(encoder.heard.last(), Some(&Event::Unpublish));
}
