//! Exit codes, as sysexits.h names them, so that an init system can tell a typing error from an outage.

/// Why a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// All was done, and what was found is not what was demanded.
    Unmet = 1,
    /// The command line was wrong.
    Usage = 64,
    /// Something that is needed is not there: a running origin, a port.
    Unavailable = 69,
    /// A mistake of ours.
    Software = 70,
    /// The system refused something: threads, descriptors, memory.
    OsError = 71,
    /// A file could not be made.
    CannotCreate = 73,
    /// A file could not be read or written.
    IoError = 74,
    /// Not allowed: a join token that is expired, used up or revoked.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
