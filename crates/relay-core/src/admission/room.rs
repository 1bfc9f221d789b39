//! How much room a node has for one more.

/// What a node is short of; a closed set, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// What may be sent: `[origin] uplink`, `[edge] capacity`, or the network card's speed.
    Uplink,
    /// The fan-out threads' time.
    Cpu,
    /// Viewers: `[limits] max_viewers`, or descriptors.
    Viewers,
    /// The kernel's memory for TCP sockets.
    TcpMemory,
    /// The node is draining.
    Draining,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Uplink,
        Self::Cpu,
        Self::Viewers,
        Self::TcpMemory,
        Self::Draining,
    ];

    /// Its name, as a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uplink => "uplink",
            Self::Cpu => "cpu",
            Self::Viewers => "viewers",
            Self::TcpMemory => "tcp_memory",
            Self::Draining => "draining",
        }
    }

    /// What one who is refused is told.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Uplink => "this server's uplink is full",
            Self::Cpu | Self::Viewers => "this server is full",
            Self::TcpMemory => "this server has no memory left for more connections",
            Self::Draining => "this server is about to stop",
        }
    }
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    Plenty,
    /// Some; who can be served elsewhere should be.
    Scarce(Why),
    /// None: one more would cost those who are in.
    Full(Why),
}

impl Room {
    /// The tighter of two.
    pub(super) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Full(_), _) | (Self::Scarce(_), Self::Plenty | Self::Scarce(_)) => self,
            (Self::Plenty, _) | (Self::Scarce(_), Self::Full(_)) => other,
        }
    }

    /// What `used` of `limit` leaves, with the parts in hundredths from which it is scarce, and full.
    pub(super) fn of(used: u64, limit: u64, scarce_from: u64, full_from: u64, why: Why) -> Self {
        let part = |percent: u64| limit / 100 * percent + limit % 100 * percent / 100;
        if used > part(full_from) {
            Self::Full(why)
        } else if used > part(scarce_from) {
            Self::Scarce(why)
        } else {
            Self::Plenty
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tighter_one_counts() {
        let scarce = Room::Scarce(Why::Uplink);
        let full = Room::Full(Why::Viewers);
        for (one, other, both) in [
            (Room::Plenty, Room::Plenty, Room::Plenty),
            (Room::Plenty, scarce, scarce),
            (scarce, full, full),
            (full, scarce, full),
            (scarce, Room::Scarce(Why::TcpMemory), scarce),
        ] {
            assert_eq!(one.and(other), both);
        }
    }

    #[test]
    fn a_part_of_a_limit_is_scarce_and_another_is_full() {
        let room = |used| Room::of(used, 1000, 60, 85, Why::Uplink);
        assert_eq!(room(600), Room::Plenty);
        assert_eq!(room(601), Room::Scarce(Why::Uplink));
        assert_eq!(room(851), Room::Full(Why::Uplink));
        assert_eq!(Room::of(0, 0, 60, 85, Why::Uplink), Room::Plenty);
        assert_eq!(Room::of(1, 0, 60, 85, Why::Uplink), Room::Full(Why::Uplink));
        assert_eq!(
            Room::of(u64::MAX / 2, u64::MAX, 60, 85, Why::Uplink),
            Room::Plenty
        );
    }
}
