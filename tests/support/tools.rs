//! Programs that nobody here wrote: ffmpeg, ffprobe, rtmpdump, chromium, node, promtool.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::footage::clip_path;
use crate::process::{Process, output_of};
use crate::story::{Stage, target_dir};

/// A program of the machine, as a command.
///
/// # Errors
/// When it is not installed: the sentence says how to get it.
pub fn program(name: &str) -> Result<Command> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let own = target_dir()?.join("tools/bin");
    let found = std::env::split_paths(&folders).chain([own]).map(|folder| folder.join(name));
    match found.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(Command::new(path)),
        None => bail!("{name} is not installed; `make tools` installs what the tests need"),
    }
}

/// The folder of the npm modules that the browser story needs.
///
/// # Errors
/// When they are not installed.
pub fn node_modules() -> Result<PathBuf> {
    let modules = target_dir()?.join("tools/node_modules");
    ensure!(
        modules.join("playwright-core").is_dir(),
        "playwright-core is not installed; `make tools` installs what the tests need"
    );
    Ok(modules)
}

/// An ffmpeg that publishes the demo's clip in real time, again and again.
///
/// # Errors
/// When there is no ffmpeg.
pub fn ffmpeg_publishes(stage: &Stage, name: &str, url: &str) -> Result<Process> {
    let mut ffmpeg = quiet("ffmpeg")?;
    ffmpeg.args(["-re", "-stream_loop", "-1", "-i"]).arg(clip_path());
    ffmpeg.args(["-c", "copy", "-f", "flv", url]);
    Process::spawn(stage, name, &mut ffmpeg)
}

/// An ffmpeg that decodes so many seconds from a URL and complains of every error.
///
/// # Errors
/// When there is no ffmpeg, when it fails, or when it printed any complaint.
pub async fn ffmpeg_decodes(url: &str, seconds: u32, options: &[&str]) -> Result<()> {
    let mut ffmpeg = quiet("ffmpeg")?;
    ffmpeg.args(["-xerror", "-err_detect", "explode"]).args(options).args(["-i", url]);
    ffmpeg.args(["-t", &seconds.to_string(), "-progress", "pipe:1", "-f", "null", "-"]);
    let mut joined = Command::new("sh");
    joined.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(ffmpeg.get_program()).args(ffmpeg.get_args());
    let said = output_of(&mut joined).await?;
    let complaints: Vec<&str> = said.lines().filter(|line| !is_progress(line)).collect();
    ensure!(complaints.is_empty(), "ffmpeg complains of {url}: {complaints:?}");
    let decoded = said.lines().rev().find_map(|line| line.strip_prefix("out_time_us="));
    let decoded: i64 = decoded.and_then(|text| text.trim().parse().ok()).unwrap_or_default();
    ensure!(
        decoded >= i64::from(seconds) * 1_000_000 - 100_000,
        "ffmpeg decoded {decoded} µs of {url}, wanted {seconds} s"
    );
    Ok(())
}

/// What ffprobe says of a URL's streams, as JSON.
///
/// # Errors
/// When there is no ffprobe, or it cannot make anything of it.
pub async fn ffprobe(url: &str) -> Result<serde_json::Value> {
    let mut ffprobe = program("ffprobe")?;
    ffprobe.args(["-v", "error", "-of", "json", "-show_streams", url]);
    Ok(serde_json::from_str(&output_of(&mut ffprobe).await?)?)
}

fn quiet(name: &str) -> Result<Command> {
    let mut command = program(name)?;
    command.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"]);
    Ok(command)
}

/// Lines of `-progress` are `key=value`.
fn is_progress(line: &str) -> bool {
    let key = line.split_once('=').map_or("", |(key, _)| key);
    line.is_empty() || (!key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b)))
}
