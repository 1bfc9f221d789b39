//! Why a pull came to its end, or never began.

use std::io;

use relay_core::flv::FlvError;
use relay_core::rtmp::RtmpError;
use relay_core::serve::ingest::PublishRefusal;

use super::guard::Forbidden;
use super::rota::Ending;

/// Why a pull ended. No sentence quotes what the other side wrote, which may be our own key: names in its certificate are all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The name was not found.
    #[error("its name cannot be found: {0}")]
    NoName(io::Error),
    /// Whatever the name leads to may not be dialled.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It leads back to this origin.
    #[error("it leads to this origin itself")]
    Itself,
    /// Nobody took the connection.
    #[error("no connection: {0}")]
    NoConnection(io::Error),
    /// The handshake of TLS failed: most often its certificate is not trusted.
    #[error("no TLS: {0}")]
    Tls(io::Error),
    /// Connected, and no answer in time.
    #[error("no answer in time")]
    NoAnswer,
    /// An HTTP status other than 200.
    #[error("refused with HTTP status {0}")]
    Status(u16),
    /// An RTMP error status.
    #[error("refused with RTMP status {0:?}")]
    Refused(String),
    /// It sends us on too often.
    #[error("more than {} redirects", super::MAX_REDIRECTS)]
    Redirects,
    /// It sends us to what is no URL of a stream, or none that may be followed.
    #[error("redirected {0}")]
    BadRedirect(&'static str),
    /// No request can be made of its URL.
    #[error("its URL has characters that no request may have")]
    BadUrl,
    /// What came is no HTTP.
    #[error("it does not speak HTTP as it should: {0}")]
    NoHttp(hyper::Error),
    /// What came is no RTMP.
    #[error("it does not speak RTMP as it should: {0}")]
    NoRtmp(#[from] RtmpError),
    /// What came is no FLV.
    #[error("it sends no FLV: {0}")]
    NoFlv(#[from] FlvError),
    /// It answered, and no media followed.
    #[error("no media within {} s", super::FIRST_TAG_TIME.as_secs())]
    NoMedia,
    /// Media came, and then nothing for too long.
    #[error("nothing more has come")]
    Idle,
    /// The stream ended, as its server says.
    #[error("the stream has ended there")]
    Ended,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The stream has another publisher here, or there is no room for it.
    #[error("not taken here: {0}")]
    NotTaken(PublishRefusal),
    /// The operator, or who replaced it, let it go.
    #[error("sent away")]
    SentAway,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// The outcomes, as a metric's labels, in the order of their counters.
pub(super) const OUTCOMES: [&str; 13] = [
    "no_name",
    "forbidden",
    "no_connection",
    "tls",
    "no_answer",
    "refused",
    "redirect",
    "bad_answer",
    "no_media",
    "idle",
    "ended",
    "broken",
    "not_wanted",
];

impl Fault {
    /// Its place in [`OUTCOMES`].
    pub(super) const fn outcome(&self) -> usize {
        match self {
            Self::NoName(_) => 0,
            Self::Forbidden(_) | Self::Itself => 1,
            Self::NoConnection(_) | Self::Random(_) => 2,
            Self::Tls(_) => 3,
            Self::NoAnswer => 4,
            Self::Status(_) | Self::Refused(_) => 5,
            Self::Redirects | Self::BadRedirect(_) => 6,
            Self::BadUrl | Self::NoHttp(_) | Self::NoRtmp(_) | Self::NoFlv(_) => 7,
            Self::NoMedia => 8,
            Self::Idle => 9,
            Self::Ended => 10,
            Self::Broken(_) => 11,
            Self::NotTaken(_) | Self::SentAway => 12,
        }
    }

    /// What it says of the URL, where the stream came for long enough before (`proven`) or did not.
    pub(super) const fn ending(&self, proven: bool) -> Ending {
        match self {
            Self::NotTaken(_) | Self::SentAway => Ending::NotWanted,
            // A server that is there and has gone mute would be mute again.
            Self::Idle => Ending::Failed,
            _ if proven => Ending::Worked,
            _ => Ending::Failed,
        }
    }
}

/// The most of a status code that is shown: the longest that exists has some 40 characters.
const MAX_CODE_CHARS: usize = 64;

/// An RTMP status code, if it looks like one: `NetStream.Play.StreamNotFound`.
pub(super) fn shown_code(code: &str) -> String {
    let good = !code.is_empty()
        && code.len() <= MAX_CODE_CHARS
        && code.bytes().all(|b| b.is_ascii_alphabetic() || b == b'.');
    if good {
        code.to_owned()
    } else {
        "unknown".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_the_other_side_is_shown_but_a_code() {
        assert_eq!(
            shown_code("NetStream.Play.StreamNotFound"),
            "NetStream.Play.StreamNotFound"
        );
        for odd in ["", "live/cam?key=s3cret", "a b", "\u{1b}[31m", &"x".repeat(65)] {
            assert_eq!(shown_code(odd), "unknown", "{odd:?}");
        }
    }

    #[test]
    fn only_what_worked_for_long_is_tried_again_first() {
        let broken = || Fault::Broken(io::ErrorKind::ConnectionReset.into());
        assert_eq!(broken().ending(true), Ending::Worked);
        assert_eq!(broken().ending(false), Ending::Failed);
        assert_eq!(Fault::Ended.ending(true), Ending::Worked);
        assert_eq!(Fault::Idle.ending(true), Ending::Failed);
        assert_eq!(Fault::SentAway.ending(true), Ending::NotWanted);
    }

    #[test]
    fn each_outcome_has_a_label() {
        let faults = [
            Fault::NoName(io::ErrorKind::NotFound.into()),
            Fault::Itself,
            Fault::NoConnection(io::ErrorKind::ConnectionRefused.into()),
            Fault::Tls(io::ErrorKind::InvalidData.into()),
            Fault::NoAnswer,
            Fault::Status(404),
            Fault::Redirects,
            Fault::NoFlv(FlvError::EmptyTag),
            Fault::NoMedia,
            Fault::Idle,
            Fault::Ended,
            Fault::Broken(io::ErrorKind::ConnectionReset.into()),
            Fault::SentAway,
        ];
        let places: Vec<usize> = faults.iter().map(Fault::outcome).collect();
        assert_eq!(places, (0..OUTCOMES.len()).collect::<Vec<_>>());
    }
}
