//! What is warned of, tag by tag.

use super::*;
use TagKind::{Audio, Video};

/// A stream that is watched.
#[derive(Default)]
struct Scene {
    tracks: Tracks,
    watch: Watch,
}

impl Scene {
    fn announced() -> Self {
        let mut scene = Self::default();
        scene.tracks.announce(true, true);
        scene
    }

    /// A frame of that kind each 40 ms.
    fn play(&mut self, kinds: &[TagKind], from: u64, to: u64) {
        for time in (from..to).step_by(40) {
            for kind in kinds {
                self.tracks.note(*kind, true, time);
                let seen = Seen {
                    kind: *kind,
                    is_frame: true,
                    is_start: time % 2_000 == 0,
                    time,
                    bytes: 1_000,
                };
                self.watch.note(seen, &self.tracks);
            }
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        self.watch.raised().map(|raised| raised.warning).collect()
    }
}

#[test]
fn a_well_behaved_encoder_is_not_warned_of() {
    let mut scene = Scene::announced();
    scene.play(&[Video, Audio], 0, 180_000);
    assert_eq!(scene.warnings(), []);
}

#[test]
fn r13_announced_sound_that_never_comes_is_warned_of() {
    let mut scene = Scene::announced();
    scene.play(&[Video], 0, 5_000);
    assert_eq!(scene.warnings(), []);
    scene.play(&[Video], 5_000, 5_040);
    assert_eq!(scene.warnings(), [Warning::SilentAudio]);
    let raised = scene.watch.raised().next().unwrap();
    assert_eq!(raised.measured, 5_000);
}

#[test]
fn sound_that_nobody_announced_is_not_missed() {
    let mut scene = Scene::default();
    scene.play(&[Video], 0, 60_000);
    assert_eq!(scene.warnings(), []);
}

#[test]
fn a_track_that_falls_silent_is_warned_of_until_it_sends_for_a_while() {
    let mut scene = Scene::default();
    scene.play(&[Video, Audio], 0, 10_000);
    scene.play(&[Video], 10_000, 15_000);
    assert_eq!(scene.warnings(), [Warning::SilentAudio]);
    scene.play(&[Video, Audio], 15_000, 16_960);
    assert_eq!(scene.warnings(), [Warning::SilentAudio], "it may be a crackle");
    scene.play(&[Video, Audio], 16_960, 17_040);
    assert_eq!(scene.warnings(), []);
    scene.play(&[Audio], 17_040, 76_000);
    assert_eq!(scene.warnings(), [], "a slide may stand for a minute");
    scene.play(&[Audio], 76_000, 78_000);
    assert_eq!(scene.warnings(), [Warning::SilentVideo]);
}

#[test]
fn each_warning_has_its_own_name() {
    let names: std::collections::HashSet<_> = Warning::ALL.map(Warning::label).into();
    assert_eq!(names.len(), Warning::ALL.len());
}
