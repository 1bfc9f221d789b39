//! The shipped units under a systemd of the stories' own: they start with all their hardening, serve, drain and end in good order.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use relay_tests::process::output_of;
use relay_tests::story::{Turn, profile_dir, story, workspace_dir};

/// The exit code of `tests/systemd/boot` where a machine cannot do it.
const CANNOT: &str = "exit status: 77";

/// What an edge beside its origin on one machine has to have otherwise; and a limit for its end that is shorter than its drain.
const BESIDE: &str = "[Service]\nExecStart=\nExecStart=/usr/local/bin/relay-edge --config /etc/relay/edge.toml\n\
                      TimeoutStopSec=3\n";

const EDGE: &str = "[http]\nlisten = \"[::]:8090\"\n\n[rtmp]\nlisten = \"[::]:1945\"\n\n[link]\nlisten = \"[::]:4443\"\n\n\
                    [metrics]\nlisten = \"127.0.0.1:9936\"\n\n[edge]\ndrain = \"6s\"\n";

const ORIGIN: &str = "[origin]\npublic_host = \"127.0.0.1\"\n";

#[test]
fn the_units_work_under_systemd() {
    story("systemd", Turn::Alone, async |stage| {
        let root = stage.folder().join("root");
        let mut install = Command::new(workspace_dir().join("scripts/install"));
        install.args(["put".as_ref(), profile_dir()?.as_os_str()]);
        install.env("DESTDIR", &root);
        output_of(&mut install).await?;
        put(&root.join("etc/relay/relay.toml"), ORIGIN)?;
        put(&root.join("etc/relay/edge.toml"), EDGE)?;
        put(
            &root.join("etc/systemd/system/relay-edge.service.d/beside.conf"),
            BESIDE,
        )?;
        let tests = workspace_dir().join("tests/systemd");
        std::fs::copy(tests.join("units"), root.join("usr/local/bin/units"))?;
        let mut boot = Command::new(tests.join("boot"));
        boot.arg(&root).args(["--", "units"]);
        let said = match output_of(&mut boot).await {
            Ok(said) => said,
            Err(error) if error.to_string().contains(CANNOT) => {
                println!("systemd: left out: {error}");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        said.lines().for_each(|line| println!("systemd: {line}"));
        ensure!(
            said.contains("relay-origin: ended in good order"),
            "it did not come to its end: {said}"
        );
        Ok(())
    });
}

fn put(path: &Path, text: &str) -> Result<()> {
    std::fs::create_dir_all(path.parent().context("a folder")?)?;
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
