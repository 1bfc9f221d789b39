//! The whole of it: both sides against each other, against captures of real programs, and against the oracle.

mod bare;
mod captures;
mod chunks;
mod devices;
mod encoder;
mod enhanced;
mod fuzz;
mod hostile;
mod oracles;
mod real_programs;
mod replays;
mod scuffle;
mod session;
mod times;

use super::address::Url;
use super::{client, server};
use crate::clock::Now;

/// Any moment.
const NOW: Now = Now {
    mono_ms: 1_000_000,
    unix_us: 0,
};

/// A client and a server joined by two pipes of pieces of `cut` bytes.
struct Pair {
    client: client::Session,
    server: server::Session,
    cut: usize,
    /// What the client received so far, in bytes.
    down: u64,
}

impl Pair {
    fn new(url: &str, action: client::Action, cut: usize) -> Self {
        let url: Url = url.parse().unwrap();
        Self {
            client: client::Session::new(url, action, [1; 32], NOW),
            server: server::Session::new(server::Config::default(), [2; 32]),
            cut,
            down: 0,
        }
    }

    /// The same with a client that connects anew when it is asked to.
    fn reconnecting(self) -> Self {
        Self {
            client: self.client.reconnects(),
            ..self
        }
    }

    /// Moves bytes until both sides are silent or the server has to decide.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            while let Some(up) = self.client.poll_output() {
                moved = true;
                for piece in up.chunks(self.cut) {
                    self.server.handle_input(piece, NOW).unwrap();
                }
            }
            while let Some(down) = self.server.poll_output() {
                moved = true;
                self.down += down.len() as u64;
                for piece in down.chunks(self.cut) {
                    self.client.handle_input(piece, NOW).unwrap();
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn server_events(&mut self) -> Vec<server::Event> {
        self.settle();
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    fn client_events(&mut self) -> Vec<client::Event> {
        self.settle();
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }
}
