//! The name of a node's instance, as the cascade passes it on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name of an instance: an id of 32 hex digits, twice.
const MAX_INSTANCE_BYTES: usize = 64;

/// One life of one node, by name; valid if it exists. The cascade compares it and passes it on; what it is made of is
/// the business of the certificates.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance(Arc<str>);

/// The text is not 1 to 64 lower-case letters, digits and dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instance is named by 1 to {MAX_INSTANCE_BYTES} lower-case letters, digits and dashes")]
pub struct BadInstanceName;

impl Instance {
    /// The name of a 16-byte id: its hexadecimal digits, which are a valid name.
    pub fn of_hex(id: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(id)).into())
    }
}

impl FromStr for Instance {
    type Err = BadInstanceName;

    fn from_str(text: &str) -> Result<Self, BadInstanceName> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=MAX_INSTANCE_BYTES).contains(&text.len()) || !text.bytes().all(good) {
            return Err(BadInstanceName);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Instance {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Instance {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
