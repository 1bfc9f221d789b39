//! What encoders do with headers, times and keyframes, as their viewers on two tiers see it.

use bytes::Bytes;

use super::players::Player;
use super::relay::Relay;
use crate::flavour::Flavour;
use crate::flv::Tag;
use crate::flv::TagKind::{self, Audio, Script, Video};
use crate::stream::timeline::Repairs;

const AVC: &[u8] = b"\x17\x00\x00\x00\x00avcC-1";
const AVC_OTHER: &[u8] = b"\x17\x00\x00\x00\x00avcC-2";
const AAC: &[u8] = b"\xaf\x00\x12\x10";
const KEY: &[u8] = b"\x17\x01\x00\x00\x00key";
const DELTA: &[u8] = b"\x27\x01\x00\x00\x00delta";
const SOUND: &[u8] = b"\xaf\x01sound";
const METADATA: &[u8] =
    b"\x02\x00\x0aonMetaData\x03\x00\x08hasVideo\x01\x01\x00\x08hasAudio\x01\x01\x00\x00\x09";

impl Relay {
    fn headers(&mut self) -> &mut Self {
        self.send(Script, 0, METADATA);
        self.send(Video, 0, AVC);
        self.send(Audio, 0, AAC);
        self
    }

    /// A frame at its own time, in real time.
    fn at(&mut self, kind: TagKind, time: u32, payload: &[u8]) -> &mut Self {
        self.now = super::START.plus_ms(time.into());
        self.send(kind, time, payload);
        self
    }
}

/// Viewers of every flavour at both nodes.
fn audience(relay: &Relay) -> Vec<(usize, Player)> {
    let node =
        |node: usize| Flavour::ALL.map(move |flavour| (node, Player::join(relay.streams()[node], flavour)));
    [0, 1].into_iter().flat_map(node).collect()
}

/// What each of them has got since it was last asked; it is the same for all.
fn seen(relay: &Relay, audience: &mut [(usize, Player)]) -> Vec<(TagKind, u64, Bytes)> {
    let mut all = audience.iter_mut().map(|(node, player)| {
        player.watch(relay.streams()[*node]);
        player.take_tags()
    });
    let first = all.next().unwrap();
    for other in all {
        assert_eq!(other, first, "all viewers see the same");
    }
    first
}

fn bodies(seen: &[(TagKind, u64, Bytes)]) -> Vec<&[u8]> {
    seen.iter().map(|(.., payload)| &payload[..]).collect()
}

fn times(seen: &[(TagKind, u64, Bytes)], wanted: TagKind) -> Vec<u64> {
    let of = seen.iter().filter(|(kind, ..)| *kind == wanted);
    of.map(|(_, time, _)| *time).collect()
}

#[test]
fn r38_a_new_header_comes_in_its_place_and_once_on_every_tier() {
    let mut relay = Relay::new();
    relay.headers().at(Video, 0, KEY).at(Video, 40, DELTA);
    let mut early = audience(&relay);
    seen(&relay, &mut early);
    relay.at(Video, 80, AVC_OTHER).at(Video, 80, AVC_OTHER);
    relay
        .at(Video, 80, DELTA)
        .at(Script, 90, METADATA)
        .at(Audio, 90, AAC);
    assert_eq!(
        bodies(&seen(&relay, &mut early)),
        [AVC_OTHER, DELTA],
        "what is the same again is left out"
    );
    let mut within = audience(&relay);
    assert_eq!(
        bodies(&seen(&relay, &mut within)),
        [METADATA, AVC, AAC, KEY, DELTA, AVC_OTHER, DELTA],
        "the header that was in force at the keyframe, then the new one in its place"
    );
    relay.at(Video, 120, KEY);
    let mut after = audience(&relay);
    assert_eq!(bodies(&seen(&relay, &mut after)), [METADATA, AVC_OTHER, AAC, KEY]);
}

#[test]
fn r38_a_publisher_that_returns_with_the_same_headers_sends_none_anew() {
    let mut relay = Relay::new();
    relay.headers().at(Video, 0, KEY);
    let mut early = audience(&relay);
    seen(&relay, &mut early);
    relay.republish();
    relay.headers().at(Video, 1_000, KEY);
    assert_eq!(bodies(&seen(&relay, &mut early)), [KEY]);
    relay.republish();
    relay
        .at(Script, 2_000, METADATA)
        .at(Video, 2_000, AVC_OTHER)
        .at(Audio, 2_000, AAC);
    relay.at(Video, 2_000, KEY);
    assert_eq!(
        bodies(&seen(&relay, &mut early)),
        [AVC_OTHER, KEY],
        "and of others what differs"
    );
}

/// Another track's configuration, the colours of HDR, and the places of channels: what enhanced RTMP says once.
#[test]
fn r39_a_late_joiner_gets_all_that_a_decoder_needs_and_the_group() {
    const HEVC: &[u8] = b"\x90hvc1hvcC";
    const COLOURS: &[u8] = b"\x94hvc1\x02\x00\x09colorInfo\x03\x00\x00\x09";
    const SECOND: &[u8] = b"\x96\x00hvc1\x01hvcC-2";
    const FRAME: &[u8] = b"\x93hvc1key";
    const CHANNELS: &[u8] = b"\x94mp4a\x01\x02";
    let mut relay = Relay::new();
    for (kind, body) in [
        (Script, METADATA),
        (Video, HEVC),
        (Video, COLOURS),
        (Video, SECOND),
        (Audio, AAC),
        (Audio, CHANNELS),
    ] {
        relay.send(kind, 0, body);
    }
    relay.at(Video, 0, FRAME).at(Audio, 10, SOUND);
    let whole = [METADATA, HEVC, AAC, COLOURS, SECOND, CHANNELS, FRAME, SOUND];
    assert_eq!(bodies(&seen(&relay, &mut audience(&relay))), whole);
    for n in 1..50 {
        relay.at(Video, n * 2_000, FRAME).at(Audio, n * 2_000, SOUND);
    }
    let mut late = audience(&relay);
    let seen_late = seen(&relay, &mut late);
    assert_eq!(
        bodies(&seen_late),
        whole,
        "a hundred seconds later, on both tiers"
    );
    assert!(
        seen_late.iter().all(|(_, time, _)| *time == 98_000),
        "stamped with the start"
    );
    // One that changes comes in its place, and takes the place of its own kind only.
    const COLOURS_OTHER: &[u8] = b"\x94hvc1\x02\x00\x09colorInfo\x05";
    relay
        .at(Video, 98_040, COLOURS_OTHER)
        .at(Video, 98_080, COLOURS_OTHER);
    assert_eq!(bodies(&seen(&relay, &mut late)), [COLOURS_OTHER]);
    relay.at(Video, 100_000, FRAME);
    assert_eq!(
        bodies(&seen(&relay, &mut audience(&relay))),
        [METADATA, HEVC, AAC, COLOURS_OTHER, SECOND, CHANNELS, FRAME]
    );
}

#[test]
fn r40_a_track_that_steps_back_is_held_and_the_other_is_left_alone() {
    let mut relay = Relay::new();
    relay.headers().at(Video, 0, KEY);
    let mut viewers = audience(&relay);
    seen(&relay, &mut viewers);
    for (kind, time) in [
        (Video, 80),
        (Audio, 10), // behind the video: tracks need not be in one order
        (Video, 40), // a step back
        (Audio, 33),
        (Video, 120),
        (Audio, 56),
    ] {
        relay.now = super::START.plus_ms(120);
        relay.send(kind, time, if kind == Video { DELTA } else { SOUND });
    }
    let seen = seen(&relay, &mut viewers);
    assert_eq!(times(&seen, Video), [80, 80, 120], "held, not spread");
    assert_eq!(times(&seen, Audio), [10, 33, 56], "untouched");
    assert_eq!(
        relay.publisher.repairs(),
        Repairs { held: 1, leaps: 0 },
        "and counted"
    );
}

#[test]
fn r41_gaps_are_as_long_as_they_were_on_both_tiers() {
    let mut relay = Relay::new();
    relay.headers().at(Video, 0, KEY);
    let mut viewers = audience(&relay);
    seen(&relay, &mut viewers);
    // A jitter, a hiccup of the encoder, a pause of half a minute; no server need think that it knows better.
    let sent = [33, 67, 100, 390, 400, 433, 31_000, 31_040];
    for time in sent {
        relay.at(Video, time, DELTA);
    }
    let seen = seen(&relay, &mut viewers);
    assert_eq!(times(&seen, Video), sent.map(u64::from));
    assert_eq!(relay.publisher.repairs(), Repairs::default());
}

#[test]
fn r42_b_frames_keep_their_decoding_times_and_their_offsets() {
    let mut relay = Relay::new();
    relay.headers();
    // Decoding order I P B B, with offsets that lie before and behind, to the ends of 24 bits.
    let offsets = [80_i32, 120, 0, -40, -0x80_0000, 0x7F_FFFF];
    let body = |key: bool, offset: i32| {
        let [_, a, b, c] = offset.to_be_bytes();
        [&[if key { 0x17 } else { 0x27 }, 1, a, b, c][..], b"frame"].concat()
    };
    relay.at(Video, 1_000, &body(true, offsets[0]));
    let mut viewers = audience(&relay);
    let mut all = seen(&relay, &mut viewers).split_off(3);
    for (n, offset) in (1..).zip(&offsets[1..]) {
        relay.at(Video, 1_000 + n * 40, &body(false, *offset));
    }
    all.extend(seen(&relay, &mut viewers));
    let expected: Vec<_> = (0..)
        .zip(offsets)
        .map(|(n, offset)| body(n == 0, offset))
        .collect();
    assert_eq!(
        bodies(&all),
        expected.iter().map(|body| &body[..]).collect::<Vec<_>>()
    );
    assert_eq!(times(&all, Video), [0, 40, 80, 120, 160, 200]);
    assert_eq!(relay.publisher.repairs(), Repairs::default());
}

/// A picture that is refreshed bit by bit: no keyframe ever, but places at which a decoder can begin.
#[test]
fn r44_a_stream_of_recovery_points_is_begun_at_them() {
    const RECOVERY: &[u8] = b"\x27\x01\0\0\0\0\0\0\x05\x06\x06\x01\xc4\x80\0\0\0\x02\x41s";
    let mut relay = Relay::new();
    relay.headers();
    relay.at(Video, 0, DELTA);
    assert_eq!(relay.appended, [], "nobody can begin with that");
    relay.at(Video, 40, RECOVERY);
    assert_eq!(
        &relay.appended[0].payload[..],
        RECOVERY,
        "it is not waited for a keyframe"
    );
    for n in 2..150 {
        relay.at(Video, n * 40, if n % 50 == 1 { RECOVERY } else { DELTA });
    }
    let mut late = audience(&relay);
    let seen = seen(&relay, &mut late);
    assert_eq!(
        bodies(&seen)[..3],
        [METADATA, AVC, RECOVERY],
        "silent sound is kept from them"
    );
    assert_eq!(relay.groups, 3);
}

#[test]
fn r44_a_stream_without_any_place_to_begin_is_begun_after_a_while() {
    let mut relay = Relay::new();
    relay.headers();
    for n in 0..1_000 {
        relay.at(Video, n * 40, DELTA);
        let begun = n * 40 >= 10_000;
        assert_eq!(relay.appended.len(), usize::from(begun), "at {}", n * 40);
    }
    let mut late = audience(&relay);
    let seen = seen(&relay, &mut late);
    assert!(
        times(&seen, Video).len() < 2 + 15_000 / 40,
        "no joiner is given half a minute"
    );
    assert!(
        relay
            .origin
            .warnings()
            .iter()
            .any(|raised| raised.warning.label() == "keyframe_interval")
    );
    assert_eq!(relay.groups, 2);
}

/// R37: sound that stops is promised to nobody, and introduced again when it is back.
#[test]
fn r37_a_track_that_comes_back_is_introduced_to_those_who_joined_meanwhile() {
    let mut relay = Relay::new();
    relay.headers().at(Video, 0, KEY).at(Audio, 7, SOUND);
    let mut early = audience(&relay);
    assert!(
        early
            .iter()
            .all(|(_, player)| player.promised != Some((false, true)))
    );
    for n in 1..200 {
        relay.at(Video, n * 40, if n % 50 == 0 { KEY } else { DELTA });
    }
    seen(&relay, &mut early);
    let mut meanwhile = audience(&relay);
    for (_, player) in &meanwhile {
        assert!(
            matches!(player.promised, None | Some((false, true))),
            "{:?}",
            player.promised
        );
    }
    let joined = seen(&relay, &mut meanwhile);
    assert_eq!(
        bodies(&joined)[..3],
        [METADATA, AVC, KEY],
        "nothing that a player would wait for"
    );
    relay.at(Audio, 8_000, SOUND).at(Audio, 8_020, SOUND);
    for viewers in [&mut early, &mut meanwhile] {
        assert_eq!(bodies(&seen(&relay, viewers)), [AAC, SOUND, SOUND]);
    }
    let tags: Vec<&Tag> = relay.appended.iter().collect();
    assert_eq!(tags.len(), 1, "once");
}
