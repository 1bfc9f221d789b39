//! Any bytes as AMF0 values.

use crate::amf0::{MAX_DEPTH, MAX_VALUES, Value, decode, encode};
use crate::wire::Reader;

/// Reads values to the end of the data or to the first bad one. Each is within the limits, and is the same value
/// again after it was written.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut reader = Reader::new(data);
    while !reader.is_empty() {
        let before = reader.remaining();
        let Ok(value) = decode(&mut reader) else {
            return;
        };
        assert!(reader.remaining() < before, "a value takes at least a byte");
        let mut count = 0;
        measure(&value, 1, &mut count);
        // Unknown characters become three bytes each: no more growth than that.
        let mut written = Vec::new();
        encode(&value, &mut written);
        assert!(written.len() <= 3 * data.len() + 16 * count, "no growth");
        let mut again = Vec::new();
        let mut rereader = Reader::new(&written);
        let Ok(value) = decode(&mut rereader) else {
            panic!("what was written cannot be read: {written:02x?}");
        };
        assert!(rereader.is_empty());
        encode(&value, &mut again);
        // Bytes, not values: a NaN is no equal of itself.
        assert_eq!(written, again);
    }
}

fn measure(value: &Value, depth: usize, count: &mut usize) {
    *count += 1;
    assert!(depth <= MAX_DEPTH && *count <= MAX_VALUES);
    for (_, property) in value.properties() {
        measure(property, depth + 1, count);
    }
    if let Value::StrictArray(elements) = value {
        elements
            .iter()
            .for_each(|element| measure(element, depth + 1, count));
    }
}
