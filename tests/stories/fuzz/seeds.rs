//! Good inputs of each kind: what fuzzing begins with.

use std::path::Path;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use relay_core::flv::{Tag, TagKind, encode_into, file_header};
use relay_core::token::{JoinToken, Secret, TokenId};
use relay_tests::random::Random;
use relay_tests::story::workspace_dir;

/// Where the corpus of recorded publishes and plays lies; its files are binary.
const CAPTURES: &str = "crates/relay-core/tests/fixtures/rtmp";

/// So much of the demo's clip is in the corpus: headers and a keyframe.
const CLIP_START: usize = 32 * 1024;

/// C0, C1 and C2.
const HANDSHAKE: usize = 1 + 2 * 1536;

/// Recorded connections, whole and from behind the handshake on.
pub(super) fn captures() -> Result<Vec<Vec<u8>>> {
    let mut captures = files_in(&workspace_dir().join(CAPTURES))?;
    for whole in captures.clone() {
        if let Some(behind) = whole.get(HANDSHAKE..) {
            captures.push(behind.to_vec());
        }
    }
    Ok(captures)
}

/// For a body that makes a conversation of any bytes: a few of chance, the same each time.
pub(super) fn noise() -> Result<Vec<Vec<u8>>> {
    let seed = |number| {
        let mut bytes = vec![0; 400_usize << (number % 3)];
        Random::seeded(number).fill(&mut bytes);
        bytes
    };
    Ok((1..=12).map(seed).collect())
}

/// Apps, names and URLs as encoders are told them.
pub(super) fn addresses() -> Result<Vec<Vec<u8>>> {
    let texts = [
        "livecam?key=0123456789abcdef",
        "live?token=secret-in-the-app&hop=1camera%201",
        "v2/pub/instance/cam?key=a%2Fb&hop=2",
        "rtmp://[::1]:1935/live/cam?key=0123456789abcdef",
        "rtmp://origin.example:0/v2/pub/cam-1.high?hop=1&key=k",
        "rtmp://origin.example/live/cam",
    ];
    Ok(texts.map(|text| text.as_bytes().to_vec()).into())
}

/// Bodies of tags: legacy and enhanced, with modifiers and several tracks.
pub(super) fn bodies() -> Result<Vec<Vec<u8>>> {
    let bodies: [&[u8]; 12] = [
        b"\x17\x00\0\0\0\x01\x64\0\x1f\xff\xe1\0\x04\x67\x64\0\x1f\x01\0\x02\x68\xee",
        b"\x17\x01\0\0\x28\0\0\0\x02\x65\x88",
        b"\x27\x01\0\0\0\0\0\0\x02\x41\x9a",
        b"\x17\x02\0\0\0",
        b"\x1c\x00\0\0\0\x01",
        b"\x90hvc1\x01\x01\x60",
        b"\x91hvc1\0\0\x28\0\0\0\x02\x26\x01",
        b"\x97\x03\0\0\x10\x00\x01av01\x12\0",
        b"\x96\x10hvc1\0\0\0\x02ab\x01\0\0\x01c",
        b"\xaf\x00\x12\x10",
        b"\x90Opus\x4f\x70",
        b"\x02\x00\x0aonMetaData\x08\0\0\0\x01\x00\x05width\x00\x40\x84\0\0\0\0\0\0\0\0\x09",
    ];
    Ok(bodies.map(<[u8]>::to_vec).into())
}

/// The example, whole and by the table.
pub(super) fn configurations() -> Result<Vec<Vec<u8>>> {
    let example = std::fs::read_to_string(workspace_dir().join("relay.example.toml"))?;
    let tables = example.split("\n[").map(|table| format!("[{table}").into_bytes());
    let mut texts: Vec<_> = tables.collect();
    // Most of its keys are comments, and as such no keys.
    texts.push(example.replace("\n# ", "\n").into_bytes());
    texts.push(example.into_bytes());
    Ok(texts)
}

/// Good tokens: whole ones, and the checked texts that hold them.
pub(super) fn tokens() -> Result<Vec<Vec<u8>>> {
    let token = |addresses: &[&str]| {
        let addresses = addresses
            .iter()
            .map(|address| address.parse())
            .collect::<Result<_, _>>()?;
        let token = JoinToken::new(TokenId::new([1; _]), Secret::new([2; _]), [3; 32], addresses)?;
        anyhow::Ok(token.to_string().into_bytes())
    };
    Ok(vec![
        token(&["127.0.0.1:4433"])?,
        token(&["[2001:db8::1]:4433", "origin.example.org:4433"])?,
    ])
}

/// Requests as players, browsers and proxies send them.
pub(super) fn heads() -> Result<Vec<Vec<u8>>> {
    let texts = [
        "GET /live/camera.flv HTTP/1.1\r\nHost: origin.example:8080\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\nRange: bytes=0-\r\n\
         Connection: close\r\nIcy-MetaData: 1\r\n\r\n",
        "GET /live/camera.flv?token=a%20b HTTP/1.0\r\n\r\n",
        "OPTIONS /v2/pub/cam.flv HTTP/1.1\r\nHost: h\r\nOrigin: https://page.example\r\nAccess-Control-Request-Method: GET\r\n\r\n",
        "GET /watch/live/camera HTTP/1.1\r\nHost: [::1]:8080\r\nAccept-Encoding: gzip, br\r\nIf-None-Match: \"x\"\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
        "HEAD http://origin.example/live/camera.flv HTTP/1.1\r\nHost: origin.example\r\n\r\n",
    ];
    Ok(texts.map(|text| text.as_bytes().to_vec()).into())
}

/// The beginning of the demo's clip, and a short FLV that is whole.
pub(super) fn flv_files_whole_and_cut() -> Result<Vec<Vec<u8>>> {
    let mut clip = std::fs::read(relay_tests::footage::clip_path())?;
    clip.truncate(CLIP_START);
    let mut whole = file_header(true, true).to_vec();
    for (kind, time, payload) in [
        (TagKind::Audio, 0, &b"\xaf\x00\x12\x10"[..]),
        (TagKind::Video, 0, b"\x17\x01\x00\x00\x00"),
        (TagKind::Audio, 1 << 24, b"\xaf\x01\x21"),
    ] {
        let payload = Bytes::from_static(payload);
        encode_into(&mut whole, &Tag { kind, time, payload });
    }
    Ok(vec![clip, whole])
}

/// The group that the cascade's spec shows, and a greeting.
pub(super) fn frames() -> Result<Vec<Vec<u8>>> {
    let spec = std::fs::read_to_string(workspace_dir().join("docs/cascade.md"))?;
    let example = spec.split("```hex\n").nth(1).context("an example in the spec")?;
    let mut group = Vec::new();
    for line in example.lines().take_while(|line| *line != "```") {
        for byte in line.split("  ").next().unwrap_or_default().split(' ') {
            group.push(u8::from_str_radix(byte, 16)?);
        }
    }
    let mut control = Vec::new();
    for text in [
        r#"{"type":"hello","protocol":1,"instance":"00ff","positions":[{"stream":"live/cam","epoch":1,"group":2,"tags":3}],"held_parts":1}"#,
        r#"{"type":"held","floors":[{"stream":"live/cam","epoch":1,"time":9}]}"#,
        r#"{"type":"stream_down","stream":"live/cam","reason":"it ended","end":{"epoch":1,"group":2,"tags":3}}"#,
        r#"{"type":"ping","nonce":1}"#,
        r#"{"type":"later"}"#,
    ] {
        control.extend(u32::try_from(text.len())?.to_be_bytes());
        control.extend(text.as_bytes());
    }
    Ok(vec![group, control])
}

/// Queries as resolvers send them: plain, and with EDNS, a cookie and a client's subnet.
pub(super) fn queries() -> Result<Vec<Vec<u8>>> {
    let name = b"\x04live\x07Example\x03org\0";
    let query = |counts: &[u8; 8], question: &[u8], rest: &[u8]| {
        [&b"\x12\x34\x01\0"[..], counts, question, &name[..], rest].concat()
    };
    let extended =
        b"\0\x01\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\x17\0\x0a\0\x08cookies!\0\x08\0\x07\0\x01\x18\0\xc0\0\x02";
    Ok(vec![
        query(b"\0\x01\0\0\0\0\0\0", b"", b"\0\x01\0\x01"),
        query(b"\0\x01\0\0\0\0\0\0", b"\x03www", b"\0\x1c\0\x01"),
        query(b"\0\x01\0\0\0\0\0\x01", b"", extended),
        query(b"\0\x01\0\0\0\0\0\x01", b"\x03ns1\x03dns", extended),
    ])
}

pub(super) fn files_in(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "md") {
            files.push(std::fs::read(&path)?);
        }
    }
    Ok(files)
}
