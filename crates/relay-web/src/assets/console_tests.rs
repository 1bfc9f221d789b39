//! Tests of the console's files: it stands by itself, and at any path.

use super::{Assets, CONSOLE, FILES};

fn text(path: &str) -> String {
    let asset = Assets::console().get(path, false);
    let asset = asset.unwrap_or_else(|| panic!("{path} is served"));
    String::from_utf8(asset.body.to_vec()).unwrap_or_else(|_| panic!("{path} is text"))
}

/// The addresses that the page names, as they stand.
fn named(html: &str) -> Vec<&str> {
    let after = |before| html.split(before).skip(1);
    let quoted = after("src=\"").chain(after("href=\""));
    quoted.filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn the_page_names_its_parts_by_relative_addresses_and_each_is_there() {
    let (assets, html) = (Assets::console(), text("/"));
    let named = named(&html);
    assert!(named.len() > 5, "{named:?}");
    for address in named {
        assert!(!address.starts_with('/'), "{address} is not relative");
        assert!(assets.get(&format!("/{address}"), false).is_some(), "{address}");
    }
}

#[test]
fn every_part_is_used_and_each_import_is_there() {
    let assets = Assets::console();
    let ours = |file: &&super::File| !file.path.contains("vendor") && file.path.ends_with(".js");
    let scripts: String = CONSOLE.iter().filter(ours).map(|file| text(file.path)).collect();
    for import in scripts.split(" from \"./").skip(1) {
        let name = import.split('"').next().unwrap_or_default();
        assert!(assets.get(&format!("/assets/{name}"), false).is_some(), "{name}");
    }
    let html = text("/");
    for file in CONSOLE.iter().filter(|file| file.path != "/") {
        let relative = file.path.trim_start_matches('/');
        let import = file.path.replacen("/assets/", "./", 1);
        assert!(
            html.contains(relative) || scripts.contains(&format!("\"{import}\"")),
            "{} is embedded and never loaded",
            file.path
        );
    }
}

#[test]
fn nothing_is_inline_and_nobody_else_is_asked() {
    let html = text("/");
    assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains("://"));
    for script in html.split("<script").skip(1) {
        assert!(
            script.contains("src=") && script.contains("></script>"),
            "inline script"
        );
    }
    let ours = |file: &&super::File| !file.path.contains("vendor");
    for file in CONSOLE
        .iter()
        .filter(ours)
        .filter(|file| file.path.ends_with(".js"))
    {
        let script = text(file.path);
        for forbidden in ["innerHTML", "eval(", "\"style\"", "://", "\"/"] {
            assert!(!script.contains(forbidden), "{}: {forbidden}", file.path);
        }
    }
    let sheet = text("/assets/console.css");
    assert!(!sheet.contains("url(") && !sheet.contains("@import"));
}

#[test]
fn the_page_can_be_heard_as_well_as_seen() {
    let html = text("/");
    assert!(html.contains("lang=\"en\"") && html.contains("<h1") && html.contains("aria-live=\"polite\""));
    assert!(text("/assets/console-tables.js").contains("scope = \"col\""));
}

#[test]
fn viewers_do_not_get_the_console() {
    let viewers = Assets::load();
    for file in CONSOLE {
        let is_shared = FILES.iter().any(|other| other.path == file.path);
        assert_eq!(
            viewers.get(file.path, false).is_some(),
            is_shared,
            "{}",
            file.path
        );
    }
    assert_ne!(viewers.get("/", false), Assets::console().get("/", false));
    assert!(Assets::console().get("/watch/live/cam", false).is_none());
}

#[test]
fn the_library_comes_with_its_licence_and_as_published() {
    assert!(text("/assets/vendor/uplot/LICENSE").contains("The MIT License"));
    let readme = include_str!("../../assets/vendor/uplot/README.md");
    for name in ["uPlot.iife.min.js", "uPlot.min.css"] {
        let part = Assets::console().get(&format!("/assets/vendor/uplot/{name}"), false);
        let tag = part.unwrap_or_else(|| panic!("{name} is served")).etag;
        assert!(
            readme.contains(tag.trim_matches('"')),
            "the README's SHA-256 of {name}"
        );
    }
}
