//! Publish keys, between the admin API's texts and the keyring.

use std::time::Duration;

use relay_core::admin::{EndedKey, KeyRequest, KeyRow, MadeKey, Refused};
use relay_core::clock::Now;
use relay_core::config::Moment;

use crate::access::keyring::{KeyError, KeyWish, Keyring, Listed};

/// The longest life of a key that has one. Longer is for ever.
const MAX_LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// The most networks of one key: more would be a firewall.
const MAX_NETWORKS: usize = 32;

pub(super) fn list(keys: &Keyring, now: Now) -> Vec<KeyRow> {
    keys.list().into_iter().map(|key| row(&key, now)).collect()
}

pub(super) fn create(keys: &Keyring, wish: KeyRequest, now: Now) -> Result<MadeKey, Refused> {
    let (id, key) = keys.add(read(wish, now)?, now).map_err(failed)?;
    tracing::info!(%id, "a publish key was made");
    Ok(MadeKey {
        id: id.to_string(),
        key,
    })
}

pub(super) fn revoke(keys: &Keyring, id: &str, now: Now) -> Result<EndedKey, Refused> {
    let unknown = || Refused::NotFound(format!("there is no publish key {id}"));
    let id = id.parse().map_err(|_| unknown())?;
    let publishing = keys.revoke(&id, now).map_err(failed)?.ok_or_else(unknown)?;
    tracing::info!(%id, publishing, "a publish key is revoked");
    Ok(EndedKey {
        publishing: publishing as u64,
    })
}

fn read(wish: KeyRequest, now: Now) -> Result<KeyWish, Refused> {
    let KeyRequest {
        id,
        stream,
        from,
        ttl_seconds,
    } = wish;
    if from.len() > MAX_NETWORKS {
        return Err(Refused::Failed(format!(
            "a key has at most {MAX_NETWORKS} networks"
        )));
    }
    let life = ttl_seconds.map(Duration::from_secs);
    if life.is_some_and(|life| life.is_zero() || life > MAX_LIFE) {
        return Err(Refused::Failed(
            "a key lives for a second to ten years, or for ever".into(),
        ));
    }
    let from: Result<Vec<_>, String> = from.iter().map(|network| network.parse()).collect();
    Ok(KeyWish {
        id: id.map(|id| id.parse()).transpose().map_err(Refused::Failed)?,
        stream: stream.parse().map_err(Refused::Failed)?,
        from: from.map_err(Refused::Failed)?,
        expires: life.map(|life| Moment {
            unix_s: now.unix_us / 1_000_000 + life.as_secs(),
        }),
    })
}

fn row(key: &Listed, now: Now) -> KeyRow {
    let record = &key.record;
    KeyRow {
        id: record.id.to_string(),
        state: record.state(now).word().to_owned(),
        stream: record.stream.to_string(),
        from: record.from.iter().map(ToString::to_string).collect(),
        expires: record.expires.map(|expires| expires.unix_s),
        source: key.source.word().to_owned(),
        publishing: key.publishing as u64,
    }
}

fn failed(error: KeyError) -> Refused {
    Refused::Failed(error.to_string())
}
