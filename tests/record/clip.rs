//! A small film for the encoders that take a file.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use relay_tests::tools::program;

/// Two seconds of a test picture and a tone.
const ARGUMENTS: &str = "-v error -y -f lavfi -i testsrc2=size=160x90:rate=10 -f lavfi -i sine=frequency=440:sample_rate=44100 \
                         -t 2 -c:v libx264 -preset veryfast -g 10 -bf 0 -b:v 40k -c:a aac -b:a 32k -f flv";

/// Makes it, in the folder for files that may go.
pub(crate) fn make() -> Result<PathBuf> {
    let file = std::env::temp_dir().join(format!("relay-record-{}.flv", std::process::id()));
    let mut ffmpeg = program("ffmpeg")?;
    ffmpeg.args(ARGUMENTS.split_whitespace()).arg(&file);
    ensure!(ffmpeg.status()?.success(), "ffmpeg made no clip");
    // Encoders that may not run as root read it, too.
    Ok(file)
}
