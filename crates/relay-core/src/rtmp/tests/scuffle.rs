//! Our FLV read by scuffle-flv, and what it makes of each tag beside what we do.

use bytes::Bytes;
use scuffle_flv::audio::AudioData;
use scuffle_flv::audio::body::AudioTagBody;
use scuffle_flv::audio::body::enhanced::{AudioPacket, ExAudioTagBody};
use scuffle_flv::audio::body::legacy::LegacyAudioTagBody;
use scuffle_flv::audio::body::legacy::aac::AacAudioData;
use scuffle_flv::file::FlvFile;
use scuffle_flv::tag::FlvTagData;
use scuffle_flv::video::VideoData;
use scuffle_flv::video::body::VideoTagBody;
use scuffle_flv::video::body::enhanced::{ExVideoTagBody, VideoPacket};
use scuffle_flv::video::header::legacy::{LegacyVideoTagHeader, LegacyVideoTagHeaderAvcPacket};
use scuffle_flv::video::header::{VideoFrameType, VideoTagHeaderData};

use super::captures;
use crate::codec::{Codec, TagInfo, classify};
use crate::flv::{Tag, TagKind, encode_into, file_header};
use crate::rtmp::server::Event;

/// What is in a capture, as an FLV that we write.
fn as_flv(capture: &[u8]) -> (Vec<Tag>, Bytes) {
    let mut flv = file_header(true, true).to_vec();
    let mut tags = Vec::new();
    for event in captures::events(capture) {
        if let Event::Tag { kind, time, payload } = event {
            let time = time.into();
            let tag = Tag { kind, time, payload };
            encode_into(&mut flv, &tag);
            tags.push(tag);
        }
    }
    (tags, flv.into())
}

/// scuffle-flv reads each FLV of ours to its end, and tag by tag agrees on what it is.
#[test]
fn r33_captures_as_flv_are_read_by_scuffle() {
    for (name, capture) in captures::ALL.iter().filter(|(name, _)| !name.ends_with("-play")) {
        let (tags, flv) = as_flv(capture);
        let file = FlvFile::demux(&mut std::io::Cursor::new(flv)).unwrap();
        assert_eq!(file.tags.len(), tags.len(), "{name}");
        for (theirs, ours) in file.tags.iter().zip(&tags) {
            assert_eq!(u64::from(theirs.timestamp_ms), ours.time & 0xFFFF_FFFF, "{name}");
            let info = classify(ours.kind, &ours.payload);
            match &theirs.data {
                FlvTagData::Audio(audio) => audio_agrees(name, audio, ours, info),
                FlvTagData::Video(video) => video_agrees(name, video, ours, info),
                FlvTagData::ScriptData(_) => assert_eq!(ours.kind, TagKind::Script),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

fn audio_agrees(name: &str, theirs: &AudioData, ours: &Tag, info: TagInfo) {
    assert_eq!(ours.kind, TagKind::Audio, "{name}");
    // What they say: is it a configuration, and whose?
    let (header, codec) = match &theirs.body {
        AudioTagBody::Legacy(LegacyAudioTagBody::Aac(data)) => {
            (matches!(data, AacAudioData::SequenceHeader(_)), Some(Codec::AAC))
        }
        AudioTagBody::Legacy(LegacyAudioTagBody::Other { .. }) => (false, info.codec),
        AudioTagBody::Enhanced(ExAudioTagBody::NoMultitrack {
            audio_four_cc,
            packet,
        }) => (
            matches!(packet, AudioPacket::SequenceStart { .. }),
            Some(Codec(audio_four_cc.0)),
        ),
        AudioTagBody::Enhanced(ExAudioTagBody::ManyTracks(tracks)) => {
            let main = tracks.iter().find(|track| track.audio_track_id == 0);
            let header = main.is_some_and(|track| matches!(track.packet, AudioPacket::SequenceStart { .. }));
            (
                header,
                main.or_else(|| tracks.first())
                    .map(|track| Codec(track.audio_four_cc.0)),
            )
        }
    };
    assert_eq!(
        (info.sequence_header, info.codec),
        (header, codec),
        "{name} at {}",
        ours.time
    );
}

fn video_agrees(name: &str, theirs: &VideoData<'_>, ours: &Tag, info: TagInfo) {
    assert_eq!(ours.kind, TagKind::Video, "{name}");
    let (header, coded, codec) = match (&theirs.header.data, &theirs.body) {
        (VideoTagHeaderData::Legacy(LegacyVideoTagHeader::AvcPacket(packet)), _) => (
            *packet == LegacyVideoTagHeaderAvcPacket::SequenceHeader,
            matches!(packet, LegacyVideoTagHeaderAvcPacket::Nalu { .. }),
            Some(Codec::AVC),
        ),
        (
            _,
            VideoTagBody::Enhanced(ExVideoTagBody::NoMultitrack {
                video_four_cc,
                packet,
            }),
        ) => {
            let (header, coded) = video_packet(packet);
            (header, coded, Some(Codec(video_four_cc.0)))
        }
        (_, VideoTagBody::Enhanced(ExVideoTagBody::ManyTracks(tracks))) => {
            let main = tracks.iter().find(|track| track.video_track_id == 0);
            let (header, coded) = main.map_or((false, false), |track| video_packet(&track.packet));
            (
                header,
                coded,
                main.or_else(|| tracks.first())
                    .map(|track| Codec(track.video_four_cc.0)),
            )
        }
        other => panic!("{name}: {other:?}"),
    };
    let keyframe = coded && theirs.header.frame_type == VideoFrameType::KeyFrame;
    assert_eq!(
        (info.sequence_header, info.keyframe, info.codec),
        (header, keyframe, codec),
        "{name} at {}",
        ours.time
    );
}

/// Whether it is a configuration, and whether it is a picture.
const fn video_packet(packet: &VideoPacket<'_>) -> (bool, bool) {
    match packet {
        VideoPacket::SequenceStart(_) => (true, false),
        VideoPacket::CodedFrames(_) | VideoPacket::CodedFramesX { .. } => (false, true),
        _ => (false, false),
    }
}
