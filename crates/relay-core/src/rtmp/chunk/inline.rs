//! A handful of bytes that need no allocation.

/// Up to `N` bytes in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inline<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Inline<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) const fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    pub(super) fn pop_front(&mut self) -> Option<u8> {
        let first = *self.as_slice().first()?;
        self.bytes.copy_within(1..self.length, 0);
        self.length -= 1;
        Some(first)
    }

    /// Puts `others` before what is here. Callers have proven that both fit.
    pub(super) fn push_all_front<const M: usize>(&mut self, others: &Inline<M>) {
        self.bytes.copy_within(..self.length, others.length);
        self.bytes[..others.length].copy_from_slice(others.as_slice());
        self.length += others.length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_in_at_both_ends_and_out_at_the_front() {
        let (mut bytes, mut front) = (Inline::<4>::new(), Inline::<18>::new());
        bytes.push(3);
        front.push(1);
        front.push(2);
        bytes.push_all_front(&front);
        assert_eq!(bytes.as_slice(), [1, 2, 3]);
        assert_eq!(bytes.pop_front(), Some(1));
        assert_eq!(bytes.as_slice(), [2, 3]);
        bytes.clear();
        assert!(bytes.is_empty());
        assert_eq!(bytes.pop_front(), None);
    }
}
