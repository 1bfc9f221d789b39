//! What is shipped for a machine does what it says: the units, `make install`, the kernel settings, and the words between a
//! program and systemd.

use std::fs::{File, Permissions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Origin, Ports, edge_with_token};
use relay_tests::http::get;
use relay_tests::node::Node;
use relay_tests::process::output_of;
use relay_tests::story::{Stage, Turn, profile_dir, story, workspace_dir};
use relay_tests::tools::program;
use relay_tests::wait::within;

/// The exposure that a unit may have, in tenths: at most 2.0 of 10.
const EXPOSURE: &str = "--threshold=20";

/// The socket of the stories' init system, in the folder in which a node runs.
const NOTIFY: &str = "notify.sock";

/// Longer than any datagram of ours.
const DATAGRAM: usize = 4096;

#[test]
fn install_puts_everything_in_its_place() {
    story("install", Turn::Beside, async |stage| {
        let root = stage.folder().join("root");
        let destination = format!("DESTDIR={}", root.display());
        let said = make(&["install", &destination]).await?;
        for word in [
            "systemctl enable --now relay-edge",
            "relay-origin token create",
            "sysctl --system",
        ] {
            ensure!(said.contains(word), "{word:?} is not said:\n{said}");
        }
        for (path, mode) in [
            ("usr/local/bin/relay-origin", 0o755),
            ("usr/local/bin/relay-edge", 0o755),
            ("usr/local/share/doc/relay/relay.example.toml", 0o644),
            ("etc/systemd/system/relay-origin.service", 0o644),
            ("etc/systemd/system/relay-edge.service", 0o644),
            ("etc/sysctl.d/90-relay.conf", 0o644),
            ("etc/relay/relay.toml", 0o644),
        ] {
            let there = std::fs::metadata(root.join(path)).with_context(|| path.to_owned())?;
            let found = there.permissions().mode() & 0o777;
            ensure!(found == mode, "{path} has the mode {found:o}");
        }
        let mut installed = Command::new(root.join("usr/local/bin/relay-edge"));
        let checked = installed
            .args(["check", "--config"])
            .arg(root.join("etc/relay/relay.toml"));
        output_of(checked).await?;

        // What an operator has set stays, whatever is installed over it or removed.
        let settings = root.join("etc/relay/relay.toml");
        std::fs::write(&settings, "# mine\n")?;
        make(&["install", &destination]).await?;
        make(&["uninstall", &destination]).await?;
        ensure!(
            std::fs::read_to_string(&settings)? == "# mine\n",
            "settings were lost"
        );
        let left = files_below(&root)?;
        ensure!(left == ["etc/relay/relay.toml"], "left behind: {left:?}");
        Ok(())
    });
}

#[test]
fn the_units_are_sound_and_hardened() {
    story("units", Turn::Beside, async |stage| {
        // Where the programs that they name are really there.
        let folder = stage.folder().display();
        make(&[
            "install",
            &format!("PREFIX={folder}/usr"),
            &format!("SYSCONFDIR={folder}/etc"),
        ])
        .await?;
        for unit in ["relay-origin.service", "relay-edge.service"] {
            let unit = stage.folder().join("etc/systemd/system").join(unit);
            let text = std::fs::read_to_string(&unit)?;
            for line in [
                "Type=notify",
                "NotifyAccess=main",
                "RestartPreventExitStatus=64 77 78",
            ] {
                ensure!(text.lines().any(|found| found == line), "{line} is not in {text}");
            }
            let mut verify = program("systemd-analyze")?;
            verify.args(["verify", "--man=no"]).arg(&unit);
            output_of(&mut verify).await?;
            let mut security = program("systemd-analyze")?;
            security.args(["security", "--no-pager", "--offline=true", EXPOSURE]);
            let said = output_of(security.arg(&unit)).await?;
            let verdict = said.lines().find(|line| line.contains("Overall exposure level"));
            println!("{}", verdict.context("a verdict")?.trim());
        }
        Ok(())
    });
}

/// A machine made from the user data has the very files that an installed one has.
#[test]
fn cloud_init_writes_what_is_shipped() {
    story("cloud_init", Turn::Beside, async |stage| {
        let deploy = workspace_dir().join("scripts/deploy");
        let text = std::fs::read_to_string(deploy.join("cloud-init.yaml"))?;
        ensure!(
            text.starts_with("#cloud-config\n"),
            "cloud-init would take it for something else"
        );
        ensure!(!text.contains('\t'), "YAML has no tabs");
        let files = written_files(&text);
        for (path, shipped) in [
            ("/etc/systemd/system/relay-edge.service", "relay-edge.service"),
            ("/etc/sysctl.d/90-relay.conf", "90-relay.conf"),
        ] {
            let (_, content) = files.iter().find(|(name, _)| name == path).context(path)?;
            let shipped = std::fs::read_to_string(deploy.join(shipped))?;
            ensure!(*content == shipped, "{path} is not the shipped one:\n{content}");
        }
        let content = |path: &str| files.iter().find(|(name, _)| name == path).map(|(_, text)| text);
        // The unit reads both; the settings must be such as the program takes.
        ensure!(
            content("/etc/relay/join-token").is_some_and(|text| text == "RELAY_JOIN\n"),
            "{files:?}"
        );
        let settings = content("/etc/relay/relay.toml").context("settings")?;
        relay_core::config::Config::parse(Path::new("relay.toml"), settings)?;
        let install = stage.folder().join("relay-install");
        std::fs::write(
            &install,
            content("/usr/local/sbin/relay-install").context("a script")?,
        )?;
        output_of(Command::new("sh").arg("-n").arg(&install)).await?;

        // The shipped hook orders a machine with just that, and the token in its place.
        let cloud = stage.folder().join("hcloud");
        std::fs::write(&cloud, "#!/bin/sh\nfor last; do :; done\ncat \"$last\"\n")?;
        std::fs::set_permissions(&cloud, Permissions::from_mode(0o755))?;
        std::fs::write(stage.folder().join("cloud"), "key\n")?;
        let mut order = Command::new(deploy.join("start-edge"));
        order
            .arg(deploy.join("cloud-init.yaml"))
            .env("PATH", format!("{}:/usr/bin:/bin", stage.folder().display()))
            .env("CREDENTIALS_DIRECTORY", stage.folder())
            .env("RELAY_JOIN", "relay-join-1.a&b");
        let ordered = output_of(&mut order).await?;
        let wanted = text.replace("      RELAY_JOIN\n", "      relay-join-1.a&b\n");
        ensure!(ordered == wanted, "{ordered}");
        Ok(())
    });
}

/// The files of `write_files`, each a path and a literal block.
fn written_files(text: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("  - path: ") {
            files.push((path.to_owned(), String::new()));
        } else if let Some((_, content)) = files.last_mut()
            && let Some(line) = line.strip_prefix("      ")
        {
            content.push_str(line);
            content.push('\n');
        } else if let Some((_, content)) = files.last_mut()
            && line.is_empty()
        {
            content.push('\n');
        }
    }
    for (_, content) in &mut files {
        // Of the lines that end a literal block, one counts.
        let length = content.trim_end_matches('\n').len();
        content.truncate(length);
        content.push('\n');
    }
    files
}

/// `check` compares the kernel with the very file that is installed: one sentence for each difference, none else.
#[test]
fn check_follows_the_file() {
    story("check_follows", Turn::Beside, async |stage| {
        let edge = edge_with_token(stage, "edge", Ports::free(), "none")?;
        let said = edge.verb_says(&["check"]).await?;
        let file = std::fs::read_to_string(workspace_dir().join("scripts/deploy/90-relay.conf"))?;
        let mut settings = 0;
        let mut reason = "";
        for line in file.lines() {
            let Some((key, wanted)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
                reason = line.trim_start_matches("# ");
                continue;
            };
            settings += 1;
            let Ok(running) = std::fs::read_to_string(Path::new("/proc/sys").join(key.replace('.', "/")))
            else {
                continue;
            };
            let running: u64 = running.trim().parse()?;
            let wanted: u64 = wanted.parse()?;
            let good = if wanted > 1 {
                running >= wanted
            } else {
                running == wanted
            };
            let sentence = format!("warning: {key} is {running}; set {key} = {wanted}: {reason}");
            let times = said.lines().filter(|line| line.contains(key)).count();
            ensure!(times == usize::from(!good), "{times} lines on {key}:\n{said}");
            ensure!(
                good || said.lines().any(|line| line == sentence),
                "no {sentence:?} in:\n{said}"
            );
        }
        ensure!(settings >= 5, "only {settings} settings in the file");
        Ok(())
    });
}

#[test]
fn an_origin_tells_systemd_when_it_serves_and_when_it_ends() {
    story("notify_origin", Turn::Beside, async |stage| {
        let mut origin = Origin::prepare(stage, "origin", Ports::free())?;
        let listener = InitSystem::listen(stage, "origin")?;
        origin.set_environment(InitSystem::environment());
        origin.launch()?;
        listener.hears("READY=1").await?;
        ensure!(get(&origin.page("")).await.is_ok(), "it said that it serves");
        stops(&mut origin, &listener).await
    });
}

/// An edge serves what it has, so an origin that cannot be reached holds up neither it nor a machine's boot.
#[test]
fn an_edge_is_up_before_its_origin() {
    story("notify_edge", Turn::Beside, async |stage| {
        let mut origin = Origin::start(stage).await?;
        let mut edge = origin.edge("edge").await?;
        origin.stop();
        let listener = InitSystem::listen(stage, "edge")?;
        edge.set_environment(InitSystem::environment());
        edge.launch()?;
        let first = listener.hears("READY=1").await?;
        ensure!(first.contains("STATUS=waiting to join the pool"), "{first}");
        ensure!(get(&edge.page("")).await.is_ok(), "it said that it serves");
        origin.start().await?;
        listener.hears("STATUS=joined the pool").await?;
        stops(&mut edge, &listener).await
    });
}

async fn stops(node: &mut Node, listener: &InitSystem) -> Result<()> {
    node.stop();
    listener.hears("STOPPING=1").await?;
    Ok(())
}

/// What a program with a unit of `Type=notify` talks to.
struct InitSystem {
    socket: tokio::net::UnixDatagram,
}

impl InitSystem {
    /// Listens in the folder in which the node `name` runs. The path from the root may be too long for a socket.
    fn listen(stage: &Stage, name: &str) -> Result<Self> {
        let folder = File::open(stage.folder().join(name))?;
        let socket = UnixDatagram::bind(format!("/proc/self/fd/{}/{NOTIFY}", folder.as_raw_fd()))?;
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UnixDatagram::from_std(socket)?;
        Ok(Self { socket })
    }

    fn environment() -> [(String, String); 1] {
        [("NOTIFY_SOCKET".to_owned(), NOTIFY.to_owned())]
    }

    /// Waits for a message with such a line, and gives it back.
    async fn hears(&self, line: &str) -> Result<String> {
        let mut buffer = [0; DATAGRAM];
        within(format!("{line} to be said"), async {
            loop {
                let length = self.socket.recv(&mut buffer).await?;
                let message = String::from_utf8(buffer[..length].to_vec())?;
                if message.lines().any(|said| said.starts_with(line)) {
                    return Ok(message);
                }
            }
        })
        .await?
    }
}

/// Runs a verb of the project's Makefile with the programs of this build.
async fn make(arguments: &[&str]) -> Result<String> {
    let mut make = Command::new("make");
    // Of a make that runs these tests, this one takes no flags and no settings.
    for variable in [
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "PREFIX",
        "DESTDIR",
        "SYSCONFDIR",
    ] {
        make.env_remove(variable);
    }
    make.arg("--no-print-directory")
        .args(arguments)
        .arg(format!("BUILT={}", profile_dir()?.display()))
        .current_dir(workspace_dir());
    output_of(&mut make).await
}

/// The files below a folder, by their paths from there.
fn files_below(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(root)?.display().to_string());
            }
        }
    }
    files.sort();
    Ok(files)
}
