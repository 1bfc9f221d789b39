//! Pictures by themselves, and as ffmpeg decodes them.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use relay_core::config::Bitrate;
use relay_core::flv;

use super::*;
use crate::footage::Footage;
use crate::profile::{Plan, Profile};

const MARK: Mark = Mark {
    sequence: u64::MAX,
    made_us: u64::MAX,
};

#[test]
fn a_picture_has_the_size_that_is_asked_for() {
    for size in [MIN_KEY_BYTES, MIN_KEY_BYTES + 1, 5000, 100_001] {
        assert_eq!(key(MARK, 0xA_AAAA, size).len(), size);
    }
    for size in [MIN_REPEAT_BYTES, MIN_REPEAT_BYTES + 1, 5000] {
        for place in [1, 0xFF, 0x100, 0xFFFF, 0x1_0000] {
            assert_eq!(repeat(MARK, place, size).len(), size);
        }
    }
}

#[test]
fn the_bounds_hold_for_every_number() {
    for number in (0..1 << 20).step_by(4099).chain([0xF_FFFF, 0x5_5555, u64::MAX]) {
        assert!(key(MARK, number, 0).len() <= MIN_KEY_BYTES, "{number}");
    }
    for place in 0..=0x1_0000 {
        assert!(repeat(MARK, place, 0).len() <= MIN_REPEAT_BYTES, "{place}");
    }
}

#[test]
fn no_start_code_comes_from_emulation() {
    assert_eq!(
        nal(9, &[0, 0, 0, 0, 0, 1, 0, 0, 4]),
        [9, 0, 0, 3, 0, 0, 3, 0, 1, 0, 0, 4]
    );
    assert_eq!(filler(2), [0x0C, 0x80]);
    assert_eq!(filler(4), [0x0C, 0xFF, 0xFF, 0x80]);
}

#[test]
fn bars_spell_the_number() {
    let bars = |number| -> Vec<u8> { (0..COLUMNS).map(|column| brightness(number, column)).collect() };
    assert_eq!(bars(0), [DARK; 20]);
    assert_eq!(bars(1)[18..], [DARK, LIGHT]);
    assert_eq!(bars(0b110)[17..], [LIGHT, DARK, DARK]);
    assert_eq!(bars(1 << 19), [LIGHT; 20]);
}

/// An FLV file of the footage's first seconds.
fn file(profile: Profile, seconds: u64) -> Vec<u8> {
    let plan = Plan::new(profile).unwrap();
    let mut out = flv::file_header(profile.audio, true).to_vec();
    for tag in Footage::headers(&plan).tags(0) {
        flv::encode_into(&mut out, &tag);
    }
    let shots = Footage::new(plan).take_while(|shot| shot.due < Duration::from_secs(seconds));
    for shot in shots {
        flv::encode_into(&mut out, &shot.tag(1_764_000_000_000_000));
    }
    out
}

/// What a program of ffmpeg's makes of an FLV file on its standard input. It must have nothing to complain of.
fn run(program: &str, arguments: &str, input: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed by this test: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    output.stdout
}

/// Strict about what it reads, and silent unless something is wrong.
const DECODE: &str =
    "-v warning -xerror -err_detect +crccheck+bitstream+buffer+explode+careful+compliant+aggressive";

#[test]
fn ffmpeg_shows_each_bar_and_repeats_it() {
    let profile = Profile {
        gop: Duration::from_millis(400),
        ..Profile::default()
    };
    let arguments =
        format!("{DECODE} -i - -an -f rawvideo -pix_fmt gray -color_range pc -vf extractplanes=y -");
    let decoded = run("ffmpeg", &arguments, file(profile, 8));
    let size = (WIDTH * HEIGHT) as usize;
    assert_eq!(decoded.len(), 200 * size);
    for (number, picture) in decoded.chunks(size).enumerate() {
        let group = number as u64 / 10;
        for (at, pixel) in picture.iter().enumerate() {
            let column = at as u32 % WIDTH / 16;
            assert_eq!(*pixel, brightness(group, column), "picture {number}, pixel {at}");
        }
    }
}

#[test]
fn ffmpeg_decodes_a_group_longer_than_frame_num_and_one_of_a_single_picture() {
    // 66,000 pictures are more than 2¹⁶; no stream has so many, as MAX_GOP forbids it, so they are put together here.
    let mut out = flv::file_header(false, true).to_vec();
    let plan = Plan::new(Profile::default()).unwrap();
    let mut put = |time, payload: Vec<u8>| {
        let tag = flv::Tag {
            kind: flv::TagKind::Video,
            time,
            payload: payload.into(),
        };
        flv::encode_into(&mut out, &tag);
    };
    put(0, sequence_header(plan.profile().fps));
    put(0, key(MARK, 0, 0));
    for place in 1..66_000 {
        put(u64::from(place) * 40, repeat(MARK, place, 0));
    }
    let frames = run("ffmpeg", &format!("{DECODE} -i - -f framecrc -"), out);
    assert_eq!(pictures(&frames), 66_000);
    let single = Profile {
        gop: Duration::from_millis(40),
        ..Profile::default()
    };
    let frames = run("ffmpeg", &format!("{DECODE} -i - -f framecrc -"), file(single, 2));
    assert_eq!(pictures(&frames), 50);
}

#[test]
fn ffprobe_knows_the_stream() {
    let profile = Profile {
        audio: true,
        fps: 30,
        rate: Bitrate::from_bits(800_000),
        ..Profile::default()
    };
    let entries =
        "codec_name,profile,level,width,height,has_b_frames,r_frame_rate,sample_rate,channels,nb_read_frames";
    let arguments = format!("-v warning -count_frames -show_entries stream={entries} -of compact=nk=1:p=0 -");
    let said = String::from_utf8(run("ffprobe", &arguments, file(profile, 4))).unwrap();
    let mut lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "aac|LC|48000|1|0/0|188",
            "h264|Constrained Baseline|320|240|0|40|30/1|120"
        ],
        "{said}"
    );
}

/// Pictures that framecrc names.
fn pictures(frames: &[u8]) -> usize {
    let text = String::from_utf8_lossy(frames);
    text.lines().filter(|line| line.starts_with("0,")).count()
}
