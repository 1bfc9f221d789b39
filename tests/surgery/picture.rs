//! How far a viewer's picture has come: the media time that it got, whichever connections it came over.

/// A step of a stream's time that is larger than this was jumped over, and not seen: five pictures.
const MAX_STEP_MS: u32 = 200;

/// Media time, counted once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picture {
    newest: Option<u32>,
    got_ms: u64,
}

impl Picture {
    pub(crate) const fn new() -> Self {
        Self {
            newest: None,
            got_ms: 0,
        }
    }

    /// A tag came with this time, which wraps at 32 bits. What a new connection begins with was seen already, as far as it is
    /// from before the newest.
    pub(crate) fn saw(&mut self, time: u32) {
        let Some(newest) = self.newest else {
            self.newest = Some(time);
            return;
        };
        let step = time.wrapping_sub(newest);
        if step == 0 || step >= 1 << 31 {
            return;
        }
        self.newest = Some(time);
        if step <= MAX_STEP_MS {
            self.got_ms += u64::from(step);
        }
    }

    /// All that it got, in milliseconds.
    pub(crate) const fn got_ms(&self) -> u64 {
        self.got_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(times: &[u32]) -> u64 {
        let mut picture = Picture::new();
        times.iter().for_each(|time| picture.saw(*time));
        picture.got_ms()
    }

    #[test]
    fn time_counts_once() {
        assert_eq!(got(&[]), 0);
        assert_eq!(got(&[1000]), 0);
        assert_eq!(got(&[1000, 1040, 1040, 1080]), 80);
        assert_eq!(
            got(&[1000, 1040, 1000, 1040, 1080]),
            80,
            "a new connection goes back"
        );
        assert_eq!(got(&[u32::MAX - 9, 30]), 40, "it wraps");
    }

    #[test]
    fn what_was_jumped_over_was_not_seen() {
        assert_eq!(got(&[0, 40, 3000, 3040]), 80);
        assert_eq!(got(&[0, 200]), 200);
        assert_eq!(got(&[0, 201]), 0);
    }
}
