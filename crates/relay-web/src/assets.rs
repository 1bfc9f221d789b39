//! Path → bytes.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// What answers one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// The body; cloning shares it.
    pub body: Bytes,
    /// Whether the body is compressed: then it goes out with `Content-Encoding: gzip`. Send `Vary: Accept-Encoding` either
    /// way.
    pub gzip: bool,
    /// Value of `ETag`, quotes included: made from the content, so it is the same on each node and after each restart,
    /// and differs between the plain and the compressed form.
    pub etag: String,
}

/// All pages and their parts, ready to send.
///
/// Bodies are made once, in [`Assets::load`]; after that a request costs two reference counts.
#[derive(Clone, Debug)]
pub struct Assets {
    entries: Vec<Entry>,
}

impl Assets {
    /// The viewers' pages. Compresses what is worth it: a page then costs a small uplink 70 KB and not 300 KB.
    pub fn load() -> Self {
        Self::of(FILES)
    }

    /// The operator's page, which is at `/` too. It names its parts by relative addresses, since it may be reached by way of a
    /// path before its own; so it is no part of the viewers' site.
    pub fn console() -> Self {
        Self::of(CONSOLE)
    }

    fn of(files: &[File]) -> Self {
        Self {
            entries: files.iter().map(Entry::new).collect(),
        }
    }

    /// The asset at `path` (no query string), in the compressed form if the browser takes it and there is one.
    ///
    /// `/` is the index, anything below `/watch/` the player (which reads the stream's name from its own address), the
    /// rest is matched against a fixed list: no file system is involved, so nothing can be reached by a crafted path.
    pub fn get(&self, path: &str, accepts_gzip: bool) -> Option<Asset> {
        let wanted = match path.strip_prefix(WATCH) {
            Some("") => return None,
            Some(_) => WATCH,
            None => path,
        };
        let entry = self.entries.iter().find(|entry| entry.path == wanted)?;
        Some(entry.asset(accepts_gzip))
    }
}

/// One embedded file and its two forms.
#[derive(Clone, Debug)]
struct Entry {
    path: &'static str,
    content_type: &'static str,
    plain: Bytes,
    compressed: Option<Bytes>,
    /// Hash of the plain form in hexadecimal.
    digest: String,
}

impl Entry {
    fn new(file: &File) -> Self {
        let compressed = compress(file.body).filter(|small| small.len() < file.body.len());
        Self {
            path: file.path,
            content_type: file.content_type,
            plain: Bytes::from_static(file.body),
            compressed,
            digest: digest(file.body),
        }
    }

    fn asset(&self, accepts_gzip: bool) -> Asset {
        let compressed = self.compressed.as_ref().filter(|_| accepts_gzip);
        let suffix = if compressed.is_some() { "-gz" } else { "" };
        Asset {
            content_type: self.content_type,
            body: compressed.unwrap_or(&self.plain).clone(),
            gzip: compressed.is_some(),
            etag: format!("\"{}{suffix}\"", self.digest),
        }
    }
}

/// The gzip form, or none in the event that it could not be made: the plain one is then served.
fn compress(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// The first [`DIGEST_BYTES`] of the content's SHA-256, in hexadecimal.
fn digest(body: &[u8]) -> String {
    let hash = Sha256::digest(body);
    hash.iter()
        .take(DIGEST_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Bytes of the hash in an entity tag: 64 bits tell the few versions of a file apart for longer than they will exist.
const DIGEST_BYTES: usize = 8;

/// What the player page's addresses begin with; the stream's name follows.
const WATCH: &str = "/watch/";

/// A file as it is embedded.
struct File {
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Embeds `assets/$file` under `/assets/$file`.
macro_rules! asset {
    ($file:literal, $content_type:expr) => {
        File {
            path: concat!("/assets/", $file),
            content_type: $content_type,
            body: include_bytes!(concat!("../assets/", $file)),
        }
    };
}

/// Every file of the viewers' pages.
const FILES: &[File] = &[
    File {
        path: "/",
        content_type: HTML,
        body: include_bytes!("../assets/index.html"),
    },
    File {
        path: WATCH,
        content_type: HTML,
        body: include_bytes!("../assets/watch.html"),
    },
    asset!("style.css", CSS),
    asset!("icon.svg", SVG),
    asset!("index.js", SCRIPT),
    asset!("watch.js", SCRIPT),
    asset!("places.js", SCRIPT),
    asset!("session.js", SCRIPT),
    asset!("edge.js", SCRIPT),
    asset!("words.js", SCRIPT),
    asset!("share.js", SCRIPT),
    asset!("controls.js", SCRIPT),
    asset!("vendor/mpegts/mpegts.js", SCRIPT),
    asset!("vendor/mpegts/LICENSE", TEXT),
    asset!("vendor/mpegts/mpegts.js.LICENSE.txt", TEXT),
];

/// Every file of the console.
const CONSOLE: &[File] = &[
    File {
        path: "/",
        content_type: HTML,
        body: include_bytes!("../assets/console.html"),
    },
    asset!("style.css", CSS),
    asset!("icon.svg", SVG),
    asset!("console.css", CSS),
    asset!("console.js", SCRIPT),
    asset!("console-tables.js", SCRIPT),
    asset!("console-plots.js", SCRIPT),
    asset!("console-words.js", SCRIPT),
    asset!("vendor/uplot/uPlot.iife.min.js", SCRIPT),
    asset!("vendor/uplot/uPlot.min.css", CSS),
    asset!("vendor/uplot/LICENSE", TEXT),
];

#[cfg(test)]
mod console_tests;
#[cfg(test)]
mod tests;
