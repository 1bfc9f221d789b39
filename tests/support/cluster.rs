//! Origins and edges, and how they belong together.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use relay_core::token::{Address, JoinToken};
use serde_json::Value;

use crate::lab::Line;
use crate::story::Stage;
use crate::wait::until;

pub use crate::node::{Node, Ports};

/// An origin.
pub struct Origin {
    node: Node,
}

impl std::ops::Deref for Origin {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl std::ops::DerefMut for Origin {
    fn deref_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}

impl Origin {
    /// An origin that is not started yet. It serves viewers itself, whatever edges there are: most stories look at it as
    /// they look at an edge. It does not probe edges, so that nobody watches there but the story's own viewers.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn prepare(stage: &Stage, name: &str, ports: Ports) -> Result<Self> {
        Self::with_keys(stage, name, ports, "serve = \"always\"\nprobe = false\n")
    }

    /// An origin that is not started yet and leaves viewers to its edges, as one does by default; with further keys of
    /// `[origin]`.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn of_pool(stage: &Stage, ports: Ports, keys: &str) -> Result<Self> {
        Self::with_keys(stage, "origin", ports, keys)
    }

    fn with_keys(stage: &Stage, name: &str, ports: Ports, keys: &str) -> Result<Self> {
        let mut node = Node::new(stage, name, "relay-origin", ports)?;
        let state = node.state_dir();
        node.configure(&format!(
            "[origin]\nstate_dir = \"{}\"\npublic_host = \"127.0.0.1\"\n{keys}",
            state.display()
        ));
        Ok(Self { node })
    }

    /// An origin that is not started yet, with further tables of configuration.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn with_tables(stage: &Stage, name: &str, tables: &str) -> Result<Self> {
        let mut origin = Self::prepare(stage, name, Ports::free())?;
        origin.node.configure(tables);
        Ok(origin)
    }

    /// An origin at the far end of a line, not started yet; with further keys of `[origin]`.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn at_the_end_of(line: &Line, stage: &Stage, keys: &str) -> Result<Self> {
        let mut node = Node::new(stage, "origin", "relay-origin", Ports::free())?;
        let state = node.state_dir();
        let host = line.address();
        node.configure(&format!(
            "[origin]\nstate_dir = \"{}\"\npublic_host = \"{host}\"\n{keys}",
            state.display()
        ));
        node.move_to(host);
        node.launched_by(line.words());
        Ok(Self { node })
    }

    /// A running origin with free ports.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(stage: &Stage) -> Result<Self> {
        let mut origin = Self::prepare(stage, "origin", Ports::free())?;
        origin.node.start().await?;
        Ok(origin)
    }

    /// The URL to publish a stream to, with its key. The key may be in no output of any program.
    ///
    /// # Errors
    /// When the origin's own verb does not tell it.
    pub async fn publish_url(&self, stream: &str) -> Result<String> {
        let said = self.verb_says(&["publish-url", stream]).await?;
        let url = said
            .lines()
            .rev()
            .find(|line| line.contains("rtmp://"))
            .unwrap_or_default();
        let start = url
            .find("rtmp://")
            .with_context(|| format!("publish-url says {said:?}"))?;
        let url = url[start..].trim();
        let (_, key) = url.split_once("?key=").context("a publish URL has a key")?;
        self.stage().keep_secret(key);
        Ok(url.to_owned())
    }

    /// A join token for edges.
    ///
    /// # Errors
    /// When the origin's own verb does not make one.
    pub async fn token(&self) -> Result<String> {
        self.token_with("24h", 20).await
    }

    /// A join token of a certain life and number of uses.
    ///
    /// # Errors
    /// When the origin's own verb does not make one.
    pub async fn token_with(&self, ttl: &str, uses: u32) -> Result<String> {
        let said = self
            .verb_says(&["token", "create", "--ttl", ttl, "--uses", &uses.to_string()])
            .await?;
        let token = said.lines().rev().find(|line| !line.trim().is_empty());
        let token = token.context("token create prints a token")?.trim().to_owned();
        self.stage().keep_secret(&token);
        Ok(token)
    }

    /// A join token that leads to this origin by another address, such as a link that a story can cut.
    ///
    /// # Errors
    /// When the origin's own verb makes none that can be read.
    pub async fn token_by_way_of(&self, address: SocketAddr) -> Result<String> {
        let token: JoinToken = self.token().await?.parse()?;
        let address = Address::new(&address.ip().to_string(), address.port())?;
        let token = JoinToken::new(token.id, token.secret, token.ca_sha256, vec![address])?.to_string();
        self.stage().keep_secret(&token);
        Ok(token)
    }

    /// Makes it forget its streams, their epochs and times, while it is down. Its authority, tokens and keys stay:
    /// without those it would be another pool, which no edge may follow.
    ///
    /// # Errors
    /// When it runs, or the files cannot be removed.
    pub fn forget_streams(&self) -> Result<()> {
        ensure!(!self.node.was_started(), "{} still runs", self.node.name());
        std::fs::remove_dir_all(self.node.state_dir().join("streams"))
            .context("removing what it knows of streams")
    }

    /// The edges as the admin API lists them, once each is in that state and the probe has found all endpoints of those that
    /// serve to be good.
    ///
    /// # Errors
    /// When they do not get there within the limit.
    pub async fn edges_are(&self, states: &[&str]) -> Result<Vec<Value>> {
        let is_settled = |edge: &Value| {
            let endpoints = edge["endpoints"].as_array().map_or(&[][..], Vec::as_slice);
            edge["state"] != "serving" || endpoints.iter().all(|endpoint| endpoint["health"] == "good")
        };
        until(format!("the edges to be {states:?}"), async || {
            let listed = self.admin("/api/v1/edges").await.ok()?;
            let edges = listed.as_array()?.clone();
            let mut found: Vec<&str> = edges.iter().filter_map(|edge| edge["state"].as_str()).collect();
            found.sort_unstable();
            (found == states && edges.iter().all(is_settled)).then_some(edges)
        })
        .await
    }

    /// An edge of this origin, not started yet.
    ///
    /// # Errors
    /// When the program is not built, or no token is made.
    pub async fn edge(&self, name: &str) -> Result<Node> {
        let token = self.token().await?;
        let mut edge = edge_with_token(self.stage(), name, Ports::free(), &token)?;
        if !self.is_here() {
            edge.dial_afar();
        }
        Ok(edge)
    }
}

/// An edge with a token at hand, not started yet.
///
/// # Errors
/// When the program is not built.
pub fn edge_with_token(stage: &Stage, name: &str, ports: Ports, token: &str) -> Result<Node> {
    let mut node = Node::new(stage, name, "relay-edge", ports)?;
    // Most stories stop an edge and go on: those about draining say so.
    let environment = [("RELAY_JOIN", token), ("RELAY_DRAIN", "0s")];
    node.set_environment(environment.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(node)
}

/// An origin and two edges, the second a child of the first; all ready.
pub struct Cluster {
    /// Where publishers send.
    pub origin: Origin,
    /// A child of the origin.
    pub edge: Node,
    /// A child of the edge.
    pub deep: Node,
}

impl Cluster {
    /// Starts all three on free ports.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(stage: &Stage) -> Result<Self> {
        let origin = Origin::start(stage).await?;
        Self::around(origin).await
    }

    /// Adds two edges to an origin that runs.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn around(origin: Origin) -> Result<Self> {
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let mut deep = origin.edge("deep").await?.under(&edge);
        deep.start().await?;
        Ok(Self { origin, edge, deep })
    }
}
