//! Servers of others, as `scripts/peers` puts them into `target/tools`: nginx with its RTMP module, node-media-server, xiu.
//!
//! Each runs with its own defaults; only ports, folders and what it writes of itself are set.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use relay_tests::ports::free_port;
use relay_tests::process::{Process, command_after};
use relay_tests::wait::until;
use tokio::net::TcpStream;

use crate::lab::Lab;
use crate::sample::Contender;

/// One that runs.
pub(crate) struct Peer {
    pub(crate) process: Process,
    /// Where it takes RTMP.
    pub(crate) rtmp: u16,
    /// Where it serves HTTP-FLV, if it does.
    pub(crate) http: Option<u16>,
}

/// Whether it is installed.
pub(crate) fn is_there(tools: &Path, peer: Contender) -> bool {
    program(tools, peer).is_some_and(|program| program.is_file())
}

/// The file that makes it run.
fn program(tools: &Path, peer: Contender) -> Option<PathBuf> {
    match peer {
        Contender::Nginx => Some(tools.join("peers/usr/sbin/nginx")),
        Contender::NodeMediaServer => Some(tools.join("node_modules/node-media-server/bin/app.js")),
        Contender::Xiu => Some(tools.join("bin/xiu")),
        Contender::Relay | Contender::RelayRtmp | Contender::Floor => None,
    }
}

/// Starts it on the server's core and waits until it listens.
///
/// # Errors
/// When it does not start.
pub(crate) async fn start(lab: &Lab, peer: Contender) -> Result<Peer> {
    let program = program(&lab.tools, peer).context("none of the peers")?;
    let (rtmp, http) = (free_port(), free_port());
    let folder = lab.stage.folder().join(peer.name());
    std::fs::create_dir_all(&folder)?;
    let launcher = lab.on_server_core();
    let (mut command, http) = match peer {
        Contender::Nginx => {
            let config = folder.join("nginx.conf");
            std::fs::write(&config, nginx_config(&lab.tools, &folder, rtmp))?;
            let mut command = command_after(&launcher, &program);
            command.args(["-e", "stderr", "-p"]).arg(&folder);
            command.arg("-c").arg(&config);
            (command, None)
        }
        Contender::NodeMediaServer => {
            let config = folder.join("config.json");
            std::fs::write(&config, node_media_server_config(rtmp, http))?;
            let mut command = command_after(&launcher, Path::new("node"));
            command.arg(&program).arg("--config").arg(&config);
            (command, Some(http))
        }
        Contender::Xiu => {
            let mut command = command_after(&launcher, &program);
            command.args(["--rtmp", &rtmp.to_string(), "--httpflv", &http.to_string()]);
            command.args(["--log", "error"]);
            (command, Some(http))
        }
        Contender::Relay | Contender::RelayRtmp | Contender::Floor => bail!("none of the peers"),
    };
    command.current_dir(&folder);
    let mut process = Process::spawn(&lab.stage, peer.name(), &mut command)?;
    for port in [Some(rtmp), http].into_iter().flatten() {
        listens(&mut process, peer, port).await?;
    }
    Ok(Peer { process, rtmp, http })
}

async fn listens(process: &mut Process, peer: Contender, port: u16) -> Result<()> {
    let is_up = until(format!("{} to listen", peer.name()), async || {
        if !process.is_running().unwrap_or(false) {
            return Some(false);
        }
        TcpStream::connect(("127.0.0.1", port)).await.ok().map(|_| true)
    });
    if !is_up.await? {
        bail!("{} ended at once:\n{}", peer.name(), process.log().text());
    }
    Ok(())
}

/// One process, as the measurement of one core wants it; the rest is what its authors chose.
fn nginx_config(tools: &Path, folder: &Path, rtmp: u16) -> String {
    let module = tools.join("peers/usr/lib/nginx/modules/ngx_rtmp_module.so");
    format!(
        "load_module \"{module}\";\ndaemon off;\nmaster_process off;\npid \"{folder}/nginx.pid\";\nerror_log stderr error;\n\
         worker_rlimit_nofile 20000;\nevents {{ worker_connections 19000; }}\n\
         rtmp {{ access_log off; server {{ listen 127.0.0.1:{rtmp}; application live {{ live on; }} }} }}\n",
        module = module.display(),
        folder = folder.display(),
    )
}

fn node_media_server_config(rtmp: u16, http: u16) -> String {
    serde_json::json!({
        "bind": "127.0.0.1",
        "store": { "path": "./data", "maxHistory": 100 },
        // A secret that is not empty keeps it from making one and writing it here.
        "auth": { "play": false, "publish": false, "secret": "not-asked-for" },
        "rtmp": { "port": rtmp },
        "http": { "port": http },
        "webadmin": { "enable": false },
        "record": { "auto": false, "path": "./record" },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_of_others_are_peers() {
        let tools = Path::new("/nowhere");
        assert!(
            Contender::PEERS
                .iter()
                .all(|peer| program(tools, *peer).is_some())
        );
        assert!(!is_there(tools, Contender::Xiu));
        assert!(!is_there(tools, Contender::Floor));
    }

    #[test]
    fn configurations_name_their_ports() {
        assert!(nginx_config(Path::new("/t"), Path::new("/f"), 1935).contains("listen 127.0.0.1:1935;"));
        assert!(node_media_server_config(1, 2).contains("\"http\":{\"port\":2}"));
    }
}
