use std::path::Path;

use super::*;
use crate::limits::OpenFiles;

/// A machine that grants all that the defaults want.
fn good() -> Facts {
    Facts {
        open_files: OpenFiles {
            soft: Some(1024),
            hard: Some(1 << 20),
        },
        settings: settings::shipped()
            .into_iter()
            .map(|setting| (setting.key.to_owned(), setting.value.to_owned()))
            .collect(),
        tcp_memory: Some(TcpMemory {
            max_pages: 600_000,
            page_bytes: 4096,
        }),
        congestion_available: Some(vec!["reno".to_owned(), "cubic".to_owned()]),
        congestion_allowed: Some(vec!["reno".to_owned(), "cubic".to_owned()]),
        memory: 24 << 30,
        ..Facts::silent()
    }
}

fn config(text: &str) -> Config {
    Config::parse(Path::new("test.toml"), text).unwrap()
}

fn said(text: &str, facts: &Facts) -> String {
    report(&config(text), Program::Origin, facts).to_string()
}

/// The one warning that `facts` give.
fn warning(text: &str, facts: &Facts) -> String {
    let report = report(&config(text), Program::Origin, facts);
    assert_eq!(report.warnings(), 1, "{report}");
    report.warnings[0].clone()
}

#[test]
fn the_defaults_on_a_good_machine_are_said_in_full() {
    assert_eq!(
        said("", &good()),
        "ports to open:\n  \
           TCP 1935: encoders and RTMP players ([rtmp] listen = \"[::]:1935\")\n  \
           TCP 8080: HTTP viewers and the watch page ([http] listen = \"[::]:8080\")\n  \
           UDP 4433: edges ([link] listen = \"[::]:4433\")\n\
         for this machine only:\n  \
           TCP 9935: [metrics] listen = \"127.0.0.1:9935\"\n\
         uplink:\n  \
           not stated: set uplink in [origin], such as uplink = \"100Mbit\", to see how many edges it carries at \
           2.5 Mbit/s\n\
         publishers:\n  \
           whoever has a publish key; `relay-origin publish-url live/camera` shows the default one\n\
         this machine:\n  \
           1048576 open files (room for 1047040 viewers)\n  \
           kernel settings: 5 of 5 are as in 90-relay.conf\n  \
           2457 MB for all TCP sockets together: about 51364 viewers of 2.5 Mbit/s\n  \
           TCP congestion control: reno, cubic\n\
         the configuration is valid; nothing to warn of"
    );
}

#[test]
fn a_zone_is_said_with_the_records_that_it_needs() {
    let text = "[dns]\nzone = 'live.example.org'\nnameservers = ['ns1.live.example.org 192.0.2.1']";
    let report = said(text, &good());
    for line in [
        "  UDP and TCP 53: resolvers of viewers ([dns] listen = \"[::]:53\")\n",
        "records for the zone above:\n  live.example.org. 3600 IN NS ns1.live.example.org.\n  \
         ns1.live.example.org. 3600 IN A 192.0.2.1\n",
        "warning: [dns] nameservers has one entry",
    ] {
        assert!(report.contains(line), "{report}");
    }
    let two = report_of_two(text);
    assert!(
        two.contains("UDP and TCP 5353: [dns] listen = \"127.0.0.1:5353\"") && !two.contains("warning"),
        "{two}"
    );
}

fn report_of_two(text: &str) -> String {
    let two = text.replace("1']", "1', 'ns2.example.net']\nlisten = '127.0.0.1:5353'");
    said(&two, &good())
}

#[test]
fn the_uplink_is_said_in_edges_and_viewers() {
    let line = |text: &str| uplink(&config(&format!("[origin]\n{text}")));
    assert_eq!(
        line("uplink = \"100Mbit\""),
        "100 Mbit/s at 2.5 Mbit/s: about 36 edges or 32 direct viewers"
    );
    assert_eq!(
        line("uplink = \"1Gbit\"\nstream_rate = \"6000kbit\""),
        "1 Gbit/s at 6 Mbit/s: about 150 edges or 134 direct viewers"
    );
    assert_eq!(
        line("uplink = \"3Mbit\""),
        "3 Mbit/s at 2.5 Mbit/s: about 1 edge or 0 direct viewers"
    );
    let all = Bitrate::from_bits(u64::MAX);
    assert_eq!(
        carried(all, Bitrate::from_bits(1), 1050),
        u64::MAX,
        "clipped, no panic"
    );
    assert_eq!(carried(all, Bitrate::from_bits(0), 95), u64::MAX);
}

#[test]
fn configured_numbers_are_the_ones_to_open() {
    let text = said(
        "[rtmp]\nlisten = \"0.0.0.0:2935\"\n[http]\nlisten = \"127.0.0.1:2080\"\n[link]\nlisten = \"[::]:0\"\n\
         [metrics]\nlisten = \"[::]:9000\"\ntoken = \"0123456789abcdef\"",
        &good(),
    );
    let (open, rest) = text.split_once("for this machine only:").unwrap();
    assert!(open.contains("TCP 2935: encoders"), "{text}");
    assert!(open.contains("UDP port of the system's choice: edges"), "{text}");
    assert!(
        open.contains("TCP 9000: metrics, for your scraper alone"),
        "{text}"
    );
    assert!(
        !open.contains("2080") && rest.contains("TCP 2080: [http] listen"),
        "{text}"
    );
    assert!(!text.contains("0123456789abcdef"), "a token is not shown: {text}");
}

#[test]
fn sources_and_pushes_are_named() {
    let text = said(
        "[origin]\npublish = \"open\"\n[[source]]\nfile = \"a.flv\"\nstream = \"live/a\"\n\
         [[source]]\nfile = \"b.flv\"\nstream = \"live/b\"\nloop = false\n[[push]]\nedge = \"e.example:4433\"",
        &good(),
    );
    for line in [
        "live/a plays a.flv again and again",
        "live/b plays b.flv once",
        "the edge at UDP e.example:4433 ([[push]])",
        "anybody who reaches the RTMP port ([origin] publish = \"open\")",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn an_edge_hears_where_its_media_comes_from() {
    let edge = |text: &str| report(&config(text), Program::Edge, &good()).to_string();
    let plain = edge("");
    assert!(
        plain.contains("comes from the origin that the join token names"),
        "{plain}"
    );
    assert!(
        plain.contains("UDP 4433: edges that have this one as their parent"),
        "{plain}"
    );
    assert!(
        !plain.contains("uplink") && !plain.contains("encoders"),
        "{plain}"
    );
    assert!(
        plain.contains(
            "capacity:\n  room for about 50000 viewers of 2.5 Mbit/s, 125 Gbit/s together; the first limit is [limits] \
             max_viewers: 50000 (what the CPU carries, `relay-edge measure` finds out)\n"
        ),
        "{plain}"
    );
    let second = edge("[edge]\nparent = \"e1.example:4433\"");
    assert!(
        second.contains("comes from e1.example:4433 ([edge] parent)"),
        "{second}"
    );
}

#[test]
fn kernel_settings_are_named_with_the_value_to_set_and_the_reason() {
    let facts = on_settings(&[("net.core.rmem_max", "212992")]);
    assert_eq!(
        warning("", &facts),
        "net.core.rmem_max is 212992; set net.core.rmem_max = 8388608: with less, bursts between nodes are lost on a busy \
         machine ([link] udp_buffer asks for so much to receive into)"
    );
    let facts = on_settings(&[("net.core.wmem_max", "1048576")]);
    assert!(warning("", &facts).contains("set net.core.wmem_max = 8388608"));
    let modest = report(&config("[link]\nudp_buffer = \"1MiB\""), Program::Origin, &facts);
    assert_eq!(modest.warnings(), 0, "who asks for less is granted it");
    let greedy = warning(
        "[link]\nudp_buffer = \"16MiB\"",
        &on_settings(&[("net.core.rmem_max", "20000000")]),
    );
    assert!(
        greedy.starts_with("net.core.wmem_max is 8388608; set net.core.wmem_max = 16777216: "),
        "{greedy}"
    );
    let slow = warning("", &on_settings(&[("net.ipv4.tcp_slow_start_after_idle", "1")]));
    assert!(
        slow.contains("set net.ipv4.tcp_slow_start_after_idle = 0: with 1, a viewer's connection slows down"),
        "{slow}"
    );
    let said = said("", &facts);
    assert!(
        said.contains("kernel settings: 4 of 5 are as in 90-relay.conf"),
        "{said}"
    );
}

fn on_settings(changed: &[(&str, &str)]) -> Facts {
    let mut facts = good();
    for (key, value) in changed {
        facts.settings.insert((*key).to_owned(), (*value).to_owned());
    }
    facts
}

#[test]
fn few_descriptors_are_few_viewers() {
    let facts = Facts {
        open_files: OpenFiles {
            soft: Some(1024),
            hard: Some(4096),
        },
        ..good()
    };
    assert_eq!(
        warning("", &facts),
        "nofile allows 4096 open files (room for 2688 viewers), less than [limits] max_viewers (50000); set \
         LimitNOFILE=51536 in the unit, or `ulimit -Hn 51536` before the start"
    );
    assert!(said("[limits]\nmax_viewers = 2688", &facts).ends_with("nothing to warn of"));
}

#[test]
fn tcp_memory_says_what_it_means_for_viewers() {
    let small = TcpMemory {
        max_pages: 20_580,
        page_bytes: 4096,
    };
    let on = |memory| Facts {
        tcp_memory: Some(small),
        memory,
        ..good()
    };
    let large = warning("", &on(24 << 30));
    assert!(
        large.starts_with("net.ipv4.tcp_mem gives all TCP sockets together 84 MB: beyond about 1761 viewers"),
        "{large}"
    );
    assert!(
        large.ends_with("set net.ipv4.tcp_mem = \"292029 389372 584058\""),
        "{large}"
    );
    let tiny = warning("", &on(900_000_000));
    assert!(
        tiny.ends_with("(half of this machine's memory) and max_viewers = 9405"),
        "{tiny}"
    );
    let full = warning("", &on(100_000_000));
    assert!(full.ends_with("; set max_viewers = 1761"), "{full}");
    assert!(said("[limits]\nmax_viewers = 1761", &on(100_000_000)).ends_with("nothing to warn of"));
}

#[test]
fn a_congestion_control_must_be_there_and_allowed() {
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let missing = warning("[viewers]\ncongestion = \"bbr\"", &good());
    assert!(missing.contains("`modprobe tcp_bbr`"), "{missing}");
    let restricted = Facts {
        congestion_allowed: names(&["reno", "bbr"]),
        ..good()
    };
    let sentence = warning("", &restricted);
    assert!(
        sentence.contains("net.ipv4.tcp_allowed_congestion_control = \"reno bbr cubic\""),
        "{sentence}"
    );
    let left = report(
        &config("[viewers]\ncongestion = \"system\""),
        Program::Origin,
        &restricted,
    );
    assert_eq!(left.warnings(), 0);
}

#[test]
fn what_a_machine_does_not_tell_is_not_warned_of() {
    let silent = Facts::silent();
    let text = said("", &silent);
    assert!(text.contains("any number of open files"), "{text}");
    assert!(text.ends_with("nothing to warn of"), "{text}");
    assert!(
        !report(&Config::default(), Program::Edge, &Facts::read())
            .to_string()
            .is_empty()
    );
}

#[test]
fn a_start_hook_is_said_and_needs_an_uplink() {
    let hook = "[scale_out]\ncommand = [\"/bin/start-edge\", \"small\"]\nmax_edges = 1";
    let with_uplink = said(&format!("[origin]\nuplink = \"100Mbit\"\n{hook}"), &good());
    let line = "starts edges:\n  /bin/start-edge, when 60 % of what edges can send is given away, one each 1m at most, up to 1 \
                edge; with a join token for one edge in its environment ([scale_out])\n";
    assert!(with_uplink.contains(line), "{with_uplink}");
    assert!(with_uplink.ends_with("nothing to warn of"), "{with_uplink}");
    assert_eq!(
        warning(hook, &good()),
        "[scale_out] never starts the first edge, since nobody knows what this machine can send: set uplink in [origin]"
    );
    // An edge that reads the same file starts nobody.
    let edge = report(&config(hook), Program::Edge, &good());
    assert_eq!(edge.warnings(), 0, "{edge}");
}
