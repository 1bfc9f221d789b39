//! The judge of what one viewer receives: order, time, headers, and every body against the ledger.

use std::time::{Duration, Instant};

use relay_core::flv::TagKind;

use crate::ledger::{HeadersInForce, Ledger};
use crate::media::{Hash, Message, Role, hash};

/// So many faults are kept with their words; the rest are only counted.
const FAULTS_KEPT: usize = 20;

/// So many delays are kept, for percentiles: more than any story lasts.
const DELAYS_KEPT: usize = 200_000;

/// Where a viewer was moved forward over messages that it never got, or the publisher began anew.
#[derive(Clone, Debug)]
pub struct Jump {
    /// How many messages were left out.
    pub lost: usize,
    /// Whether it landed on a keyframe, or in sound where there is no picture.
    pub on_start: bool,
    /// Whether another incarnation of the publisher begins here.
    pub new_session: bool,
    /// When it was seen.
    pub at: Instant,
}

/// All that a viewer noticed so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// When it dialled.
    pub dialled: Option<Instant>,
    /// When the first message came.
    pub first: Option<Instant>,
    /// When the newest message came.
    pub last: Option<Instant>,
    /// Messages that are media: pictures and sound, no headers.
    pub media: usize,
    /// Pictures.
    pub video: usize,
    /// Pieces of sound.
    pub audio: usize,
    /// Script messages besides the metadata.
    pub script: usize,
    /// Pictures that can be decoded alone.
    pub keyframes: usize,
    /// Sequence headers.
    pub headers: usize,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Whether the FLV header promised (audio, video).
    pub promised: Option<(bool, bool)>,
    /// The newest time of the audio, unwrapped.
    pub audio_time: Option<i64>,
    /// The newest time of the video, unwrapped.
    pub video_time: Option<i64>,
    /// The longest wait between two messages, and when it ended.
    pub longest_gap: Option<(Duration, Instant)>,
    /// Where it was moved forward.
    pub jumps: Vec<Jump>,
    /// What was wrong, in words, the first few.
    pub faults: Vec<String>,
    /// How much was wrong.
    pub fault_count: usize,
    /// From the publisher's socket to this viewer, per media message, with the moment of arrival.
    pub delays: Vec<(Instant, Duration)>,
    /// How the connection ended, if it did: it is never dialled again.
    pub ended: Option<String>,
}

impl Report {
    /// What was wrong, as one text; empty if nothing was.
    pub fn complaint(&self) -> String {
        if self.fault_count == 0 {
            return String::new();
        }
        format!("{} faults: {}", self.fault_count, self.faults.join("; "))
    }

    /// Messages left out, over all jumps.
    pub fn lost(&self) -> usize {
        self.jumps.iter().map(|jump| jump.lost).sum()
    }

    /// The delays of messages that came since a moment, sorted.
    pub fn delays_since(&self, since: Instant) -> Vec<Duration> {
        let mut delays: Vec<Duration> = self
            .delays
            .iter()
            .filter(|(at, _)| *at >= since)
            .map(|(_, delay)| *delay)
            .collect();
        delays.sort_unstable();
        delays
    }
}

/// Judges messages one by one.
pub struct Checker {
    ledger: Option<Ledger>,
    report: Report,
    headers: HeadersInForce,
    /// Places of the ledger that the newest message may have been; more than one only where footage repeats.
    places: Vec<usize>,
    /// Viewer's time less publisher's time, in the session that is being followed.
    offset: Option<(u32, i64)>,
    /// Of any kind of media, to unwrap 32-bit times.
    unwrapped: Option<i64>,
    script_time: Option<i64>,
}

impl Checker {
    /// A judge; without a ledger it knows order and framing only.
    pub fn new(ledger: Option<Ledger>, dialled: Instant) -> Self {
        let report = Report {
            dialled: Some(dialled),
            ..Report::default()
        };
        Self {
            ledger,
            report,
            headers: HeadersInForce::default(),
            places: Vec::new(),
            offset: None,
            unwrapped: None,
            script_time: None,
        }
    }

    /// What was noticed so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Takes the FLV header's promise.
    pub fn promise(&mut self, promised: Option<(bool, bool)>) {
        self.report.promised = promised;
    }

    /// Takes note of the connection's end.
    pub fn end(&mut self, how: String) {
        self.report.ended.get_or_insert(how);
    }

    /// Takes note of something wrong.
    pub fn fault(&mut self, what: String) {
        self.report.fault_count += 1;
        if self.report.faults.len() < FAULTS_KEPT {
            self.report.faults.push(what);
        }
    }

    /// Takes one message as it came.
    pub fn see(&mut self, message: &Message, now: Instant) {
        let role = message.role();
        let hash = hash(&message.payload);
        self.note_arrival(now);
        self.report.bytes += message.payload.len() as u64;
        self.headers.note(message.kind, role, hash);
        match role {
            Role::Header => self.report.headers += 1,
            Role::MetaData => self.see_metadata(&hash),
            Role::EndMark => {}
            Role::Keyframe | Role::Coded | Role::Script => {
                self.count(message, role);
                let time = self.check_time(message);
                self.check_place(message, role, hash, time, now);
            }
        }
    }

    fn note_arrival(&mut self, now: Instant) {
        let report = &mut self.report;
        if let Some(last) = report.last.replace(now) {
            let gap = now - last;
            if report.longest_gap.is_none_or(|(longest, _)| gap > longest) {
                report.longest_gap = Some((gap, now));
            }
        }
        report.first.get_or_insert(now);
    }

    fn see_metadata(&mut self, hash: &Hash) {
        let published = self.ledger.as_ref().and_then(Ledger::metadata);
        if published.is_some_and(|published| published != *hash) {
            self.fault("the metadata is not what was published".to_owned());
        }
    }

    fn count(&mut self, message: &Message, role: Role) {
        let report = &mut self.report;
        match message.kind {
            TagKind::Audio => report.audio += 1,
            TagKind::Video => report.video += 1,
            TagKind::Script => report.script += 1,
        }
        report.keyframes += usize::from(role == Role::Keyframe);
        report.media += usize::from(role != Role::Script);
        if message.kind == TagKind::Video && report.video == 1 && role != Role::Keyframe {
            self.fault("the first picture is no keyframe".to_owned());
        }
    }

    /// Time never goes back within a track; gives the unwrapped time.
    fn check_time(&mut self, message: &Message) -> i64 {
        let near = self.unwrapped.unwrap_or_else(|| i64::from(message.time));
        // The difference of two 32-bit times, as the shorter way round.
        let time = near + i64::from(message.time.wrapping_sub(near as u32) as i32);
        self.unwrapped = Some(time);
        let track = match message.kind {
            TagKind::Audio => &mut self.report.audio_time,
            TagKind::Video => &mut self.report.video_time,
            TagKind::Script => &mut self.script_time,
        };
        if let Some(before) = track.replace(time)
            && time < before
        {
            self.fault(format!(
                "{:?} time went back from {before} to {time}",
                message.kind
            ));
        }
        time
    }

    fn check_place(&mut self, message: &Message, role: Role, hash: Hash, time: i64, now: Instant) {
        let Some(ledger) = self.ledger.clone() else {
            return;
        };
        let next: Vec<usize> = self
            .places
            .iter()
            .map(|place| place + 1)
            .filter(|place| ledger.is_at(*place, &hash))
            .collect();
        let before = self.places.last().copied();
        match (next.last(), before) {
            (Some(&landed), Some(before)) => {
                self.move_on(&ledger, before, landed, role, now);
                self.places = next;
            }
            _ => self.find_again(&ledger, message, role, &hash, now),
        }
        if let Some(entry) = self.places.last().and_then(|place| ledger.entry(*place)) {
            self.check_headers(message.kind, &entry.headers);
            self.check_offset(time - i64::from(entry.time), entry.session);
            if self.places.len() == 1 && self.report.delays.len() < DELAYS_KEPT {
                self.report
                    .delays
                    .push((now, now.saturating_duration_since(entry.sent)));
            }
        }
    }

    /// The message is not the one after the last: the viewer joined here, was moved forward, or is told nonsense.
    fn find_again(&mut self, ledger: &Ledger, message: &Message, role: Role, hash: &Hash, now: Instant) {
        let found = ledger.places(hash);
        let Some(&newest) = found.last() else {
            self.fault(format!(
                "a {:?} message of {} bytes at {} that nobody published",
                message.kind,
                message.payload.len(),
                message.time
            ));
            return;
        };
        let Some(&before) = self.places.last() else {
            self.places = found;
            return;
        };
        let Some(&landed) = found.iter().find(|place| **place > before) else {
            self.fault(format!("message {newest} came again after {before}"));
            return;
        };
        self.move_on(ledger, before, landed, role, now);
        self.places = found.into_iter().filter(|place| *place > before).collect();
    }

    /// Takes note of a jump: messages left out, or the publisher begun anew.
    fn move_on(&mut self, ledger: &Ledger, before: usize, landed: usize, role: Role, now: Instant) {
        let session_of = |place| ledger.entry(place).map(|entry| entry.session);
        let new_session = session_of(landed) != session_of(before);
        let lost = landed - before - 1;
        if new_session || lost > 0 {
            self.report.jumps.push(Jump {
                lost,
                on_start: role == Role::Keyframe || self.report.video == 0,
                new_session,
                at: now,
            });
        }
    }

    fn check_headers(&mut self, kind: TagKind, needed: &HeadersInForce) {
        let good = match kind {
            TagKind::Video => self.headers.video == needed.video,
            TagKind::Audio => self.headers.audio == needed.audio,
            TagKind::Script => true,
        };
        if !good {
            self.fault(format!("{kind:?} without the sequence header that holds for it"));
        }
    }

    /// Within one session of the publisher, both tracks are moved by the same amount, for ever (R06, R41).
    fn check_offset(&mut self, offset: i64, session: u32) {
        // Footage that repeats can be mistaken for another turn of the loop, so only unmistakable places count.
        if self.places.len() != 1 {
            return;
        }
        match self.offset {
            Some((known, before)) if known == session => {
                if (offset - before) % (1 << 32) != 0 {
                    self.fault(format!("the time offset changed from {before} to {offset} ms"));
                }
            }
            _ => self.offset = Some((session, offset)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footage::Synthetic;

    fn published() -> (Ledger, Vec<Message>) {
        let ledger = Ledger::default();
        ledger.begin_session();
        let messages: Vec<Message> = Synthetic::default().play().take(400).collect();
        messages.iter().for_each(|message| ledger.note(message));
        (ledger, messages)
    }

    /// What a viewer gets who joins at a message, times moved by `offset`.
    fn seen_from(start: usize, messages: &[Message], offset: u32) -> Vec<Message> {
        let opening = messages[..3].iter();
        let rest = messages[start.max(3)..].iter();
        opening
            .chain(rest)
            .map(|message| Message {
                time: message.time + offset,
                ..message.clone()
            })
            .collect()
    }

    fn judge(ledger: &Ledger, seen: &[Message]) -> Report {
        let now = Instant::now();
        let mut checker = Checker::new(Some(ledger.clone()), now);
        seen.iter().for_each(|message| checker.see(message, now));
        checker.report().clone()
    }

    fn second_keyframe(messages: &[Message]) -> usize {
        let mut keys = messages
            .iter()
            .enumerate()
            .filter(|(_, m)| m.role() == Role::Keyframe);
        keys.nth(1).expect("there are several keyframes").0
    }

    #[test]
    fn content_with_what_was_published() {
        let (ledger, messages) = published();
        for start in [0, second_keyframe(&messages)] {
            let report = judge(&ledger, &seen_from(start, &messages, 5000));
            assert_eq!(report.complaint(), "");
            assert_eq!(report.lost(), 0);
        }
    }

    #[test]
    fn notices_a_lost_a_doubled_and_a_changed_message() {
        let (ledger, messages) = published();
        let seen = seen_from(0, &messages, 0);

        let mut lost = seen.clone();
        lost.remove(50);
        assert_eq!(judge(&ledger, &lost).lost(), 1);

        let mut doubled = seen.clone();
        doubled.insert(50, seen[50].clone());
        assert!(judge(&ledger, &doubled).complaint().contains("came again"));

        let mut changed = seen.clone();
        changed[50].payload = bytes::Bytes::from_static(b"\xaf\x01no");
        assert!(judge(&ledger, &changed).complaint().contains("nobody published"));
    }

    #[test]
    fn notices_that_the_publisher_began_anew() {
        let (ledger, messages) = published();
        ledger.begin_session();
        let again = Synthetic {
            seed: 2,
            ..Synthetic::default()
        };
        let again: Vec<Message> = again.play().take(200).collect();
        again.iter().for_each(|message| ledger.note(message));
        let mut seen = seen_from(0, &messages, 0);
        seen.extend(seen_from(0, &again, 10_000));
        let report = judge(&ledger, &seen);
        assert_eq!(report.complaint(), "");
        assert_eq!(report.jumps.len(), 1);
        assert!(report.jumps[0].new_session && report.jumps[0].on_start && report.jumps[0].lost == 0);
    }

    #[test]
    fn notices_time_and_headers() {
        let (ledger, messages) = published();
        let seen = seen_from(0, &messages, 0);

        let mut back = seen.clone();
        back[60].time -= 100;
        assert!(judge(&ledger, &back).complaint().contains("went back"));

        let mut late = seen.clone();
        late[60..].iter_mut().for_each(|message| message.time += 1);
        assert!(judge(&ledger, &late).complaint().contains("offset changed"));

        let mut headless = seen;
        headless.remove(1);
        assert!(judge(&ledger, &headless).complaint().contains("sequence header"));
    }
}
