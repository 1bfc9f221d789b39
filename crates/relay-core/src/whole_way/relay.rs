//! An encoder, an origin and an edge.

use bytes::Bytes;

use super::START;
use crate::cascade::frame::{encode_header, encode_preface, encode_seal, encode_tags};
use crate::cascade::{Decoder, GroupHeader, Item};
use crate::clock::Now;
use crate::flavour::Flavour;
use crate::flv::{Tag, TagKind};
use crate::rtmp::{client, server};
use crate::stream::publisher::{Patience, Publisher, SessionId, Step};
use crate::stream::{Headers, Lease, LogConfig, Position, Read, Stream};

/// An encoder that publishes to an origin, which pushes to an edge.
pub(super) struct Relay {
    pub(super) encoder: client::Session,
    pub(super) door: server::Session,
    pub(super) publisher: Publisher,
    session: SessionId,
    pub(super) origin: Stream,
    pub(super) edge: Stream,
    link: Link,
    /// What became of the last message: the tags that the origin appended.
    pub(super) appended: Vec<Tag>,
    pub(super) groups: u64,
    pub(super) now: Now,
    /// What the door said to the encoder behind the handshake, and nobody has looked at yet.
    pub(super) said: Vec<u8>,
    _leases: Vec<Lease>,
}

/// The group on its way to the edge.
#[derive(Default)]
struct Link {
    decoder: Decoder,
    header: Option<GroupHeader>,
    headers: Headers,
    begun: bool,
}

impl Relay {
    pub(super) fn new() -> Self {
        Self::counting_from(0)
    }

    /// A relay whose counters of bytes stand so high already.
    pub(super) fn counting_from(bytes: u64) -> Self {
        let (encoder, door) = connect(client::Action::Publish);
        let mut publisher = Publisher::new(Patience::default(), None);
        let session = publisher.offer(START).unwrap();
        let stream = || Stream::new("live/cam".parse().unwrap(), LogConfig::default());
        let (origin, edge) = (stream(), stream());
        let mut leases = Vec::new();
        for stream in [&origin, &edge] {
            leases.extend(Flavour::ALL.map(|flavour| stream.lease(flavour).unwrap()));
            stream.count_from(bytes);
        }
        let mut relay = Self {
            encoder,
            door,
            publisher,
            session,
            origin,
            edge,
            link: Link::default(),
            appended: Vec::new(),
            groups: 0,
            now: START,
            said: Vec::new(),
            _leases: leases,
        };
        relay.encoder.count_from(bytes);
        relay.door.count_from(bytes);
        relay
    }

    /// The two nodes' streams.
    pub(super) const fn streams(&self) -> [&Stream; 2] {
        [&self.origin, &self.edge]
    }

    /// The publisher leaves and another one comes at once.
    pub(super) fn republish(&mut self) {
        self.publisher.handle_gone(self.session, self.now);
        self.session = self.publisher.offer(self.now).unwrap();
    }

    /// The encoder sends a message now; it goes all the way to the edge.
    pub(super) fn send(&mut self, kind: TagKind, time: u32, payload: &[u8]) {
        self.encoder.send_tag(kind, time, payload);
        self.appended.clear();
        while let Some(bytes) = self.encoder.poll_output() {
            self.door.handle_input(&bytes, self.now).unwrap();
            while let Some(event) = self.door.poll_event() {
                let server::Event::Tag { kind, time, payload } = event else {
                    panic!("{event:?}");
                };
                // Why a message was left out shows in what comes out.
                let _ = self
                    .publisher
                    .handle_tag(self.session, kind, time, payload, self.now);
                self.take_steps();
            }
            while let Some(bytes) = self.door.poll_output() {
                self.encoder.handle_input(&bytes, self.now).unwrap();
                self.said.extend_from_slice(&bytes);
            }
        }
    }

    fn take_steps(&mut self) {
        while let Some(step) = self.publisher.poll_step() {
            match step {
                Step::Group(head) => {
                    self.close_group();
                    self.origin.begin_group(head, self.now).unwrap();
                    self.groups += 1;
                    self.link.header = Some(GroupHeader {
                        stream: self.origin.key().clone(),
                        head,
                        resumed: false,
                        discontinuity: false,
                        previous: None,
                        first_tag: 0,
                    });
                }
                Step::Preface { headers, time } => self.origin.put_preface(&headers, time, self.now).unwrap(),
                Step::Append(tag) => {
                    let next = self.origin.append(&tag, self.now).unwrap();
                    self.appended.push(tag);
                    self.push(next);
                }
                Step::Epoch(_) => {}
                step => panic!("{step:?}"),
            }
        }
    }

    /// Sends the newest tag down the link, with what begins its group before the first.
    fn push(&mut self, next: Position) {
        let mut bytes = Vec::new();
        if next.tags == 1 {
            let header = self.link.header.as_ref().unwrap();
            let (_, headers, _) = self.origin.group(next.epoch, next.group).unwrap();
            bytes.push(encode_header(header));
            encode_preface(&headers, &mut bytes);
        }
        let newest = Position {
            tags: next.tags - 1,
            ..next
        };
        let Read::Tags(tags) = self.origin.read(newest, 1) else {
            panic!("the log holds what was just appended");
        };
        encode_tags(tags, &mut bytes);
        self.receive(bytes);
    }

    fn close_group(&mut self) {
        if let Some(id) = self.link.header.as_ref().map(GroupHeader::id) {
            let seal = self.origin.seal_of(id.epoch, id.number).unwrap();
            self.receive(vec![encode_seal(&seal)]);
            let of_edge = self.edge.seal_of(id.epoch, id.number);
            assert_eq!(of_edge, Some(seal), "R56: the same bytes on both nodes");
        }
        self.link = Link::default();
    }

    fn receive(&mut self, bytes: Vec<Bytes>) {
        let link = &mut self.link;
        for bytes in bytes {
            link.decoder.push(bytes);
        }
        while let Some(item) = link.decoder.poll().unwrap() {
            match item {
                Item::Header(_) | Item::Seal(_) => {}
                Item::Preface(TagKind::Script, payload) => link.headers.metadata = Some(payload),
                Item::Preface(TagKind::Video, payload) => link.headers.video = Some(payload),
                Item::Preface(TagKind::Audio, payload) => link.headers.audio = Some(payload),
                Item::Extra(extra) => link.headers.extras.push(extra),
                Item::Stated(stated) => link.headers.stated = stated,
                Item::Tag(tag) => {
                    if !std::mem::replace(&mut link.begun, true) {
                        let head = link.header.as_ref().unwrap().head;
                        self.edge.begin_group(head, self.now).unwrap();
                        self.edge.put_preface(&link.headers, tag.time, self.now).unwrap();
                    }
                    self.edge.append(&tag, self.now).unwrap();
                }
            }
        }
    }
}

/// A client and a server that have agreed on what to do, with nothing under way between them.
pub(super) fn connect(action: client::Action) -> (client::Session, server::Session) {
    let url = "rtmp://relay.example/live/cam".parse().unwrap();
    let mut client = client::Session::new(url, action, [1; 32], START);
    let mut server = server::Session::new(server::Config::default(), [2; 32]);
    let mut started = false;
    loop {
        let mut moved = false;
        while let Some(bytes) = client.poll_output() {
            moved = true;
            server.handle_input(&bytes, START).unwrap();
        }
        match server.poll_event() {
            Some(server::Event::Publish { .. }) => server.accept_publish().unwrap(),
            Some(server::Event::Play { .. }) => server.accept_play().unwrap(),
            _ => {}
        }
        while let Some(bytes) = server.poll_output() {
            moved = true;
            client.handle_input(&bytes, START).unwrap();
        }
        while let Some(event) = client.poll_event() {
            started |= event == client::Event::Started;
        }
        if !moved {
            assert!(started, "the session has begun");
            return (client, server);
        }
    }
}
