//! Tests of what is embedded and how it is found.

use std::collections::BTreeSet;
use std::io::Read;

use super::{Asset, Assets, FILES, WATCH};

fn get(path: &str) -> Option<Asset> {
    Assets::load().get(path, false)
}

fn text(path: &str) -> String {
    let asset = get(path).unwrap_or_else(|| panic!("{path} is served"));
    String::from_utf8(asset.body.to_vec()).unwrap_or_else(|_| panic!("{path} is text"))
}

fn unpack(asset: &Asset) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&asset.body[..])
        .read_to_end(&mut plain)
        .expect("what is marked as gzip is gzip");
    plain
}

/// The address under which each embedded file is reached.
fn addresses() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| {
        if file.path == WATCH {
            "/watch/live/cam"
        } else {
            file.path
        }
    })
}

/// Each `"…"` of `text` that follows `before`.
fn quoted_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(before).filter_map(move |(at, _)| {
        let rest = text[at + before.len()..].strip_prefix('"')?;
        rest.split('"').next()
    })
}

#[test]
fn pages_and_their_parts_are_served_with_their_types() {
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/watch/live/cam", "text/html; charset=utf-8"),
        ("/watch/v2/pub/cam", "text/html; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/watch.js", "text/javascript; charset=utf-8"),
        (
            "/assets/vendor/mpegts/mpegts.js",
            "text/javascript; charset=utf-8",
        ),
    ] {
        let asset = get(path).unwrap_or_else(|| panic!("{path} is served"));
        assert_eq!(asset.content_type, content_type, "{path}");
        assert!(!asset.body.is_empty(), "{path}");
        assert!(!asset.gzip, "{path} was asked for without compression");
    }
    assert!(text("/").contains("<title>"));
    assert_ne!(get("/"), get("/watch/live/cam"));
    assert_eq!(get("/watch/live/cam"), get("/watch/live/other"));
}

#[test]
fn nothing_else_is_served() {
    for path in [
        "",
        "watch",
        "//",
        "/watch",
        "/watch/",
        "/assets",
        "/assets/",
        "/index.html",
        "/assets/index.html",
        "/assets/watch.html",
        "/assets/../assets/style.css",
        "/assets/../../Cargo.toml",
        "/assets/%2e%2e/%2e%2e/Cargo.toml",
        "/assets/..\\..\\Cargo.toml",
        "/assets/vendor/mpegts/../../../Cargo.toml",
        "/assets/vendor/mpegts/README.md",
        "/assets//etc/passwd",
        "/assets/style.css/",
        "/assets/style.css?x",
        "/assets/style.css\0",
        "/ASSETS/style.css",
        "/live/cam.flv",
    ] {
        assert_eq!(get(path), None, "{path:?}");
    }
}

#[test]
fn a_crafted_watch_path_is_the_player_page_and_no_more() {
    for path in [
        "/watch/../../etc/passwd",
        "/watch/<script>",
        "/watch/%00",
        "/watch/a/b?embed=1",
    ] {
        assert_eq!(get(path), get("/watch/live/cam"), "{path:?}");
    }
}

#[test]
fn the_compressed_form_unpacks_to_the_plain_one() {
    let assets = Assets::load();
    for path in addresses() {
        let plain = assets.get(path, false).expect("embedded");
        let other = assets.get(path, true).expect("embedded");
        if other.gzip {
            assert!(other.body.len() < plain.body.len(), "{path}");
            assert_eq!(unpack(&other), plain.body, "{path}");
            assert_ne!(other.etag, plain.etag, "{path}");
        } else {
            assert_eq!(other, plain, "{path}");
        }
    }
    let library = assets
        .get("/assets/vendor/mpegts/mpegts.js", true)
        .expect("embedded");
    assert!(
        library.gzip && library.body.len() < 70_000,
        "{}",
        library.body.len()
    );
}

#[test]
fn entity_tags_are_stable_quoted_and_tell_files_apart() {
    let (one, two) = (Assets::load(), Assets::load());
    let mut seen = BTreeSet::new();
    for path in addresses() {
        for gzip in [false, true] {
            let asset = one.get(path, gzip).expect("embedded");
            assert_eq!(Some(&asset), two.get(path, gzip).as_ref(), "{path}");
            let tag = asset.etag.as_str();
            assert!(
                tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'),
                "{tag}"
            );
            seen.insert(asset.etag);
        }
    }
    assert!(
        seen.len() > FILES.len(),
        "plain and compressed forms have tags of their own"
    );
}

#[test]
fn everything_a_page_names_exists() {
    let assets = Assets::load();
    let mut named = 0;
    for page in ["/", "/watch/live/cam"] {
        let html = text(page);
        for address in quoted_after(&html, "src=").chain(quoted_after(&html, "href=")) {
            assert!(assets.get(address, false).is_some(), "{page} names {address}");
            named += 1;
        }
    }
    assert!(named > 6, "the pages name their style and scripts: {named}");
}

#[test]
fn everything_a_script_imports_exists() {
    let assets = Assets::load();
    let mut named = 0;
    for file in FILES
        .iter()
        .filter(|file| !file.path.contains("vendor") && file.path.ends_with(".js"))
    {
        let script = text(file.path);
        for address in quoted_after(&script, " from ") {
            let address = address.replacen("./", "/assets/", 1);
            assert!(
                assets.get(&address, false).is_some(),
                "{} imports {address}",
                file.path
            );
            named += 1;
        }
    }
    assert!(named > 3, "the page is made of modules: {named}");
}

#[test]
fn every_part_of_ours_is_used() {
    let pages = ["/", "/watch/live/cam"].map(text).concat();
    let scripts: String = FILES
        .iter()
        .filter(|file| !file.path.contains("vendor") && file.path.ends_with(".js"))
        .map(|file| text(file.path))
        .collect();
    for file in FILES
        .iter()
        .filter(|file| file.path.starts_with("/assets/") && !file.path.contains("LICENSE"))
    {
        let relative = file.path.replacen("/assets/", "./", 1);
        assert!(
            pages.contains(file.path) || scripts.contains(&relative),
            "{} is embedded and never loaded",
            file.path
        );
    }
}

#[test]
fn pages_hold_no_inline_code_and_ask_nobody_else() {
    for page in ["/", "/watch/live/cam"] {
        let html = text(page);
        assert!(
            !html.contains("<style") && !html.contains(" style="),
            "{page}: inline style"
        );
        assert!(
            !html.contains("://") && !html.contains("=\"//"),
            "{page}: foreign address"
        );
        assert!(
            !html.split(" on").skip(1).any(names_handler),
            "{page}: inline handler"
        );
        for script in html.split("<script").skip(1) {
            assert!(
                script.contains("src=") && script.contains("></script>"),
                "{page}: inline script"
            );
        }
    }
    for name in ["style.css", "icon.svg"] {
        let text = text(&format!("/assets/{name}"));
        assert!(!text.contains("url(") && !text.contains("@import"), "{name}");
    }
}

/// Whether the text after a blank and `on` goes on as an attribute does, such as `click="`.
fn names_handler(rest: &str) -> bool {
    rest.trim_start_matches(|c: char| c.is_ascii_lowercase())
        .starts_with('=')
}

#[test]
fn the_library_comes_with_its_licences_and_as_published() {
    assert!(text("/assets/vendor/mpegts/LICENSE").contains("Apache License"));
    assert!(text("/assets/vendor/mpegts/mpegts.js.LICENSE.txt").contains("MIT"));
    assert!(text("/watch/live/cam").contains("\"/assets/vendor/mpegts/LICENSE\""));
    let readme = include_str!("../../assets/vendor/mpegts/README.md");
    let library = get("/assets/vendor/mpegts/mpegts.js").expect("embedded");
    let digest = library.etag.trim_matches('"');
    assert!(
        readme.contains(digest),
        "the README's SHA-256 begins with {digest}"
    );
}
