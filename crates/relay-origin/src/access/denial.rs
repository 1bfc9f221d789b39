//! Why a publisher is turned away for its key.

/// Why a key lets nobody in. All but the first two are told only to one who knows the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum KeyDenial {
    /// None was shown.
    #[error("a publish key is needed: ?key=… behind the stream's name")]
    Missing,
    /// It is none of ours.
    #[error("the publish key is wrong")]
    Unknown,
    /// It was revoked.
    #[error("the publish key was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the publish key has expired")]
    Expired,
    /// It is for other streams.
    #[error("the publish key is for another stream")]
    Stream,
    /// It is for publishers in other networks.
    #[error("the publish key is not for this address")]
    Address,
}

impl KeyDenial {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Missing,
        Self::Unknown,
        Self::Revoked,
        Self::Expired,
        Self::Stream,
        Self::Address,
    ];

    /// The reason as a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Stream => "stream",
            Self::Address => "address",
        }
    }
}
