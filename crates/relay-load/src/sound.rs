//! Sound: silence in AAC-LC, 48 kHz, one channel. (ISO/IEC 14496-3, subpart 4.)

use crate::bits::Bits;

/// Samples in a second.
pub const SAMPLE_RATE: u64 = 48_000;

/// Samples in a frame.
pub const FRAME_SAMPLES: u64 = 1024;

/// The size of a frame's tag body: 63,750 bit/s, which is what speech has.
pub const FRAME_BYTES: usize = 170;

/// The bits of all sound in a second; a whole number, since a frame's bytes are a multiple of 2.
pub const BITS_PER_SECOND: u64 = FRAME_BYTES as u64 * 8 * SAMPLE_RATE / FRAME_SAMPLES;

/// The tag header of AAC: its other bits are fixed, whatever the sound is like (FLV, E.4.2.1).
const TAG_HEADER: u8 = 0xAF;

/// Syntactic elements (table 4.85).
const SINGLE_CHANNEL: u32 = 0;
const FILL: u32 = 6;
const END: u32 = 7;

/// Bytes of a frame besides those that fill it: tag header, and the elements with what rounds them up to a byte.
const OVERHEAD: usize = 2 + 6;

/// Bytes that fill a frame up to its size.
const FILL_BYTES: usize = FRAME_BYTES - OVERHEAD;

/// The body of the tag that comes before all sound: AudioSpecificConfig.
pub fn sequence_header() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(2, 5); // AAC-LC
    bits.put(3, 4); // 48 kHz
    bits.put(1, 4); // one channel
    bits.put(0, 3); // frames of 1024 samples, nothing special
    let mut out = vec![TAG_HEADER, 0];
    out.extend_from_slice(&bits.into_bytes());
    out
}

/// The body of a tag of 1024 silent samples.
pub fn silence() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(SINGLE_CHANNEL, 3);
    bits.put(0, 4); // element_instance_tag
    bits.put(0, 8); // global_gain
    bits.put(0, 1); // ics_reserved_bit
    bits.put(0, 2); // window_sequence: long
    bits.put(0, 1); // window_shape
    bits.put(0, 6); // max_sfb: no band has anything
    bits.put(0, 1); // predictor_data_present
    bits.put(0, 3); // pulse, TNS, gain control: none of them
    put_fill(&mut bits);
    bits.put(END, 3);
    let mut out = vec![TAG_HEADER, 1];
    out.extend_from_slice(&bits.into_bytes());
    out
}

/// An element that decoders pass over (table 4.11), of more than 14 bytes and at most 269.
fn put_fill(bits: &mut Bits) {
    const { assert!(FILL_BYTES > 14 && FILL_BYTES <= 269) };
    bits.put(FILL, 3);
    bits.put(15, 4); // more than fits here …
    bits.put(FILL_BYTES as u32 - 14, 8); // … is told here
    bits.put(1, 4); // extension_type: EXT_FILL_DATA
    bits.put(0, 4); // fill_nibble
    for _ in 1..FILL_BYTES {
        bits.put(0b1010_0101, 8); // fill_byte, as it must be
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_size_and_the_rate_is_whole() {
        assert_eq!(silence().len(), FRAME_BYTES);
        assert_eq!(
            BITS_PER_SECOND * FRAME_SAMPLES,
            FRAME_BYTES as u64 * 8 * SAMPLE_RATE
        );
    }

    #[test]
    fn the_header_says_what_the_sound_is() {
        assert_eq!(sequence_header(), b"\xaf\x00\x11\x88");
    }
}
