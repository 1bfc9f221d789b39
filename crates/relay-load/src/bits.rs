//! Bits in the order in which video and audio formats write them: the highest first.

/// A string of bits in the making.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not written yet.
    free: u32,
}

impl Bits {
    /// Appends the lowest `count` bits of `value`, at most 32.
    pub(crate) fn put(&mut self, value: u32, count: u32) {
        for place in (0..count.min(32)).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            let bit = (value >> place & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << self.free;
            }
        }
    }

    /// Appends a flag.
    pub(crate) fn flag(&mut self, flag: bool) {
        self.put(flag.into(), 1);
    }

    /// Appends an unsigned Exp-Golomb code, `ue(v)` of H.264; no value here comes near 2³² − 1.
    pub(crate) fn ue(&mut self, value: u32) {
        let code = value.saturating_add(1);
        let length = 32 - code.leading_zeros();
        self.put(0, length - 1);
        self.put(code, length);
    }

    /// Appends a signed Exp-Golomb code, `se(v)` of H.264.
    pub(crate) fn se(&mut self, value: i32) {
        let twice = value.unsigned_abs().saturating_mul(2);
        self.ue(if value > 0 { twice - 1 } else { twice });
    }

    /// The bytes, the last one filled up with zeros.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The bytes behind a stop bit: an RBSP of H.264.
    pub(crate) fn into_rbsp(mut self) -> Vec<u8> {
        self.flag(true);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Bits)) -> String {
        let mut bits = Bits::default();
        write(&mut bits);
        let free = bits.free as usize;
        let mut text: String = bits.bytes.iter().map(|byte| format!("{byte:08b}")).collect();
        text.truncate(text.len() - free);
        text
    }

    #[test]
    fn codes_are_those_of_table_9_2() {
        for (value, code) in [
            (0, "1"),
            (1, "010"),
            (2, "011"),
            (3, "00100"),
            (7, "0001000"),
            (300, "00000000100101101"),
        ] {
            assert_eq!(text(|bits| bits.ue(value)), code);
        }
        for (value, code) in [(0, "1"), (1, "010"), (-1, "011"), (2, "00100"), (-2, "00101")] {
            assert_eq!(text(|bits| bits.se(value)), code);
        }
    }

    #[test]
    fn bits_cross_bytes_and_end_with_a_stop_bit() {
        let mut bits = Bits::default();
        bits.put(0x1FF, 9);
        bits.put(0, 3);
        assert_eq!(bits.into_rbsp(), [0xFF, 0b1000_1000]);
        let mut bits = Bits::default();
        bits.put(u32::MAX, 32);
        assert_eq!(bits.into_bytes(), [0xFF; 4]);
    }
}
