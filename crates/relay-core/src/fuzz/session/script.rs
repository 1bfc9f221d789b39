//! What a peer says, out of a fuzzer's bytes: mostly what encoders and players say, in an order of its own.

use arbitrary::{Result, Unstructured};

use super::peer::{Peer, Sent};
use super::words::{CALLS, TEXTS, value};
use crate::amf0::{self, Value};
use crate::flv::TagKind;
use crate::rtmp::command::Command;
use crate::rtmp::handshake::{PACKET_BYTES, VERSION};
use crate::rtmp::message::{MessageType, UserControl};

/// Steps of one script: long enough for several publishes on one connection.
const MAX_STEPS: usize = 60;

/// The longest body of a tag here: more than ten chunks of the usual size.
const MAX_BODY: usize = 2000;

/// The most chunks that a tag takes: with chunks of one byte a long body would take a fuzzer's time and show nothing new.
const MAX_CHUNKS: usize = 40;

/// A peer's bytes, and what is known of them.
#[derive(Debug)]
pub(super) struct Script {
    /// From C0 to the end.
    pub(super) input: Vec<u8>,
    /// Whether all of it keeps the rules: then every tag has to arrive.
    pub(super) honest: bool,
    /// The audio and video tags that were sent between a `publish` and its end.
    pub(super) tags: Vec<(TagKind, u32, Vec<u8>)>,
    /// Whether the first, second, … wish is granted.
    pub(super) verdicts: u64,
}

impl Script {
    /// Makes a script. Where the bytes end, so does it.
    pub(super) fn new(choices: &mut Unstructured<'_>) -> Self {
        let honest = choices.ratio(1, 2).unwrap_or(true);
        let verdicts = if honest {
            u64::MAX
        } else {
            choices.arbitrary().unwrap_or(u64::MAX)
        };
        let mut writing = Writing {
            peer: Peer::new(!honest, Vec::new()),
            honest,
            tags: Vec::new(),
            publishing: false,
            clock: 0,
        };
        // Running out of bytes is how it ends.
        let _ = writing.all(choices);
        writing.peer.finish();
        Self {
            input: writing.peer.out,
            honest,
            tags: writing.tags,
            verdicts,
        }
    }
}

struct Writing {
    peer: Peer,
    honest: bool,
    tags: Vec<(TagKind, u32, Vec<u8>)>,
    publishing: bool,
    clock: u32,
}

impl Writing {
    fn all(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let hello = self.handshake(choices)?;
        self.peer.raw(&hello);
        self.clock = *choices.choose(&[0, 0, 0, 0xFF_FF00, 0x7FFF_FF00, 0xFFFF_FF00])?;
        if self.honest || choices.ratio(7, 8)? {
            self.connect(choices)?;
        }
        for _ in 0..MAX_STEPS {
            if choices.is_empty() {
                break;
            }
            if self.honest {
                self.honest_step(choices)?;
            } else {
                self.any_step(choices)?;
            }
        }
        Ok(())
    }

    /// C0, C1 and C2: empty ones, as of a digest handshake, or some that are none.
    fn handshake(&self, choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let mut hello = vec![VERSION];
        hello.resize(1 + 2 * PACKET_BYTES, 0);
        match choices.int_in_range(0..=7)? {
            0 => hello[5..9].copy_from_slice(choices.bytes(4)?),
            1 => {
                // Any bytes there are allowed, repeated to fill the packet.
                let pattern = choices.bytes(8)?;
                for (byte, chance) in hello[9..].iter_mut().zip(pattern.iter().cycle()) {
                    *byte = *chance;
                }
            }
            2 if !self.honest => hello[0] = choices.arbitrary()?,
            3 if !self.honest => hello.truncate(choices.int_in_range(0..=hello.len())?),
            _ => {}
        }
        Ok(hello)
    }

    fn honest_step(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        match choices.int_in_range(0..=9)? {
            0 => self.side_call(choices, "releaseStream"),
            1 => self.set_chunk_size(choices),
            2 => self.ping(choices),
            3 if !self.publishing => self.side_call(choices, "createStream"),
            3 => self.end(choices),
            _ if !self.publishing => self.publish(choices),
            _ => self.media(choices),
        }
    }

    fn any_step(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        match choices.int_in_range(0..=14)? {
            0 => self.connect(choices),
            1 => {
                let name = *choices.choose(&CALLS)?;
                self.side_call(choices, name)
            }
            2 | 3 => self.publish(choices),
            4 => self.play(choices),
            5 => self.set_chunk_size(choices),
            6 => self.control(choices),
            7 => self.aggregate(choices),
            8 => self.any_command(choices),
            9 => self.script(choices),
            10 => {
                let length = choices.int_in_range(0..=64)?;
                let bytes = choices.bytes(length)?;
                self.peer.raw(bytes);
                Ok(())
            }
            _ => self.media(choices),
        }
    }

    fn send(&mut self, choices: &mut Unstructured<'_>, kind: MessageType, payload: Vec<u8>) -> Result<()> {
        let stream_id = if self.honest || choices.ratio(7, 8)? {
            u32::from(matches!(
                kind,
                MessageType::Audio | MessageType::Video | MessageType::Amf0Data
            ))
        } else {
            choices.int_in_range(0..=3)?
        };
        let sent = Sent {
            kind,
            stream_id,
            time: self.clock,
            payload,
        };
        self.peer.send(choices, &sent)
    }

    fn call(&mut self, choices: &mut Unstructured<'_>, command: &Command) -> Result<()> {
        let mut body = command.body();
        let kind = if choices.ratio(1, 8)? {
            body.insert(0, 0);
            MessageType::Amf3Command
        } else {
            MessageType::Amf0Command
        };
        self.send(choices, kind, body)
    }

    fn connect(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let mut properties = vec![("app".to_owned(), (*choices.choose(&TEXTS)?).into())];
        if choices.arbitrary()? {
            properties.push(("objectEncoding".to_owned(), Value::Number(choices.arbitrary()?)));
        }
        if choices.arbitrary()? {
            let list = ["hvc1", "av01", "*"].map(Value::from).to_vec();
            properties.push(("fourCcList".to_owned(), Value::StrictArray(list)));
        }
        if choices.arbitrary()? {
            properties.push(("capsEx".to_owned(), Value::Number(choices.arbitrary()?)));
            let forward = Value::object([("*", 4.0.into()), ("hvc1", choices.arbitrary::<f64>()?.into())]);
            properties.push(("videoFourCcInfoMap".to_owned(), forward));
        }
        if choices.ratio(1, 4)? {
            properties.push(("tcUrl".to_owned(), value(choices, 0)?));
        }
        let object = Value::Object(properties);
        self.call(choices, &Command::new("connect", 1.0, object, []))
    }

    fn side_call(&mut self, choices: &mut Unstructured<'_>, name: &str) -> Result<()> {
        self.publishing &= !matches!(name, "FCUnpublish" | "deleteStream" | "closeStream");
        let argument = match name {
            "deleteStream" => 1.0.into(),
            _ => (*choices.choose(&TEXTS)?).into(),
        };
        let transaction = f64::from(choices.int_in_range(0..=9u8)?);
        self.call(choices, &Command::new(name, transaction, Value::Null, [argument]))
    }

    fn publish(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let name = *choices.choose(&TEXTS)?;
        let mut command = Command::new("publish", 5.0, Value::Null, [name.into()]);
        if choices.arbitrary()? {
            command.arguments.push("live".into());
        }
        self.publishing = true;
        self.call(choices, &command)
    }

    fn play(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let name = *choices.choose(&TEXTS)?;
        self.call(
            choices,
            &Command::new("play", 6.0, Value::Null, [name.into(), (-2.0).into()]),
        )
    }

    fn end(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let name = *choices.choose(&["FCUnpublish", "deleteStream", "closeStream"])?;
        self.side_call(choices, name)
    }

    fn media(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let kind = *choices.choose(&[TagKind::Audio, TagKind::Video])?;
        let head = *choices.choose(&[
            &b"\x17\x00\0\0\0"[..],
            b"\x17\x01\0\0\0",
            b"\x27\x01\0\0\x28",
            b"\xaf\x00",
            b"\xaf\x01",
            b"\x90hvc1",
            b"\x91av01",
            b"\x97\x00\x00\x10vp09",
            b"\x96\x10hvc1",
            b"\x90",
        ])?;
        let mut payload = head.to_vec();
        if choices.ratio(1, 4)? {
            let length = choices.int_in_range(0..=200)?;
            payload.extend_from_slice(choices.bytes(length)?);
        } else {
            let most = MAX_BODY.min(MAX_CHUNKS.saturating_mul(self.peer.chunk_size()));
            let length = head.len() + choices.int_in_range(0..=most)?;
            payload.resize(length, choices.arbitrary()?);
        }
        let step = *choices.choose(&[0, 20, 23, 40, 40, 40, 1000, 0x100_0000])?;
        self.clock = self.clock.wrapping_add(step);
        if !self.honest && choices.ratio(1, 16)? {
            self.clock = choices.arbitrary()?;
        }
        if !self.honest && choices.ratio(1, 16)? {
            payload.clear();
        }
        if self.publishing {
            self.tags.push((kind, self.clock, payload.clone()));
        }
        self.send(choices, kind.into(), payload)
    }

    fn script(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let mut payload = Vec::new();
        let name = *choices.choose(&["@setDataFrame", "onMetaData", "@clearDataFrame", "onTextData"])?;
        amf0::encode(&name.into(), &mut payload);
        amf0::encode(&value(choices, 0)?, &mut payload);
        amf0::encode(&value(choices, 0)?, &mut payload);
        let kind = if choices.ratio(1, 4)? {
            payload.insert(0, 0);
            MessageType::Amf3Data
        } else {
            MessageType::Amf0Data
        };
        self.send(choices, kind, payload)
    }

    fn any_command(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let command = Command {
            name: (*choices.choose(&CALLS)?).to_owned(),
            transaction: choices.arbitrary()?,
            object: value(choices, 0)?,
            arguments: vec![value(choices, 0)?, value(choices, 0)?],
        };
        self.publishing = false;
        self.call(choices, &command)
    }

    fn set_chunk_size(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let size = if self.honest {
            *choices.choose(&[1, 64, 128, 1000, 4096, 65536, 0xFF_FFFF, 0x7FFF_FFFF])?
        } else {
            *choices.choose(&[128, 1, 4096, 0x7FFF_FFFF, 0, 0x8000_0000, u32::MAX])?
        };
        self.send(choices, MessageType::SetChunkSize, size.to_be_bytes().to_vec())
    }

    fn ping(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let ping = UserControl::Ping(choices.arbitrary()?);
        self.send(choices, MessageType::UserControl, ping.body().to_vec())
    }

    fn control(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let kind = choices.int_in_range(0..=23)?;
        let length = choices.int_in_range(0..=8)?;
        let payload = choices.bytes(length)?.to_vec();
        self.send(choices, MessageType::from_wire(kind), payload)
    }

    fn aggregate(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let mut payload = Vec::new();
        for _ in 0..choices.int_in_range(0..=5)? {
            let kind = *choices.choose(&[8, 9, 18, 20, 22, 0])?;
            let length = choices.int_in_range(0..=40u8)?;
            let time: u8 = choices.arbitrary()?;
            payload.extend([kind, 0, 0, length, 0, 0, time, 0, 0, 0, 0]);
            payload.resize(payload.len() + usize::from(length), kind);
            payload.extend([0, 0, 0, length.wrapping_add(11)]);
        }
        if choices.ratio(1, 4)? {
            payload.truncate(choices.int_in_range(0..=payload.len())?);
        }
        self.send(choices, MessageType::Aggregate, payload)
    }
}
