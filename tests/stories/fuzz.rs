//! Any bytes into every parser: no panic, no hang (B10).
//!
//! Each body of `relay_core::fuzz` runs for some seconds on its corpus, changed by chance, and on sheer noise.
//! `RELAY_TEST_SEED` brings a run back; `RELAY_FUZZ_SECONDS` makes it longer.

use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use relay_core::flv::{Tag, TagKind, encode_into, file_header};
use relay_core::fuzz;
use relay_core::token::{JoinToken, Secret, TokenId};
use relay_tests::random::Random;
use relay_tests::story::{Stage, Turn, story, workspace_dir};

/// For how long each body runs, unless the environment says otherwise.
const SECONDS: u64 = 3;

/// One input may take no longer: even a debug build on a loaded machine is far faster with honest code.
const HANG: Duration = Duration::from_secs(1);

/// The longest input.
const LENGTH: usize = 8 * 1024;

/// So often each seed runs whole and unchanged, with other choices each time.
const WHOLE: usize = 8;

/// Where the corpus of recorded publishes and plays lies; its files are binary.
const CAPTURES: &str = "crates/relay-core/tests/fixtures/rtmp";

/// So much of the demo's clip is in the corpus: headers and a keyframe.
const CLIP_START: usize = 32 * 1024;

/// C0, C1 and C2.
const HANDSHAKE: usize = 1 + 2 * 1536;

#[test]
fn amf0_values() {
    survives("amf0", fuzz::amf0::body, 0, captures);
}

#[test]
fn rtmp_chunks() {
    survives("chunk", fuzz::chunk::body, 2, captures);
}

#[test]
fn rtmp_sessions() {
    survives("rtmp", fuzz::rtmp::body, 1, captures);
}

#[test]
fn http_heads() {
    survives("http", fuzz::http::body, 2, heads);
}

#[test]
fn join_tokens() {
    survives("token", fuzz::token::body, 1, tokens);
}

#[test]
fn flv_files() {
    survives("flv", fuzz::flv::body, 1, flv_files_whole_and_cut);
}

#[test]
fn cascade_frames() {
    survives("cascade", fuzz::cascade::body, 2, frames);
}

#[test]
fn dns_queries() {
    survives("dns_queries", fuzz::dns::body, 2, queries);
}

/// Runs a body on what becomes of its corpus; before each input come as many bytes of chance as the body takes to
/// choose between its ways.
fn survives(name: &'static str, body: fn(&[u8]), choices: usize, corpus: fn() -> Result<Vec<Vec<u8>>>) {
    story(name, Turn::Beside, async |stage| {
        let seconds = std::env::var("RELAY_FUZZ_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok());
        let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(SECONDS));
        let seeds = corpus()?;
        ensure!(!seeds.is_empty(), "no corpus");
        let seed = Random::seed_for(&format!("fuzz {name}"));
        let mut random = Random::seeded(seed);
        let mut runs = 0;
        while runs < WHOLE * seeds.len() || Instant::now() < end {
            let mut input = vec![0; choices];
            random.fill(&mut input);
            match seeds.get(runs % seeds.len()) {
                Some(seed) if runs < WHOLE * seeds.len() => input.extend_from_slice(seed),
                _ => input.extend(grown(&seeds, &mut random)),
            }
            run(stage, body, &input)?;
            runs += 1;
        }
        println!("fuzz {name}: {runs} inputs");
        Ok(())
    });
}

/// Runs one input; one that fails is kept.
fn run(stage: &Stage, body: fn(&[u8]), input: &[u8]) -> Result<()> {
    let start = Instant::now();
    let outcome = catch_unwind(|| body(input));
    let took = start.elapsed();
    if outcome.is_ok() && took < HANG {
        return Ok(());
    }
    let file = stage.folder().join("input.bin");
    std::fs::write(&file, input)?;
    let how = if outcome.is_ok() {
        format!("took {took:?} on")
    } else {
        "panicked on".to_owned()
    };
    bail!(
        "the body {how} the {} bytes kept in {}",
        input.len(),
        file.display()
    )
}

/// An input out of the corpus: a piece of a seed or noise, with some bytes changed, taken out, doubled or put in.
fn grown(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = match random.below(8) {
        0 => vec![0; random.below(300)],
        _ => piece(&seeds[random.below(seeds.len())], random),
    };
    if input.iter().all(|byte| *byte == 0) {
        random.fill(&mut input);
    }
    for _ in 0..random.below(8) {
        let at = random.below(input.len() + 1);
        match random.below(4) {
            0 if at < input.len() => input[at] = random.next() as u8,
            1 if at < input.len() => input[at] ^= 1 << random.below(8),
            2 => {
                let until = (at + random.below(16)).min(input.len());
                input.drain(at..until);
            }
            _ => {
                let other = piece(&seeds[random.below(seeds.len())], random);
                let short = &other[..other.len().min(random.below(64))];
                input.splice(at..at, short.iter().copied());
            }
        }
    }
    input
}

fn piece(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let start = if random.below(2) == 0 {
        0
    } else {
        random.below(seed.len() + 1)
    };
    let length = random.below(LENGTH).min(seed.len() - start);
    seed[start..start + length].to_vec()
}

/// Recorded connections, whole and from behind the handshake on.
fn captures() -> Result<Vec<Vec<u8>>> {
    let mut captures = files_in(&workspace_dir().join(CAPTURES))?;
    for whole in captures.clone() {
        if let Some(behind) = whole.get(HANDSHAKE..) {
            captures.push(behind.to_vec());
        }
    }
    Ok(captures)
}

/// Good tokens: whole ones, and the checked texts that hold them.
fn tokens() -> Result<Vec<Vec<u8>>> {
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
fn heads() -> Result<Vec<Vec<u8>>> {
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
fn flv_files_whole_and_cut() -> Result<Vec<Vec<u8>>> {
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
fn frames() -> Result<Vec<Vec<u8>>> {
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
fn queries() -> Result<Vec<Vec<u8>>> {
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

fn files_in(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension != "rs" && extension != "md")
        {
            files.push(std::fs::read(&path)?);
        }
    }
    Ok(files)
}
