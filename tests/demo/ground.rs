//! The demo's ground: a block of ports, a folder, and the card; all given back when it is dropped.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::Ports;
use relay_tests::ports::is_free;
use relay_tests::story::{Stage, target_dir};

use crate::card::Card;

/// Where bases are looked for when none is asked for, one block after the other.
const FIRST_BASE: u16 = 18_000;

/// How many blocks are looked at: more demos than anyone runs at once.
const BLOCKS: u16 = 100;

/// Ports from one node's first to the next one's, so that they read well: 18000, 18010, 18020.
const NODE: u16 = 10;

/// Nodes in a demo.
const NODES: u16 = 3;

/// Ports and folder of one demo.
pub(crate) struct Ground {
    base: u16,
    stage: Stage,
}

impl Ground {
    /// Takes the base that `DEMO_PORTS` names, or the first free one.
    pub(crate) fn take() -> Result<Self> {
        let base = match std::env::var("DEMO_PORTS") {
            Ok(text) if !text.is_empty() => asked_for(&text)?,
            _ => first_free()?,
        };
        let stage = Stage::in_folder("demo", target_dir()?.join(format!("demo-{base}")))?;
        Ok(Self { base, stage })
    }

    pub(crate) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The ports of the node with this number.
    pub(crate) const fn ports(&self, node: u16) -> Ports {
        ports_of(self.base + NODE * node)
    }

    /// Writes the card for scripts, whole or not at all.
    pub(crate) fn show(&self, card: &Card) -> Result<ShownCard> {
        let text = card.json();
        std::fs::write(self.stage.folder().join("demo.json"), &text)?;
        let path = target_dir()?.join("demo.json");
        let draft = self.stage.folder().join("demo.json.new");
        std::fs::write(&draft, &text)?;
        std::fs::rename(&draft, &path).with_context(|| format!("writing {}", path.display()))?;
        Ok(ShownCard { path, text })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(self.stage.folder()) {
            eprintln!("{} is left behind: {error}", self.stage.folder().display());
        }
    }
}

/// The card where scripts look for it; taken away again, unless a newer demo has put its own there.
pub(crate) struct ShownCard {
    path: PathBuf,
    text: String,
}

impl Drop for ShownCard {
    fn drop(&mut self) {
        if read(&self.path).as_deref() == Some(&self.text) {
            // Gone already is as good.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

const fn ports_of(first: u16) -> Ports {
    Ports {
        http: first,
        rtmp: first + 1,
        link: first + 2,
        metrics: first + 3,
    }
}

fn asked_for(text: &str) -> Result<u16> {
    let base: u16 = text
        .parse()
        .with_context(|| format!("DEMO_PORTS={text} is no port"))?;
    ensure!(
        (1024..=u16::MAX - NODE * NODES).contains(&base),
        "DEMO_PORTS={base}: a base between 1024 and {} is needed",
        u16::MAX - NODE * NODES
    );
    let taken = all_ports(base).find(|port| !is_free(*port));
    ensure!(
        taken.is_none(),
        "DEMO_PORTS={base}: port {} is in use",
        taken.unwrap_or(base)
    );
    Ok(base)
}

fn first_free() -> Result<u16> {
    let mut bases = (0..BLOCKS).map(|block| FIRST_BASE + block * NODE * NODES);
    bases.find(|base| all_ports(*base).all(is_free)).with_context(|| {
        format!("no free block of ports from {FIRST_BASE} on; DEMO_PORTS=20000 names another base")
    })
}

fn all_ports(base: u16) -> impl Iterator<Item = u16> {
    (0..NODES).flat_map(move |node| {
        let Ports {
            http,
            rtmp,
            link,
            metrics,
        } = ports_of(base + NODE * node);
        [http, rtmp, link, metrics]
    })
}
