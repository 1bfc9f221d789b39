//! `origins.md`: which program made which capture, and how it was called.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use relay_tests::tools::program;

use crate::catalogue::Encoder;

const HEAD: &str = "# Origins of the captures\n\nKept by `cargo run -p relay-tests --bin record`. `URL` is the server's, `CLIP` a file made by ffmpeg.\n\n\
                    | capture | program | arguments | what it shows |\n|---|---|---|---|\n";

/// Writes an encoder's row, and leaves the others'.
pub(crate) fn note(folder: &Path, encoder: &Encoder) -> Result<()> {
    let file = folder.join("origins.md");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    let mut rows: BTreeMap<String, String> = before
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| Some((line.split('`').nth(1)?.to_owned(), line.to_owned())))
        .collect();
    let name = format!("{}.bin", encoder.name);
    let arguments = encoder.arguments.split_whitespace().collect::<Vec<_>>().join(" ");
    let row = format!(
        "| `{name}` | {} | `{}` | {} |",
        version(encoder)?,
        arguments.replace('|', "\\|"),
        encoder.shows
    );
    rows.insert(name, row);
    let rows: Vec<_> = rows.into_values().collect();
    std::fs::write(&file, format!("{HEAD}{}\n", rows.join("\n"))).context("writing origins.md")
}

/// The first line of what it says about itself.
fn version(encoder: &Encoder) -> Result<String> {
    let mut words = encoder.version.split_whitespace();
    let mut asked = program(words.next().context("a command")?)?;
    let said = asked.args(words).output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let first = said.lines().next().unwrap_or_default();
    let first = first.split(" Copyright").next().unwrap_or_default();
    Ok(first
        .split(" (x86")
        .next()
        .unwrap_or_default()
        .trim()
        .replace('\t', " "))
}
