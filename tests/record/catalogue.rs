//! The encoders, and how each is called.

/// How an encoder comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, when its input is over.
    Itself,
    /// It is interrupted after so many tags, since its input has no end.
    After(usize),
}

/// One capture and where it comes from.
pub(crate) struct Encoder {
    /// The capture's name.
    pub(crate) name: &'static str,
    /// Where it is, in PATH or among our tools.
    pub(crate) program: &'static str,
    /// What tells its version.
    pub(crate) version: &'static str,
    /// `URL` and `CLIP` are replaced; words are what whitespace parts.
    pub(crate) arguments: &'static str,
    /// How it ends.
    pub(crate) ending: Ending,
    /// Why it is there.
    pub(crate) shows: &'static str,
}

impl Encoder {
    /// One that ends by itself.
    const fn new(
        name: &'static str,
        [program, version]: [&'static str; 2],
        arguments: &'static str,
        shows: &'static str,
    ) -> Self {
        Self {
            name,
            program,
            version,
            arguments,
            ending: Ending::Itself,
            shows,
        }
    }

    /// One that is interrupted after so many tags.
    const fn until(self, tags: usize) -> Self {
        Self {
            ending: Ending::After(tags),
            ..self
        }
    }
}

/// Debian's own.
const FFMPEG: [&str; 2] = ["ffmpeg", "ffmpeg -version"];

/// Static builds out of the PyPI package imageio-ffmpeg, 0.6.0 and 0.8.1: Debian's is too old for enhanced RTMP.
const FFMPEG_7: [&str; 2] = ["ffmpeg-7", "ffmpeg-7 -version"];
const FFMPEG_9: [&str; 2] = ["ffmpeg-9", "ffmpeg-9 -version"];

const GSTREAMER: [&str; 2] = ["gst-launch-1.0", "gst-launch-1.0 --version"];
const CURL: [&str; 2] = ["curl", "curl --version"];

/// It will not run as root.
const VLC: [&str; 2] = ["setpriv", "dpkg-query --show vlc-bin"];

/// All of them.
pub(crate) const ALL: &[Encoder] = &[
    Encoder::new(
        "ffmpeg-audio",
        FFMPEG,
        "-v warning -f lavfi -i sine=frequency=440:sample_rate=44100 -t 2 -c:a aac -b:a 32k -f flv URL",
        "sound only (R13)",
    ),
    Encoder::new(
        "ffmpeg-mp3",
        FFMPEG,
        "-v warning -f lavfi -i sine=frequency=440:sample_rate=44100 -t 2 -c:a libmp3lame -b:a 32k -f flv URL",
        "sound without a sequence header",
    ),
    Encoder::new(
        "ffmpeg-video",
        FFMPEG,
        "-v warning -f lavfi -i testsrc2=size=160x90:rate=10 -t 3 -c:v libx264 -preset veryfast -bf 2 -g 10 -b:v 40k -f flv URL",
        "pictures only, with B-frames (R13, R42)",
    ),
    Encoder::new(
        "ffmpeg-copy",
        FFMPEG,
        "-v warning -re -i CLIP -c copy -f flv -flvflags no_duration_filesize URL",
        "a file in real time, metadata passed on",
    ),
    Encoder::new(
        "ffmpeg-7-hevc",
        FFMPEG_7,
        "-v warning -f lavfi -i testsrc2=size=160x90:rate=10 -f lavfi -i sine=frequency=440:sample_rate=44100 -t 2 -c:v libx265 \
         -preset ultrafast -x265-params log-level=none -g 10 -b:v 60k -c:a aac -b:a 32k -rtmp_enhanced_codecs hvc1,av01,vp09 -f flv URL",
        "enhanced RTMP, HEVC, a list of FourCCs in `connect` (R32, R33)",
    ),
    Encoder::new(
        "ffmpeg-9-hevc",
        FFMPEG_9,
        "-v warning -f lavfi -i testsrc2=size=160x90:rate=10 -f lavfi -i sine=frequency=440:sample_rate=44100 -t 2 -c:v libx265 \
         -preset ultrafast -x265-params log-level=none -g 10 -b:v 60k -c:a aac -b:a 32k -f flv URL",
        "enhanced RTMP, HEVC with B-frames (R33)",
    ),
    Encoder::new(
        "ffmpeg-9-av1",
        FFMPEG_9,
        "-v warning -f lavfi -i testsrc2=size=160x90:rate=10 -f lavfi -i sine=frequency=440:sample_rate=48000 -t 2 -c:v libsvtav1 \
         -preset 10 -svtav1-params tune=0 -g 10 -b:v 60k -c:a libopus -b:a 32k -f flv URL",
        "enhanced RTMP, AV1 and Opus (R33)",
    ),
    Encoder::new(
        "ffmpeg-9-vp9",
        FFMPEG_9,
        "-v warning -f lavfi -i testsrc2=size=160x90:rate=10 -f lavfi -i sine=frequency=440:sample_rate=48000 -t 2 -c:v libvpx-vp9 \
         -deadline realtime -cpu-used 8 -g 10 -b:v 60k -c:a ac3 -b:a 64k -f flv URL",
        "enhanced RTMP, VP9 and AC-3 (R33)",
    ),
    Encoder::new(
        "ffmpeg-9-flac",
        FFMPEG_9,
        "-v warning -f lavfi -i sine=frequency=440:sample_rate=44100 -t 1 -c:a flac -f flv URL",
        "enhanced RTMP, FLAC and nothing else (R13, R33)",
    ),
    Encoder::new(
        "ffmpeg-9-multitrack",
        FFMPEG_9,
        "-v warning -f lavfi -i testsrc2=size=160x90:rate=10 -f lavfi -i testsrc2=size=80x44:rate=10 -f lavfi -i \
         sine=frequency=440:sample_rate=44100 -f lavfi -i sine=frequency=880:sample_rate=44100 -map 0 -map 1 -map 2 -map 3 -t 2 -c:v \
         libx264 -preset veryfast -bf 0 -g 10 -b:v 40k -c:a aac -b:a 32k -f flv URL",
        "enhanced RTMP, two tracks of each kind (R33)",
    ),
    Encoder::new(
        "gstreamer-rtmp2sink",
        GSTREAMER,
        "-q videotestsrc num-buffers=20 ! video/x-raw,width=160,height=90,framerate=10/1 ! x264enc tune=zerolatency bitrate=40 \
         key-int-max=10 ! flvmux name=mux streamable=true ! rtmp2sink location=URL audiotestsrc num-buffers=86 ! \
         audio/x-raw,rate=44100 ! voaacenc bitrate=32000 ! mux.",
        "a client of its own making",
    ),
    Encoder::new(
        "gstreamer-rtmpsink",
        GSTREAMER,
        "-q videotestsrc num-buffers=20 ! video/x-raw,width=160,height=90,framerate=10/1 ! x264enc tune=zerolatency bitrate=40 \
         key-int-max=10 ! flvmux name=mux streamable=true ! rtmpsink location=URL audiotestsrc num-buffers=86 ! \
         audio/x-raw,rate=44100 ! voaacenc bitrate=32000 ! mux.",
        "librtmp, fed by GStreamer",
    ),
    Encoder::new(
        "curl",
        CURL,
        "-s -S --max-time 30 --upload-file CLIP URL",
        "librtmp, fed by curl",
    ),
    Encoder::new(
        "vlc",
        VLC,
        "--reuid=65534 --regid=65534 --clear-groups cvlc -q --play-and-exit CLIP \
         --sout=#std{access=avio,mux=ffmpeg{mux=flv},dst=URL} vlc://quit",
        "VLC's muxer and libavformat's protocol",
    ),
    Encoder::new(
        "obs",
        ["bash", "dpkg-query --show obs-studio"],
        "tests/record/obs.sh URL",
        "OBS Studio: librtmp as OBS has changed it; killed, so there is no goodbye",
    )
    .until(150),
];
