//! What an encoder does that it should not, and that is taken all the same.

use crate::codec;

/// Something odd of an encoder's: worth a line in the log, once a session, since it may be what breaks elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Quirk {
    /// The first chunk of a chunk stream refers to an earlier one (R21).
    #[error("a chunk stream begins with a header that refers to an earlier one")]
    FirstHeader,
    /// The extended time is not repeated in the chunks of type 3 (R14).
    #[error("chunks of type 3 leave out the extended time")]
    BareContinuation,
    /// HEVC by the number 12, which no specification has (R34).
    #[error("HEVC is sent by number, as codec 12: players that know only enhanced RTMP will not show it")]
    HevcByNumber,
    /// The configuration of HEVC by AVC's number (R34).
    #[error("HEVC is sent under the number of AVC: no player will show it")]
    HevcAsAvc,
}

impl Quirk {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self::FirstHeader,
        Self::BareContinuation,
        Self::HevcByNumber,
        Self::HevcAsAvc,
    ];

    /// A short, fixed name for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstHeader => "first_header",
            Self::BareContinuation => "bare_continuation",
            Self::HevcByNumber => "hevc_by_number",
            Self::HevcAsAvc => "hevc_as_avc",
        }
    }

    /// What is odd about a video tag's body.
    pub(super) fn of_video(payload: &[u8]) -> Option<Self> {
        match codec::hevc_by_number(payload)? {
            codec::LegacyHevc::Its => Some(Self::HevcByNumber),
            codec::LegacyHevc::Avcs => Some(Self::HevcAsAvc),
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Which of them a session has shown, and which of those were told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quirks {
    seen: u8,
    told: u8,
}

impl Quirks {
    pub(super) const fn note(&mut self, quirk: Quirk) {
        self.seen |= quirk.bit();
    }

    /// One that was not told yet.
    pub(super) fn poll(&mut self) -> Option<Quirk> {
        let fresh = self.seen & !self.told;
        let quirk = Quirk::ALL.into_iter().find(|quirk| fresh & quirk.bit() != 0)?;
        self.told |= quirk.bit();
        Some(quirk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once() {
        let mut quirks = Quirks::default();
        assert_eq!(quirks.poll(), None);
        for quirk in Quirk::ALL {
            quirks.note(quirk);
            quirks.note(quirk);
            assert_eq!(quirks.poll(), Some(quirk));
            assert_eq!(quirks.poll(), None);
        }
    }
}
