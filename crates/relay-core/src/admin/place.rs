//! Where a unix socket lies, for paths of any length.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The kernel's room for a socket's path (`sun_path`), less the end mark.
const MAX_PATH_BYTES: usize = 107;

/// A path that fits into a socket address: the one given, or a detour by its folder's descriptor, since a state folder may
/// lie deep.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Open for as long as the detour is used.
    _folder: Option<File>,
}

impl Place {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let detour = match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if path.as_os_str().as_bytes().len() > MAX_PATH_BYTES => {
                (folder, name)
            }
            _ => {
                return Ok(Self {
                    path: path.to_owned(),
                    _folder: None,
                });
            }
        };
        let (folder, name) = detour;
        let folder = File::open(folder)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
        Ok(Self {
            path: path.join(name),
            _folder: Some(folder),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
