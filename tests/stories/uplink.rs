//! 2012, kept from happening: more viewers come straight to the origin than its uplink carries, and those of its edges notice nothing (R79).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::BytesMut;
use relay_tests::calibration::{Calibration, percentile};
use relay_tests::cluster::{Node, Origin, Ports};
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::{Head, split_url};
use relay_tests::lab::{self, Line};
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::Flavour;
use relay_tests::wait::until;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const STREAM: &str = "live/cam";

/// The uplink, in Mbit/s.
const UPLINK: u64 = 100;

/// A stream of 2.5 Mbit/s, sound included.
const PICTURE_KBPS: u32 = 2_400;

/// So many viewers of it want 140 Mbit/s.
const DEMAND: u32 = 56;

/// Over how long they come.
const DEMAND_COMES: Duration = Duration::from_secs(2);

/// A wave of others, and over how long that comes.
const WAVE: u32 = 500;
const WAVE_COMES: Duration = Duration::from_secs(1);

/// Viewers of each of the two edges.
const AT_AN_EDGE: usize = 4;

/// What each edge can send: it fills, and the rest are refused.
const EDGE: &str = "[edge]\ncapacity = \"30Mbit\"\n";

/// How far an edge may be behind, and for how long its viewers may get nothing new.
const LAG: Duration = Duration::from_millis(500);

/// How soon one who is not served has to know.
const ANSWER: Duration = Duration::from_millis(100);

/// How long all is watched once a crowd has come.
const AFTER: Duration = Duration::from_secs(3);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);

/// `[origin]`: it serves as long as there is room. The story's own viewers are all there are.
const KEYS: &str = "serve = \"always\"\nprobe = false\nuplink = \"100Mbit\"\n";

#[test]
fn direct_demand_leaves_the_edges_theirs() {
    story("uplink_full", Turn::Alone, async |stage| {
        let origin = Origin::of_pool(stage, Ports::free(), KEYS)?;
        tell(origin, None).await
    });
}

/// The same with a line that really carries no more.
#[test]
fn direct_demand_leaves_the_edges_theirs_on_a_real_line() {
    const TEST: &str = "uplink::direct_demand_leaves_the_edges_theirs_on_a_real_line";
    if lab::is_inside() {
        return story("uplink_line", Turn::Alone, async |stage| {
            let line = Line::lay(UPLINK).await?;
            let origin = Origin::at_the_end_of(&line, stage, KEYS)?;
            tell(origin, Some(&line)).await
        });
    }
    story("uplink_line_outside", Turn::Alone, async |stage| {
        if let Some(trouble) = lab::trouble() {
            println!("uplink: not told with a real line: {trouble}");
            return Ok(());
        }
        let said = lab::tell_inside(stage, TEST).await?;
        said.lines()
            .filter(|line| line.starts_with("uplink"))
            .for_each(|line| println!("{line}"));
        Ok(())
    });
}

async fn tell(mut origin: Origin, line: Option<&Line>) -> Result<()> {
    origin.start().await?;
    let ledger = Ledger::default();
    let url = origin.publish_url(STREAM).await?;
    let footage = Synthetic {
        video_kbps: PICTURE_KBPS,
        ..Synthetic::default()
    };
    let _encoder = Encoder::publish(&url, footage.play(), &ledger).await?;
    origin.shows(STREAM).await?;
    let (mut edges, mut theirs) = (Vec::new(), Crowd::new());
    for name in ["one", "two"] {
        let mut edge = origin.edge(name).await?;
        edge.configure(EDGE);
        edge.start().await?;
        edge.shows(STREAM).await?;
        theirs.join(AT_AN_EDGE, Flavour::Http11, &edge.flv(STREAM), &ledger);
        edges.push(edge);
    }
    until(
        "both edges to serve, and to say how far they are behind",
        async || {
            let listed = origin.admin("/api/v1/edges").await.ok()?;
            let is_up = |edge: &&Value| edge["state"] == "serving" && edge["lag_ms"].is_u64();
            let up = listed.as_array()?.iter().filter(is_up);
            (up.count() == 2).then_some(())
        },
    )
    .await?;
    // By now the stream's highest rate is known, keyframes and all.
    theirs.get(300).await?;
    until("the edges to be level with the origin", async || {
        let looks = Look::at(&origin, &edges, line).await.ok()?;
        (looks.lag < LAG).then_some(())
    })
    .await?;

    let calibration = Calibration::start();
    let mut scene = Scene {
        origin: &origin,
        edges: &edges,
        line,
        looks: Vec::new(),
        door: JoinSet::new(),
        answers: Vec::new(),
    };
    scene.come(DEMAND, DEMAND_COMES).await?;
    let demand = scene.answers.len();
    scene.come(WAVE, WAVE_COMES).await?;
    let Scene { looks, answers, .. } = scene;
    let lateness = calibration.finish();

    theirs.missed_nothing()?;
    let served = |answers: &[Answer]| answers.iter().filter(|answer| answer.status == 200).count();
    let of = |status| answers.iter().filter(move |answer| answer.status == status);
    let mut turned_away: Vec<Duration> = of(302).chain(of(503)).map(|answer| answer.took).collect();
    turned_away.sort_unstable();
    let (p99, slowest) = (percentile(&turned_away, 99.0), percentile(&turned_away, 100.0));
    let lag = looks.iter().map(|look| look.lag).max().unwrap_or_default();
    let (second, moment) = (most(&looks, Duration::from_secs(1)), most(&looks, LOOK));
    let gaps = theirs
        .reports()
        .into_iter()
        .filter_map(|report| report.longest_gap);
    let gap = gaps.map(|(gap, _)| gap).max().unwrap_or_default();
    println!(
        "uplink{}: of {demand} who want {} Mbit/s {} were served, then of {WAVE} in a second {}; {} were sent on and {} refused, p99 \
         {p99:.1?}, all within {slowest:.0?}; the origin sent {second:.0} Mbit/s in the fullest second, {moment:.0} in the fullest \
         {LOOK:?}",
        line.map_or("", |_| " of a real line"),
        f64::from(DEMAND) * 2.5,
        served(&answers[..demand]),
        served(&answers[demand..]),
        of(302).count(),
        of(503).count(),
    );
    if let Some(line) = line {
        println!(
            "uplink of a real line: {} packets found it full",
            line.dropped().await?
        );
    }
    ensure!(
        answers.len() == (DEMAND + WAVE) as usize,
        "{} answers",
        answers.len()
    );
    ensure!(
        served(&answers[..demand]) > 10 && of(302).count() > 0 && of(503).count() > 300,
        "served, sent on or refused too few"
    );
    // What is given away is less than 85 %; what is sent has to be less than all.
    ensure!(second < UPLINK as f64, "{second} Mbit/s in a second");
    let words =
        format!("an edge was {lag:.0?} behind at most, a viewer of one had nothing new for {gap:.0?}");
    lateness.judge("uplink: its edges", &words, lag <= LAG && gap <= LAG);
    let words = format!("who is not served knows after {p99:.1?}");
    lateness.judge("uplink: its door", &words, p99 <= ANSWER);
    Ok(())
}

/// What somebody at the door was told.
struct Answer {
    status: u16,
    took: Duration,
}

/// One look at what the origin sends and how far its edges are behind.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    sent: u64,
    lag: Duration,
}

impl Look {
    async fn at(origin: &Origin, edges: &[Node], line: Option<&Line>) -> Result<Self> {
        let at = Instant::now();
        let sent = match line {
            Some(line) => line.carried()?,
            None => {
                let metrics = origin.metrics().await?;
                let sum = |name: &str| metrics.sum(name).with_context(|| format!("no {name}"));
                // Whole bytes, far below what an f64 counts.
                (sum("relay_egress_bytes_total")? + sum("relay_cascade_sent_bytes_total")?) as u64
            }
        };
        let mut lag: f64 = 0.0;
        for edge in edges {
            let name = "relay_cascade_lag_seconds";
            lag = lag.max(edge.metrics().await?.sum(name).context(name)?);
        }
        let lag = Duration::from_secs_f64(lag);
        Ok(Self { at, sent, lag })
    }
}

/// The highest rate over a time, in Mbit/s.
fn most(looks: &[Look], over: Duration) -> f64 {
    let rate = |from: &Look| {
        let to = looks.iter().find(|to| to.at >= from.at + over)?;
        let seconds = (to.at - from.at).as_secs_f64();
        Some((to.sent - from.sent) as f64 * 8.0 / 1e6 / seconds)
    };
    looks.iter().filter_map(rate).fold(0.0, f64::max)
}

struct Scene<'a> {
    origin: &'a Origin,
    edges: &'a [Node],
    line: Option<&'a Line>,
    looks: Vec<Look>,
    /// Those who are served; they stay to the end.
    door: JoinSet<Result<()>>,
    answers: Vec<Answer>,
}

impl Scene<'_> {
    /// So many come to the origin, evenly over a time; then it is watched for a while.
    async fn come(&mut self, count: u32, over: Duration) -> Result<()> {
        let begun = tokio::time::Instant::now();
        // Each is told one answer.
        let (told, mut answers) = mpsc::channel(count as usize);
        for number in 0..count {
            let (url, told) = (self.origin.flv(STREAM), told.clone());
            let due = begun + over * number / count;
            self.door.spawn(async move {
                tokio::time::sleep_until(due).await;
                watch(&url, &told).await
            });
        }
        drop(told);
        let end = begun + over + AFTER;
        let mut tick = tokio::time::interval(LOOK);
        while tokio::time::Instant::now() < end {
            tick.tick().await;
            self.looks
                .push(Look::at(self.origin, self.edges, self.line).await?);
        }
        while let Ok(answer) = answers.try_recv() {
            self.answers.push(answer);
        }
        while let Some(gone) = self.door.try_join_next() {
            gone??;
        }
        Ok(())
    }
}

/// Asks for the stream, tells what the answer was, and takes what comes for as long as it comes.
async fn watch(url: &str, told: &mpsc::Sender<Answer>) -> Result<()> {
    let (host, path) = split_url(url)?;
    let dialled = Instant::now();
    let mut socket = TcpStream::connect(host).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut bytes = BytesMut::with_capacity(64 << 10);
    let head = loop {
        ensure!(socket.read_buf(&mut bytes).await? > 0, "closed within the head");
        if let Some(head) = Head::take(&mut bytes)? {
            break head;
        }
    };
    let took = dialled.elapsed();
    // Whoever waits for answers may have gone home.
    let _ = told.try_send(Answer {
        status: head.status,
        took,
    });
    if head.status != 200 {
        return Ok(());
    }
    loop {
        bytes.clear();
        ensure!(socket.read_buf(&mut bytes).await? > 0, "closed while it watched");
    }
}
