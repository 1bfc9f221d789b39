//! The demo: an origin and two edges on this machine, the clip on a loop, and a viewer at the far end that checks all
//! it gets. Ctrl-C ends everything; nothing is left behind.

mod card;
mod ground;
mod growth;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use relay_tests::cluster::{Node, Origin, edge_with_token};
use relay_tests::metrics::Metrics;
use relay_tests::viewer::{Flavour, Viewer};
use tokio::signal::unix::{Signal, SignalKind, signal};

use card::Card;
use ground::Ground;
use growth::Growth;

/// The clip's stream.
const CLIP: &str = "live/bunny";

/// The stream that a visitor may publish to.
const YOURS: &str = "live/yours";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let shown = runtime
        .context("starting")
        .and_then(|runtime| runtime.block_on(show()));
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The demo cannot go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn show() -> Result<()> {
    let mut stop = Stop::listen()?;
    let ground = Ground::take()?;
    // Whatever happens in between, all that was started ends and all that was written goes when `ground` and the nodes
    // are dropped, in this order: nodes first.
    tokio::select! {
        shown = play(&ground) => shown,
        () = stop.asked() => Ok(()),
    }
}

async fn play(ground: &Ground) -> Result<()> {
    // Dropped after the origin, which starts what this ends.
    let mut growth = match Growth::is_wanted() {
        true => Some(Growth::below(ground.stage().folder())?),
        false => None,
    };
    let (origin, edges) = start(ground, growth.as_ref()).await?;
    let mut viewer = Viewer::watch(Flavour::Http11, &edges[1].flv(CLIP), None);
    viewer.gets(1).await?;
    let publish = origin.publish_url(YOURS).await?;
    let card = Card::of(&origin, &edges, CLIP, &publish)?;
    let _card = ground.show(&card)?;
    println!("{}", card.welcome());
    let mut seen = Tally::default();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        seen.print_second(&viewer, &edges).await;
        if let Some(growth) = &mut growth {
            println!("{}", growth.goes_on(&origin, CLIP).await?);
        }
        if let Some(end) = viewer.ask(|report| report.ended.clone()) {
            bail!("the viewer's connection ended: {end}");
        }
    }
}

/// The origin with the clip, an edge, and an edge of that edge. One whose pool is to grow leaves all viewers to its edges.
async fn start(ground: &Ground, growth: Option<&Growth>) -> Result<(Origin, [Node; 2])> {
    let (stage, ports) = (ground.stage(), ground.ports(0));
    let mut origin = match growth {
        Some(growth) => Origin::of_pool(stage, ports, &growth.of_origin())?,
        None => Origin::prepare(stage, "origin", ports)?,
    };
    let clip = relay_tests::footage::clip_path();
    origin.configure(&format!(
        "[[source]]\nfile = \"{}\"\nstream = \"{CLIP}\"\nloop = true",
        clip.display()
    ));
    origin.start().await?;
    let token = origin.token().await?;
    let mut edge = edge_with_token(stage, "edge-1", ground.ports(1), &token)?;
    let mut deep = edge_with_token(stage, "edge-2", ground.ports(2), &token)?.under(&edge);
    if growth.is_some() {
        edge.configure(&Growth::of_edge(false));
        deep.configure(&Growth::of_edge(true));
    }
    edge.start().await?;
    deep.start().await?;
    deep.shows(CLIP).await?;
    Ok((origin, [edge, deep]))
}

/// What was seen up to the last line.
#[derive(Default)]
struct Tally {
    bytes: u64,
    pictures: usize,
    sounds: usize,
}

impl Tally {
    /// One line about the last second.
    async fn print_second(&mut self, viewer: &Viewer, edges: &[Node]) {
        let now = viewer.ask(|report| {
            let tally = Self {
                bytes: report.bytes,
                pictures: report.video,
                sounds: report.audio,
            };
            (tally, report.fault_count)
        });
        let (now, faults) = now;
        let mut viewers = 0.0;
        for edge in edges {
            viewers += edge
                .metrics()
                .await
                .ok()
                .as_ref()
                .and_then(viewers_of)
                .unwrap_or_default();
        }
        println!(
            "second tier: {:4} kbit/s, {:2} pictures, {:2} sounds; faults {faults}; viewers on the edges {viewers}",
            (now.bytes - self.bytes) / 125,
            now.pictures - self.pictures,
            now.sounds - self.sounds,
        );
        *self = now;
    }
}

fn viewers_of(metrics: &Metrics) -> Option<f64> {
    metrics.sum("relay_viewers")
}

/// Ctrl-C, or a polite kill.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
