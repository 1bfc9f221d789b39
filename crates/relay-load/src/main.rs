//! `relay-load`: publishes a synthetic stream, watches it with thousands of viewers, and says how well it was served.

use std::process::ExitCode;

fn main() -> ExitCode {
    relay_core::exit::Exit::Usage.into()
}
