//! What real programs sent, byte for byte; tests/fixtures/rtmp/README.md says how it was caught.

use crate::rtmp::server::{Config, Event, Session};

/// ffmpeg publishes H.264 and AAC.
pub(super) const FFMPEG: &[u8] = include_bytes!("../../../tests/fixtures/rtmp/ffmpeg-publish.bin");

/// rtmpdump asks to play.
pub(super) const RTMPDUMP_PLAY: &[u8] = include_bytes!("../../../tests/fixtures/rtmp/rtmpdump-play.bin");

/// ffmpeg asks to play.
pub(super) const FFMPEG_PLAY: &[u8] = include_bytes!("../../../tests/fixtures/rtmp/ffmpeg-play.bin");

/// ffmpeg publishes H.264 and AAC with times that cross 0xFFFFFF.
pub(super) const FFMPEG_EXTENDED: &[u8] = include_bytes!("../../../tests/fixtures/rtmp/ffmpeg-extended.bin");

/// ffmpeg publishes PCM, of which it begins messages with headers of type 3.
pub(super) const FFMPEG_PCM: &[u8] = include_bytes!("../../../tests/fixtures/rtmp/ffmpeg-pcm.bin");

/// One that the recorder has kept.
macro_rules! recorded {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../../tests/fixtures/rtmp/", $name, ".bin")),
        )
    };
}

/// All of them, by name.
pub(super) const ALL: &[(&str, &[u8])] = &[
    ("ffmpeg-publish", FFMPEG),
    ("ffmpeg-pcm", FFMPEG_PCM),
    ("ffmpeg-extended", FFMPEG_EXTENDED),
    ("ffmpeg-play", FFMPEG_PLAY),
    ("rtmpdump-play", RTMPDUMP_PLAY),
    recorded!("ffmpeg-audio"),
    recorded!("ffmpeg-mp3"),
    recorded!("ffmpeg-video"),
    recorded!("ffmpeg-copy"),
    recorded!("ffmpeg-7-hevc"),
    recorded!("ffmpeg-9-hevc"),
    recorded!("ffmpeg-9-av1"),
    recorded!("ffmpeg-9-vp9"),
    recorded!("ffmpeg-9-flac"),
    recorded!("ffmpeg-9-multitrack"),
    recorded!("gstreamer-rtmp2sink"),
    recorded!("gstreamer-rtmpsink"),
    recorded!("curl"),
    recorded!("vlc"),
    recorded!("obs"),
];

/// What a session makes of a capture, letting everyone in.
pub(super) fn events(capture: &[u8]) -> Vec<Event> {
    events_in_pieces(capture, std::iter::repeat(16 << 10))
}

/// The same with the bytes arriving in pieces of the given sizes.
pub(super) fn events_in_pieces(capture: &[u8], sizes: impl IntoIterator<Item = usize>) -> Vec<Event> {
    let mut session = Session::new(Config::default(), [0; 32]);
    let mut events = Vec::new();
    let mut rest = capture;
    for size in sizes {
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        session.handle_input(piece, super::NOW).unwrap();
        while let Some(event) = session.poll_event() {
            match event {
                Event::Publish { .. } => session.accept_publish().unwrap(),
                Event::Play { .. } => session.accept_play().unwrap(),
                _ => {}
            }
            events.push(event);
        }
        session.poll_output();
        if rest.is_empty() {
            break;
        }
    }
    events
}
