//! The machines of an evening, and what happens to them.

use std::path::Path;

use anyhow::{Context as _, Result};
use relay_tests::story::Stage;
use relay_tests::wait::until;
use tokio::time::Instant;

use crate::cloud::{Cloud, News};
use crate::crowd::Way;
use crate::encoder::Encoder;
use crate::evening::{Evening, Event, STREAM, STREAM_MBIT, UPLINK_MBIT, ZONE};
use crate::ground::{EDGE_1, EDGE_2, ORIGIN, Place};
use crate::machine::Machine;

/// Over how long an edge lets its viewers go.
const DRAIN: &str = "10s";

/// From which use on the origin has one more edge started, in percent: the wave alone takes more of the first one, and nothing of
/// both together takes so much.
const SCALE_FROM: u32 = 30;

/// The machines.
pub(crate) struct Pool {
    origin: Machine,
    edges: Vec<Machine>,
    pub(crate) encoder: Encoder,
    cloud: Cloud,
    has_edges: bool,
}

impl Pool {
    /// Starts what is there before the first viewer comes: the origin and the encoder and, with a pool, the first edge.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) async fn start(evening: &Evening, stage: &Stage, programs: &Path) -> Result<Self> {
        let cloud = Cloud::open(&stage.folder().join("cloud"))?;
        let config = match evening.has_pool {
            true => pool_config(cloud.hook()),
            false => plain_config(),
        };
        let mut origin = Machine::new(stage, ORIGIN, &programs.join("relay-origin"), &config)?;
        origin.start()?;
        answers(&mut origin, "/api/v1/streams", "").await?;
        let mut pool = Self {
            origin,
            edges: Vec::new(),
            encoder: Encoder::start(stage, programs)?,
            cloud,
            has_edges: evening.has_pool,
        };
        if evening.has_pool {
            let token = pool.origin.verb_says(&["token", "create"]).await?;
            let program = programs.join("relay-edge");
            // One image for both. Only the core differs; and the token, which for the second one comes from the origin's hook.
            let image = edge_config(evening.arrivals.len());
            for (place, core) in [(EDGE_1, 0), (EDGE_2, 1)] {
                let edge = Machine::new(stage, place, &program, &image)?;
                pool.edges
                    .push(edge.with("RELAY_DRAIN", DRAIN).small_on(core % cores()));
            }
            pool.edges[0].set("RELAY_JOIN", &token);
            pool.edges[0].start()?;
            answers(&mut pool.origin, "/api/v1/edges", "\"serving\"").await?;
        }
        answers(&mut pool.origin, "/api/v1/streams", STREAM).await?;
        Ok(pool)
    }

    /// Whom viewers' resolvers ask: in 2012 a zone that was written by hand, now the pool's own servers.
    pub(crate) fn way(&self) -> Way {
        if self.has_edges {
            return Way::Servers([ORIGIN, EDGE_1, EDGE_2].map(Place::address).to_vec());
        }
        Way::Fixed(ORIGIN.address())
    }

    /// Lets something happen, and waits for nothing.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(crate) fn happens(&mut self, event: Event) -> Result<()> {
        match event {
            // These two come of themselves.
            Event::Order | Event::Clone => Ok(()),
            Event::KillEdge => {
                self.edge(0)?.kill();
                Ok(())
            }
            Event::RestartEdge => self.edge(0)?.start(),
            Event::KillOrigin => {
                self.origin.kill();
                Ok(())
            }
            Event::RestartOrigin => self.origin.start(),
            Event::DrainEdge => self.edge(1)?.ask_to_end(),
        }
    }

    /// Lets happen what the origin's hook and the cloud make of it, and tells what that is; to be called some times a second.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(crate) fn happens_by_itself(&mut self) -> Result<Option<Event>> {
        let Some(news) = self.cloud.look(Instant::now())? else {
            return Ok(None);
        };
        match news {
            News::Ordered => Ok(Some(Event::Order)),
            News::Booted(token) => {
                let edge = self.edge(1)?;
                edge.set("RELAY_JOIN", &token);
                edge.start()?;
                Ok(Some(Event::Clone))
            }
        }
    }

    fn edge(&mut self, at: usize) -> Result<&mut Machine> {
        self.edges.get_mut(at).context("this evening has no edges")
    }

    /// An error if the origin is gone though nobody killed it; edges that drain end by themselves.
    ///
    /// # Errors
    /// That one.
    pub(crate) fn is_well(&mut self) -> Result<()> {
        self.origin.still_runs()
    }

    /// Asks everybody who still runs to end, and says of how many edges that was in good order.
    ///
    /// # Errors
    /// When one does not end.
    pub(crate) async fn goes_home(mut self) -> Result<u64> {
        let mut well = 0;
        for edge in &mut self.edges {
            // It may be one that drained before, and is gone.
            let _ = edge.ask_to_end();
            well += u64::from(edge.ends_well().await?);
        }
        self.origin.ask_to_end()?;
        self.origin.ends_well().await?;
        Ok(well)
    }
}

/// Waits until the admin API answers, with a text in it.
async fn answers(origin: &mut Machine, path: &str, wanted: &str) -> Result<()> {
    let what = format!("the origin to answer {path} with {wanted}");
    let answered = until(what, async || {
        if let Err(ended) = origin.still_runs() {
            return Some(Err(ended));
        }
        let said = origin.admin(path).await.ok()?.to_string();
        said.contains(wanted).then_some(Ok(()))
    });
    answered.await?
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What both origins have: `publish` is open since nobody else is in the network.
fn common_config() -> String {
    let host = ORIGIN.address();
    format!(
        "[admin]\nsocket = \"admin.sock\"\n\n[origin]\nstate_dir = \"state\"\npublic_host = \"{host}\"\npublish = \"open\"\n"
    )
}

/// In 2012 nobody knew of an uplink.
fn plain_config() -> String {
    format!("{}serve = \"always\"\n", common_config())
}

/// As little as an operator has to say.
fn pool_config(hook: &Path) -> String {
    format!(
        "{}uplink = \"{UPLINK_MBIT}Mbit\"\n\n{}\n[scale_out]\ncommand = [{:?}]\nfrom = {SCALE_FROM}\nmax_edges = 2\n",
        common_config(),
        dns_table(),
        hook.display().to_string()
    )
}

/// An instance whose provider grants it twice what the whole crowd takes.
fn edge_config(viewers: usize) -> String {
    let capacity = (2.0 * STREAM_MBIT * viewers as f64).ceil();
    format!("[edge]\ncapacity = \"{capacity}Mbit\"\n\n{}", dns_table())
}

/// The same on all servers of the zone.
fn dns_table() -> String {
    let servers = [ORIGIN, EDGE_1, EDGE_2].map(Place::address);
    let named = (1..)
        .zip(servers)
        .map(|(number, address)| format!("\"ns{number}.{ZONE} {address}\""));
    let named: Vec<String> = named.collect();
    format!(
        "[dns]\nzone = \"{ZONE}\"\nnameservers = [{}]\nfallback = [\"{}\"]\n",
        named.join(", "),
        ORIGIN.address()
    )
}

#[cfg(test)]
mod tests {
    use relay_core::config::Config;

    use super::*;

    #[test]
    fn the_files_are_such_as_the_programs_take() {
        for text in [
            plain_config(),
            pool_config(Path::new("/bin/sh")),
            edge_config(200),
        ] {
            let config: Config = toml::from_str(&text).unwrap();
            assert_eq!(config.origin.uplink.is_some(), text.contains("uplink"));
            assert_eq!(
                config.scale_out.command.is_empty(),
                config.origin.uplink.is_none()
            );
            assert_eq!(
                config.dns.nameservers.len(),
                if text.contains("ns3") { 3 } else { 0 }
            );
        }
    }
}
