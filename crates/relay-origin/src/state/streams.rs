//! A small file per stream with its newest epoch and its anchor, so that time never goes back over a restart.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use relay_core::stream::StreamKey;
use relay_core::stream::epoch::Mark;
use relay_core::tls::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::{StateError, files};

/// Streams that are remembered: many more than one origin carries at once. Beyond it the longest silent is forgotten;
/// its next time begins at 0 again, unless an edge still knows better.
pub const MAX_STREAM_RECORDS: usize = 1024;

/// A record is two numbers and a name.
const MAX_RECORD_BYTES: u64 = 4096;

const FOLDER: &str = "streams";

/// The records of all streams: read once, each written at the beginning of an epoch, never per tag.
#[derive(Debug)]
pub struct StreamRecords {
    folder: PathBuf,
    records: Mutex<HashMap<StreamKey, Mark>>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    stream: StreamKey,
    #[serde(flatten)]
    mark: Mark,
}

impl StreamRecords {
    pub(super) fn open(state: &Path) -> Result<Self, StateError> {
        let folder = state.join(FOLDER);
        files::make_folder(&folder)?;
        let mut records = HashMap::new();
        for entry in fs::read_dir(&folder).map_err(files::failed("list", &folder))? {
            let path = entry.map_err(files::failed("list", &folder))?.path();
            if path.extension().is_some_and(|e| e == "json") {
                match read(&path) {
                    Ok(record) => {
                        records.insert(record.stream, record.mark);
                    }
                    Err(reason) => {
                        warn!(file = %path.display(), reason, "a stream's record is damaged and left out");
                    }
                }
            }
        }
        let this = Self {
            folder,
            records: Mutex::new(records),
        };
        this.forget_oldest(MAX_STREAM_RECORDS, &mut this.lock());
        Ok(this)
    }

    /// What is known of a stream.
    pub fn load(&self, stream: &StreamKey) -> Option<Mark> {
        self.lock().get(stream).copied()
    }

    /// Keeps what is to be known of a stream; on disk when it returns.
    ///
    /// # Errors
    /// When it cannot; this process knows it all the same.
    pub fn save(&self, stream: &StreamKey, mark: Mark) -> Result<(), StateError> {
        let mut records = self.lock();
        if !records.contains_key(stream) {
            self.forget_oldest(MAX_STREAM_RECORDS - 1, &mut records);
        }
        records.insert(stream.clone(), mark);
        let record = Record {
            stream: stream.clone(),
            mark,
        };
        let path = self.path(stream);
        let text = serde_json::to_vec(&record).map_err(|error| StateError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        files::write(&path, &text)
    }

    /// Leaves the `keep` newest: an epoch's number is no less than the time of its beginning.
    fn forget_oldest(&self, keep: usize, records: &mut HashMap<StreamKey, Mark>) {
        while records.len() > keep {
            let oldest = records.iter().min_by_key(|(_, mark)| mark.epoch);
            let Some(oldest) = oldest.map(|(stream, _)| stream.clone()) else {
                return;
            };
            records.remove(&oldest);
            if let Err(error) = fs::remove_file(self.path(&oldest)) {
                warn!(stream = %oldest, %error, "cannot remove the record of a stream");
            }
        }
    }

    /// A name may be longer than a file's may be, so its hash names the file.
    fn path(&self, stream: &StreamKey) -> PathBuf {
        let hash = Sha256::digest(stream.as_str());
        self.folder.join(format!("{}.json", hex::encode(&hash[..16])))
    }

    /// Nothing panics while it is held; were it so, what it guards would still be whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<StreamKey, Mark>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<Record, String> {
    let text = files::read(path, MAX_RECORD_BYTES).map_err(|error| error.to_string())?;
    let text = text.ok_or("it is gone")?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
