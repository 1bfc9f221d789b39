//! Somebody between viewers and a node's TCP port: honest, lying, mute, or holding things up.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ports::free_port;

/// How the body of a keyframe of made-up footage begins.
const KEYFRAME: &[u8] = b"\x17\x01\0\0\0";

/// What it does with what the node says. Each can be changed to another at any moment, for connections that are open too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Passes all on as it is.
    Honest,
    /// Flips one bit in the body of each keyframe.
    Lying,
    /// Takes connections and passes nothing back, as a node does that hangs.
    Mute,
    /// Takes connections, and keeps what the node says until it is in another mood, as a machine does that stands still.
    Holding,
}

/// A port that leads to another one by way of somebody.
pub struct Middleman {
    port: u16,
    mood: watch::Sender<Mood>,
    task: JoinHandle<()>,
}

impl Middleman {
    /// Opens a port that leads to `node`, a port of the loopback address.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn before(node: u16) -> Result<Self> {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.context("opening the middleman's port")?;
        let (mood, known) = watch::channel(Mood::Honest);
        let task = tokio::spawn(serve(listener, node, known));
        Ok(Self { port, mood, task })
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How it behaves from now on.
    pub fn becomes(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

impl Drop for Middleman {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, node: u16, mood: watch::Receiver<Mood>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((viewer, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let mood = mood.clone();
        connections.spawn(async move {
            let Ok(node) = TcpStream::connect((Ipv4Addr::LOCALHOST, node)).await else {
                return;
            };
            let (mut asks, answered) = viewer.into_split();
            let (answers, mut asked) = node.into_split();
            tokio::select! {
                // Either end's close ends both.
                _ = tokio::io::copy(&mut asks, &mut asked) => {}
                () = pass_back(answers, answered, mood) => {}
            }
        });
    }
}

async fn pass_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mood: watch::Receiver<Mood>) {
    let mut finder = Finder::default();
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let piece = &mut piece[..length];
        let mood = match mood.wait_for(|mood| *mood != Mood::Holding).await {
            Ok(mood) => *mood,
            Err(_) => return,
        };
        for byte in piece.iter_mut() {
            if finder.is_due(*byte) && mood == Mood::Lying {
                *byte ^= 1;
            }
        }
        if mood != Mood::Mute && to.write_all(piece).await.is_err() {
            return;
        }
    }
}

/// Finds the first byte behind the head of each keyframe's body, however the bytes are cut.
#[derive(Debug, Default)]
struct Finder {
    matched: usize,
}

impl Finder {
    fn is_due(&mut self, byte: u8) -> bool {
        let due = self.matched == KEYFRAME.len();
        // Its first byte comes nowhere else in it, so a mismatch can only begin anew.
        self.matched = match KEYFRAME.get(self.matched) {
            Some(expected) if *expected == byte => self.matched + 1,
            _ => usize::from(byte == KEYFRAME[0]),
        };
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_behind_a_keyframes_head_is_found() {
        let mut finder = Finder::default();
        let bytes = b"\x17\x17\x01\0\0\0A\x17\x01\0\0A\x17\x01\0\0\0\x17";
        let due: Vec<usize> = (0..bytes.len()).filter(|at| finder.is_due(bytes[*at])).collect();
        assert_eq!(due, [6, 17]);
    }
}
