//! A pool that grows before one's eyes: edges are small, a crowd comes, and the origin has another edge started.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::Origin;
use relay_tests::http::ask;
use relay_tests::strays::Strays;
use relay_tests::viewer::{Flavour, Viewer};

/// What an edge may send: some eight viewers of the clip, which takes 0.9 Mbit/s, and their first bursts.
const CAPACITY: &str = "10Mbit";

/// Edges at most: the two of the demo, and what comes of the crowd.
const MAX_EDGES: u32 = 4;

/// How many come, one a second.
const CROWD: usize = 20;

/// The crowd, and the edges that are started for it.
pub(crate) struct Growth {
    _strays: Strays,
    command: Vec<String>,
    viewers: Vec<Viewer>,
}

impl Growth {
    /// Whether `DEMO_GROW=1` asks for it.
    pub(crate) fn is_wanted() -> bool {
        std::env::var_os("DEMO_GROW").is_some_and(|wish| !wish.is_empty() && wish != "0")
    }

    /// With files of the edges to come below a folder.
    ///
    /// # Errors
    /// When it is unknown where programs are built.
    pub(crate) fn below(folder: &Path) -> Result<Self> {
        let strays = Strays::below(folder.join("started"));
        Ok(Self {
            command: strays.hook(CAPACITY)?,
            _strays: strays,
            viewers: Vec::new(),
        })
    }

    /// What the origin's configuration has beyond the demo's own.
    pub(crate) fn of_origin(&self) -> String {
        format!(
            "[scale_out]\ncommand = {:?}\ncooldown = \"5s\"\nmax_edges = {MAX_EDGES}\n",
            self.command
        )
    }

    /// And an edge's; one that has a parent has begun its table already.
    pub(crate) fn of_edge(has_parent: bool) -> String {
        let table = if has_parent { "" } else { "[edge]\n" };
        format!("{table}capacity = \"{CAPACITY}\"")
    }

    /// One more comes, as long as there are any: to where the origin sends it. What the origin says of its pool by then, as a line.
    ///
    /// # Errors
    /// When the origin does not answer.
    pub(crate) async fn goes_on(&mut self, origin: &Origin, clip: &str) -> Result<String> {
        if self.viewers.len() < CROWD {
            let answer = ask("HEAD", &origin.flv(clip), "").await?;
            if let Some(place) = answer.head.header("location") {
                self.viewers.push(Viewer::watch(Flavour::Http11, place, None));
            }
        }
        let watching = |viewer: &&Viewer| viewer.ask(|report| report.ended.is_none());
        let watching = self.viewers.iter().filter(watching).count();
        let edges = origin.admin("/api/v1/edges").await?;
        let edges = edges.as_array().context("a list of edges")?;
        ensure!(edges.len() <= MAX_EDGES as usize, "more edges than there may be");
        let serving = edges.iter().filter(|edge| edge["state"] == "serving").count();
        let metrics = origin.metrics().await?;
        let used = metrics.sum("relay_scale_out_use_ratio").unwrap_or_default() * 100.0;
        let coming = metrics.sum("relay_scale_out_pending").unwrap_or_default();
        Ok(format!(
            "the crowd: {watching} watch; {serving} edges serve, {used:.0} % of what they can send is given away{}",
            if coming > 0.0 {
                "; another is on its way"
            } else {
                ""
            }
        ))
    }
}
