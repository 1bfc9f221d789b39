//! What `[dns]` makes, and what it cannot.

use super::*;
use crate::dns::tests::config;

fn refused(text: &str) -> (String, String) {
    let error = Zone::of(&config(text)).unwrap_err();
    (error.key(), error.to_string())
}

#[test]
fn without_a_zone_there_is_no_server() {
    assert!(Zone::of(&config::Dns::default()).unwrap().is_none());
}

#[test]
fn the_zone_above_is_told_what_it_needs() {
    let text = "zone = 'live.example.org'\nnameservers = ['ns1.live.example.org 192.0.2.1 2001:db8::1', 'ns2.example.net']";
    let zone = Zone::of(&config(text)).unwrap().unwrap();
    assert_eq!(
        zone.delegation(),
        [
            "live.example.org. 3600 IN NS ns1.live.example.org.",
            "live.example.org. 3600 IN NS ns2.example.net.",
            "ns1.live.example.org. 3600 IN A 192.0.2.1",
            "ns1.live.example.org. 3600 IN AAAA 2001:db8::1",
        ]
    );
    assert_eq!(zone.name(), "live.example.org.");
}

#[test]
fn what_is_no_zone_is_said_with_its_place() {
    let nobody = refused("zone = 'a.b'");
    assert_eq!(nobody.0, "dns.nameservers");
    assert!(nobody.1.starts_with("a zone needs nameservers"));
    for (text, key, said) in [
        (
            "nameservers = ['a.b 192.0.2.1']",
            "dns.nameservers.0",
            "a.b is a name of the pool",
        ),
        (
            "nameservers = ['n.c', 'www.a.b 192.0.2.1']\nnames = ['www']",
            "dns.nameservers.1",
            "www.a.b is a name",
        ),
        (
            "nameservers = ['n.a.b']",
            "dns.nameservers.0",
            "n.a.b lies in the zone, so its addresses",
        ),
        (
            "nameservers = ['n.c 192.0.2.1']",
            "dns.nameservers.0",
            "n.c does not lie in the zone a.b",
        ),
        (
            "nameservers = ['n.c', 'N.c']",
            "dns.nameservers.1",
            "the name server n.c is named twice",
        ),
        (
            "nameservers = ['n.c']\nnames = ['x', 'X']",
            "dns.names.1",
            "the name x is named twice",
        ),
        (
            "nameservers = ['n.c']\nfallback = ['192.0.2.1', '::']",
            "dns.fallback.1",
            ":: is no address",
        ),
    ] {
        let refused = refused(&format!("zone = 'a.b'\n{text}"));
        assert_eq!(refused.0, key, "{text}");
        assert!(refused.1.starts_with(said), "{text}: {}", refused.1);
    }
}

#[test]
fn all_is_bounded() {
    let list = |count: usize, entry: &str| {
        let entries: Vec<String> = (0..count)
            .map(|n| format!("'{}'", entry.replace('#', &n.to_string())))
            .collect();
        format!("[{}]", entries.join(","))
    };
    for (text, key) in [
        (format!("nameservers = {}", list(9, "n#.c")), "dns.nameservers"),
        (
            format!("nameservers = ['n.c']\nnames = {}", list(33, "x#")),
            "dns.names",
        ),
        (
            format!("nameservers = ['n.c']\nfallback = {}", list(33, "192.0.2.#")),
            "dns.fallback",
        ),
        (
            format!("nameservers = ['n.a.b{}']", " 192.0.2.1".repeat(5)),
            "dns.nameservers.0",
        ),
    ] {
        assert_eq!(refused(&format!("zone = 'a.b'\n{text}")).0, key, "{text}");
    }
    let long = vec!["a".repeat(55); 4].join(".");
    assert_eq!(
        refused(&format!(
            "zone = '{long}'\nnameservers = ['n.c']\nnames = ['{}']",
            "w".repeat(30)
        ))
        .0,
        "dns.names.0"
    );
}

#[test]
fn a_name_has_its_place() {
    let text = "zone = 'live.example.org'\nnames = ['www', 'a.b']\nnameservers = ['ns1.dns.live.example.org 192.0.2.1']";
    let zone = Zone::of(&config(text)).unwrap().unwrap();
    let place = |name: &str| zone.find(&Name::from_ascii(name).unwrap());
    assert!(matches!(place("LIVE.example.org."), Place::Pool(true)));
    assert!(matches!(place("wWw.live.example.org."), Place::Pool(false)));
    assert!(matches!(place("ns1.dns.live.example.org."), Place::Server(_)));
    for between in ["dns.live.example.org.", "b.live.example.org."] {
        assert!(matches!(place(between), Place::Between), "{between}");
    }
    for nowhere in [
        "x.live.example.org.",
        "x.www.live.example.org.",
        "*.live.example.org.",
    ] {
        assert!(matches!(place(nowhere), Place::Nowhere), "{nowhere}");
    }
    for elsewhere in [
        "example.org.",
        ".",
        "alive.example.org.",
        "live.example.org.evil.",
    ] {
        assert!(matches!(place(elsewhere), Place::Elsewhere), "{elsewhere}");
    }
}
