//! What a file does to the configuration, and what is said when it is wrong.

use toml::Table;

use super::*;

/// The example at the top of the repository.
const EXAMPLE: &str = include_str!("../../../../relay.example.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("relay.toml"), text)
}

/// All that is said of a wrong file.
fn said(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// The example with its commented keys set: a comment is `# ` and prose, a key that is left out is `#` and the key.
fn uncommented() -> String {
    let is_key = |line: &str| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let line = |line: &'static str| match line.strip_prefix('#') {
        Some(rest) if is_key(rest) => rest,
        _ => line,
    };
    EXAMPLE.lines().map(|text| format!("{}\n", line(text))).collect()
}

/// A configuration with a value for each key, written out so that a new key does not compile until it is here.
fn full() -> Config {
    Config {
        metrics: Metrics {
            token: Some(Secret::new("0123456789abcdef").unwrap()),
            token_file: Some("f".into()),
            ..Metrics::default()
        },
        admin: Admin {
            socket: Some("s".into()),
        },
        fanout: Fanout {
            shards: Some(std::num::NonZeroU16::MIN),
            ..Fanout::default()
        },
        dns: Dns {
            zone: Some("a.b".parse().unwrap()),
            nameservers: vec!["n.c".parse().unwrap()],
            names: vec!["www".parse().unwrap()],
            fallback: vec!["192.0.2.1".parse().unwrap()],
            ..Dns::default()
        },
        limits: Limits {
            log_budget: Some(ByteSize::from_bytes(1 << 30)),
            ..Limits::default()
        },
        origin: Origin {
            uplink: Some(Bitrate::from_bits(1)),
            state_dir: Some("d".into()),
            public_host: Some("h".parse().unwrap()),
            ..Origin::default()
        },
        source: vec![Source {
            file: "f".into(),
            stream: "live/a".parse().unwrap(),
            repeat: true,
        }],
        push: vec![Push {
            edge: "e:1".parse().unwrap(),
        }],
        tracks: vec![Tracks {
            stream: "live/a".parse().unwrap(),
            audio: Some(true),
            video: Some(true),
        }],
        scale_out: ScaleOut {
            command: vec!["/c".into()],
            ..ScaleOut::default()
        },
        edge: Edge {
            join_file: Some("f".into()),
            parent: Some("p:1".parse().unwrap()),
            public: vec!["http://a".parse().unwrap()],
            capacity: Some(Bitrate::from_bits(1)),
            ..Edge::default()
        },
        ..Config::default()
    }
}

/// The paths of all values: `limits.max_viewers`, `source.file`.
fn keys(table: &Table) -> Vec<String> {
    fn walk(lead: &str, table: &Table, keys: &mut Vec<String>) {
        for (key, value) in table {
            let path = format!("{lead}{key}");
            match value {
                toml::Value::Table(inner) => walk(&format!("{path}."), inner, keys),
                toml::Value::Array(items) if items.iter().all(toml::Value::is_table) => {
                    for inner in items.iter().filter_map(toml::Value::as_table) {
                        walk(&format!("{path}."), inner, keys);
                    }
                }
                _ => keys.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk("", table, &mut found);
    found.sort();
    found
}

fn keys_of(config: &Config) -> Vec<String> {
    keys(&toml::to_string(config).unwrap().parse().unwrap())
}

#[test]
fn the_example_is_the_default() {
    assert_eq!(parse(EXAMPLE).unwrap(), Config::default());
    let set = keys(&EXAMPLE.parse().unwrap());
    assert_eq!(set, keys_of(&Config::default()), "each default is written out");
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let shown = keys(&uncommented().parse().unwrap());
    assert_eq!(shown, keys_of(&full()));
}

#[test]
fn the_examples_of_values_are_valid() {
    // Of token and token_file only one may stand.
    let text = uncommented().replace("token_file =", "#token_file =");
    let config = parse(&text).unwrap();
    assert_eq!(config.origin.uplink.map(Bitrate::bits), Some(100_000_000));
    assert_eq!(config.source[0].stream.as_str(), "live/demo");
    assert!(config.origin.probe && !parse("origin.probe = false").unwrap().origin.probe);
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(
        Config::load(None, &Environment::of([])).unwrap(),
        Config::default()
    );
}

#[test]
fn a_syntax_error_has_its_place() {
    assert_eq!(
        said("[http]\nlisten = \"[::]:8080\n"),
        "relay.toml:2:20: invalid basic string, expected `\"`\n  |\n2 | listen = \"[::]:8080\n  |                    ^"
    );
}

#[test]
fn a_wrong_type_has_its_place() {
    assert_eq!(
        said("[limits]\nmax_viewers = \"many\"\n"),
        "relay.toml:2:15: invalid type: string \"many\", expected u32\n  |\n2 | max_viewers = \"many\"\n  |               ^^^^^^"
    );
    assert_eq!(
        said("[link]\nsilence = 2\n"),
        "relay.toml:2:11: invalid type: integer `2`, expected a span of time such as \"15s\"\n  |\n2 | silence = 2\n  \
         |           ^"
    );
}

#[test]
fn a_wrong_value_says_what_to_write() {
    assert_eq!(
        said("[http]\nlisten = \"8080\"\n"),
        "relay.toml:2:10: a port needs an address before it: \"[::]:8080\" listens on every address\n  |\n2 | listen = \
         \"8080\"\n  |          ^^^^^^"
    );
    assert_eq!(
        said("\n[[source]]\nfile = \"a.flv\"\nstream = \"camera\"\n"),
        "relay.toml:4:10: a stream is named app/name, such as live/camera\n  |\n4 | stream = \"camera\"\n  |          \
         ^^^^^^^^"
    );
    assert_eq!(
        said("[link]\ncongestion = \"reno\"\n"),
        "relay.toml:2:14: unknown variant `reno`, expected one of `cubic`, `bbr`, `newreno`\n  |\n2 | congestion = \
         \"reno\"\n  |              ^^^^^^"
    );
}

#[test]
fn an_unknown_key_is_marked() {
    assert_eq!(
        said("[rtmp]\nlisen = \"[::]:1935\"\n"),
        "relay.toml:2:1: unknown field `lisen`, expected `listen`\n  |\n2 | lisen = ...\n  | ^^^^^"
    );
    let table = said("[htttp]\n");
    assert!(
        table.starts_with("relay.toml:1:2: unknown field `htttp`, expected one of `http`, "),
        "{table}"
    );
    assert!(table.ends_with("\n  |\n1 | [htttp]\n  |  ^^^^^"), "{table}");
    let missing = said("[[source]]\nfile = \"a.flv\"\n");
    assert!(
        missing.starts_with("relay.toml:1:1: missing field `stream`"),
        "{missing}"
    );
}

#[test]
fn settings_that_contradict_each_other_are_marked() {
    for (text, place, message) in [
        (
            "[metrics]\nlisten = \"[::]:9935\"",
            "2:10",
            "others can reach [::]:9935, so [metrics] needs a token (or token_file); 127.0.0.1 needs none",
        ),
        (
            "[metrics]\ntoken = \"0123456789abcdef\"\ntoken_file = \"f\"",
            "3:14",
            "token and token_file say the same thing: leave one out",
        ),
        (
            "[http]\nlisten = \"127.0.0.1:1935\"",
            "2:10",
            "[rtmp] listens on port 1935 already",
        ),
        (
            "[link]\nkeep_alive = \"8s\"\nidle_timeout = \"15s\"",
            "3:16",
            "an idle link would be given up between two signs of life: at least twice keep_alive (8s)",
        ),
        (
            "[link]\nwindow = \"1MiB\"",
            "2:10",
            "a whole link may not have less under way than one group of it (16MiB)",
        ),
        (
            "[dns]\nzone = \"a.b\"\nnameservers = [\"n.c\", \"n.a.b\"]",
            "3:23",
            "n.a.b lies in the zone, so its addresses have to stand here: \"n.a.b 192.0.2.1\"",
        ),
        (
            "[dns]\nzone = \"a.b\"\nnameservers = [\"n.c\"]\nlisten = \"[::]:4433\"",
            "4:10",
            "[link] listens on port 4433 already",
        ),
        (
            "[dns]\nzone = \"a.b\"\nnameservers = [\"n.c\"]\nlisten = \"[::1]:8080\"",
            "4:10",
            "[http] listens on port 8080 already",
        ),
        ("[dns]\nttl = \"1500ms\"", "2:7", "DNS counts in whole seconds"),
        (
            "[origin]\nuplink = \"1Mbit\"",
            "2:10",
            "the uplink carries not even one stream of 2.5 Mbit/s (stream_rate)",
        ),
        (
            "[origin]\nstream_rate = \"0bit\"",
            "2:15",
            "a stream needs more than nothing",
        ),
        (
            "[[source]]\nfile = \"a\"\nstream = \"a/b\"\n[[source]]\nfile = \"c\"\nstream = \"a/b\"",
            "6:10",
            "another [[source]] plays on a/b already",
        ),
        (
            "[[tracks]]\nstream = \"a/b\"\naudio = true\n[[tracks]]\nstream = \"a/b\"",
            "5:10",
            "another [[tracks]] speaks of a/b already",
        ),
        (
            "[[tracks]]\nstream = \"a/b\"\naudio = false\nvideo = false",
            "4:9",
            "a stream has sound or pictures, or nobody can watch it",
        ),
        (
            "[scale_out]\ncommand = [\"start-edge\", \"now\"]",
            "2:12",
            "a program is named by its absolute path, such as \"/usr/local/bin/start-edge\"; no shell looks for it",
        ),
        (
            "[scale_out]\ncommand = [\"/a\", \"\\u0000\"]",
            "2:18",
            "no program takes an argument with a zero byte",
        ),
        (
            "push = [{ edge = \"a:1\" }, { edge = \"a:1\" }]",
            "1:36",
            "another [[push]] dials a:1 already",
        ),
    ] {
        let said = said(text);
        let first = said.lines().next().unwrap();
        assert_eq!(first, format!("relay.toml:{place}: {message}"));
        assert!(said.ends_with('^'), "{said}");
    }
}

#[test]
fn a_fault_without_a_key_of_its_own_marks_the_table() {
    // keep_alive is what was written, idle_timeout what is wrong.
    assert_eq!(
        said("[link]\nkeep_alive = \"60s\"\n"),
        "relay.toml:1:1: an idle link would be given up between two signs of life: at least twice keep_alive (1m)\n  |\n1 \
         | [link]\n  | ^^^^^^"
    );
}

#[test]
fn ranges_hold_at_both_ends() {
    for (path, below, lowest, highest, above) in [
        ("limits.max_streams", "0", "1", "100000", "100001"),
        ("limits.max_viewers", "0", "1", "1000000", "1000001"),
        ("limits.max_handshakes", "15", "16", "65536", "65537"),
        ("limits.max_children", "0", "1", "10000", "10001"),
        ("limits.max_depth", "0", "1", "16", "17"),
        ("limits.handshake_time", "'499ms'", "'500ms'", "'1m'", "'61s'"),
        ("limits.resume_window", "'999ms'", "'1s'", "'10m'", "'601s'"),
        ("limits.max_lag", "'999ms'", "'1s'", "'2m'", "'121s'"),
        ("limits.max_late", "'499ms'", "'500ms'", "'2m'", "'121s'"),
        ("limits.no_progress", "'999ms'", "'1s'", "'5m'", "'301s'"),
        ("limits.publisher_silence", "'1s'", "'2s'", "'1h'", "'3601s'"),
        (
            "limits.log_budget",
            "'15MiB'",
            "'16MiB'",
            "'1024GiB'",
            "'1025GiB'",
        ),
        ("link.cert_lifetime", "'59s'", "'1m'", "'366days'", "'367days'"),
        ("link.udp_buffer", "'63KiB'", "'64KiB'", "'256MiB'", "'257MiB'"),
        ("link.silence", "'199ms'", "'200ms'", "'1m'", "'61s'"),
        ("link.backoff_max", "'199ms'", "'200ms'", "'5m'", "'301s'"),
        ("link.initial_rtt", "'0ms'", "'1ms'", "'2s'", "'3s'"),
        ("fanout.period_min", "'4ms'", "'5ms'", "'1s'", "'1001ms'"),
        ("fanout.period_max", "'4ms'", "'5ms'", "'1s'", "'1001ms'"),
        ("viewers.send_buffer", "'7KiB'", "'8KiB'", "'16MiB'", "'17MiB'"),
        ("dns.ttl", "'0s'", "'1s'", "'1h'", "'3601s'"),
        ("dns.answers", "0", "1", "8", "9"),
        ("viewers.unsent", "'1KiB'", "'2KiB'", "'16MiB'", "'17MiB'"),
        (
            "edge.capacity",
            "'999kbit'",
            "'1Mbit'",
            "'1000Gbit'",
            "'1001Gbit'",
        ),
        ("scale_out.from", "0", "1", "100", "101"),
        ("scale_out.max_edges", "0", "1", "10000", "10001"),
        ("scale_out.cooldown", "'999ms'", "'1s'", "'1day'", "'90000s'"),
        ("scale_out.time_limit", "'999ms'", "'1s'", "'1h'", "'3601s'"),
        ("origin.replace_idle", "'99ms'", "'100ms'", "'1m'", "'61s'"),
    ] {
        for good in [lowest, highest] {
            let text = format!("{path} = {good}");
            assert!(parse(&text).is_ok(), "{text}: {:?}", parse(&text));
        }
        for bad in [below, above] {
            let text = format!("{path} = {bad}");
            let key = path.split_once('.').unwrap().1;
            let said = said(&text);
            let start = format!("relay.toml:1:{}: {key} lies between ", path.len() + 4);
            assert!(said.starts_with(&start), "{said}");
            assert!(said.ends_with(&"^".repeat(bad.len())), "{said}");
        }
    }
    assert!(said("metrics.max_streams = 10001").contains("max_streams lies between 0 and 10000"));
    assert!(said("origin.grace = '3601s'").contains("grace lies between 0s and 1h"));
    assert!(said("link.late_renewal = '367days'").contains("late_renewal lies between 0s and "));
}

#[test]
fn a_secret_is_never_said() {
    let secret = "hushhushhushhush";
    for text in [
        format!("[metrics]\ntoken = \"{secret}"),
        format!("[metrics]\ntoken = \"{secret}\"{secret}"),
        format!("[metrics]\ntoken = {secret}"),
        format!("[metrics]\ntoken = [\"{secret}\"]"),
        format!("[metrics]\ntoken = \"\"\"\n{secret}\\q\"\"\""),
        format!("[metrics]\ntoken = \"{secret}\"\ntoken = \"{secret}\""),
        format!("[metrics]\ntokne = \"{secret}\""),
        format!("metrics = {{ token = \"{secret}\", max_streams = \"x\" }}"),
        format!("[edge]\njoin = \"{secret}\""),
        format!("[edge]\nparent = \"relay-join-1.{secret}\""),
        format!("[edge]\nname = [\"relay-join-1.{secret}\"]"),
    ] {
        let fault = said(&text);
        assert!(!fault.contains("hush"), "{text:?} gave {fault}");
    }
    assert!(!said("[metrics]\ntoken = 1234567812345678").contains("1234"));
    assert!(!said("[metrics]\ntoken = 12345678123456781234").contains("1234"));
    assert_eq!(
        said("[metrics]\ntoken = \"hush\"\n"),
        "relay.toml:2:9: a token has at least 16 characters\n  |\n2 | token = [hidden]\n  |         ^^^^^^"
    );
    let config = parse(&format!("[metrics]\ntoken = \"{secret}\"")).unwrap();
    assert_eq!(config.metrics.token.as_ref().map(Secret::expose), Some(secret));
    assert!(!format!("{config:?}{}", toml::to_string(&config).unwrap()).contains("hush"));
    let environment = Environment::of([(METRICS_TOKEN, "hush")]);
    let fault = Config::load(None, &environment).unwrap_err().to_string();
    assert_eq!(
        fault,
        "the environment variable RELAY_METRICS_TOKEN is wrong: a token has at least 16 characters"
    );
}

/// A folder with files of these names and contents; it goes at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn with(test: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("relay-config-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        Self(path)
    }

    fn load<const N: usize>(&self, variables: [(&str, &str); N]) -> Result<Config, ConfigError> {
        Config::load(Some(&self.0.join("relay.toml")), &Environment::of(variables))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let text = "[metrics]\nlisten = \"127.0.0.1:1\"\n[edge]\nparent = \"a:1\"\n[log]\nlevel = \"warn\"";
    let folder = Folder::with("environment", &[("relay.toml", text)]);
    let file = folder.load([]).unwrap();
    assert_eq!(file.metrics.listen.port(), 1);
    let config = folder
        .load([(METRICS_LISTEN, "127.0.0.1:2"), (PARENT, "b:2"), (LOG, "debug")])
        .unwrap();
    assert_eq!(config.metrics.listen.port(), 2);
    assert_eq!(config.edge.parent.unwrap().to_string(), "b:2");
    assert_eq!(config.log.level.as_str(), "debug");
    assert_eq!(
        folder.load([(LOG, "")]).unwrap(),
        file,
        "an empty variable says nothing"
    );
}

#[test]
fn paths_count_from_the_file_and_the_token_is_read() {
    let text = "[metrics]\ntoken_file = \"token\"\n[origin]\nstate_dir = \"/state\"\n[[source]]\nfile = \
                \"clip.flv\"\nstream = \"a/b\"";
    let folder = Folder::with("paths", &[("relay.toml", text), ("token", "0123456789abcdef\n")]);
    let config = folder.load([]).unwrap();
    assert_eq!(config.source[0].file, folder.0.join("clip.flv"));
    assert_eq!(config.origin.state_dir.unwrap(), Path::new("/state"));
    assert!(config.metrics.token.unwrap().matches("0123456789abcdef"));
}

#[test]
fn a_token_file_that_is_no_good_marks_its_line() {
    let folder = Folder::with("token", &[("relay.toml", "[metrics]\ntoken_file = \"none\"\n")]);
    let fault = folder.load([]).unwrap_err().to_string();
    let file = folder.0.display();
    assert_eq!(
        fault,
        format!(
            "{file}/relay.toml:2:14: {file}/none: No such file or directory (os error 2)\n  |\n2 | token_file = \
             \"none\"\n  |              ^^^^^^"
        )
    );
}

/// Whoever runs the program looks whether it can be run; an edge that reads the same file does not.
#[test]
fn a_program_that_cannot_be_run_is_named() {
    let folder = Folder::with("program", &[("plain", "")]);
    let program = |name: &str| {
        let text = format!("[scale_out]\ncommand = [\"{}/{name}\"]", folder.0.display());
        let config = parse(&text).unwrap();
        let found = config.scale_out.program();
        found
            .map(|found| found.is_some())
            .map_err(|error| error.to_string())
    };
    let path = folder.0.display();
    for (name, reason) in [
        ("none", "No such file or directory (os error 2)"),
        ("plain", "it cannot be executed: Permission denied (os error 13)"),
        (".", "it is no file"),
    ] {
        let said = format!("[scale_out] command names {path}/{name}, which cannot be run: {reason}");
        assert_eq!(program(name), Err(said));
    }
    assert!(Config::default().scale_out.program().unwrap().is_none());
    let shell = parse("[scale_out]\ncommand = [\"/bin/sh\", \"-c\"]").unwrap();
    let (found, arguments) = shell.scale_out.program().unwrap().unwrap();
    assert_eq!((found, arguments), (Path::new("/bin/sh"), &["-c".to_owned()][..]));
}

#[test]
fn a_file_that_is_none_is_named() {
    let folder = Folder::with("none", &[]);
    let missing = folder.load([]).unwrap_err().to_string();
    let path = folder.0.join("relay.toml").display().to_string();
    assert_eq!(
        missing,
        format!("cannot read the configuration file {path}: No such file or directory (os error 2)")
    );
    let size = usize::try_from(CONFIG_BYTES).unwrap() + 1;
    let folder = Folder::with("large", &[("relay.toml", &"#".repeat(size))]);
    let large = folder.load([]).unwrap_err().to_string();
    assert!(
        large.ends_with("is larger than 262144 bytes, so it is no configuration file"),
        "{large}"
    );
}
