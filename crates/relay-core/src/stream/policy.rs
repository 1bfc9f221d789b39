//! What publishers meet on a stream: who gives way to whom, how long each is waited for, and why one is let go.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// What happens when a second publisher comes to a stream that has one (R02): `[origin] second_publisher`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecondPublisher {
    /// It is refused as long as the first one's connection is there.
    Reject,
    /// It takes over once the first one has been silent for [`Patience::replace_idle_ms`], and is refused before.
    #[default]
    ReplaceIfIdle,
    /// It takes over at once; the first one may not come back for [`Patience::replace_hold_ms`].
    Replace,
    /// It is held ready beside the first one, and goes on air when that one is lost (R12).
    Backup,
}

/// How patient a stream is with its publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// What a second publisher meets.
    pub second: SecondPublisher,
    /// How long a stream waits for its publisher's return before it ends, in milliseconds.
    pub grace_ms: u64,
    /// A publisher silent for this long may be replaced by another, in milliseconds.
    pub replace_idle_ms: u64,
    /// How long a publisher that was replaced is refused while the one that replaced it sends, in milliseconds; each
    /// attempt of it within that time begins it anew, so that two encoders never take turns (R02).
    pub replace_hold_ms: u64,
    /// A publisher that sends nothing at all after its publish command is let go after this long (R10).
    pub first_tag_ms: u64,
    /// A publisher that has fallen silent is let go after this long (R10).
    pub idle_ms: u64,
    /// How long the first publisher has to send well before it goes on air again in place of its backup (R12).
    pub switch_back_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            second: SecondPublisher::default(),
            grace_ms: 15_000,
            replace_idle_ms: 2_000,
            replace_hold_ms: 30_000,
            first_tag_ms: 20_000,
            idle_ms: 7_000,
            switch_back_ms: 10_000,
        }
    }
}

/// Who wants to publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Where it comes from; none for what this node itself plays.
    pub address: Option<IpAddr>,
    /// It says that it is the backup of another: `backup=1` in its URL.
    pub backup: bool,
}

impl Caller {
    /// One that comes from `address`, and says nothing of being a backup.
    pub const fn from(address: IpAddr) -> Self {
        Self {
            address: Some(address),
            backup: false,
        }
    }

    /// What stays the same when an encoder dials again: an IPv4 address; of an IPv6 address, the rest of which changes
    /// for privacy's sake, the network.
    pub(super) fn place(&self) -> Option<IpAddr> {
        Some(match self.address?.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Why a stream does not take a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Taken {
    /// Others have it; the one in the way was silent for so long.
    #[error("another publisher sent its last tag {silent_ms} ms ago")]
    Busy {
        /// For how long it has been silent.
        silent_ms: u64,
    },
    /// Another one has taken this publisher's place, and sends.
    #[error("another publisher has taken its place, and it is refused for {wait_ms} ms")]
    HeldOff {
        /// For how long it is refused if it stays away.
        wait_ms: u64,
    },
}

/// Why a publisher that had a stream has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dismissal {
    /// Another publisher has taken its place.
    #[error("another encoder has taken over this stream")]
    Replaced,
    /// Nothing came after its publish command (R10).
    #[error("no media came after publish")]
    NoMedia,
    /// It has fallen silent (R10).
    #[error("no media came for too long")]
    Silent,
    /// An operator said so (R08).
    #[error("the operator has let this encoder go")]
    Kicked,
    /// The stream's log takes no more.
    #[error("this server has no memory for the stream")]
    Log,
}

impl Dismissal {
    /// All reasons, in the order of [`index`](Self::index): the label values of a metric.
    pub const ALL: [Self; 5] = [
        Self::Replaced,
        Self::NoMedia,
        Self::Silent,
        Self::Kicked,
        Self::Log,
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name as a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::NoMedia => "no_media",
            Self::Silent => "silent",
            Self::Kicked => "kicked",
            Self::Log => "log",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dismissal_has_its_place() {
        for (index, why) in Dismissal::ALL.into_iter().enumerate() {
            assert_eq!(why.index(), index, "{}", why.label());
        }
    }

    #[test]
    fn an_encoder_that_dials_again_is_known_by_its_place() {
        let place = |text: &str| Caller::from(text.parse().unwrap()).place().unwrap().to_string();
        assert_eq!(place("192.0.2.7"), "192.0.2.7");
        assert_eq!(place("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(place("2001:db8:1:2:3:4:5:6"), place("2001:db8:1:2:9::1"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(Caller::default().place(), None, "a file has none");
    }
}
