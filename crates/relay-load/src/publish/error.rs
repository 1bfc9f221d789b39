//! Why publishing did not begin, or ended.

use std::io;

use relay_core::exit::Exit;
use relay_core::rtmp::address::{Url, UrlError};
use relay_core::rtmp::error::RtmpError;
use thiserror::Error;

use super::MAX_STREAMS;
use crate::profile::ProfileError;

/// Why publishing did not begin, or ended. A URL is shown without its query, since the key is in it.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The stream cannot be had.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// No stream, or too many.
    #[error("--streams is 1 to {MAX_STREAMS}")]
    Streams,
    /// Several streams, and one place.
    #[error("with --streams the URL has {{n}} in it, where each stream's number goes")]
    OneUrl,
    /// No URL.
    #[error("{0}?key=SECRET")]
    Url(UrlError),
    /// The process cannot have what it needs to run.
    #[error("cannot start: {0}")]
    Start(io::Error),
    /// A mistake of ours.
    #[error("a stream's task ended by itself: {0}")]
    Task(String),
    /// Nobody answers there.
    #[error("{url:?} cannot be reached: {error}")]
    Unreachable {
        /// Which stream.
        url: Url,
        /// What the system says.
        error: io::Error,
    },
    /// Somebody took the connection and says nothing.
    #[error("{url:?}: no answer within {seconds} s; is it an RTMP server?")]
    Silent {
        /// Which stream.
        url: Url,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The server said no, before or while we published.
    #[error("{url:?} was refused by the server: {}", said(code, description))]
    Refused {
        /// Which stream.
        url: Url,
        /// Such as `NetStream.Publish.Denied`.
        code: String,
        /// In words.
        description: String,
    },
    /// The server speaks something else.
    #[error("{url:?}: the server breaks the protocol: {error}")]
    Broken {
        /// Which stream.
        url: Url,
        /// How.
        error: RtmpError,
    },
    /// The connection broke.
    #[error("{url:?}: the connection was lost: {error}")]
    Lost {
        /// Which stream.
        url: Url,
        /// What the system says.
        error: io::Error,
    },
    /// The server closed it without a word.
    #[error("{url:?}: the server closed the connection")]
    Closed {
        /// Which stream.
        url: Url,
    },
    /// The server does not read on.
    #[error("{url:?}: the server took nothing for {seconds} s")]
    Stalled {
        /// Which stream.
        url: Url,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl PublishError {
    /// The code to exit with.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Profile(_) | Self::Streams | Self::OneUrl | Self::Url(_) => Exit::Usage,
            Self::Start(_) => Exit::OsError,
            Self::Task(_) => Exit::Software,
            Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Refused { .. }
            | Self::Broken { .. }
            | Self::Lost { .. }
            | Self::Closed { .. }
            | Self::Stalled { .. } => Exit::Unavailable,
        }
    }
}

/// What the server answered: some give a code, some words, good ones both.
fn said(code: &str, description: &str) -> String {
    match (code, description) {
        ("", "") => "it does not say why".to_owned(),
        (code, "") => code.to_owned(),
        ("", description) => description.to_owned(),
        (code, description) => format!("{description} ({code})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_words_and_without_the_key() {
        let url: Url = "rtmp://host/live/cam?key=s3cret".parse().unwrap();
        let refused = |code: &str, description: &str| PublishError::Refused {
            url: url.clone(),
            code: code.to_owned(),
            description: description.to_owned(),
        };
        let said = refused("NetStream.Publish.Denied", "wrong key").to_string();
        assert_eq!(
            said,
            "rtmp://host:1935/live/cam was refused by the server: wrong key (NetStream.Publish.Denied)"
        );
        assert!(refused("", "").to_string().ends_with("it does not say why"));
        assert!(refused("a.b", "").to_string().ends_with("server: a.b"));
        assert!(refused("", "in words").to_string().ends_with("server: in words"));
    }

    #[test]
    fn what_was_typed_wrong_is_told_from_what_went_wrong() {
        assert_eq!(PublishError::OneUrl.exit(), Exit::Usage);
        assert!(PublishError::OneUrl.to_string().contains("{n}"));
        let url: Url = "rtmp://host/live/cam".parse().unwrap();
        assert_eq!(PublishError::Closed { url }.exit(), Exit::Unavailable);
        let said = PublishError::Url(UrlError).to_string();
        assert_eq!(said, "a stream's URL looks like rtmp://host/app/name?key=SECRET");
    }
}
