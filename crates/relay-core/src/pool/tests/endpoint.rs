//! Endpoints as texts: what is read, what is written, what is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::super::{Endpoint, EndpointError, Scheme};
use crate::family::Family;

fn read(text: &str) -> Endpoint {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn an_endpoint_reads_as_it_is_written() {
    for (text, written, authority) in [
        ("http://192.0.2.7:8080", "http://192.0.2.7:8080", "192.0.2.7:8080"),
        ("http://192.0.2.7:80/", "http://192.0.2.7", "192.0.2.7:80"),
        (
            "rtmp://Edge1.Example.org",
            "rtmp://edge1.example.org",
            "edge1.example.org:1935",
        ),
        (
            "rtmp://edge1.example.org.:80",
            "rtmp://edge1.example.org:80",
            "edge1.example.org:80",
        ),
        (
            "http://[2001:DB8::7]:8080",
            "http://[2001:db8::7]:8080",
            "[2001:db8::7]:8080",
        ),
        ("http://[2001:db8::7]", "http://[2001:db8::7]", "[2001:db8::7]:80"),
        (
            "http://[::ffff:192.0.2.7]:81",
            "http://192.0.2.7:81",
            "192.0.2.7:81",
        ),
        ("rtmp://localhost:1935", "rtmp://localhost", "localhost:1935"),
    ] {
        let endpoint = read(text);
        assert_eq!(endpoint.to_string(), written);
        assert_eq!(endpoint.authority(), authority);
        let json = serde_json::to_string(&endpoint).unwrap();
        assert_eq!(json, format!("\"{written}\""));
        assert_eq!(serde_json::from_str::<Endpoint>(&json).unwrap(), endpoint);
    }
}

#[test]
fn what_is_no_endpoint_says_what_to_write() {
    use EndpointError::{Host, Port, Rest, Scheme};
    let long = format!("http://{}", "a.".repeat(126) + "example");
    for (text, error) in [
        ("", Scheme),
        ("192.0.2.7:8080", Scheme),
        ("https://192.0.2.7", Scheme),
        ("http:/192.0.2.7", Scheme),
        ("http://", Host),
        ("http://:80", Host),
        ("http://a b", Host),
        ("http://-a.example", Host),
        ("http://a..example", Host),
        ("http://192.0.2.256", Host),
        ("http://192.0.2", Host),
        ("http://a.0x7f", Host),
        ("http://[192.0.2.7]", Host),
        ("http://[2001:db8::7", Host),
        ("http://[fe80::1%eth0]", Host),
        (long.as_str(), Host),
        ("http://[::1]8080", Rest),
        ("http://2001:db8::7", Host),
        ("http://a.example:", Port),
        ("http://a.example:0", Port),
        ("http://a.example:+80", Port),
        ("http://a.example:65536", Port),
        ("http://a.example:80/live", Rest),
        ("http://a.example//", Rest),
        ("http://a.example?x", Rest),
        ("http://me@a.example", Rest),
    ] {
        assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
    }
}

#[test]
fn an_open_host_is_the_address_that_one_is_seen_at() {
    let seen: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
    assert!(read("http://[::]:8080").is_unspecified());
    assert_eq!(
        read("http://[::]:8080").seen_at(seen).to_string(),
        "http://192.0.2.7:8080"
    );
    let six: IpAddr = "2001:db8::7".parse().unwrap();
    assert_eq!(
        read("rtmp://0.0.0.0").seen_at(six).to_string(),
        "rtmp://[2001:db8::7]"
    );
    for stated in ["http://192.0.2.9", "http://a.example"] {
        assert_eq!(read(stated).seen_at(seen), read(stated));
    }
}

#[test]
fn a_viewer_is_sent_to_their_own_family_or_to_a_name() {
    let suits = |text: &str| (read(text).suits(Family::V4), read(text).suits(Family::V6));
    assert_eq!(suits("http://192.0.2.7"), (true, false));
    assert_eq!(suits("http://[2001:db8::7]"), (false, true));
    assert_eq!(suits("http://a.example"), (true, true));
}

proptest! {
    #[test]
    fn each_endpoint_comes_back(
        http in any::<bool>(),
        host in prop_oneof![
            any::<u32>().prop_map(|ip| Ipv4Addr::from(ip).to_string()),
            any::<u128>().prop_map(|ip| format!("[{}]", Ipv6Addr::from(ip))),
            "[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?(\\.[a-z]{1,9}){0,3}".prop_filter("a number", |name| {
                !name.rsplit('.').next().unwrap().bytes().all(|b| b.is_ascii_digit()) && !name.starts_with("0x")
            }),
        ],
        port in 1..=u16::MAX,
    ) {
        let scheme = if http { Scheme::Http } else { Scheme::Rtmp };
        let endpoint: Endpoint = format!("{}://{host}:{port}", scheme.name()).parse().unwrap();
        prop_assert_eq!((endpoint.scheme(), endpoint.port()), (scheme, port));
        prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint.clone()));
        let by_authority = format!("{}://{}/", scheme.name(), endpoint.authority());
        prop_assert_eq!(by_authority.parse::<Endpoint>(), Ok(endpoint));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(http://|rtmp://)?\\PC{0,40}") {
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
        }
    }
}
