//! Reading and writing the integers that every format here is made of: a cursor over bytes, and its counterparts.

/// A read went past the end of the bytes. For a parser of a stream it means "wait for more"; for one of a whole
/// message it means that the message is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end too early")]
pub struct UnexpectedEnd;

/// A cursor over bytes. Integers are big-endian unless their name says otherwise.
///
/// A failed read consumes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A cursor at the first of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, without consuming it.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, without consuming it.
    pub const fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub const fn take(&mut self, count: usize) -> Result<&'a [u8], UnexpectedEnd> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(UnexpectedEnd),
        }
    }

    /// All that is left.
    pub const fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// Fewer are left.
    pub const fn array<const N: usize>(&mut self) -> Result<[u8; N], UnexpectedEnd> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(UnexpectedEnd),
        }
    }

    /// One byte.
    ///
    /// # Errors
    /// Nothing is left.
    pub const fn u8(&mut self) -> Result<u8, UnexpectedEnd> {
        match self.array::<1>() {
            Ok([byte]) => Ok(byte),
            Err(end) => Err(end),
        }
    }

    /// Two bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u16(&mut self) -> Result<u16, UnexpectedEnd> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes: lengths and times of FLV and RTMP.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u24(&mut self) -> Result<u32, UnexpectedEnd> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u32(&mut self) -> Result<u32, UnexpectedEnd> {
        self.array().map(u32::from_be_bytes)
    }

    /// Four bytes, least significant first: RTMP's message stream id, alone of all its fields.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u32_le(&mut self) -> Result<u32, UnexpectedEnd> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u64(&mut self) -> Result<u64, UnexpectedEnd> {
        self.array().map(u64::from_be_bytes)
    }

    /// Eight bytes as an IEEE double.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn f64(&mut self) -> Result<f64, UnexpectedEnd> {
        self.array().map(f64::from_be_bytes)
    }
}

/// The largest number that fits three bytes.
pub const MAX_U24: u32 = 0x00FF_FFFF;

/// Appends two bytes.
pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends the low three bytes of `value`, which the caller keeps within [`MAX_U24`].
pub fn put_u24(out: &mut Vec<u8>, value: u32) {
    debug_assert!(value <= MAX_U24, "{value} does not fit three bytes");
    let [_, a, b, c] = value.to_be_bytes();
    out.extend_from_slice(&[a, b, c]);
}

/// Appends four bytes.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends four bytes, least significant first.
pub fn put_u32_le(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends eight bytes.
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a double as eight bytes.
pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written() {
        let mut out = vec![7];
        put_u16(&mut out, 0x0102);
        put_u24(&mut out, 0x03_0405);
        put_u32(&mut out, 0x0607_0809);
        put_u32_le(&mut out, 1);
        put_u64(&mut out, u64::MAX - 1);
        put_f64(&mut out, -0.5);
        assert_eq!(&out[..10], &[7, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.peek(), Some(7));
        assert_eq!(reader.u8(), Ok(7));
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u24(), Ok(0x03_0405));
        assert_eq!(reader.u32(), Ok(0x0607_0809));
        assert_eq!(reader.u32_le(), Ok(1));
        assert_eq!(reader.u64(), Ok(u64::MAX - 1));
        assert_eq!(reader.f64(), Ok(-0.5));
        assert!(reader.is_empty());
    }

    #[test]
    fn a_failed_read_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), Err(UnexpectedEnd));
        assert_eq!(reader.take(4), Err(UnexpectedEnd));
        assert_eq!(reader.remaining(), 3);
        assert_eq!(reader.u24(), Ok(0x01_0203));
        assert_eq!(reader.u8(), Err(UnexpectedEnd));
        assert_eq!(reader.take(0), Ok(&[][..]));
        assert_eq!(reader.take_rest(), &[] as &[u8]);
    }
}
