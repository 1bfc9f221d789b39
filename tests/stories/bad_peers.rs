//! Members that turn bad: a million streams, names of 64 KB, bombs of JSON, the names of others. Each is refused with a reason and its link
//! closed; those who watch notice nothing, and no memory is spent.

mod children;
mod parents;

use anyhow::{Context as _, Result, ensure};
use relay_core::cascade::Message;
use relay_core::cascade::message::LinkRole;
use relay_tests::cluster::{Node, Origin};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::member::{Member, Talk};
use relay_tests::story::Stage;
use relay_tests::viewer::{Flavour, Viewer};

const STREAM: &str = "live/cam";

/// As many streams as anybody can want to announce.
const MILLION: usize = 1_000_000;

/// What a node may grow by, whatever a peer says: a few thousand names, buffers, and what an allocator keeps of them.
const MEMORY: u64 = 48_000_000;

/// A name that nearly fills a message.
fn long() -> String {
    "x".repeat(60_000)
}

/// Brackets within brackets, as many as a message holds.
fn bomb() -> String {
    let deep = 30_000;
    format!("{}{}", "[".repeat(deep), "]".repeat(deep))
}

/// An origin and an edge, with somebody who watches there.
struct Honest {
    origin: Origin,
    edge: Node,
    viewer: Viewer,
    _encoder: Encoder,
}

impl Honest {
    async fn start(stage: &Stage) -> Result<Self> {
        let origin = Origin::start(stage).await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        edge.shows(STREAM).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &edge.flv(STREAM), Some(&ledger));
        viewer.gets(50).await?;
        Ok(Self {
            origin,
            edge,
            viewer,
            _encoder: encoder,
        })
    }

    /// The id of the edge that is no rogue.
    async fn id(&self) -> Result<String> {
        let listed = self.origin.admin("/api/v1/edges").await?;
        Ok(listed[0]["id"].as_str().context("an edge has an id")?.to_owned())
    }

    /// Those who watch go on watching, and missed nothing.
    async fn go_on(&mut self) -> Result<()> {
        self.viewer.gets(25).await?;
        self.viewer.missed_nothing()
    }
}

/// A link to the origin that was welcomed; it is for control alone.
async fn greeted(member: &Member, origin: &Origin) -> Result<Talk> {
    let mut talk = member.link(origin).await?;
    let hello = Message::Hello(Box::new(member.hello(LinkRole::Control)));
    talk.say(&hello).await?;
    ensure!(matches!(talk.hears().await?, Message::Welcome(_)), "no welcome");
    Ok(talk)
}
