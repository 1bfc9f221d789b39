//! Groups: the example of the spec, cut anywhere; what is refused; what noise does.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::frame::{
    FrameError, MAX_HEADER_BYTES, MAX_PREFACE_BYTES, MAX_TAG_BYTES, MAX_UNKNOWN_BYTES, encode_header,
};
use super::super::{Decoder, GroupHeader, GroupId, Item};
use super::{encode_group, example, items, tag};
use crate::flv::TagKind;
use crate::stream::{GroupHead, Headers, KeptExtra, MAX_EXTRAS};

const SPEC: &str = include_str!("../../../../../docs/cascade.md");

/// The bytes of the example in the spec.
fn spec_example() -> Vec<u8> {
    let block = SPEC
        .split("```hex\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let digits = |line: &str| -> Vec<u8> {
        let hex = line.split("  ").next().unwrap();
        hex.split(' ')
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect()
    };
    block.lines().flat_map(digits).collect()
}

/// Reads pieces to the end.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Item>, FrameError> {
    let mut decoder = Decoder::default();
    let mut items = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(item) = decoder.poll()? {
            items.push(item);
        }
    }
    decoder.finish()?;
    Ok(items)
}

/// The example with other records behind its header.
fn with_records(records: &[u8]) -> Vec<u8> {
    [&encode_header(&example().0)[..], records].concat()
}

fn record(kind: u8, rest: &[&[u8]]) -> Vec<u8> {
    [&[kind][..], &rest.concat()].concat()
}

#[test]
fn the_example_of_the_spec_is_what_is_sent() {
    let (header, headers, tags) = example();
    assert_eq!(encode_group(&header, &headers, &tags), spec_example());
    assert_eq!(
        read([&spec_example()[..]]).unwrap(),
        items(&header, &headers, &tags)
    );
}

#[test]
fn a_group_is_read_the_same_wherever_it_is_cut() {
    let (header, headers, tags) = example();
    let (bytes, expected) = (spec_example(), items(&header, &headers, &tags));
    for cut in 0..=bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(read([first, second]).unwrap(), expected, "cut at {cut}");
    }
    assert_eq!(read(bytes.chunks(1)).unwrap(), expected);
}

#[test]
fn a_group_that_ends_early_is_unsealed() {
    let bytes = spec_example();
    for end in 0..bytes.len() {
        assert_eq!(read([&bytes[..end]]), Err(FrameError::Unsealed), "end at {end}");
    }
}

#[test]
fn a_group_goes_on_in_its_middle_without_a_preface() {
    let (mut header, headers, tags) = example();
    header.first_tag = 1;
    header.resumed = true;
    let bytes = encode_group(&header, &headers, &tags);
    let read = read([&bytes[..]]).unwrap();
    assert_eq!(read, items(&header, &headers, &tags));
    assert_eq!(read.len(), 3, "header, one tag, seal");
}

#[test]
fn what_a_later_version_adds_is_skipped() {
    let (header, headers, tags) = example();
    let mut bytes = spec_example();
    // A header longer by two bytes, with a flag more.
    bytes[2] += 2;
    bytes[3] |= 0x80;
    bytes.splice(65..65, [1, 2]);
    // A record between preface and tags.
    bytes.splice(76..76, record(0x88, &[&[0, 0, 0, 3], b"abc"]));
    assert_eq!(read([&bytes[..]]).unwrap(), items(&header, &headers, &tags));
    assert_eq!(read(bytes.chunks(1)).unwrap(), items(&header, &headers, &tags));
}

#[test]
fn r39_extras_of_the_preface_come_along_and_are_bounded() {
    let (header, mut headers, tags) = example();
    let extra = |track: u8| KeptExtra {
        kind: TagKind::Video,
        payload: Bytes::from(vec![0x96, 0, b'h', b'v', b'c', b'1', track]),
    };
    headers.extras = (1..=MAX_EXTRAS as u8).map(extra).collect();
    headers.stated.audio = Some(false);
    let bytes = encode_group(&header, &headers, &tags);
    for cut in [1, 7, bytes.len()] {
        assert_eq!(read(bytes.chunks(cut)).unwrap(), items(&header, &headers, &tags));
    }
    let one = record(0xC9, &[&[0, 0, 0, 1, 7]]);
    let many = one.repeat(MAX_EXTRAS + 1);
    assert_eq!(read([&with_records(&many)[..]]), Err(FrameError::Preface));
    for stated in [
        record(0x81, &[&[0; 4]]),
        [record(8, &[&[0; 8], &[0; 4]]), record(0x81, &[&[0, 0, 0, 1, 7]])].concat(),
    ] {
        assert_eq!(read([&with_records(&stated)[..]]), Err(FrameError::Preface));
    }
    let late = [&record(8, &[&[0; 8], &[0; 4]])[..], &one].concat();
    assert_eq!(read([&with_records(&late)[..]]), Err(FrameError::Preface));
}

#[test]
fn what_breaks_the_rules_is_refused_before_it_is_held() {
    let time = [0; 8];
    let preface = record(0x48, &[&[0, 0, 0, 1, 7]]);
    let cases = [
        (vec![2, 0, 0], FrameError::Version(2)),
        (
            [&[1][..], &(MAX_HEADER_BYTES + 1).to_be_bytes()].concat(),
            FrameError::HeaderLength,
        ),
        ([&[1, 0, 3][..], &[0, 1, b'a']].concat(), FrameError::HeaderLength),
        (with_records(&[1]), FrameError::RecordType(1)),
        (with_records(&[0x47]), FrameError::RecordType(0x47)),
        (
            with_records(&record(9, &[&time, &(MAX_TAG_BYTES + 1).to_be_bytes()])),
            FrameError::TagLength(MAX_TAG_BYTES + 1),
        ),
        (
            with_records(&record(0x49, &[&(MAX_PREFACE_BYTES + 1).to_be_bytes()])),
            FrameError::PrefaceLength(MAX_PREFACE_BYTES + 1),
        ),
        (
            with_records(&record(0x80, &[&(MAX_UNKNOWN_BYTES + 1).to_be_bytes()])),
            FrameError::UnknownLength(MAX_UNKNOWN_BYTES + 1),
        ),
        (
            with_records(&[&preface[..], &preface].concat()),
            FrameError::Preface,
        ),
        (
            with_records(&[&record(8, &[&time, &[0; 4]])[..], &preface].concat()),
            FrameError::Preface,
        ),
        (
            with_records(&record(0, &[&[0, 0, 0, 1], &[0; 32]])),
            FrameError::Count {
                announced: 1,
                sent: 0,
            },
        ),
        ([&spec_example()[..], &[0]].concat(), FrameError::AfterSeal),
    ];
    for (bytes, error) in cases {
        assert_eq!(read([&bytes[..]]), Err(error));
        assert_eq!(read(bytes.chunks(1)), Err(error));
    }
    let mut bad_key = spec_example();
    bad_key[9] = b' ';
    assert_eq!(read([&bad_key[..]]), Err(FrameError::Key));
}

#[test]
fn an_error_is_for_good() {
    let mut decoder = Decoder::default();
    decoder.push(Bytes::from_static(&[9, 0, 0]));
    for _ in 0..2 {
        assert_eq!(decoder.poll(), Err(FrameError::Version(9)));
        decoder.push(Bytes::from(spec_example()));
    }
    assert_eq!(decoder.finish(), Err(FrameError::Version(9)));
}

#[test]
fn no_tag_is_counted_beyond_what_a_group_can_count() {
    let (mut header, ..) = example();
    header.first_tag = u32::MAX;
    let bytes = [&encode_header(&header)[..], &record(8, &[&[0; 12]])].concat();
    assert_eq!(read([&bytes[..]]), Err(FrameError::TooManyTags));
}

#[test]
fn a_header_too_large_for_a_preface_is_left_out() {
    let (header, _, tags) = example();
    let headers = Headers {
        metadata: Some(vec![0; MAX_PREFACE_BYTES as usize + 1].into()),
        ..Headers::default()
    };
    let bytes = encode_group(&header, &headers, &tags);
    assert_eq!(
        read([&bytes[..]]).unwrap(),
        items(&header, &Headers::default(), &tags)
    );
}

prop_compose! {
    fn any_header()(
        stream in "[a-z]{1,8}(/[A-Za-z0-9_~-]{1,20}){1,8}",
        epoch: u64, number: u64, first_time: u64, origin_us: u64, first_tag: u32,
        continuation: bool, resumed: bool, discontinuity: bool,
        previous: Option<(u64, u64)>,
    ) -> GroupHeader {
        GroupHeader {
            // Some apps are reserved.
            stream: stream.parse().unwrap_or_else(|_| "live/cam".parse().unwrap()),
            head: GroupHead { epoch, number, continuation, first_time, origin_us },
            resumed,
            discontinuity,
            previous: previous.map(|(epoch, number)| GroupId { epoch, number }),
            first_tag,
        }
    }
}

proptest! {
    #[test]
    fn a_header_comes_back(header in any_header()) {
        let mut decoder = Decoder::default();
        decoder.push(encode_header(&header));
        prop_assert_eq!(decoder.poll(), Ok(Some(Item::Header(header))));
        prop_assert_eq!(decoder.poll(), Ok(None));
    }

    #[test]
    fn tags_come_back_from_any_pieces(
        sizes in prop::collection::vec(0usize..600, 0..12),
        kinds in prop::collection::vec(0usize..3, 12),
        piece in 1usize..400,
    ) {
        let (header, headers, _) = example();
        let kinds: Vec<_> = kinds.iter().map(|kind| [TagKind::Audio, TagKind::Video, TagKind::Script][*kind]).collect();
        let tags: Vec<_> = sizes.iter().zip(kinds).enumerate()
            .map(|(n, (size, kind))| tag(kind, n as u64 * 7, &vec![n as u8; *size]))
            .collect();
        let bytes = encode_group(&header, &headers, &tags);
        prop_assert_eq!(read(bytes.chunks(piece)).unwrap(), items(&header, &headers, &tags));
    }

    /// No panic, the same however it is cut, and never more given out than came in.
    #[test]
    fn changed_groups_survive(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..3, 0usize..3), 1..5),
        piece in 1usize..40,
    ) {
        let mut bytes = spec_example();
        for (index, byte, removed, inserted) in changes {
            let at = index.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, std::iter::repeat_n(byte, inserted));
        }
        crate::fuzz::cascade::body(&[&[0, piece as u8], &bytes[..]].concat());
    }

    #[test]
    fn noise_survives(data in prop::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzz::cascade::body(&data);
    }
}
