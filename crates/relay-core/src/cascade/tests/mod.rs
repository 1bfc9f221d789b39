//! The wire form held against its spec, and the rules of what is new.

mod control;
mod group;
mod receiver;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::frame::{encode_header, encode_preface, encode_seal, encode_tags};
use super::{GroupHeader, GroupId, Item};
use crate::flv::{Tag, TagKind};
use crate::stream::{GroupHead, GroupSeal, Headers, KeptExtra, LoggedTag};

/// The group of the example in the spec.
fn example() -> (GroupHeader, Headers, Vec<Tag>) {
    let epoch = 1_700_000_000_000;
    let header = GroupHeader {
        stream: "live/cam".parse().unwrap(),
        head: GroupHead {
            epoch,
            number: 5,
            continuation: false,
            first_time: 90_000,
            origin_us: 1_700_000_090_000_000,
        },
        resumed: false,
        discontinuity: false,
        previous: Some(GroupId { epoch, number: 4 }),
        first_tag: 0,
    };
    let headers = Headers {
        audio: Some(Bytes::from_static(&[0xaf, 0, 0x12, 0x10])),
        ..Headers::default()
    };
    let tags = vec![
        tag(TagKind::Video, 90_000, &[0x17, 1, 0, 0, 0]),
        tag(TagKind::Audio, 90_003, &[0xaf, 1, 0x21]),
    ];
    (header, headers, tags)
}

fn tag(kind: TagKind, time: u64, payload: &[u8]) -> Tag {
    let payload = Bytes::copy_from_slice(payload);
    Tag { kind, time, payload }
}

/// Count and hash of tags, made without the log's own code.
fn seal(tags: &[Tag]) -> GroupSeal {
    let mut hash = Sha256::new();
    for tag in tags {
        hash.update([tag.kind as u8]);
        hash.update(tag.time.to_be_bytes());
        hash.update((tag.payload.len() as u32).to_be_bytes());
        hash.update(&tag.payload);
    }
    GroupSeal {
        count: tags.len() as u32,
        hash: hash.finalize().into(),
    }
}

/// A group as it is sent from `header.first_tag` on.
fn encode_group(header: &GroupHeader, headers: &Headers, tags: &[Tag]) -> Vec<u8> {
    let mut out = vec![encode_header(header)];
    if header.first_tag == 0 {
        encode_preface(headers, &mut out);
    }
    let logged = |tag: &Tag| LoggedTag {
        kind: tag.kind,
        time: tag.time,
        payload: tag.payload.clone(),
        appended_ms: 0,
    };
    let sent = &tags[header.first_tag as usize..];
    encode_tags(sent.iter().map(logged).collect(), &mut out);
    out.push(encode_seal(&seal(tags)));
    out.concat()
}

/// What a child is to read of it.
fn items(header: &GroupHeader, headers: &Headers, tags: &[Tag]) -> Vec<Item> {
    let main = headers.tags(0).count() - headers.extras.len();
    let preface =
        headers
            .tags(0)
            .enumerate()
            .filter(|_| header.first_tag == 0)
            .map(|(place, tag)| match tag {
                Tag { kind, payload, .. } if place >= main => Item::Extra(KeptExtra { kind, payload }),
                tag => Item::Preface(tag.kind, tag.payload),
            });
    let stated =
        Some(Item::Stated(headers.stated)).filter(|_| header.first_tag == 0 && !headers.stated.is_empty());
    let tags_sent = tags[header.first_tag as usize..].iter().cloned();
    std::iter::once(Item::Header(header.clone()))
        .chain(preface)
        .chain(stated)
        .chain(tags_sent.map(Item::Tag))
        .chain([Item::Seal(seal(tags))])
        .collect()
}
