//! A packet in, a packet out.

use hickory_proto::op::{DEFAULT_MAX_PAYLOAD_LEN, Edns, Message, Metadata, ResponseCode};
use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder};

use super::answer::{Answer, Code, answer};
use super::query::{Extension, Fault, Question};
use super::source::Offers;
use super::zone::Zone;

/// The largest response over UDP, whatever a client takes: it passes any path in one piece (DNS flag day 2020).
const MAX_PAYLOAD: u16 = DEFAULT_MAX_PAYLOAD_LEN;

/// How a query came; a closed set, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// In a datagram, from somebody.
    Udp,
    /// Over a connection, from who it says.
    Tcp,
}

impl Transport {
    /// As a label has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// What goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The packet.
    pub bytes: Vec<u8>,
    /// How the answer turned out; none if all that was said is "come by TCP".
    pub code: Option<Code>,
    /// Whether it says "come by TCP".
    pub truncated: bool,
    /// Whether the pool had fewer addresses for it than there should be.
    pub is_short: bool,
}

/// Answers a packet. `terse` leaves out all but "come by TCP", for who asks too much: no larger than what came.
///
/// None for what gets no answer at all. Over UDP no reply is larger than the packet by more than the records that were asked
/// for: an address takes 16 or 28 bytes, a "no" the zone's SOA record, everything else less.
pub fn respond(
    zone: &Zone,
    pool: &Offers,
    packet: &[u8],
    transport: Transport,
    terse: bool,
    random: &mut impl FnMut() -> u64,
) -> Option<Reply> {
    let question = match Question::parse(packet) {
        Ok(question) => question,
        Err(Fault::Short | Fault::NoQuestion) => return None,
        Err(Fault::Malformed(query)) => return bare(&query, None, Code::FormErr),
        Err(Fault::OtherOperation(query, extension)) => return bare(&query, extension, Code::NotImp),
    };
    if terse {
        let bytes = truncated(&question, Code::NoError)?;
        return Some(Reply {
            bytes,
            code: None,
            truncated: true,
            is_short: false,
        });
    }
    let answer = answer(zone, pool, &question, random);
    let (code, is_short) = (answer.code, answer.is_short);
    let limit = match transport {
        Transport::Udp => question.payload().min(MAX_PAYLOAD),
        Transport::Tcp => u16::MAX,
    };
    let whole = encode(&message(&question, code, Some(answer)))?;
    if whole.len() <= limit.into() {
        return Some(Reply {
            bytes: whole,
            code: Some(code),
            truncated: false,
            is_short,
        });
    }
    Some(Reply {
        bytes: truncated(&question, code)?,
        code: Some(code),
        truncated: true,
        is_short,
    })
}

/// A header, for what could not be understood; with the extension, if that could (RFC 6891, 7).
fn bare(query: &Metadata, extension: Option<Extension>, code: Code) -> Option<Reply> {
    let mut message = Message::response(query.id, query.op_code);
    message.metadata = Metadata::response_from_request(query);
    message.metadata.response_code = response_code(code);
    message.edns = extension.map(own_extension);
    Some(Reply {
        bytes: encode(&message)?,
        code: Some(code),
        truncated: false,
        is_short: false,
    })
}

/// The question and the truncation bit. Half of an answer helps nobody (RFC 2181, 9).
fn truncated(question: &Question, code: Code) -> Option<Vec<u8>> {
    let mut message = message(question, code, None);
    message.metadata.truncation = true;
    encode(&message)
}

fn message(question: &Question, code: Code, answer: Option<Answer>) -> Message {
    let mut message = Message::response(question.metadata.id, question.metadata.op_code);
    message.metadata = Metadata::response_from_request(&question.metadata);
    message.metadata.response_code = response_code(code);
    message.metadata.authoritative = matches!(code, Code::NoError | Code::NoData | Code::NxDomain);
    message.add_query(question.query.clone());
    if let Some(answer) = answer {
        message.answers = answer.records;
        message.authorities.extend(answer.authority);
    }
    message.edns = question.extension.map(own_extension);
    message
}

/// What we say of ourselves to a client that said something of itself.
fn own_extension(client: Extension) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(MAX_PAYLOAD)
        .set_dnssec_ok(client.wants_signatures);
    edns
}

/// The bytes; none if the library cannot write them, which no message of ours gives it reason to.
fn encode(message: &Message) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    message.emit(&mut BinEncoder::new(&mut bytes)).ok()?;
    Some(bytes)
}

const fn response_code(code: Code) -> ResponseCode {
    match code {
        Code::NoError | Code::NoData => ResponseCode::NoError,
        Code::NxDomain => ResponseCode::NXDomain,
        Code::Refused => ResponseCode::Refused,
        Code::NotImp => ResponseCode::NotImp,
        Code::FormErr => ResponseCode::FormErr,
        Code::BadVers => ResponseCode::BADVERS,
    }
}
