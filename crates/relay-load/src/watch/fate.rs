//! What becomes of a viewer.

use std::borrow::Cow;

use rustix::io::Errno;

/// Why a viewer has no stream, or no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody listens there.
    Refused,
    /// There is no way there.
    Unreachable,
    /// No descriptor, port or memory was left here: the tool's own limit.
    OwnLimit,
    /// Nothing to see came in time.
    TimedOut,
    /// The connection was broken.
    Reset,
    /// The connection, or the stream, was ended in order.
    Closed,
    /// The server answered with this status.
    Status(u16),
    /// The server would not play (RTMP).
    Denied,
    /// What came is no stream.
    BadAnswer,
    /// It is to be had elsewhere: not an end yet.
    Redirected(String),
    /// It was sent on once too often.
    TooManyRedirects,
    /// It was sent to where it cannot go.
    BadRedirect,
    /// The watch ended before it was decided.
    Undecided,
}

impl Fate {
    /// What a failed connect means.
    pub(super) fn from_connect(error: Errno) -> Self {
        match error {
            Errno::CONNREFUSED => Self::Refused,
            Errno::CONNRESET => Self::Reset,
            Errno::TIMEDOUT => Self::TimedOut,
            Errno::ADDRNOTAVAIL
            | Errno::ADDRINUSE
            | Errno::MFILE
            | Errno::NFILE
            | Errno::NOBUFS
            | Errno::NOMEM
            | Errno::NOSPC
            | Errno::AGAIN => Self::OwnLimit,
            _ => Self::Unreachable,
        }
    }

    /// What a failed send or receive means.
    pub(super) fn from_send(error: Errno) -> Self {
        match error {
            Errno::TIMEDOUT => Self::TimedOut,
            Errno::NOBUFS | Errno::NOMEM => Self::OwnLimit,
            _ => Self::Reset,
        }
    }

    /// Its name in a report.
    pub(super) fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::OwnLimit => OWN_LIMIT,
            Self::TimedOut => "timed_out",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Status(status) => return Cow::Owned(format!("status_{status}")),
            Self::Denied => "denied",
            Self::BadAnswer => "bad_answer",
            Self::Redirected(_) => REDIRECTED,
            Self::TooManyRedirects => "too_many_redirects",
            Self::BadRedirect => "bad_redirect",
            Self::Undecided => "undecided",
        })
    }
}

/// The outcome of a viewer that gets the stream.
pub(super) const SERVED: &str = "served";

/// Viewers that were sent elsewhere at least once; what became of them then is counted, too.
pub(super) const REDIRECTED: &str = "redirected";

/// The outcome of a viewer for which this machine had no more room.
pub(super) const OWN_LIMIT: &str = "own_limit";
