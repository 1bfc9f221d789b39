//! AMF0, the value format of RTMP commands and of FLV script tags. (Adobe, Action Message Format AMF 0, 2007.)
//!
//! Reading is tolerant, since what encoders send is (R27): the count of an ECMA array is ignored, an object may end
//! with the input, a value in AMF3 is read as what it would be here (R26), and what has no meaning here becomes
//! [`Value::Unsupported`].

use crate::amf3;
use crate::wire::{self, Reader, UnexpectedEnd};

/// How deep values nest. Metadata nests three deep (`keyframes.times[]`), enhanced RTMP's four; and this
/// parser recurses, so the number also bounds its stack.
pub const MAX_DEPTH: usize = 16;

/// How many values one call of [`decode`] makes, nested ones included. A value takes one byte on the wire and about
/// forty here, so the count, not the length, bounds memory; file-made metadata has some thousand keyframe times.
pub const MAX_VALUES: usize = 8192;

/// How many bytes of text are made for each byte that is read: a byte that is no UTF-8 becomes a character of three,
/// and beyond that AMF3 may mention a text as often as it likes.
const TEXT_GROWTH: usize = 3;

/// A name or a value, as AMF0 writes them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A double, the only number there is.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text of at most 65,535 bytes; longer text is written as [`Value::LongString`].
    String(String),
    /// Named values in the order of the wire; a typed object's class name is dropped.
    Object(Vec<(String, Self)>),
    /// Nothing, on purpose.
    Null,
    /// Nothing, by omission.
    Undefined,
    /// Named values with a count before them that encoders get wrong.
    EcmaArray(Vec<(String, Self)>),
    /// Values without names.
    StrictArray(Vec<Self>),
    /// Milliseconds since the Unix epoch; the time zone that follows on the wire is reserved and zero.
    Date(f64),
    /// Text with a length of four bytes, and XML.
    LongString(String),
    /// What carries nothing we can use: unsupported, reference, movie clip, record set, AMF3's bytes and the like.
    Unsupported,
}

/// What is wrong with a value that a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Amf0Error {
    /// The value is longer than the message that holds it.
    #[error("an AMF0 value is cut short")]
    CutShort,
    /// A type marker that AMF0 does not have.
    #[error("{0:#04x} is no AMF0 type")]
    UnknownMarker(u8),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("AMF0 values nest deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More values, or more text, than is allowed.
    #[error("an AMF0 value has too many parts")]
    TooMany,
    /// AMF3 that mentions a text or a class which was not there before.
    #[error("a value refers to another that is not there")]
    BadReference,
}

impl From<UnexpectedEnd> for Amf0Error {
    fn from(_: UnexpectedEnd) -> Self {
        Self::CutShort
    }
}

impl Value {
    /// An object of the given properties.
    pub fn object<const N: usize>(properties: [(&str, Self); N]) -> Self {
        Self::Object(properties.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::LongString(text) => Some(text),
            _ => None,
        }
    }

    /// The number.
    pub const fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value; some encoders write 0 and 1 for it.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(truth) => Some(*truth),
            Self::Number(number) => Some(*number != 0.0),
            _ => None,
        }
    }

    /// The named values of an object or an ECMA array.
    pub fn properties(&self) -> &[(String, Self)] {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) => properties,
            _ => &[],
        }
    }

    /// Adds properties to an object or an ECMA array; nothing else has any.
    pub fn extend(&mut self, more: &[(String, Self)]) {
        if let Self::Object(properties) | Self::EcmaArray(properties) = self {
            properties.extend_from_slice(more);
        }
    }

    /// The first property of that name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let found = self.properties().iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

/// The type markers of the wire.
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const MOVIE_CLIP: u8 = 0x04;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0A;
    pub(super) const DATE: u8 = 0x0B;
    pub(super) const LONG_STRING: u8 = 0x0C;
    pub(super) const UNSUPPORTED: u8 = 0x0D;
    pub(super) const RECORD_SET: u8 = 0x0E;
    pub(super) const XML: u8 = 0x0F;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AMF3: u8 = 0x11;
}

/// Reads one value and leaves the reader behind it.
///
/// # Errors
/// The value is cut short, unknown, too deep or too large; the reader then stands somewhere inside it.
pub fn decode(reader: &mut Reader<'_>) -> Result<Value, Amf0Error> {
    Decoder::new(MAX_VALUES, reader.remaining().saturating_mul(TEXT_GROWTH)).decode(reader)
}

/// Reads values on one account: what it may make of them together.
#[derive(Debug)]
pub(crate) struct Decoder {
    values_left: usize,
    text_left: usize,
    switched: bool,
}

impl Decoder {
    /// A decoder that makes so many values, and so many bytes of text.
    pub(crate) const fn new(values: usize, text: usize) -> Self {
        Self {
            values_left: values,
            text_left: text,
            switched: false,
        }
    }

    /// Reads one value and leaves the reader behind it; errors are those of [`decode`].
    pub(crate) fn decode(&mut self, reader: &mut Reader<'_>) -> Result<Value, Amf0Error> {
        self.value(reader, 0)
    }

    /// Whether any of it was AMF3.
    pub(crate) const fn switched(&self) -> bool {
        self.switched
    }

    /// One more value, or something of AMF3's that takes as much memory.
    pub(crate) fn charge(&mut self) -> Result<(), Amf0Error> {
        self.values_left = self.values_left.checked_sub(1).ok_or(Amf0Error::TooMany)?;
        Ok(())
    }

    /// A text. Bytes that are no UTF-8 become characters that say so, and nothing is allocated before it is allowed.
    pub(crate) fn text(&mut self, bytes: &[u8]) -> Result<String, Amf0Error> {
        let length = bytes.utf8_chunks().map(|chunk| {
            let unreadable = if chunk.invalid().is_empty() {
                0
            } else {
                char::REPLACEMENT_CHARACTER.len_utf8()
            };
            chunk.valid().len() + unreadable
        });
        let length = length.sum();
        self.text_left = self.text_left.checked_sub(length).ok_or(Amf0Error::TooMany)?;
        let mut text = String::with_capacity(length);
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(text)
    }

    fn value(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Value, Amf0Error> {
        if depth >= MAX_DEPTH {
            return Err(Amf0Error::TooDeep);
        }
        self.charge()?;
        Ok(match reader.u8()? {
            marker::NUMBER => Value::Number(reader.f64()?),
            marker::BOOLEAN => Value::Boolean(reader.u8()? != 0),
            marker::STRING => Value::String(self.short_text(reader)?),
            marker::OBJECT => Value::Object(self.properties(reader, depth)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::ECMA_ARRAY => {
                reader.u32()?;
                Value::EcmaArray(self.properties(reader, depth)?)
            }
            marker::STRICT_ARRAY => Value::StrictArray(self.elements(reader, depth)?),
            marker::DATE => {
                let date = reader.f64()?;
                reader.u16()?;
                Value::Date(date)
            }
            marker::LONG_STRING | marker::XML => Value::LongString(self.long_text(reader)?),
            marker::TYPED_OBJECT => {
                let length = usize::from(reader.u16()?);
                reader.take(length)?;
                Value::Object(self.properties(reader, depth)?)
            }
            marker::REFERENCE => {
                reader.u16()?;
                Value::Unsupported
            }
            marker::UNSUPPORTED | marker::MOVIE_CLIP | marker::RECORD_SET => Value::Unsupported,
            marker::AMF3 => {
                self.switched = true;
                amf3::decode(self, reader, depth + 1)?
            }
            unknown => return Err(Amf0Error::UnknownMarker(unknown)),
        })
    }

    fn properties(
        &mut self,
        reader: &mut Reader<'_>,
        depth: usize,
    ) -> Result<Vec<(String, Value)>, Amf0Error> {
        let mut properties = Vec::new();
        while !reader.is_empty() {
            let name = self.short_text(reader)?;
            if name.is_empty() && reader.peek() == Some(marker::OBJECT_END) {
                reader.u8()?;
                break;
            }
            properties.push((name, self.value(reader, depth + 1)?));
        }
        Ok(properties)
    }

    fn elements(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Vec<Value>, Amf0Error> {
        let count = reader.u32()?;
        // No room is reserved on the word of the peer: the vector grows as elements are read.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(self.value(reader, depth + 1)?);
        }
        Ok(elements)
    }

    fn short_text(&mut self, reader: &mut Reader<'_>) -> Result<String, Amf0Error> {
        let length = usize::from(reader.u16()?);
        self.text(reader.take(length)?)
    }

    fn long_text(&mut self, reader: &mut Reader<'_>) -> Result<String, Amf0Error> {
        let length = usize::try_from(reader.u32()?).map_err(|_| Amf0Error::CutShort)?;
        self.text(reader.take(length)?)
    }
}

/// Appends one value. Text beyond its field's reach is cut at a character (names: 65,535 bytes).
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => {
            out.push(marker::NUMBER);
            wire::put_f64(out, *number);
        }
        Value::Boolean(truth) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*truth)]),
        Value::String(text) => match u16::try_from(text.len()) {
            Ok(_) => {
                out.push(marker::STRING);
                put_short_text(out, text);
            }
            Err(_) => put_long_text(out, text),
        },
        Value::LongString(text) => put_long_text(out, text),
        Value::Object(properties) => {
            out.push(marker::OBJECT);
            put_properties(out, properties);
        }
        Value::EcmaArray(properties) => {
            out.push(marker::ECMA_ARRAY);
            wire::put_u32(out, u32::try_from(properties.len()).unwrap_or(u32::MAX));
            put_properties(out, properties);
        }
        Value::StrictArray(elements) => {
            out.push(marker::STRICT_ARRAY);
            wire::put_u32(out, u32::try_from(elements.len()).unwrap_or(u32::MAX));
            elements.iter().for_each(|element| encode(element, out));
        }
        Value::Date(date) => {
            out.push(marker::DATE);
            wire::put_f64(out, *date);
            wire::put_u16(out, 0);
        }
        Value::Null => out.push(marker::NULL),
        Value::Undefined => out.push(marker::UNDEFINED),
        Value::Unsupported => out.push(marker::UNSUPPORTED),
    }
}

fn put_properties(out: &mut Vec<u8>, properties: &[(String, Value)]) {
    for (name, value) in properties {
        put_short_text(out, name);
        encode(value, out);
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

fn put_short_text(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    // The cut above proves that the length fits.
    wire::put_u16(out, u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(text.as_bytes());
}

fn put_long_text(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(u32::MAX as usize)];
    out.push(marker::LONG_STRING);
    wire::put_u32(out, u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Value, Amf0Error> {
        decode(&mut Reader::new(bytes))
    }

    #[test]
    fn r27_odd_values_are_read_and_the_next_one_is_found() {
        let odd: [(&[u8], Value); 9] = [
            (&[0x0B, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Value::Date(0.0)),
            (&[0x06], Value::Undefined),
            (&[0x0D], Value::Unsupported),
            (&[0x04], Value::Unsupported),
            (&[0x07, 0, 1], Value::Unsupported),
            (&[0x0C, 0, 0, 0, 1, b'x'], Value::LongString("x".into())),
            (&[0x0F, 0, 0, 0, 1, b'x'], Value::LongString("x".into())),
            (&[0x10, 0, 1, b'C', 0, 0, 9], Value::Object(vec![])),
            (
                &[0x0A, 0, 0, 0, 2, 5, 1, 1],
                Value::StrictArray(vec![Value::Null, Value::Boolean(true)]),
            ),
        ];
        for (bytes, value) in odd {
            let mut stream = bytes.to_vec();
            encode(&Value::from("next"), &mut stream);
            let mut reader = Reader::new(&stream);
            assert_eq!(decode(&mut reader), Ok(value));
            assert_eq!(decode(&mut reader), Ok(Value::from("next")));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn r27_the_count_of_an_ecma_array_is_not_believed() {
        for count in [0, 1, 2, 77, u32::MAX] {
            let mut bytes = vec![0x08];
            wire::put_u32(&mut bytes, count);
            bytes.extend_from_slice(&[0, 1, b'a', 5, 0, 1, b'b', 1, 0, 0, 0, 9]);
            let array = read(&bytes).unwrap();
            assert_eq!(array.get("a"), Some(&Value::Null));
            assert_eq!(array.get("b").and_then(Value::as_bool), Some(false));
            assert_eq!(array.properties().len(), 2);
        }
    }

    #[test]
    fn r27_an_object_may_end_with_the_input() {
        assert_eq!(read(&[3, 0, 1, b'a', 5]).unwrap().get("a"), Some(&Value::Null));
    }

    #[test]
    fn r26_a_value_may_be_amf3_and_the_next_one_is_not() {
        let object = read(&[3, 0, 1, b'a', 0x11, 0x04, 5, 0, 1, b'b', 1, 1, 0, 0, 9]).unwrap();
        assert_eq!(object.get("a"), Some(&5.0.into()));
        assert_eq!(object.get("b"), Some(&true.into()));
    }

    #[test]
    fn a_decoder_makes_no_more_than_it_may() {
        let mut array = vec![0x0A, 0, 0, 0, 3];
        array.extend([0x02, 0, 2, b'x', 0xFF].repeat(3));
        for (values, text, read) in [(4, 12, true), (3, 12, false), (4, 11, false)] {
            let value = Decoder::new(values, text).decode(&mut Reader::new(&array));
            assert_eq!(value.is_ok(), read, "{value:?}");
        }
    }

    #[test]
    fn r27_limits_hold() {
        let nested = [0x0A, 0, 0, 0, 1].repeat(MAX_DEPTH + 1);
        assert_eq!(read(&nested), Err(Amf0Error::TooDeep));
        let mut many = vec![0x0A, 0xFF, 0xFF, 0xFF, 0xFF];
        many.resize(MAX_VALUES + 100, 0x05);
        assert_eq!(read(&many), Err(Amf0Error::TooMany));
        assert_eq!(read(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 5]), Err(Amf0Error::CutShort));
        assert_eq!(read(&[0x0C, 0xFF, 0xFF, 0xFF, 0xFF, 5]), Err(Amf0Error::CutShort));
        assert_eq!(read(&[0x12]), Err(Amf0Error::UnknownMarker(0x12)));
        assert_eq!(read(&[]), Err(Amf0Error::CutShort));
    }

    #[test]
    fn long_text_becomes_a_long_string() {
        let mut out = Vec::new();
        encode(&Value::String("x".repeat(70_000)), &mut out);
        assert_eq!(read(&out), Ok(Value::LongString("x".repeat(70_000))));
        out.clear();
        encode(
            &Value::Object(vec![("\u{e4}".repeat(40_000), Value::Null)]),
            &mut out,
        );
        assert_eq!(read(&out).unwrap().properties()[0].0.len(), 65_534);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<f64>()
                .prop_filter("NaN is no equal of itself", |n| !n.is_nan())
                .prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,12}".prop_map(Value::String),
            ".{0,12}".prop_map(Value::LongString),
            (0.0..1e15).prop_map(Value::Date),
            Just(Value::Null),
            Just(Value::Undefined),
            Just(Value::Unsupported),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            let properties = prop::collection::vec((".{0,6}", inner.clone()), 0..6);
            prop_oneof![
                properties.clone().prop_map(Value::Object),
                properties.prop_map(Value::EcmaArray),
                prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any_value()) {
            let mut out = Vec::new();
            encode(&value, &mut out);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(decode(&mut reader), Ok(value));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn cut_short_is_an_error_or_a_shorter_value(value in any_value(), cut in 1usize..64) {
            let mut out = Vec::new();
            encode(&value, &mut out);
            out.truncate(out.len().saturating_sub(cut));
            // Must not panic; an object that ends with the input is read as far as it goes.
            let _ = read(&out);
        }

        #[test]
        fn the_oracle_agrees_on_plain_values(number in -1e9..1e9f64, text in "[a-z]{0,40}", truth: bool) {
            use rtmp_runtime::amf0::{Amf0Value, Command};
            let ours = Value::object([("n", number.into()), ("s", text.as_str().into()), ("b", truth.into())]);
            let mut out = Vec::new();
            for value in ["call".into(), 1.0.into(), ours, Value::Null] {
                encode(&value, &mut out);
            }
            let object = Amf0Value::Object(vec![
                ("n".into(), Amf0Value::Number(number)),
                ("s".into(), Amf0Value::String(text)),
                ("b".into(), Amf0Value::Boolean(truth)),
            ]);
            let theirs = Command {
                name: "call".into(),
                transaction_id: 1.0,
                arguments: vec![object, Amf0Value::Null],
            };
            prop_assert_eq!(theirs.to_body().unwrap(), &out[..]);
            prop_assert_eq!(Command::parse(&out).unwrap(), theirs);
        }
    }
}
