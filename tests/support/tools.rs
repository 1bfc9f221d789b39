//! Programs that nobody here wrote: ffmpeg, ffprobe, rtmpdump, chromium, node, promtool.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::footage::clip_path;
use crate::http::{Head, split_url};
use crate::process::{Process, output_of};
use crate::story::{Stage, target_dir};
use crate::wait::{GLANCE, within};

/// ffmpeg stops at a frame's border, and counts from the first one.
const DECODING_SLACK_US: i64 = 100_000;

/// A program of the machine, as a command.
///
/// # Errors
/// When it is not installed: the sentence says how to get it.
pub fn program(name: &str) -> Result<Command> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let own = target_dir()?.join("tools/bin");
    let found = std::env::split_paths(&folders)
        .chain([own])
        .map(|folder| folder.join(name));
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
    let mut ffmpeg = program("ffmpeg")?;
    ffmpeg.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"]);
    ffmpeg.args(["-re", "-stream_loop", "-1", "-i"]).arg(clip_path());
    ffmpeg.args(["-c", "copy", "-f", "flv", url]);
    Process::spawn(stage, name, &mut ffmpeg)
}

/// An ffmpeg that publishes the clip, started again whenever it ends: an encoder in the field.
pub struct FfmpegPublisher {
    task: JoinHandle<Result<()>>,
}

impl FfmpegPublisher {
    /// Begins.
    ///
    /// # Errors
    /// When there is no ffmpeg.
    pub fn persist(stage: &Stage, url: &str) -> Result<Self> {
        let (stage, url) = (stage.clone(), url.to_owned());
        program("ffmpeg")?;
        let task = tokio::spawn(async move {
            for attempt in 1.. {
                let mut ffmpeg = ffmpeg_publishes(&stage, &format!("ffmpeg, attempt {attempt}"), &url)?;
                while ffmpeg.is_running()? {
                    tokio::time::sleep(GLANCE).await;
                }
            }
            Ok(())
        });
        Ok(Self { task })
    }
}

impl Drop for FfmpegPublisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An ffmpeg decodes so many seconds from a URL or a file.
///
/// # Errors
/// When there is no ffmpeg, when it fails, or when it has any complaint.
pub async fn ffmpeg_decodes(url: &str, seconds: u32, options: &[&str]) -> Result<()> {
    let ffmpeg = decoder(url, seconds, options)?.output();
    let output = within(format!("ffmpeg to decode {url}"), ffmpeg).await??;
    judge(url, seconds, &output)
}

/// An ffmpeg decodes so many seconds of what an HTTP/1.0 client gets: ffmpeg itself speaks 1.1 only.
///
/// # Errors
/// As for [`ffmpeg_decodes`], and when the server does not answer in HTTP.
pub async fn ffmpeg_decodes_http10(url: &str, seconds: u32) -> Result<()> {
    let (host, path) = split_url(url)?;
    let mut socket = TcpStream::connect(host).await?;
    socket
        .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
        .await?;
    let mut bytes = BytesMut::new();
    let head = loop {
        ensure!(socket.read_buf(&mut bytes).await? > 0, "closed within the head");
        if let Some(head) = Head::take(&mut bytes)? {
            break head;
        }
    };
    ensure!(head.status == 200, "status {}", head.status);
    let mut ffmpeg = decoder("pipe:0", seconds, &[])?;
    ffmpeg
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut ffmpeg = ffmpeg.spawn()?;
    let mut pipe = ffmpeg.stdin.take().context("standard input is piped")?;
    let feed = tokio::spawn(async move {
        // Ends with an error when ffmpeg has enough and closes the pipe.
        let _ = pipe.write_all(&bytes).await;
        let _ = tokio::io::copy(&mut socket, &mut pipe).await;
    });
    let output = within(format!("ffmpeg to decode {url}"), ffmpeg.wait_with_output()).await??;
    feed.abort();
    judge(url, seconds, &output)
}

fn decoder(url: &str, seconds: u32, options: &[&str]) -> Result<tokio::process::Command> {
    let mut ffmpeg = program("ffmpeg")?;
    ffmpeg.args([
        "-hide_banner",
        "-nostats",
        "-loglevel",
        "warning",
        "-xerror",
        "-err_detect",
        "explode",
    ]);
    ffmpeg.args(options).args(["-i", url, "-t", &seconds.to_string()]);
    ffmpeg.args(["-progress", "pipe:1", "-f", "null", "-"]);
    let mut ffmpeg = tokio::process::Command::from(ffmpeg);
    ffmpeg.stdin(Stdio::null()).kill_on_drop(true);
    Ok(ffmpeg)
}

/// A decoder has to end well, to have decoded enough, and to have said nothing: its warnings are what tells of bad input.
fn judge(url: &str, seconds: u32, output: &Output) -> Result<()> {
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "ffmpeg on {url} ended with {}: {complaints}",
        output.status
    );
    ensure!(
        complaints.trim().is_empty(),
        "ffmpeg complains of {url}: {complaints}"
    );
    let progress = String::from_utf8_lossy(&output.stdout);
    let decoded = progress
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("out_time_us="));
    let decoded: i64 = decoded
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default();
    let wanted = i64::from(seconds) * 1_000_000 - DECODING_SLACK_US;
    ensure!(
        decoded >= wanted,
        "ffmpeg decoded {decoded} \u{b5}s of {url}, wanted {wanted}"
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
