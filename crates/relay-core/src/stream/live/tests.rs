use super::*;

const NOW: Now = Now {
    mono_ms: 1_000_000,
    unix_us: 0,
};

fn stream() -> Stream {
    Stream::new("live/cam".parse().unwrap(), LogConfig::default())
}

fn head(epoch: u64, number: u64) -> GroupHead {
    GroupHead {
        epoch,
        number,
        continuation: false,
        first_time: 0,
        origin_us: 7,
    }
}

fn video(time: u64, body: &[u8]) -> Tag {
    Tag {
        kind: TagKind::Video,
        time,
        payload: Bytes::copy_from_slice(body),
    }
}

fn with_codec() -> Headers {
    Headers {
        video: Some(Bytes::from_static(b"\x17\x00config")),
        ..Headers::default()
    }
}

fn wire(stream: &Stream, flavour: Flavour) -> Vec<u8> {
    let mut view = View::default();
    assert!(stream.sync(flavour, &mut view));
    view.piece(view.tail(), view.end())
        .map(|piece| piece.bytes.to_vec())
        .unwrap_or_default()
}

#[test]
fn tags_come_back_by_position_until_the_group_is_closed() {
    let stream = stream();
    stream.begin_group(head(1, 0), NOW).unwrap();
    stream.append(&video(0, b"\x17\x01key"), NOW).unwrap();
    let held = stream.append(&video(40, b"\x27\x01p"), NOW).unwrap();
    assert_eq!(
        held,
        Position {
            epoch: 1,
            group: 0,
            tags: 2
        }
    );
    assert_eq!(stream.held(), Some(held));
    let Read::Tags(tags) = stream.read(Position { tags: 0, ..held }, 1 << 20) else {
        panic!()
    };
    assert_eq!(tags.iter().map(|tag| tag.time).collect::<Vec<_>>(), [0, 40]);
    assert_eq!(&tags[1].payload[..], b"\x27\x01p");
    assert!(matches!(stream.read(held, 1), Read::CaughtUp));
    stream.begin_group(head(1, 1), NOW).unwrap();
    let Read::End { seal, next } = stream.read(held, 1) else {
        panic!()
    };
    assert_eq!(
        (seal.count, next),
        (
            2,
            Some(Position {
                epoch: 1,
                group: 1,
                tags: 0
            })
        )
    );
    assert!(matches!(stream.read(Position { tags: 3, ..held }, 1), Read::Gone));
    assert!(matches!(
        stream.read(Position { epoch: 2, ..held }, 1),
        Read::Gone
    ));
}

#[test]
fn an_older_epoch_or_group_is_refused() {
    let stream = stream();
    stream.begin_group(head(5, 3), NOW).unwrap();
    for stale in [head(4, 9), head(5, 3), head(5, 2)] {
        assert!(matches!(stream.begin_group(stale, NOW), Err(AppendError::Stale)));
    }
    stream.begin_group(head(6, 0), NOW).unwrap();
}

#[test]
fn a_preface_enters_the_log_once_and_is_not_counted() {
    let stream = stream();
    stream.begin_group(head(1, 0), NOW).unwrap();
    stream.put_preface(&with_codec(), 0, NOW).unwrap();
    stream.append(&video(0, b"\x17\x01key"), NOW).unwrap();
    let first = wire(&stream, Flavour::Flv).len();
    stream.begin_group(head(1, 1), NOW).unwrap();
    stream.put_preface(&with_codec(), 40, NOW).unwrap();
    assert_eq!(
        wire(&stream, Flavour::Flv).len(),
        first,
        "the same headers again add nothing (R38)"
    );
    stream.append(&video(40, b"\x17\x01key"), NOW).unwrap();
    let Read::Tags(tags) = stream.read(
        Position {
            epoch: 1,
            group: 0,
            tags: 0,
        },
        9999,
    ) else {
        panic!()
    };
    assert_eq!(tags.len(), 1);
    assert_eq!(&tags[0].payload[..], b"\x17\x01key");
    assert!(
        stream.put_preface(&with_codec(), 0, NOW).is_err(),
        "not after a tag"
    );
}

#[test]
fn both_ends_agree_on_the_hash_of_a_group() {
    let (origin, edge) = (stream(), stream());
    origin.begin_group(head(1, 0), NOW).unwrap();
    origin.put_preface(&with_codec(), 0, NOW).unwrap();
    edge.begin_group(head(1, 0), NOW).unwrap();
    for n in 0..5u64 {
        let tag = video(n * 40, &[0x27, 1, n as u8]);
        origin.append(&tag, NOW).unwrap();
        edge.append(&tag, NOW).unwrap();
    }
    assert_eq!(origin.seal_of(1, 0), edge.seal_of(1, 0));
    edge.append(&video(999, b"\x27\x01extra"), NOW).unwrap();
    assert_ne!(origin.seal_of(1, 0), edge.seal_of(1, 0));
}

#[test]
fn a_flavour_made_late_reaches_back_to_the_newest_start_point_and_is_dropped_when_unused() {
    let stream = stream();
    for group in 0..2 {
        stream.begin_group(head(1, group), NOW).unwrap();
        stream.append(&video(group * 100, b"\x17\x01key"), NOW).unwrap();
        stream
            .append(&video(group * 100 + 40, b"\x27\x01p"), NOW)
            .unwrap();
    }
    let mut view = View::default();
    assert!(!stream.sync(Flavour::FlvBare, &mut view));
    let lease = stream.lease(Flavour::FlvBare).unwrap();
    assert!(stream.sync(Flavour::FlvBare, &mut view));
    assert_eq!((view.tail(), view.newest_start().unwrap().offset), (0, 0));
    assert_eq!(view.end(), 2 * 15 + 5 + 3);
    drop(lease);
    stream
        .append(&video(200, b"\x27\x01p"), NOW.plus_ms(1000))
        .unwrap();
    stream
        .append(&video(240, b"\x27\x01p"), NOW.plus_ms(32_000))
        .unwrap();
    assert!(
        !stream.sync(Flavour::FlvBare, &mut view),
        "30 s after its last viewer a flavour is gone"
    );
}

#[test]
fn a_log_keeps_the_newest_start_point_and_the_resume_window() {
    let stream = stream();
    let frame = vec![0x27; 1 << 20];
    for group in 0..60u64 {
        let now = NOW.plus_ms(group * 1000);
        stream.begin_group(head(1, group), now).unwrap();
        stream.append(&video(group * 1000, b"\x17\x01key"), now).unwrap();
        stream.append(&video(group * 1000, &frame), now).unwrap();
    }
    let held = stream.log_bytes() >> 20;
    assert!(
        (30..=34).contains(&held),
        "30 s of 1 MiB/s, whole segments: {held}"
    );
    assert!(matches!(
        stream.read(
            Position {
                epoch: 1,
                group: 20,
                tags: 0
            },
            1
        ),
        Read::Gone
    ));
    assert!(matches!(
        stream.read(
            Position {
                epoch: 1,
                group: 31,
                tags: 0
            },
            1
        ),
        Read::Tags(_)
    ));
}

#[test]
fn over_budget_old_groups_go_first_and_then_the_start_point() {
    let stream = stream();
    let frame = vec![0x27; 1 << 20];
    for group in 0..3u64 {
        stream.begin_group(head(1, group), NOW).unwrap();
        stream.append(&video(group, b"\x17\x01key"), NOW).unwrap();
        for _ in 0..4 {
            stream.append(&video(group, &frame), NOW).unwrap();
        }
    }
    stream.shed(false);
    assert!(stream.newest_start().is_some());
    assert!(stream.log_bytes() <= 6 << 20);
    stream.shed(true);
    assert!(stream.log_bytes() <= 2 << 20);
    assert_eq!(stream.newest_start(), None, "joiners wait for the next keyframe");
}

/// What a viewer got elsewhere is held against the log: frames in their place, headers wherever they are in force.
#[test]
fn a_tag_is_known_or_altered_or_was_never_there() {
    let stream = stream();
    stream.begin_group(head(1, 0), NOW).unwrap();
    let far = u64::from(u32::MAX) - 20;
    stream.put_preface(&with_codec(), far, NOW).unwrap();
    for time in [far, far + 40] {
        stream.append(&video(time, b"\x17\x01key"), NOW).unwrap();
        stream.append(&video(time, b"\x27\x01p"), NOW).unwrap();
    }
    let knows = |time: u64, body: &[u8]| stream.knows(TagKind::Video, time as u32, body);
    for time in [far, far + 40] {
        assert_eq!(knows(time, b"\x17\x01key"), Known::Same, "times wrap on the wire");
        assert_eq!(knows(time, b"\x27\x01p"), Known::Same, "the second of two");
        assert_eq!(knows(time, b"\x17\x01kez"), Known::Other);
        assert_eq!(knows(time, b"\x17\x00config"), Known::Same, "in force there");
        assert_eq!(knows(time, b"\x17\x00confih"), Known::Other);
        assert_eq!(
            stream.knows(TagKind::Audio, time as u32, b"\xaf\x01"),
            Known::Beyond
        );
    }
    assert_eq!(knows(far + 7, b"\x17\x01key"), Known::Never);
    assert_eq!(knows(far - 40, b"\x17\x01key"), Known::Beyond);
    assert_eq!(knows(far + 80, b"\x17\x01key"), Known::Beyond);
}

#[test]
fn r43_a_start_point_with_too_many_tags_behind_it_is_given_up_and_viewers_go_on() {
    let stream = stream();
    stream.begin_group(head(1, 0), NOW).unwrap();
    let mut view = View::default();
    stream.append(&video(0, b"\x17\x01key"), NOW).unwrap();
    stream.sync(Flavour::Flv, &mut view);
    let cursor = view.end();
    assert!(view.newest_start().is_some());
    for n in 0..=65_536u64 {
        stream.append(&video(n / 60, b"\x27\x01p"), NOW).unwrap();
    }
    stream.sync(Flavour::Flv, &mut view);
    assert_eq!(stream.newest_start(), None, "joiners wait for the next keyframe");
    assert!(view.newest_start().is_none(), "at the fan-out, too");
    assert!(
        view.piece(cursor, view.end()).is_some(),
        "nothing is lost to who is there"
    );
    assert_eq!(stream.state().outgrown, 1);
    assert!(
        stream.log_bytes() > 65_536 * 50,
        "the index of tiny tags counts as memory"
    );
    stream.begin_group(head(1, 1), NOW).unwrap();
    stream.append(&video(2_000, b"\x17\x01key"), NOW).unwrap();
    stream.sync(Flavour::Flv, &mut view);
    assert_eq!(
        view.newest_start().map(|start| start.start.position.group),
        Some(1)
    );
}

#[test]
fn r43_a_start_point_with_too_many_bytes_behind_it_is_given_up_and_the_memory_with_it() {
    let stream = stream();
    stream.begin_group(head(1, 0), NOW).unwrap();
    stream.append(&video(0, b"\x17\x01key"), NOW).unwrap();
    let frame = vec![0x27; 15 << 20];
    for n in 1..=8 {
        stream.append(&video(n, &frame), NOW.plus_ms(n * 5_000)).unwrap();
    }
    assert!(stream.newest_start().is_some(), "120 MiB");
    stream.append(&video(9, &frame), NOW.plus_ms(45_000)).unwrap();
    assert_eq!(stream.newest_start(), None, "135 MiB");
    stream
        .append(&video(10, b"\x27\x01p"), NOW.plus_ms(50_000))
        .unwrap();
    assert!(
        stream.log_bytes() <= 7 * (15 << 20),
        "only the resume window is kept: {}",
        stream.log_bytes()
    );
}
