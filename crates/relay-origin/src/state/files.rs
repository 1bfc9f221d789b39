//! Files of one owner, read with a bound and replaced whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::StateError;

/// Only the owner reads and writes.
const FILE_MODE: u32 = 0o600;

/// Only the owner enters. A folder that was there before keeps its mode: systemd makes it.
const FOLDER_MODE: u32 = 0o700;

pub(super) fn make_folder(path: &Path) -> Result<(), StateError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(failed("make the folder", path))
}

pub(super) fn open_lock(path: &Path) -> Result<File, StateError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(failed("open", path))
}

/// A file's text; `None` when it is not there. What others may read is closed to them first: a copy that was put back
/// often comes with the wrong mode.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<String>, StateError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed("open", path))?,
    };
    let mode = file.metadata().map_err(failed("look at", path))?.permissions();
    if mode.mode() & 0o077 != 0 {
        let closed = fs::Permissions::from_mode(FILE_MODE);
        file.set_permissions(closed)
            .map_err(failed("close to others", path))?;
    }
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    let damaged = |reason: &str| StateError::Damaged {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    if bytes.len() as u64 > limit {
        return Err(damaged("it is far too large"));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| damaged("it is not text"))
}

/// Replaces a file: after a crash at any moment, either the old one or the new one is there, whole.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let beside = beside(path);
    let written = write_through(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if let Err(source) = written {
        // It may not even have been made; what is left of it is overwritten next time.
        let _ = fs::remove_file(&beside);
        return Err(failed("write", path)(source));
    }
    sync_folder(path).map_err(failed("write through the folder of", path))
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

pub(super) fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |source| StateError::Io {
        verb,
        path: path.to_owned(),
        source,
    }
}
