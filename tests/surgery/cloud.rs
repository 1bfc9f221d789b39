//! The cloud, of which one machine can be had: the origin's start hook orders it, and a while later it has booted from the image, with
//! the token that came with the order. Nobody logs in.
//!
//! What an operator's hook asks over the internet, this one asks by a pipe: the origin's namespace is joined to nothing outside.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use tokio::time::Instant;

/// From the order to the program's start: what a small instance takes from an image.
const BOOT: Duration = Duration::from_secs(12);

/// An order is one token, which has no more bytes than this.
const MAX_ORDER_BYTES: usize = 1024;

/// The operator's program. It is run by the origin, as the file says, and knows what the origin tells it. The folder is the
/// quota: who makes it has the machine.
const HOOK: &str = r#"#!/bin/sh
set -eu
mkdir "$0.machine" 2>/dev/null || { echo "the cloud has no more machines" >&2; exit 1; }
printf '%s\n' "$RELAY_JOIN" >"$0.orders"
echo "a machine is ordered"
"#;

/// What the cloud did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A machine was ordered.
    Ordered,
    /// It has booted, with this token in it.
    Booted(String),
}

/// The cloud.
pub(crate) struct Cloud {
    hook: PathBuf,
    orders: File,
    heard: Vec<u8>,
    ordered: Option<(Instant, String)>,
}

impl Cloud {
    /// One with its program for start hooks, `start-edge` in a folder of its own.
    ///
    /// # Errors
    /// When the files cannot be made.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        let hook = folder.join("start-edge");
        std::fs::write(&hook, HOOK)?;
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
        let orders = folder.join("start-edge.orders");
        mknodat(CWD, &orders, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).context("making a pipe")?;
        // Open for writing, too: so it has no end when the first who writes is done.
        let orders = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(orders)?;
        Ok(Self {
            hook,
            orders,
            heard: Vec::new(),
            ordered: None,
        })
    }

    /// The program that orders a machine.
    pub(crate) fn hook(&self) -> &Path {
        &self.hook
    }

    /// What has happened since the last look; to be called some times a second.
    ///
    /// # Errors
    /// When orders cannot be read.
    pub(crate) fn look(&mut self, now: Instant) -> Result<Option<News>> {
        if let Some(token) = self.order()? {
            self.ordered = Some((now, token));
            return Ok(Some(News::Ordered));
        }
        let is_up = |(at, _): &mut (Instant, String)| now.saturating_duration_since(*at) >= BOOT;
        let booted = self.ordered.take_if(is_up);
        Ok(booted.map(|(_, token)| News::Booted(token)))
    }

    fn order(&mut self) -> Result<Option<String>> {
        let mut buffer = [0; MAX_ORDER_BYTES];
        let length = match self.orders.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            other => other.context("reading an order")?,
        };
        self.heard.extend_from_slice(&buffer[..length]);
        let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') else {
            anyhow::ensure!(self.heard.len() < MAX_ORDER_BYTES, "an order has no end");
            return Ok(None);
        };
        let line: Vec<u8> = self.heard.drain(..=end).collect();
        Ok(Some(String::from_utf8(line)?.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn order(cloud: &Cloud, token: &str) -> bool {
        let mut hook = Command::new(cloud.hook());
        hook.env("RELAY_JOIN", token).current_dir("/");
        hook.output().unwrap().status.success()
    }

    #[tokio::test]
    async fn one_machine_can_be_had_and_boots_with_its_token() {
        let folder = std::env::temp_dir().join(format!("surgery-cloud-{}", std::process::id()));
        let mut cloud = Cloud::open(&folder).unwrap();
        let now = Instant::now();
        assert_eq!(cloud.look(now).unwrap(), None);
        assert!(order(&cloud, "a-token"));
        assert!(!order(&cloud, "another"), "there is one only");
        assert_eq!(cloud.look(now).unwrap(), Some(News::Ordered));
        assert_eq!(cloud.look(now).unwrap(), None, "it boots");
        let booted = cloud.look(now + BOOT).unwrap();
        assert_eq!(booted, Some(News::Booted("a-token".to_owned())));
        assert_eq!(cloud.look(now + BOOT * 2).unwrap(), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
