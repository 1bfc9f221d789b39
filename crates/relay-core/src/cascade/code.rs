//! Why a group or a link is cut off: the application codes that QUIC carries. docs/cascade.md lists them.

/// Why one group's stream is reset by the parent, or stopped by the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupCode {
    /// Parent: the group is older than `max_lag` and a newer start point is there. The child goes on at that.
    Late,
    /// Parent: the log no longer holds what comes next of this group.
    Trimmed,
    /// Child: all of it is held already, from another link.
    Held,
    /// Child: a newer epoch of the stream has begun here; this one is over.
    Stale,
    /// Child: it has no room for one more stream.
    NoRoom,
}

/// Why a link is closed. The codes below 0x40 belong to the link port (certificates and joins).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LinkCode {
    /// This end is going away; nothing is wrong.
    #[error("going away")]
    Bye,
    /// Another link between the same two took over.
    #[error("replaced by a newer link")]
    Replaced,
    /// One end is its own ancestor.
    #[error("the two are each other's ancestors: a loop")]
    Loop,
    /// The chain of nodes from the origin would be too long.
    #[error("too many hops from the origin")]
    TooDeep,
    /// The name in Hello is not the certificate's, or it is the parent itself.
    #[error("the instance in Hello is not the certificate's")]
    WrongInstance,
    /// No common protocol version.
    #[error("no common version of the protocol")]
    Version,
    /// The control stream broke the rules.
    #[error("the control stream broke the protocol")]
    BadControl,
    /// A group broke the rules.
    #[error("a group broke the protocol")]
    BadMedia,
    /// The peer did not say Hello or Welcome in time.
    #[error("no greeting in time")]
    NoGreeting,
    /// This end could not do its part, such as for lack of memory; try again.
    #[error("a fault at this end")]
    Fault,
}

impl GroupCode {
    /// Its number on the wire; never given to another reason.
    pub const fn number(self) -> u32 {
        match self {
            Self::Late => 0x60,
            Self::Trimmed => 0x61,
            Self::Held => 0x62,
            Self::Stale => 0x63,
            Self::NoRoom => 0x64,
        }
    }

    /// The reason behind a number; a later version may have more.
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0x60 => Self::Late,
            0x61 => Self::Trimmed,
            0x62 => Self::Held,
            0x63 => Self::Stale,
            0x64 => Self::NoRoom,
            _ => return None,
        })
    }
}

impl LinkCode {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Bye,
        Self::Replaced,
        Self::Loop,
        Self::TooDeep,
        Self::WrongInstance,
        Self::Version,
        Self::BadControl,
        Self::BadMedia,
        Self::NoGreeting,
        Self::Fault,
    ];

    /// Its number on the wire; never given to another reason.
    pub const fn number(self) -> u32 {
        match self {
            Self::Bye => 0x40,
            Self::Replaced => 0x41,
            Self::Loop => 0x42,
            Self::TooDeep => 0x43,
            Self::WrongInstance => 0x44,
            Self::Version => 0x45,
            Self::BadControl => 0x46,
            Self::BadMedia => 0x47,
            Self::NoGreeting => 0x48,
            Self::Fault => 0x49,
        }
    }

    /// The reason behind a number; a later version may have more.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|code| u64::from(code.number()) == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_means_one_thing() {
        for code in LinkCode::ALL {
            assert_eq!(LinkCode::from_number(code.number().into()), Some(code));
            assert!((0x40..0x60).contains(&code.number()));
        }
        for number in 0x60..0x65 {
            let code = GroupCode::from_number(number).unwrap();
            assert_eq!(u64::from(code.number()), number);
        }
        assert_eq!(GroupCode::from_number(0x65), None);
        assert_eq!(LinkCode::from_number(0x3f), None);
    }
}
