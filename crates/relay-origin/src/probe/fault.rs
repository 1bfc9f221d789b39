//! What may be wrong with an endpoint, in the words that an operator reads.

use relay_core::pool::Finding;

/// Why viewers are not to be sent to an endpoint.
///
/// No sentence has anything in it that differs from one visit to the next: edges are told of each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("its name cannot be resolved")]
    NoName,
    #[error("no connection comes about, as behind a closed firewall")]
    NoConnection,
    #[error("the connection is refused: nobody listens there")]
    Refused,
    #[error("this origin has no route to that address")]
    NoRoute,
    #[error("the connection breaks before an answer")]
    Broken,
    #[error("it takes the connection and does not answer")]
    Silent,
    #[error("what answers there is no relay")]
    NoRelay,
    #[error("it refuses viewers")]
    Refuses,
    #[error("it lacks a stream that is live at the origin")]
    Lacks,
    #[error("it answers, and no frame comes")]
    NoFrame,
    #[error("it is far behind the origin")]
    Behind,
    #[error("it sends what the origin never sent")]
    Invented,
    #[error("what comes from there is not what the origin sent")]
    Altered,
    #[error("what comes from there is broken off in its framing")]
    Garbled,
    #[error("what comes from there stops for more than a second, now and then")]
    Stalls,
}

impl Fault {
    /// Whether one look is enough: nobody who is merely slow or away does this.
    pub(super) const fn is_a_lie(self) -> bool {
        matches!(self, Self::Altered | Self::Garbled)
    }
}

impl From<Fault> for Finding {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Stalls => Self::Stalled(fault.to_string()),
            _ if fault.is_a_lie() => Self::Wrong(fault.to_string()),
            _ => Self::Failed(fault.to_string()),
        }
    }
}
