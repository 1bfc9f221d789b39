//! Any text as a configuration file.

use std::path::Path;

use crate::config::Config;

/// Reads the data as a file: it is a configuration, or a fault that can be told.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(fault) = Config::parse(Path::new("relay.toml"), &text) {
        assert!(!fault.to_string().is_empty());
    }
}
