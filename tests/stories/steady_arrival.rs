//! Viewers come all the time, by name and to the origin itself, while that is killed and comes back (R45, R79, R81).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use relay_tests::cluster::{Origin, Ports, edge_with_token};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::ask;
use relay_tests::ledger::Ledger;
use relay_tests::ports::free_port;
use relay_tests::question;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

const STREAM: &str = "live/cam";

const ZONE: &str = "live.example.org";

/// From one viewer to the next.
const STEP: Duration = Duration::from_millis(40);

/// Viewers before the origin is killed, while it is away (two seconds, as its unit waits), and when it comes back: before its edges
/// are linked again, before its encoder is, and after.
const BEFORE: usize = 75;
const AWAY: usize = 50;
const AFTER: usize = 150;

/// A join has succeeded when a second of pictures has come …
const ENOUGH: usize = 25;

/// … within so long after the first packet.
const JOIN: Duration = Duration::from_secs(3);

/// How long a resolver waits for one name server.
const PATIENCE: Duration = Duration::from_millis(400);

/// How viewers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By the pool's name.
    Name,
    /// To the origin's own address.
    Origin,
}

/// What became of one.
#[derive(Debug)]
struct Visit {
    way: Way,
    came: Instant,
    over: Instant,
    joined: Result<(), String>,
}

/// The world of the viewers: its name servers, and the port of all HTTP.
#[derive(Clone)]
struct World {
    servers: [SocketAddr; 2],
    port: u16,
}

impl World {
    /// What the name stands for, by the first server that answers. Resolvers begin with either.
    async fn resolve(&self, turn: usize) -> Result<Vec<Ipv4Addr>> {
        for step in 0..self.servers.len() {
            let server = self.servers[(turn + step) % self.servers.len()];
            if let Ok(Ok(addresses)) = timeout(PATIENCE, resolve_at(server, turn)).await {
                return Ok(addresses);
            }
        }
        bail!("no name server answers")
    }

    /// Comes, follows where it is sent, tries the next address if there is nobody, and watches for a second.
    async fn visit(self, way: Way, turn: usize) -> Visit {
        let came = Instant::now();
        let joined = match timeout(JOIN, self.join(way, turn)).await {
            Ok(joined) => joined.map_err(|error| format!("{error:#}")),
            Err(_) => Err("too little, too late".to_owned()),
        };
        let over = Instant::now();
        Visit {
            way,
            came,
            over,
            joined,
        }
    }

    async fn join(&self, way: Way, turn: usize) -> Result<()> {
        let hosts = match way {
            Way::Name => self.resolve(turn).await?,
            Way::Origin => vec![Ipv4Addr::LOCALHOST],
        };
        let mut trouble = anyhow::anyhow!("the name has no address");
        for host in hosts {
            let url = format!("http://{host}:{}/{STREAM}.flv", self.port);
            match watch(url).await {
                Ok(()) => return Ok(()),
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }
}

async fn watch(mut url: String) -> Result<()> {
    for _ in 0..=2 {
        let answer = ask("HEAD", &url, "").await?;
        match (answer.head.status, answer.head.header("location")) {
            (200, _) => {
                let mut viewer = Viewer::watch(Flavour::Http11, &url, None);
                let seen = viewer.until("a second of pictures", |report| report.video >= ENOUGH);
                return seen.await;
            }
            (302, Some(location)) => url = location.to_owned(),
            (status, _) => bail!("{url} answers {status}: {}", answer.text()),
        }
    }
    bail!("it is sent on for ever")
}

async fn resolve_at(server: SocketAddr, id: usize) -> Result<Vec<Ipv4Addr>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    let id = id as u16; // any bits do
    socket.send(&question::ask(id, ZONE)).await?;
    let mut packet = [0; 1500];
    let length = socket.recv(&mut packet).await?;
    let answer = question::answer(id, &packet[..length]).context("no answer to that")?;
    Ok(answer.addresses)
}

/// Lets so many come, one after the other, two of three by name.
async fn come(visits: &mut JoinSet<Visit>, world: &World, count: usize) {
    let mut tick = interval(STEP);
    for _ in 0..count {
        tick.tick().await;
        let turn = visits.len();
        let way = if turn % 3 == 2 { Way::Origin } else { Way::Name };
        visits.spawn(world.clone().visit(way, turn));
    }
}

#[test]
fn an_origin_that_dies_and_returns_carries_no_viewer() {
    story("steady_arrival", Turn::Alone, async |stage| {
        let names = [free_port(), free_port()];
        let zone = |port: u16| {
            format!(
                "[dns]\nlisten = \"127.0.0.1:{port}\"\nzone = \"{ZONE}\"\nnameservers = [\"ns1.{ZONE} 127.0.0.1\"]\n\
                 fallback = [\"127.0.0.1\"]\nrate_limit = 0\n"
            )
        };
        let ports = Ports::free();
        let keys = format!("uplink = \"100Mbit\"\n\n{}", zone(names[0]));
        let mut origin = Origin::of_pool(stage, ports, &keys)?;
        origin.start().await?;
        let token = origin.token().await?;
        let mut edges = Vec::new();
        for number in 1..=3_u8 {
            let ports = Ports {
                http: ports.http,
                ..Ports::free()
            };
            let edge = edge_with_token(stage, &format!("edge{number}"), ports, &token)?;
            let mut edge = edge.at(10 + number);
            if number == 1 {
                edge.configure(&zone(names[1]));
            }
            edge.start().await?;
            edges.push(edge);
        }
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let footage = |seed| {
            let synthetic = Synthetic {
                seed,
                video_kbps: 200,
                ..Synthetic::default()
            };
            synthetic.play()
        };
        let _encoder = Encoder::persist(&url, footage, &ledger);
        for edge in &edges {
            edge.shows(STREAM).await?;
        }
        origin.edges_are(&["serving"; 3]).await?;
        let world = World {
            servers: names.map(|port| (Ipv4Addr::LOCALHOST, port).into()),
            port: ports.http,
        };

        // What an edge knows of the others is up to five seconds old.
        until("the edge to name all three", async || {
            let named = resolve_at(world.servers[1], 1).await.ok()?;
            (named.len() == 3).then_some(())
        })
        .await?;

        let mut visits = JoinSet::new();
        come(&mut visits, &world, BEFORE).await;
        let killed = Instant::now();
        origin.kill();
        come(&mut visits, &world, AWAY).await;
        // From now on its ports open, one after the other.
        origin.launch()?;
        let opening = async {
            origin.ready().await?;
            Ok::<_, anyhow::Error>(Instant::now())
        };
        let (open, ()) = tokio::join!(opening, come(&mut visits, &world, AFTER));
        let open = open?;
        let visits: Vec<Visit> = visits.join_all().await;

        let of = |way: Way| visits.iter().filter(move |visit| visit.way == way);
        let failed = |visit: &&Visit| visit.joined.is_err();
        let away = open - killed;
        println!(
            "steady_arrival: {} came by name, {} of them in vain; {} to the origin, {} in vain while its ports were closed, for {away:.1?}",
            of(Way::Name).count(),
            of(Way::Name).filter(failed).count(),
            of(Way::Origin).count(),
            of(Way::Origin).filter(failed).count(),
        );
        // DNS goes on from an edge, so that the name is good all the time.
        if let Some(visit) = of(Way::Name).find(failed) {
            bail!("one who came by name: {visit:?}; the origin was killed at {killed:?}");
        }
        ensure!(
            of(Way::Origin).any(|visit| visit.joined.is_err()),
            "it was never away"
        );
        for visit in of(Way::Origin).filter(failed) {
            ensure!(
                visit.over >= killed && visit.came <= open,
                "its ports were open, from {killed:?} to {open:?} excepted: {visit:?}"
            );
        }
        let metrics = origin.metrics().await?;
        let decided = |what: &str| {
            let label = format!("decision=\"{what}\"");
            metrics.sum_where("relay_admissions_total", &label).unwrap_or(0.0)
        };
        println!(
            "steady_arrival: since its return the origin sent {} on",
            decided("redirected")
        );
        ensure!(
            decided("served") == 0.0,
            "{} landed on its uplink",
            decided("served")
        );
        ensure!(decided("redirected") >= 10.0, "nobody came to it");
        Ok(())
    });
}
