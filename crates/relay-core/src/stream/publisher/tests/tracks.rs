//! Tracks that are missing, late, or not those of the session before (R13).

use super::*;

const HEVC: &[u8] = b"\x90hvc1config";
const HEVC_KEY: &[u8] = b"\x91hvc1\x00\x00\x00key";
const OPUS: &[u8] = b"\x90OpusOpusHead";

/// Cameras announce sound and send none.
#[test]
fn r13_sound_that_is_announced_and_does_not_come_is_not_waited_for() {
    let mut rig = Rig::new();
    rig.publish();
    rig.send(Script, 0, &metadata("audiocodecid")).unwrap();
    rig.send(Video, 0, AVC).unwrap();
    rig.send(Audio, 0, AAC).unwrap();
    rig.send(Video, 0, KEY).unwrap();
    assert_eq!(rig.times(Video), [0], "out at once");
    assert!(!rig.stream.headers().has_audio);
}

#[test]
fn r13_video_alone_forgets_the_sound_before_it() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 5).leave();
    rig.publish();
    rig.send(Video, 0, AVC).unwrap();
    rig.send(Video, 0, KEY).unwrap();
    assert_eq!(rig.prefaces[1].audio, None);
    assert_eq!(
        rig.stream.headers().audio,
        None,
        "nobody who joins is told of sound"
    );
}

#[test]
fn r13_a_track_may_come_late() {
    let mut rig = Rig::new();
    rig.publish();
    rig.send(Video, 0, AVC).unwrap();
    for n in 0..100 {
        rig.send(Video, n * 40, if n % 50 == 0 { KEY } else { DELTA })
            .unwrap();
        rig.pass(40);
    }
    rig.send(Audio, 4_000, AAC).unwrap();
    rig.send(Audio, 4_003, SOUND).unwrap();
    assert_eq!(rig.times(Audio), [4_000, 4_003], "in step with the picture");
    assert_eq!(rig.stream.headers().audio.as_deref(), Some(AAC));
    // And the picture after the sound, which did not wait for it.
    let mut rig = Rig::new();
    rig.publish();
    rig.send(Audio, 0, AAC).unwrap();
    for n in 0..150 {
        let _ = rig.send(Audio, n * 20, SOUND);
        rig.pass(20);
    }
    assert_eq!(rig.times(Audio).len(), 50, "from the third second on");
    rig.send(Video, 3_000, AVC).unwrap();
    assert_eq!(rig.send(Video, 3_000, DELTA), Err(Dropped::NoKeyframe));
    rig.send(Video, 3_040, KEY).unwrap();
    assert_eq!(rig.last().time, 1_040);
    assert_eq!(rig.groups.last().map(|head| head.first_time), Some(1_040));
}

#[test]
fn r13_another_session_may_bring_other_codecs() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 5).leave();
    rig.publish();
    rig.send(Video, 0, HEVC).unwrap();
    rig.send(Audio, 0, OPUS).unwrap();
    rig.send(Video, 0, HEVC_KEY).unwrap();
    let headers = rig.stream.headers();
    assert_eq!(headers.video.as_deref(), Some(HEVC));
    assert_eq!(headers.audio.as_deref(), Some(OPUS));
    assert_eq!(headers.metadata, None, "it had none");
    let splice = rig.groups.last().unwrap();
    assert_eq!((splice.number, splice.continuation), (0, false));
}

/// Only what is on its way to the very session counts: a header that was seen in the session before does not save the new one
/// from sending its own.
#[test]
fn r13_a_session_without_headers_has_none() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 5).leave();
    rig.publish();
    rig.send(Video, 0, KEY).unwrap();
    assert_eq!(
        rig.prefaces[1],
        Headers {
            has_video: true,
            ..Headers::default()
        }
    );
}
