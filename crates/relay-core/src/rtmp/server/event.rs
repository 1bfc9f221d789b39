//! What a session tells its driver.

use std::fmt;

use bytes::Bytes;

use crate::flv::TagKind;

/// Something the peer did.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// It wants to publish; to be answered with `accept_publish` or `refuse_publish`.
    Publish {
        /// The app, without its query.
        app: String,
        /// The stream's name, without its query.
        name: String,
        /// The query that came with the name, or else with the app.
        query: Option<String>,
        /// `?key=…` of that query.
        secret: Option<String>,
    },
    /// A publisher's tag, stamped as it stamped it; never empty.
    Tag {
        /// Audio, video or script.
        kind: TagKind,
        /// Milliseconds modulo 2³².
        time: u32,
        /// The body, as it came; of script data without `@setDataFrame` (R36).
        payload: Bytes,
    },
    /// The publisher says that it is done.
    Unpublish,
    /// It wants to play; to be answered with `accept_play` or `refuse_play`.
    Play {
        /// The app, without its query.
        app: String,
        /// The stream's name, without its query.
        name: String,
        /// `?key=…` of the name's query, or else of the app's.
        secret: Option<String>,
        /// How often it was sent on before.
        hops: u8,
    },
    /// The viewer pauses (true) or goes on (false); it has been answered.
    Pause(bool),
    /// The viewer wants no more of the stream.
    StopPlay,
    /// The session is over: flush the output, then close.
    Closed,
}

/// Shows neither secrets nor payloads.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |there: bool| there.then_some("…");
        match self {
            Self::Publish {
                app,
                name,
                query,
                secret,
            } => f
                .debug_struct("Publish")
                .field("app", app)
                .field("name", name)
                .field("query", &hidden(query.is_some()))
                .field("secret", &hidden(secret.is_some()))
                .finish(),
            Self::Tag { kind, time, payload } => f
                .debug_struct("Tag")
                .field("kind", kind)
                .field("time", time)
                .field("bytes", &payload.len())
                .finish(),
            Self::Unpublish => f.write_str("Unpublish"),
            Self::Play {
                app,
                name,
                secret,
                hops,
            } => f
                .debug_struct("Play")
                .field("app", app)
                .field("name", name)
                .field("hops", hops)
                .field("secret", &hidden(secret.is_some()))
                .finish(),
            Self::Pause(paused) => f.debug_tuple("Pause").field(paused).finish(),
            Self::StopPlay => f.write_str("StopPlay"),
            Self::Closed => f.write_str("Closed"),
        }
    }
}
