//! What the program says and exits with when it does not run.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("relay-origin-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A file with these ports on loopback, rtmp, http, link and metrics.
    fn config(&self, ports: [u16; 4]) -> String {
        let tables = ["rtmp", "http", "link", "metrics"].into_iter().zip(ports);
        let mut text: String = tables
            .map(|(table, port)| format!("[{table}]\nlisten = \"127.0.0.1:{port}\"\n"))
            .collect();
        text.push_str("[origin]\nstate_dir = \"state\"\n");
        let path = self.0.join("relay.toml");
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relay-origin"))
        .args(words)
        .env("RELAY_LOG", "off")
        .output()
        .unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_goes_to_standard_output_and_a_typing_error_exits_64() {
    for words in [&["--help"][..], &["token", "create", "--help"], &["--version"]] {
        let output = run(words);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {err}");
        assert!(out.contains("relay-origin") && err.is_empty(), "{out}{err}");
    }
    for words in [
        &["--nonsense"][..],
        &["nonsense"],
        &["token"],
        &["token", "create", "--ttl", "soon"],
        &["publish-url", "camera"],
        &["run", "--config"],
    ] {
        let output = run(words);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(64), "{words:?}: {err}");
        assert!(out.is_empty(), "{out}");
        assert!(err.starts_with("relay-origin: "), "{err}");
        assert!(
            err.ends_with("relay-origin: `relay-origin --help` explains\n"),
            "{err}"
        );
    }
}

#[test]
fn a_reader_that_is_gone_is_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_relay-origin"))
        .arg("--help")
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(texts(&output).1, "");
}

#[test]
fn a_full_disk_behind_standard_output_is_said() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_relay-origin"))
        .arg("--version")
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert_eq!(
        texts(&output).1,
        "relay-origin: cannot write: No space left on device (os error 28)\n"
    );
}

#[test]
fn check_exits_0_with_warnings_and_78_with_a_wrong_file() {
    let folder = Folder::new("check");
    let config = folder.config([0; 4]);
    let mut text = std::fs::read_to_string(&config).unwrap();
    // No kernel has it, so there is a warning on any machine that tells what it has.
    text.push_str("[viewers]\ncongestion = \"nosuchcontrol\"\n");
    std::fs::write(&config, &text).unwrap();
    let output = run(&["check", "--config", &config]);
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(out.contains("\nwarning: ") && err.is_empty(), "{out}{err}");

    text.push_str("unsend = \"16KiB\"\n");
    std::fs::write(&config, text).unwrap();
    let output = run(&["check", "--config", &config]);
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(78), "{out}");
    assert!(
        out.is_empty() && err.contains("unknown field `unsend`"),
        "{out}{err}"
    );
}

#[test]
fn a_port_in_use_is_said_once_with_its_name_and_key() {
    let folder = Folder::new("ports");
    let tcp_held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let udp_held = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let tcp = tcp_held.local_addr().unwrap().port();
    let udp = udp_held.local_addr().unwrap().port();
    for (ports, what) in [
        ([tcp, 0, 0, 0], format!("port {tcp} (RTMP, [rtmp] listen)")),
        ([0, tcp, 0, 0], format!("port {tcp} (HTTP, [http] listen)")),
        ([0, 0, udp, 0], format!("UDP port {udp} (links, [link] listen)")),
        ([0, 0, 0, tcp], format!("port {tcp} (metrics, [metrics] listen)")),
    ] {
        let output = run(&["--config", &folder.config(ports)]);
        let (out, err) = texts(&output);
        assert_eq!(
            err,
            format!("relay-origin: {what} is in use by another program\n")
        );
        assert_eq!((output.status.code(), &*out), (Some(69), ""));
    }
}
