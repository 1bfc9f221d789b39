//! What a demo tells: to scripts as JSON, to a person in words.

use anyhow::Result;
use relay_tests::cluster::{Node, Origin};
use serde::Serialize;

/// The way in to everything that runs.
#[derive(Serialize)]
pub(crate) struct Card {
    /// The page to watch the clip on, at the second edge.
    page: String,
    /// Where a visitor may publish a second stream, key and all.
    publish: String,
    origin: Entry,
    edges: Vec<Entry>,
}

/// One node; `{stream}` in its URLs stands for `app/name`.
#[derive(Serialize)]
struct Entry {
    flv: String,
    rtmp: String,
    metrics: String,
    pid: u32,
}

impl Card {
    pub(crate) fn of(origin: &Origin, edges: &[Node; 2], clip: &str, publish: &str) -> Result<Self> {
        Ok(Self {
            page: edges[1].page(clip),
            publish: publish.to_owned(),
            origin: Entry::of(origin)?,
            edges: edges.iter().map(Entry::of).collect::<Result<_>>()?,
        })
    }

    pub(crate) fn json(&self) -> String {
        // A struct of texts and numbers always has a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    pub(crate) fn welcome(&self) -> String {
        let clip = self.page.split_once("/watch/").map_or("", |(_, clip)| clip);
        let flv = |entry: &Entry| entry.flv.replace("{stream}", clip);
        format!(
            "\nEverything runs: origin -> edge 1 -> edge 2.\n\n  \
             watch     {page}\n  \
             FLV       {origin}   (origin)\n            \
             {first}   (edge 1)\n            \
             {second}   (edge 2)\n  \
             RTMP      {rtmp}\n  \
             publish   {publish}\n  \
             metrics   {metrics}\n\n\
             The clip: Big Buck Bunny, (c) Blender Foundation, CC BY 3.0. Ctrl-C ends all of it.\n",
            page = self.page,
            origin = flv(&self.origin),
            first = flv(&self.edges[0]),
            second = flv(&self.edges[1]),
            rtmp = self.edges[1].rtmp.replace("{stream}", clip),
            publish = self.publish,
            metrics = self.origin.metrics,
        )
    }
}

impl Entry {
    fn of(node: &Node) -> Result<Self> {
        Ok(Self {
            flv: node.flv("{stream}"),
            rtmp: node.rtmp("{stream}"),
            metrics: node.url_of_metrics("metrics"),
            pid: node.pid()?,
        })
    }
}
