//! Any text as an app and a name, and as a URL.

use super::choice;
use crate::rtmp::address::{Address, Url};
use crate::stream::{MAX_KEY_BYTES, StreamKey};

/// Takes the data as an app and a name, cut where they say, and as the URL of a stream: what is a stream's name has one
/// spelling, and no secret shows.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut data = data;
    let cut = usize::from(choice(&mut data));
    let text = String::from_utf8_lossy(data);
    let cut = text.floor_char_boundary(cut.min(text.len()));
    let (app, name) = text.split_at(cut);
    let address = Address::parse(app, name);
    shows_no_secret(&address);
    if let Ok(key) = StreamKey::new(&address.app, &address.name) {
        assert!(key.as_str().len() <= MAX_KEY_BYTES);
        assert_eq!(
            key.as_str().parse::<StreamKey>().as_ref(),
            Ok(&key),
            "a stream has one name"
        );
        assert_eq!(format!("{}/{}", key.app(), key.name()), key.as_str());
    }
    if let Ok(url) = text.parse::<Url>() {
        let again = format!("{}/{}", url.tc_url(), url.name);
        assert_eq!(again.parse::<Url>().as_ref(), Ok(&url), "a URL has one meaning");
        // Any text may come from a server, too.
        url.redirected(name);
        url.redirected(&url.tc_url());
    }
}

fn shows_no_secret(address: &Address) {
    let Some(secret) = &address.secret else { return };
    // What is shown of the rest may happen to hold it, escapes included, and a short one often does.
    let rest = format!("{:?} {:?}", address.app, address.name);
    if secret.len() >= 12 && !rest.contains(secret.as_str()) {
        assert!(!format!("{address:?}").contains(secret.as_str()));
    }
}
