//! What the program says and exits with when it does not run.

use std::process::{Command, Output};

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relay-edge"))
        .args(words)
        .env("RELAY_JOIN", "nonsense")
        .env("RELAY_LOG", "off")
        .output()
        .unwrap()
}

#[test]
fn each_way_not_to_run_has_its_code_and_its_stream() {
    for (words, code, out, err) in [
        (&["--help"][..], 0, "Usage: relay-edge", ""),
        (&["--version"], 0, "relay-edge ", ""),
        (&["check"], 0, "ports to open:", ""),
        (
            &["--nonsense"],
            64,
            "",
            "relay-edge: Unrecognized argument: --nonsense",
        ),
        (
            &["check", "--config", "/no/such/file"],
            78,
            "",
            "relay-edge: cannot read the configuration file /no/such/file: ",
        ),
        (&["run"], 78, "", "relay-edge: the join token is no good: "),
    ] {
        let output = run(words);
        let said = String::from_utf8(output.stdout).unwrap();
        let complained = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {complained}");
        assert!(
            said.starts_with(out) && said.is_empty() == out.is_empty(),
            "{said}"
        );
        assert!(
            complained.starts_with(err) && complained.is_empty() == err.is_empty(),
            "{complained}"
        );
    }
}
