//! A segment: one piece of a log's memory, written once from front to back, read by everyone.
//!
//! The memory is a memfd, filled by `pwrite` and read through one private, read-only mapping. A private mapping sees
//! later `pwrite`s on Linux as long as nobody writes through it; a test here pins that, and [`try_memory`] asks the
//! running kernel.
//!
//! Bytes once written never change and the file never shrinks, so a slice of it may be handed out for as long as the
//! segment lives: to viewers' sockets, to children, to other flavours.

#![expect(unsafe_code, reason = "the mapping; each block says why it is sound")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// The usual size of a segment. Small enough that what retention keeps too long is little (it frees whole segments),
/// large enough that a stream of 8 Mbit/s makes one every two seconds and not more.
pub(super) const SEGMENT_BYTES: usize = 2 << 20;

/// One piece of a log's memory.
#[derive(Debug)]
pub(super) struct Segment {
    file: OwnedFd,
    map: NonNull<u8>,
    capacity: usize,
    /// Bytes written so far; stored after the write, so whoever loads it may read up to it.
    written: AtomicUsize,
    /// Where the segment's first byte lies in its store.
    base: u64,
}

// SAFETY: the mapping is never written through, and the bytes below `written` never change; what `pwrite` adds lies
// above it and becomes visible with the release store of `written`.
unsafe impl Send for Segment {}
// SAFETY: as above: shared access reads immutable bytes only.
unsafe impl Sync for Segment {}

impl Segment {
    /// Makes a segment of at least `at_least` bytes that begins at `base` in its store.
    ///
    /// # Errors
    /// What the kernel says when memory, descriptors or mappings run out.
    pub(super) fn create(base: u64, at_least: usize) -> io::Result<Self> {
        let capacity = at_least.max(SEGMENT_BYTES);
        let file = rustix::fs::memfd_create(c"relay-log", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&file, capacity as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        // SAFETY: a fresh private read-only mapping of a file that is sealed against shrinking, at an address of the
        // kernel's choice; unmapped in `drop` only, with the same length.
        let address = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                capacity,
                ProtFlags::READ,
                MapFlags::PRIVATE,
                &file,
                0,
            )?
        };
        let map = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            file,
            map,
            capacity,
            written: AtomicUsize::new(0),
            base,
        })
    }

    /// Where the segment begins in its store.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> usize {
        self.written.load(Ordering::Acquire)
    }

    /// Where the bytes written so far end in the store.
    pub(super) fn end(&self) -> u64 {
        self.base + self.written() as u64
    }

    /// Bytes that still fit.
    pub(super) fn room(&self) -> usize {
        self.capacity - self.written()
    }

    /// Appends `bytes`, all of them or none that anyone would see.
    ///
    /// One writer at a time; the store sees to that.
    ///
    /// # Errors
    /// What the kernel says, or `StorageFull` when they don't fit.
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let start = self.written();
        if bytes.len() > self.capacity - start {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut done = 0;
        while done < bytes.len() {
            match rustix::io::pwrite(&self.file, &bytes[done..], (start + done) as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.written.store(start + done, Ordering::Release);
        Ok(())
    }

    /// Seals the segment: no byte is added from now on, and the kernel itself refuses any write.
    ///
    /// `FUTURE_WRITE` and not `WRITE`: since nobody maps it for writing the two forbid the same, but the latter waits up to
    /// 150 ms for pages that `sendfile` has lent to sockets to come back, and then fails: a stalled viewer would
    /// stop the stream.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn seal(&self) -> io::Result<()> {
        Ok(rustix::fs::fcntl_add_seals(
            &self.file,
            SealFlags::FUTURE_WRITE | SealFlags::SEAL,
        )?)
    }

    /// The bytes from `from` to `to`, both counted in the store, cut to what is written here.
    pub(super) fn slice(&self, from: u64, to: u64) -> &[u8] {
        let written = self.written();
        let at = |offset: u64| {
            usize::try_from(offset.saturating_sub(self.base))
                .unwrap_or(usize::MAX)
                .min(written)
        };
        let (from, to) = (at(from), at(to));
        if from >= to {
            return &[];
        }
        // SAFETY: `from < to <= written <= capacity`, so the range lies in the mapping; these bytes were written
        // before `written` was stored, never change, and the file cannot shrink under them.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(from), to - from) }
    }

    /// The same as an owned handle that keeps the segment alive and copies nothing.
    pub(super) fn share(self: &Arc<Self>, from: u64, to: u64) -> Bytes {
        struct Share {
            segment: Arc<Segment>,
            from: u64,
            to: u64,
        }
        impl AsRef<[u8]> for Share {
            fn as_ref(&self) -> &[u8] {
                self.segment.slice(self.from, self.to)
            }
        }
        if from >= to {
            return Bytes::new();
        }
        Bytes::from_owner(Share {
            segment: Arc::clone(self),
            from,
            to,
        })
    }
}

/// Tries whether this system gives memory for logs at all: a sandbox may forbid it, a container may have none. Nothing of it is
/// kept.
///
/// # Errors
/// What the kernel says.
pub fn try_memory() -> io::Result<()> {
    let segment = Segment::create(0, 1)?;
    segment.append(b"tried")?;
    segment.seal()?;
    if segment.slice(0, 5) == b"tried" {
        Ok(())
    } else {
        Err(io::Error::other(
            "a private mapping does not see what is written to its file",
        ))
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the very mapping made in `create`; every slice of it borrows `self` or holds an `Arc` of it.
        let unmapped = unsafe { rustix::mm::munmap(self.map.as_ptr().cast(), self.capacity) };
        debug_assert!(
            unmapped.is_ok(),
            "munmap of a whole mapping cannot fail: {unmapped:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_mapping_sees_what_is_written_later() {
        let segment = Segment::create(100, 1).unwrap();
        assert_eq!(segment.slice(100, 200), b"");
        segment.append(b"first").unwrap();
        assert_eq!(
            segment.slice(100, 105),
            b"first",
            "the page is mapped from here on"
        );
        segment.append(b" and second").unwrap();
        assert_eq!(segment.slice(100, 200), b"first and second");
        assert_eq!(segment.end(), 116);
    }

    #[test]
    fn a_sealed_segment_takes_no_byte_from_anyone() {
        let segment = Segment::create(0, 1).unwrap();
        segment.append(b"kept").unwrap();
        segment.seal().unwrap();
        assert!(segment.append(b"no").is_err());
        assert!(
            rustix::fs::ftruncate(&segment, 1).is_err(),
            "nor may it shrink under a reader"
        );
        assert_eq!(segment.slice(0, 9), b"kept");
    }

    #[test]
    fn a_segment_whose_pages_are_in_a_socket_is_sealed_all_the_same() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let segment = Segment::create(0, 1).unwrap();
        segment.append(&[7; 9000]).unwrap();
        let lent = rustix::fs::sendfile(&ours, &segment, Some(&mut 0), 9000).unwrap();
        assert_eq!(lent, 9000);
        segment.seal().unwrap();
        assert!(segment.append(b"no").is_err());
    }

    #[test]
    fn a_share_outlives_the_log() {
        let segment = Arc::new(Segment::create(7, 1).unwrap());
        segment.append(b"keyframe").unwrap();
        let share = segment.share(7, 10);
        drop(segment);
        assert_eq!(&share[..], b"key");
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let segment = Segment::create(0, 1).unwrap();
        assert!(segment.append(&vec![1; SEGMENT_BYTES + 1]).is_err());
        assert_eq!(segment.written(), 0);
        assert_eq!(
            Segment::create(0, SEGMENT_BYTES + 9).unwrap().room(),
            SEGMENT_BYTES + 9
        );
    }
}
