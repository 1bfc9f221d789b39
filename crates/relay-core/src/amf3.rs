//! AMF3, as far as it stands within AMF0 behind the marker that switches to it. (Adobe, Action Message Format AMF 3, 2013.)
//!
//! Each switch is for one value, and has reference tables of its own. What AMF0 has no form for (bytes, vectors of
//! numbers, dictionaries, objects that write themselves, a second mention of an object) is read past and becomes
//! [`Value::Unsupported`]; where the end of such a thing is known only to its class, it takes the rest with it.

use crate::amf0::{Amf0Error, Decoder, MAX_DEPTH, Value};
use crate::wire::Reader;

/// The type markers of the wire.
mod marker {
    pub(super) const UNDEFINED: u8 = 0x00;
    pub(super) const NULL: u8 = 0x01;
    pub(super) const FALSE: u8 = 0x02;
    pub(super) const TRUE: u8 = 0x03;
    pub(super) const INTEGER: u8 = 0x04;
    pub(super) const DOUBLE: u8 = 0x05;
    pub(super) const STRING: u8 = 0x06;
    pub(super) const XML_DOCUMENT: u8 = 0x07;
    pub(super) const DATE: u8 = 0x08;
    pub(super) const ARRAY: u8 = 0x09;
    pub(super) const OBJECT: u8 = 0x0A;
    pub(super) const XML: u8 = 0x0B;
    pub(super) const BYTE_ARRAY: u8 = 0x0C;
    pub(super) const VECTOR_INT: u8 = 0x0D;
    pub(super) const VECTOR_UINT: u8 = 0x0E;
    pub(super) const VECTOR_DOUBLE: u8 = 0x0F;
    pub(super) const VECTOR_OBJECT: u8 = 0x10;
    pub(super) const DICTIONARY: u8 = 0x11;
}

/// Reads the value behind the marker and leaves the reader behind it. All that it makes, its tables included, is
/// on the decoder's account.
pub(crate) fn decode<'a>(
    decoder: &mut Decoder,
    reader: &mut Reader<'a>,
    depth: usize,
) -> Result<Value, Amf0Error> {
    let mut switched = Switched {
        decoder,
        texts: Vec::new(),
        classes: Vec::new(),
    };
    switched.value(reader, depth)
}

/// One value, and what it has mentioned so far.
struct Switched<'d, 'a> {
    decoder: &'d mut Decoder,
    /// Texts, which are mentioned a second time by their number. Objects are numbered too, but not looked up.
    texts: Vec<&'a [u8]>,
    classes: Vec<Class<'a>>,
}

/// How objects of a class are written.
#[derive(Clone)]
struct Class<'a> {
    members: Vec<&'a [u8]>,
    /// Whether named values follow those of the members.
    dynamic: bool,
    /// The class writes itself: nobody else knows how long it is.
    external: bool,
}

impl<'a> Switched<'_, 'a> {
    fn value(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<Value, Amf0Error> {
        if depth >= MAX_DEPTH {
            return Err(Amf0Error::TooDeep);
        }
        self.decoder.charge()?;
        Ok(match reader.u8()? {
            marker::UNDEFINED => Value::Undefined,
            marker::NULL => Value::Null,
            marker::FALSE => Value::Boolean(false),
            marker::TRUE => Value::Boolean(true),
            marker::INTEGER => Value::Number(signed(u29(reader)?)),
            marker::DOUBLE => Value::Number(reader.f64()?),
            marker::STRING => {
                let text = self.text(reader)?;
                Value::String(self.decoder.text(text)?)
            }
            marker::DATE => match inline(u29(reader)?) {
                Some(_) => Value::Date(reader.f64()?),
                None => Value::Unsupported,
            },
            marker::XML_DOCUMENT | marker::XML => match inline(u29(reader)?) {
                Some(length) => Value::LongString(self.decoder.text(reader.take(length)?)?),
                None => Value::Unsupported,
            },
            marker::ARRAY => self.array(reader, depth)?,
            marker::OBJECT => self.object(reader, depth)?,
            marker::BYTE_ARRAY => skip(reader, 0, 1)?,
            marker::VECTOR_INT | marker::VECTOR_UINT => skip(reader, 1, 4)?,
            marker::VECTOR_DOUBLE => skip(reader, 1, 8)?,
            marker::VECTOR_OBJECT => self.vector(reader, depth)?,
            marker::DICTIONARY => self.dictionary(reader, depth)?,
            unknown => return Err(Amf0Error::UnknownMarker(unknown)),
        })
    }

    /// The bytes of a text, written out or mentioned again. The empty one is never mentioned by number.
    fn text(&mut self, reader: &mut Reader<'a>) -> Result<&'a [u8], Amf0Error> {
        let head = u29(reader)?;
        let Some(length) = inline(head) else {
            let text = self.texts.get((head >> 1) as usize).copied();
            return text.ok_or(Amf0Error::BadReference);
        };
        let text = reader.take(length)?;
        if !text.is_empty() {
            self.decoder.charge()?;
            self.texts.push(text);
        }
        Ok(text)
    }

    fn array(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<Value, Amf0Error> {
        let Some(count) = inline(u29(reader)?) else {
            return Ok(Value::Unsupported);
        };
        let mut named = self.named(reader, depth)?;
        let elements = self.elements(reader, count, depth)?;
        if named.is_empty() {
            return Ok(Value::StrictArray(elements));
        }
        for (number, element) in elements.into_iter().enumerate() {
            let name = self.decoder.text(number.to_string().as_bytes())?;
            named.push((name, element));
        }
        Ok(Value::EcmaArray(named))
    }

    fn object(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<Value, Amf0Error> {
        let head = u29(reader)?;
        if head & 1 == 0 {
            return Ok(Value::Unsupported);
        }
        let class = self.class(reader, head >> 1)?;
        if class.external {
            reader.take_rest();
            return Ok(Value::Unsupported);
        }
        let mut properties = Vec::new();
        for member in class.members {
            let name = self.decoder.text(member)?;
            properties.push((name, self.value(reader, depth + 1)?));
        }
        if class.dynamic {
            properties.append(&mut self.named(reader, depth)?);
        }
        Ok(Value::Object(properties))
    }

    fn class(&mut self, reader: &mut Reader<'a>, head: u32) -> Result<Class<'a>, Amf0Error> {
        if head & 1 == 0 {
            let class = self.classes.get((head >> 1) as usize).cloned();
            return class.ok_or(Amf0Error::BadReference);
        }
        self.decoder.charge()?;
        self.text(reader)?; // its name
        let (external, dynamic) = (head & 2 != 0, head & 4 != 0);
        let count = if external { 0 } else { head >> 3 };
        let mut members = Vec::new();
        for _ in 0..count {
            self.decoder.charge()?;
            members.push(self.text(reader)?);
        }
        let class = Class {
            members,
            dynamic,
            external,
        };
        self.classes.push(class.clone());
        Ok(class)
    }

    fn vector(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<Value, Amf0Error> {
        let Some(count) = inline(u29(reader)?) else {
            return Ok(Value::Unsupported);
        };
        reader.u8()?; // whether its length is fixed
        self.text(reader)?; // the class of its elements
        Ok(Value::StrictArray(self.elements(reader, count, depth)?))
    }

    fn dictionary(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<Value, Amf0Error> {
        let Some(count) = inline(u29(reader)?) else {
            return Ok(Value::Unsupported);
        };
        reader.u8()?; // whether its keys are weak
        for _ in 0..count {
            self.value(reader, depth + 1)?;
            self.value(reader, depth + 1)?;
        }
        Ok(Value::Unsupported)
    }

    fn named(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<Vec<(String, Value)>, Amf0Error> {
        let mut named = Vec::new();
        loop {
            let name = self.text(reader)?;
            if name.is_empty() {
                return Ok(named);
            }
            let name = self.decoder.text(name)?;
            named.push((name, self.value(reader, depth + 1)?));
        }
    }

    fn elements(
        &mut self,
        reader: &mut Reader<'a>,
        count: usize,
        depth: usize,
    ) -> Result<Vec<Value>, Amf0Error> {
        // No room is reserved on the word of the peer: the vector grows as elements are read.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(self.value(reader, depth + 1)?);
        }
        Ok(elements)
    }
}

/// A number of 29 bits in one to four bytes: seven each, but for a fourth, which is whole.
fn u29(reader: &mut Reader<'_>) -> Result<u32, Amf0Error> {
    let mut number = 0;
    for _ in 0..3 {
        let byte = reader.u8()?;
        number = number << 7 | u32::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Ok(number << 8 | u32::from(reader.u8()?))
}

/// The upper half of the 29 bits are the negative numbers.
fn signed(number: u32) -> f64 {
    let wide = f64::from(number);
    if number >= 1 << 28 {
        wide - f64::from(1 << 29)
    } else {
        wide
    }
}

/// The length or count of what follows, by the lowest bit; `None` is a second mention of something earlier.
const fn inline(head: u32) -> Option<usize> {
    if head & 1 == 1 {
        Some((head >> 1) as usize)
    } else {
        None
    }
}

/// Reads past elements of a fixed size, with something of `before` bytes in front of them.
fn skip(reader: &mut Reader<'_>, before: usize, size: usize) -> Result<Value, Amf0Error> {
    if let Some(count) = inline(u29(reader)?) {
        // 28 bits times eight fit.
        reader.take(before + count * size)?;
    }
    Ok(Value::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::{MAX_VALUES, decode, encode};

    /// Reads the value behind an AMF0 switch, and sees to it that the next one is found.
    fn read(bytes: &[u8]) -> Value {
        let mut stream = [&[0x11], bytes].concat();
        encode(&Value::from("next"), &mut stream);
        let mut reader = Reader::new(&stream);
        let value = decode(&mut reader).unwrap();
        assert_eq!(decode(&mut reader), Ok(Value::from("next")), "{bytes:02x?}");
        value
    }

    #[test]
    fn r26_each_type_is_read_or_read_past() {
        let plain: [(&[u8], Value); 17] = [
            (&[0x00], Value::Undefined),
            (&[0x01], Value::Null),
            (&[0x02], false.into()),
            (&[0x03], true.into()),
            (&[0x04, 0x05], 5.0.into()),
            (&[0x04, 0x81, 0x00], 128.0.into()),
            (&[0x04, 0xFF, 0xFF, 0xFF, 0xFF], (-1.0).into()),
            (&[0x04, 0xC0, 0x80, 0x80, 0x00], (-268_435_456.0).into()),
            (&[0x05, 0x40, 0, 0, 0, 0, 0, 0, 0], 2.0.into()),
            (&[0x06, 0x05, b'h', b'i'], "hi".into()),
            (&[0x0B, 0x03, b'x'], Value::LongString("x".into())),
            (&[0x08, 0x01, 0, 0, 0, 0, 0, 0, 0, 0], Value::Date(0.0)),
            (
                &[0x09, 0x05, 0x01, 0x02, 0x03],
                Value::StrictArray(vec![false.into(), true.into()]),
            ),
            (&[0x0C, 0x05, 1, 2], Value::Unsupported),
            (&[0x0D, 0x03, 0, 1, 2, 3, 4], Value::Unsupported),
            (&[0x0F, 0x03, 0, 1, 2, 3, 4, 5, 6, 7, 8], Value::Unsupported),
            (&[0x11, 0x03, 0, 0x04, 1, 0x01], Value::Unsupported),
        ];
        for (bytes, value) in plain {
            assert_eq!(read(bytes), value, "{bytes:02x?}");
        }
        assert_eq!(
            read(&[0x10, 0x03, 0, 0x01, 0x03]),
            Value::StrictArray(vec![true.into()])
        );
    }

    #[test]
    fn r26_texts_and_classes_are_mentioned_by_number() {
        // Two objects of a class with the member "w" and more, in an array with a name.
        let class = [0x0A, 0x1B, 0x01, 0x03, b'w'];
        let first = [&class[..], &[0x04, 7, 0x03, b'n', 0x06, 0x00, 0x01]].concat();
        let second = [0x0A, 0x01, 0x04, 8, 0x01];
        let bytes = [&[0x09, 0x05, 0x03, b'k', 0x02, 0x01], &first[..], &second].concat();
        let object = |properties: &[(&str, Value)]| {
            let owned = properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()));
            Value::Object(owned.collect())
        };
        let expected = vec![
            ("k".to_owned(), false.into()),
            ("0".to_owned(), object(&[("w", 7.0.into()), ("n", "k".into())])),
            ("1".to_owned(), object(&[("w", 8.0.into())])),
        ];
        assert_eq!(read(&bytes), Value::EcmaArray(expected));
        // Objects mentioned again are not looked up.
        assert_eq!(read(&[0x0A, 0x02]), Value::Unsupported);
    }

    #[test]
    fn r26_what_is_wrong_is_an_error() {
        let read = |bytes: &[u8]| decode(&mut Reader::new(&[&[0x11], bytes].concat()));
        assert_eq!(read(&[]), Err(Amf0Error::CutShort));
        assert_eq!(read(&[0x12]), Err(Amf0Error::UnknownMarker(0x12)));
        assert_eq!(read(&[0x06, 0x00]), Err(Amf0Error::BadReference));
        assert_eq!(read(&[0x0A, 0x05]), Err(Amf0Error::BadReference));
        assert_eq!(read(&[0x06, 0xFF, 0xFF, 0xFF, 0xFF]), Err(Amf0Error::CutShort));
        assert_eq!(read(&[0x0D, 0xFF, 0xFF, 0xFF, 0xFF]), Err(Amf0Error::CutShort));
        assert_eq!(
            read(&[0x09, 0x03, 0x01].repeat(MAX_DEPTH + 1)),
            Err(Amf0Error::TooDeep)
        );
        let mut many = vec![0x09, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        many.resize(MAX_VALUES + 100, 0x01);
        assert_eq!(read(&many), Err(Amf0Error::TooMany));
        assert_eq!(
            read(&[0x0A, 0x07, 0x01, 1, 2, 3]),
            Ok(Value::Unsupported),
            "takes the rest"
        );
    }

    /// R19: a text of a kilobyte and a thousand mentions of it are no megabyte.
    #[test]
    fn mentions_do_not_multiply() {
        let text = [b'x'; 1000];
        let mut bytes = vec![0x11, 0x09, 0x8F, 0x51, 0x01, 0x06, 0x8F, 0x51];
        bytes.extend_from_slice(&text);
        bytes.extend([0x06, 0x00].repeat(999));
        assert_eq!(decode(&mut Reader::new(&bytes)), Err(Amf0Error::TooMany));
    }
}
