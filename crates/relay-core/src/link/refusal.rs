//! Why a connection is closed: the application codes of the link port's trust side (0x00 to 0x3f; those of the
//! cascade itself begin at 0x40). docs/cascade.md lists them.

use quinn::{Connection, ConnectionError, VarInt};

/// A reason to close, told to the peer as a code and this sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// All is said; not a refusal.
    #[error("done")]
    Done,
    /// A link without a certificate of the pool.
    #[error("a link needs a certificate of this pool")]
    NoCertificate,
    /// The edge behind the certificate was revoked.
    #[error("this edge was revoked")]
    EdgeRevoked,
    /// The request is not one, is too long, or asks for what this server does not know.
    #[error("the join request is malformed")]
    BadRequest,
    /// No such token, or a wrong secret.
    #[error("this token is unknown to the origin")]
    UnknownToken,
    /// The token's time is over.
    #[error("this token has expired")]
    ExpiredToken,
    /// The token has admitted as many edges as it was made for.
    #[error("this token is used up")]
    UsedUpToken,
    /// An operator revoked the token.
    #[error("this token was revoked")]
    RevokedToken,
    /// The request did not come in time.
    #[error("the join request took too long")]
    TooSlow,
    /// Too many joins at once; try again.
    #[error("the origin is busy with other joins")]
    Busy,
    /// The origin could not do its part, such as writing to its state folder; try again.
    #[error("the origin could not complete the join")]
    OriginFault,
}

impl Refusal {
    /// All of them, by code.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::NoCertificate,
        Self::EdgeRevoked,
        Self::BadRequest,
        Self::UnknownToken,
        Self::ExpiredToken,
        Self::UsedUpToken,
        Self::RevokedToken,
        Self::TooSlow,
        Self::Busy,
        Self::OriginFault,
    ];

    /// Its number on the wire; never given to another reason.
    pub const fn code(self) -> u32 {
        match self {
            Self::Done => 0x00,
            Self::NoCertificate => 0x01,
            Self::EdgeRevoked => 0x02,
            Self::BadRequest => 0x10,
            Self::UnknownToken => 0x11,
            Self::ExpiredToken => 0x12,
            Self::UsedUpToken => 0x13,
            Self::RevokedToken => 0x14,
            Self::TooSlow => 0x15,
            Self::Busy => 0x16,
            Self::OriginFault => 0x17,
        }
    }

    /// Its name as a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NoCertificate => "no_certificate",
            Self::EdgeRevoked => "edge_revoked",
            Self::BadRequest => "bad_request",
            Self::UnknownToken => "unknown_token",
            Self::ExpiredToken => "expired_token",
            Self::UsedUpToken => "used_up_token",
            Self::RevokedToken => "revoked_token",
            Self::TooSlow => "too_slow",
            Self::Busy => "busy",
            Self::OriginFault => "origin_fault",
        }
    }

    /// The reason behind a number.
    pub fn from_code(code: VarInt) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|r| u64::from(r.code()) == code.into_inner())
    }

    /// Whether asking again with the same token or certificate is pointless.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::EdgeRevoked
                | Self::UnknownToken
                | Self::ExpiredToken
                | Self::UsedUpToken
                | Self::RevokedToken
        )
    }

    /// The reason in a connection's end, when the peer closed it with one of these.
    pub fn of(error: &ConnectionError) -> Option<Self> {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::from_code(close.error_code),
            _ => None,
        }
    }

    /// Closes a connection for this reason.
    pub fn close(self, connection: &Connection) {
        connection.close(VarInt::from_u32(self.code()), self.to_string().as_bytes());
    }
}

impl From<crate::token::RedeemError> for Refusal {
    fn from(error: crate::token::RedeemError) -> Self {
        use crate::token::RedeemError as E;
        match error {
            E::Unknown => Self::UnknownToken,
            E::Expired => Self::ExpiredToken,
            E::UsedUp => Self::UsedUpToken,
            E::Revoked => Self::RevokedToken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_means_one_thing() {
        for refusal in Refusal::ALL {
            assert_eq!(
                Refusal::from_code(VarInt::from_u32(refusal.code())),
                Some(refusal)
            );
            assert!(refusal.code() < 0x40);
        }
        assert_eq!(Refusal::from_code(VarInt::from_u32(0x3f)), None);
    }
}
