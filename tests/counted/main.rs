//! `counted WHAT TIMES`: does one small thing of the relay's so many times. The story `instructions` runs it under callgrind,
//! twice, and takes the difference: what one time costs, whatever the start of a program costs.

use std::hint::black_box;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use relay_core::clock::Now;
use relay_core::flavour::Flavour;
use relay_core::flv::{Tag, TagKind};
use relay_core::http::RequestHead;
use relay_core::rtmp::chunk::{DEFAULT_CHUNK_SIZE, Limits, Reader, Writer};
use relay_core::rtmp::message::MessageType;
use relay_core::stream::{GroupHead, LogConfig, Stream};

/// A picture of a stream of 1 Mbit/s at 25 frames a second.
const PICTURE: usize = 5000;

/// A request as a browser sends it.
const REQUEST: &[u8] = b"GET /live/camera.flv HTTP/1.1\r\nHost: edge-1.example.org:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux \
x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\nAccept: */*\r\nAccept-Encoding: gzip, \
deflate, br\r\nOrigin: https://www.example.org\r\nReferer: https://www.example.org/\r\nConnection: keep-alive\r\n\r\n";

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let what = words.next().context("usage: counted WHAT TIMES")?;
    let times: u32 = words.next().context("usage: counted WHAT TIMES")?.parse()?;
    match &*what {
        "read-chunks" => read_chunks(times),
        "frame-flv" => frame(Flavour::Flv, times),
        "frame-rtmp" => frame(Flavour::Rtmp, times),
        "append" => append(times),
        "read-request" => read_request(times),
        _ => bail!("nothing here is called {what}"),
    }
}

fn picture() -> Tag {
    let mut payload = vec![0x5a; PICTURE];
    payload[..5].copy_from_slice(b"\x27\x01\0\0\0");
    Tag {
        kind: TagKind::Video,
        time: 40,
        payload: payload.into(),
    }
}

/// An encoder's picture, in chunks of 128 bytes as they are before an encoder asks for larger ones.
fn read_chunks(times: u32) -> Result<()> {
    let mut wire = Vec::new();
    let payload = picture().payload;
    Writer::new(DEFAULT_CHUNK_SIZE).write(MessageType::Video, 6, 1, 40, &payload, &mut wire);
    let limits = Limits {
        message: 1 << 20,
        unfinished: 1 << 20,
    };
    let mut reader = Reader::new(limits);
    for _ in 0..times {
        let mut input = &wire[..];
        let read = reader.read(&mut input)?;
        ensure!(
            read.is_some_and(|read| read.payload.len() == PICTURE),
            "it was read"
        );
    }
    Ok(())
}

fn frame(flavour: Flavour, times: u32) -> Result<()> {
    let tag = picture();
    let mut out = Vec::with_capacity(2 * PICTURE);
    for _ in 0..times {
        out.clear();
        flavour.frame(black_box(&tag), &mut out);
    }
    ensure!(times == 0 || out.len() > PICTURE, "it was framed");
    Ok(())
}

fn append(times: u32) -> Result<()> {
    let stream = Stream::new("live/counted".parse()?, LogConfig::default());
    let now = Now {
        mono_ms: 1_000_000,
        unix_us: 0,
    };
    let head = GroupHead {
        epoch: 1,
        number: 0,
        continuation: false,
        first_time: 0,
        origin_us: 0,
    };
    stream.begin_group(head, now)?;
    let tag = picture();
    for _ in 0..times {
        stream.append(&tag, now)?;
    }
    ensure!(stream.state().tags == u64::from(times), "all were appended");
    Ok(())
}

fn read_request(times: u32) -> Result<()> {
    let input = Bytes::from_static(REQUEST);
    for _ in 0..times {
        ensure!(RequestHead::parse(black_box(&input))?.is_some(), "it is whole");
    }
    Ok(())
}
