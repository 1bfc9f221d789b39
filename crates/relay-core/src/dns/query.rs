//! A query's bytes, understood or not.
//!
//! Names are read by the DNS library; the rest of a query is a handful of integers. Of the records that a query may carry
//! only OPT is read, so that no parser of record data is within a stranger's reach.

use hickory_proto::op::{Header, MessageType, Metadata, OpCode, Query};
use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, DecodeError};

/// The bytes of a header (RFC 1035, 4.1.1).
const HEADER_BYTES: usize = 12;

/// The type of the OPT record (RFC 6891, 6.1.1).
const OPT: u16 = 41;

/// The least that a response over UDP may have (RFC 1035, 2.3.4).
pub(super) const LEAST_PAYLOAD: u16 = 512;

/// Why a packet gets no proper answer.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Too short to be answered; it gets nothing.
    #[error("it is shorter than a header")]
    Short,
    /// An answer itself; it gets nothing, lest two servers talk for ever.
    #[error("it is no question")]
    NoQuestion,
    /// Not a well-formed query: FORMERR.
    #[error("it is not well-formed")]
    Malformed(Metadata),
    /// An update, a notification or something newer: NOTIMP.
    #[error("it asks for more than a lookup")]
    OtherOperation(Metadata, Option<Extension>),
}

/// A well-formed query with one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub(super) metadata: Metadata,
    pub(super) query: Query,
    pub(super) extension: Option<Extension>,
}

/// What a client says of itself by EDNS (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The greatest response over UDP that it takes.
    pub(super) payload: u16,
    /// Its version of EDNS: there is only 0.
    pub(super) version: u8,
    /// Whether it wants signatures; copied into the response (RFC 3225, 3).
    pub(super) wants_signatures: bool,
}

impl Question {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`Fault`], which says what it gets instead of an answer.
    pub fn parse(packet: &[u8]) -> Result<Self, Fault> {
        if packet.len() < HEADER_BYTES {
            return Err(Fault::Short);
        }
        let mut decoder = BinDecoder::new(packet);
        let Header { metadata, counts } = Header::read(&mut decoder).map_err(|_| Fault::Short)?;
        if metadata.message_type == MessageType::Response {
            return Err(Fault::NoQuestion);
        }
        let records = [counts.answers, counts.authorities, counts.additionals].map(u32::from);
        let rest = read_query(&mut decoder).and_then(|query| {
            let extension = read_extension(&mut decoder, records.iter().sum())?;
            Ok((query, extension))
        });
        if metadata.op_code != OpCode::Query {
            let extension = rest.ok().and_then(|(_, extension)| extension);
            return Err(Fault::OtherOperation(metadata, extension));
        }
        // One question, no more (RFC 9619); it has no answer yet. An IXFR brings a SOA record as authority.
        let is_question = counts.queries == 1 && counts.answers == 0 && decoder.is_empty();
        match rest {
            Ok((query, extension)) if is_question => Ok(Self {
                metadata,
                query,
                extension,
            }),
            _ => Err(Fault::Malformed(metadata)),
        }
    }

    /// Whether this is what is asked, in the same spelling.
    pub fn is(&self, other: &Query) -> bool {
        self.query == *other && self.query.name.eq_case(&other.name)
    }

    /// The greatest response over UDP that the client takes.
    pub(super) fn payload(&self) -> u16 {
        self.extension
            .map_or(LEAST_PAYLOAD, |extension| extension.payload.max(LEAST_PAYLOAD))
    }
}

/// Reads a question. Its name stands there in full: before it there is no other that it could point to, and so what is
/// echoed is as long as what came.
fn read_query(decoder: &mut BinDecoder<'_>) -> Result<Query, DecodeError> {
    let start = decoder.index();
    let query = Query::read(decoder)?;
    let name: usize = query.name.iter().map(|label| label.len() + 1).sum();
    if decoder.index() - start != name + 5 {
        return Err(DecodeError::UnrecognizedLabelCode(0xc0));
    }
    Ok(query)
}

/// Walks over the records behind the question, of which OPT may be one.
fn read_extension(decoder: &mut BinDecoder<'_>, records: u32) -> Result<Option<Extension>, DecodeError> {
    let mut extension = None;
    for _ in 0..records {
        let owner = Name::read(decoder)?;
        let [kind, class] = [decoder.read_u16()?.unverified(), decoder.read_u16()?.unverified()];
        let ttl = decoder.read_u32()?.unverified();
        let length = decoder.read_u16()?.unverified();
        decoder.read_slice(length.into())?;
        if kind != OPT {
            continue;
        }
        if extension.is_some() || !owner.is_root() {
            return Err(DecodeError::DuplicateEdns);
        }
        let [_, version, flags, _] = ttl.to_be_bytes();
        extension = Some(Extension {
            payload: class,
            version,
            wants_signatures: flags & 0x80 != 0,
        });
    }
    Ok(extension)
}
