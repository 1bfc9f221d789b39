//! The verbs about publish keys.

use std::io::Write;

use relay_core::admin::{EndedKey, KeyRequest, KeyRow, MadeKey};
use relay_core::config::{Config, Environment, KeyId, Moment, PublishPolicy, StreamPattern};
use relay_core::stream::StreamKey;

use super::{VerbError, client};
use crate::access::{Door, KeyBook, keyring};
use crate::greeting::Reach;
use crate::state::PublishKey;

/// Makes a key, and prints the URL to publish with; of a key for several streams the key alone.
///
/// # Errors
/// Why there is none.
pub async fn add(
    config: &Config,
    environment: &Environment,
    wish: KeyRequest,
    tls: bool,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let stream: Option<StreamPattern> = wish.stream.parse().ok();
    let made: MadeKey = client(config, environment).post("/api/v1/keys", &wish).await?;
    match stream.and_then(|stream| stream.only()) {
        Some(stream) => Ok(writeln!(
            out,
            "{}",
            door(config, tls, &host(config, tls)).url(&stream, Some(&made.key))
        )?),
        None => Ok(writeln!(out, "{}", made.key)?),
    }
}

/// Prints the keys, without their texts.
///
/// # Errors
/// Why not.
pub async fn list(config: &Config, environment: &Environment, out: &mut impl Write) -> Result<(), VerbError> {
    let keys: Vec<KeyRow> = client(config, environment).get("/api/v1/keys").await?;
    let widest = keys
        .iter()
        .map(|key| key.id.len())
        .max()
        .unwrap_or_default()
        .max(8);
    writeln!(
        out,
        "{:<widest$}  {:<8} {:<7} {:>4}  {:<21} STREAMS",
        "ID", "STATE", "SOURCE", "USED", "EXPIRES"
    )?;
    for key in keys {
        let expires = key
            .expires
            .map_or_else(|| "never".to_owned(), |unix_s| Moment { unix_s }.to_string());
        let from = match key.from.is_empty() {
            true => String::new(),
            false => format!(" from {}", key.from.join(", ")),
        };
        writeln!(
            out,
            "{:<widest$}  {:<8} {:<7} {:>4}  {expires:<21} {}{from}",
            key.id, key.state, key.source, key.publishing, key.stream
        )?;
    }
    Ok(())
}

/// Ends a key.
///
/// # Errors
/// Why not.
pub async fn revoke(
    config: &Config,
    environment: &Environment,
    id: &KeyId,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let route = format!("/api/v1/keys/{id}");
    let ended: EndedKey = client(config, environment).delete(&route).await?;
    let whom = match ended.publishing {
        0 => "nobody published with it".to_owned(),
        1 => "the one who published with it is let go".to_owned(),
        more => format!("the {more} who published with it are let go"),
    };
    Ok(writeln!(out, "publish key {id} is revoked; {whom}")?)
}

/// Prints the URL to publish a stream with, with the default key.
///
/// # Errors
/// Why not.
pub fn publish_url(
    config: &Config,
    environment: &Environment,
    stream: &StreamKey,
    tls: bool,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let host = host(config, tls);
    let door = door(config, tls, &host);
    let url = match config.origin.publish {
        PublishPolicy::Open => door.url(stream, None),
        PublishPolicy::Key => door.url(stream, Some(default_key(config, environment)?.expose())),
    };
    Ok(writeln!(out, "{url}")?)
}

/// The default key in the first folder that has one, unless it was revoked.
fn default_key(config: &Config, environment: &Environment) -> Result<PublishKey, VerbError> {
    let folders = config.state_dirs(environment)?;
    for folder in &folders {
        if let Some(key) = PublishKey::peek(folder)? {
            return match KeyBook::peek(folder)?.disowned(keyring::hash(key.expose())) {
                None => Ok(key),
                Some(_) => Err(VerbError::KeyRevoked),
            };
        }
    }
    Err(VerbError::NoKey(folders.into_iter().next().unwrap_or_default()))
}

fn host(config: &Config, tls: bool) -> String {
    let listen = if tls {
        config.rtmps.listen
    } else {
        config.rtmp.listen
    };
    let configured = config.origin.public_host.as_ref().map(|host| host.as_str());
    Reach::host(configured, listen.addr())
}

const fn door<'a>(config: &Config, tls: bool, host: &'a str) -> Door<'a> {
    let listen = if tls {
        config.rtmps.listen
    } else {
        config.rtmp.listen
    };
    Door {
        host,
        port: listen.port(),
        tls,
    }
}
