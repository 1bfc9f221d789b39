//! Any bytes into every parser: no panic, no hang (B10).
//!
//! Each body of `relay_core::fuzz` runs for some seconds: first on what a coverage-guided fuzzer once found to be worth
//! keeping (`fuzz/corpus`), then on that and other seeds, changed by chance, and on sheer noise. `RELAY_TEST_SEED` brings a
//! run back; `RELAY_FUZZ_SECONDS` makes it longer; `RELAY_FUZZ_SEEDS=FOLDER` writes the seeds down for that fuzzer instead.

mod seeds;

use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use relay_core::fuzz;
use relay_tests::process::output_of;
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

/// Where the fuzzer's own corpus lies, an archive for each body.
const KEPT: &str = "fuzz/corpus";

#[test]
fn amf0_values() {
    survives("fuzz_amf0", fuzz::amf0::body, 0, seeds::captures);
}

#[test]
fn rtmp_chunks() {
    survives("fuzz_chunk", fuzz::chunk::body, 2, seeds::captures);
}

#[test]
fn rtmp_sessions() {
    survives("fuzz_rtmp", fuzz::rtmp::body, 1, seeds::captures);
}

#[test]
fn rtmp_conversations() {
    survives("fuzz_session", fuzz::session::body, 0, seeds::noise);
}

#[test]
fn rtmp_addresses() {
    survives("fuzz_address", fuzz::address::body, 1, seeds::addresses);
}

#[test]
fn tag_bodies() {
    survives("fuzz_codec", fuzz::codec::body, 1, seeds::bodies);
}

#[test]
fn http_heads() {
    survives("fuzz_http", fuzz::http::body, 2, seeds::heads);
}

#[test]
fn join_tokens() {
    survives("fuzz_token", fuzz::token::body, 1, seeds::tokens);
}

#[test]
fn flv_files() {
    survives("fuzz_flv", fuzz::flv::body, 1, seeds::flv_files_whole_and_cut);
}

#[test]
fn cascade_frames() {
    survives("fuzz_cascade", fuzz::cascade::body, 2, seeds::frames);
}

#[test]
fn dns_queries() {
    survives("fuzz_dns", fuzz::dns::body, 2, seeds::queries);
}

#[test]
fn configuration_files() {
    survives("fuzz_config", fuzz::config::body, 0, seeds::configurations);
}

/// Nobody forgets to fuzz a body: each is told here, and is a target of the coverage-guided fuzzer.
#[test]
fn every_body_is_fuzzed() {
    let read = |path: &str| std::fs::read_to_string(workspace_dir().join(path)).expect("a file of ours");
    let bodies = read("crates/relay-core/src/fuzz/mod.rs");
    let (told, targets) = (include_str!("fuzz.rs"), read("fuzz/Cargo.toml"));
    let bodies: Vec<&str> = bodies
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert!(bodies.len() >= 8, "{bodies:?}");
    for body in bodies {
        assert!(
            told.contains(&format!("\"fuzz_{body}\", fuzz::{body}::body")),
            "{body}"
        );
        assert!(targets.contains(&format!("name = \"{body}\"")), "{body}");
        assert!(read(&format!("fuzz/targets/{body}.rs")).contains(&format!("{body}::body")));
    }
}

/// Runs a body on what was kept of it and on what becomes of its seeds; before each of these come as many bytes of chance as
/// the body takes to choose between its ways.
fn survives(name: &'static str, body: fn(&[u8]), choices: usize, seeds: fn() -> Result<Vec<Vec<u8>>>) {
    story(name, Turn::Beside, async |stage| {
        let target = name.strip_prefix("fuzz_").context("a target's name")?;
        let mut seeds = seeds()?;
        ensure!(!seeds.is_empty(), "no seeds");
        if let Some(folder) = std::env::var_os("RELAY_FUZZ_SEEDS") {
            return write_down(&Path::new(&folder).join(target), &seeds, choices);
        }
        let kept = kept(stage, target).await?;
        for input in &kept {
            run(stage, body, input)?;
        }
        let seconds = std::env::var("RELAY_FUZZ_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok());
        let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(SECONDS));
        let seed = Random::seed_for(name);
        let mut random = Random::seeded(seed);
        let whole = WHOLE * seeds.len();
        let behind_choices = kept.iter().filter_map(|input| input.get(choices..));
        seeds.extend(behind_choices.map(<[u8]>::to_vec));
        let mut runs = 0;
        while runs < whole || Instant::now() < end {
            let mut input = vec![0; choices];
            random.fill(&mut input);
            if runs < whole {
                input.extend_from_slice(&seeds[runs % (whole / WHOLE)]);
            } else {
                input.extend(grown(&seeds, &mut random));
            }
            run(stage, body, &input)?;
            runs += 1;
        }
        println!("{name}: {} kept inputs and {runs} others", kept.len());
        Ok(())
    });
}

/// The inputs that the coverage-guided fuzzer found, each of which goes a way of its own.
async fn kept(stage: &Stage, target: &str) -> Result<Vec<Vec<u8>>> {
    let archive = workspace_dir().join(KEPT).join(format!("{target}.tar.gz"));
    let folder = stage.folder().join("kept");
    std::fs::create_dir(&folder)?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(&folder);
    output_of(&mut tar).await?;
    let inputs = seeds::files_in(&folder)?;
    ensure!(!inputs.is_empty(), "nothing is kept for {target}");
    Ok(inputs)
}

/// Seeds as files, behind choices that are all zero.
fn write_down(folder: &Path, seeds: &[Vec<u8>], choices: usize) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for (number, seed) in seeds.iter().enumerate() {
        let input = [&vec![0; choices][..], &seed[..seed.len().min(LENGTH)]].concat();
        std::fs::write(folder.join(format!("seed-{number}")), input)?;
    }
    Ok(())
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
