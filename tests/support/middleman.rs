//! Somebody between viewers or encoders and a node's TCP port: honest, lying, mute, holding things up, or gone.

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
    holds: watch::Sender<u32>,
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
        let holds = watch::Sender::new(0);
        let task = tokio::spawn(serve(listener, node, known, holds.clone()));
        Ok(Self {
            port,
            mood,
            holds,
            task,
        })
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Passes nothing more over the connections that are open now, and keeps them open towards both sides for good: what
    /// a node sees of an encoder whose network is gone. Connections to come are passed on.
    pub fn hold(&self) {
        self.holds.send_modify(|holds| *holds += 1);
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

async fn serve(listener: TcpListener, node: u16, mood: watch::Receiver<Mood>, holds: watch::Sender<u32>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((viewer, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let mood = mood.clone();
        let mut holds = holds.subscribe();
        let before = *holds.borrow();
        connections.spawn(async move {
            let Ok(node) = TcpStream::connect((Ipv4Addr::LOCALHOST, node)).await else {
                return;
            };
            let (mut asks, mut answered) = viewer.into_split();
            let (mut answers, mut asked) = node.into_split();
            tokio::select! {
                // Either end's close ends both.
                _ = tokio::io::copy(&mut asks, &mut asked) => {}
                () = pass_back(&mut answers, &mut answered, mood) => {}
                Ok(()) = holds.changed() => {}
            }
            // Held, the sockets stay open with this task: an end that came behind the hold is not passed on either.
            if *holds.borrow() != before {
                std::future::pending::<()>().await;
            }
        });
    }
}

async fn pass_back(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, mut mood: watch::Receiver<Mood>) {
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
