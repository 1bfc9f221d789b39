//! Acknowledgements: telling the peer how much of its stream has arrived. (Section 5.4.3.)

/// How often to acknowledge a peer that names no window (R17): well within the smallest default that encoders
/// wait for.
const DEFAULT_WINDOW: u32 = 1 << 20;

/// Counts what came and says when to acknowledge it.
#[derive(Debug)]
pub(super) struct Ack {
    /// All bytes since the connection began. 64 bits inside, wrapped on the wire (R16).
    received: u64,
    acknowledged: u64,
    window: u32,
}

impl Ack {
    pub(super) const fn new() -> Self {
        Self {
            received: 0,
            acknowledged: 0,
            window: DEFAULT_WINDOW,
        }
    }

    /// The peer's Window Acknowledgement Size. However small, one read gives one acknowledgement at most.
    pub(super) const fn set_window(&mut self, window: u32) {
        self.window = window;
    }

    pub(super) const fn count(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Begins behind so many bytes, all of them acknowledged.
    #[cfg(test)]
    pub(super) const fn count_from(&mut self, bytes: u64) {
        (self.received, self.acknowledged) = (bytes, bytes);
    }

    /// The number to send, at half of the window: a peer that stops at the whole of it never waits.
    pub(super) fn due(&mut self) -> Option<u32> {
        let since = self.received - self.acknowledged;
        if since == 0 || since < u64::from(self.window / 2) {
            return None;
        }
        self.acknowledged = self.received;
        Some(self.received as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_total_and_wraps() {
        let mut ack = Ack::new();
        let mut expected = 0u64;
        let mut sent = 0;
        while expected < (1 << 32) + (64 << 20) {
            ack.count(100_000);
            expected += 100_000;
            if let Some(number) = ack.due() {
                assert_eq!(u64::from(number), expected % (1 << 32));
                sent += 1;
            }
        }
        assert!(sent > 4096, "R17: without any window from the peer");
    }

    #[test]
    fn a_tiny_window_gives_one_acknowledgement_a_read() {
        let mut ack = Ack::new();
        ack.set_window(0);
        assert_eq!(ack.due(), None);
        ack.count(3);
        assert_eq!(ack.due(), Some(3));
        assert_eq!(ack.due(), None);
    }
}
