//! The pool's name server, asked by the tools of those who run name servers: dig (BIND) and drill (ldns).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Result, ensure};
use relay_core::clock::Clock;
use relay_core::config::Dns;
use relay_core::dns::{Server, Source, Zone};
use relay_core::metrics::registry;
use relay_tests::process::output_of;
use relay_tests::story::{Turn, story};
use relay_tests::tools::program;

/// Six nodes, of which one has as much room as all others.
const WEIGHTS: [u64; 6] = [1, 1, 1, 1, 1, 5];

/// How often the spread is asked for; the frequencies themselves are judged in relay-core, with many more.
const ASKED: usize = 200;

#[test]
fn dig_and_drill_understand_the_zone() {
    story("dns", Turn::Beside, async |_| {
        let names = NameServer::start()?;
        let short = |answer: &str| answer.lines().map(str::to_owned).collect::<Vec<_>>();

        for transport in ["+notcp", "+tcp"] {
            let answer = names.dig(&["live.example.org", "A", "+short", transport]).await?;
            let drawn = short(&answer);
            ensure!(
                drawn.len() == 4 && drawn.iter().all(|line| line.starts_with("198.51.100.")),
                "{answer}"
            );
        }
        let answer = names.dig(&["live.example.org", "NS", "+short"]).await?;
        ensure!(
            short(&answer) == ["ns1.live.example.org.", "ns2.example.net."],
            "{answer}"
        );
        let answer = names.dig(&["live.example.org", "SOA", "+short"]).await?;
        ensure!(
            answer.starts_with("ns1.live.example.org. hostmaster.live.example.org. "),
            "{answer}"
        );

        for (question, said) in [
            (
                &["live.example.org", "A"][..],
                "flags: qr aa; QUERY: 1, ANSWER: 4,",
            ),
            (&["live.example.org", "AAAA"], "status: NOERROR"),
            (&["x.live.example.org", "A"], "status: NXDOMAIN"),
            (&["example.com", "A"], "status: REFUSED"),
            (&["version.bind", "TXT", "CH"], "status: REFUSED"),
            (&["live.example.org", "ANY", "+notcp"], "\"RFC8482\" \"\""),
            (&["live.example.org", "A", "+opcode=UPDATE"], "status: NOTIMP"),
            (
                &["live.example.org", "A", "+edns=1", "+noednsnegotiation"],
                "status: BADVERS",
            ),
            (
                &["live.example.org", "A", "+bufsize=4096"],
                "EDNS: version: 0, flags:; udp: 1232",
            ),
            (
                &["live.example.org", "A", "+noedns"],
                "ANSWER: 4, AUTHORITY: 0, ADDITIONAL: 0",
            ),
            (&["live.example.org", "A", "+dnssec"], "flags: do; udp: 1232"),
            (&["live.example.org", "A", "+subnet=192.0.2.0/24"], "ANSWER: 4"),
            (&["live.example.org", "A", "+cookie"], "ANSWER: 4"),
            (&["live.example.org", "AXFR"], "Transfer failed"),
        ] {
            let answer = names.dig(question).await?;
            ensure!(
                answer.contains(said),
                "{question:?}: {said:?} is not in\n{answer}"
            );
            ensure!(
                !answer.contains("WARNING") && !answer.contains(";; Warning"),
                "{question:?}: {answer}"
            );
        }
        let answer = names.drill(&["live.example.org", "A"]).await?;
        ensure!(
            answer.contains("rcode: NOERROR") && answer.contains("ANSWER: 4"),
            "{answer}"
        );
        Ok(())
    });
}

#[test]
fn resolvers_spread_viewers_by_room() {
    story("dns_spread", Turn::Beside, async |_| {
        let names = NameServer::start()?;
        let mut first = BTreeMap::<String, usize>::new();
        // One dig asks them all: a question a line.
        let questions = vec!["live.example.org"; ASKED].join(" ");
        let mut arguments: Vec<&str> = questions.split(' ').collect();
        arguments.insert(0, "+noall");
        arguments.insert(1, "+answer");
        let answers = names.dig(&arguments).await?;
        let addresses = answers.lines().filter_map(|line| line.split_whitespace().nth(4));
        let addresses: Vec<&str> = addresses.collect();
        ensure!(addresses.len() == 4 * ASKED, "{} addresses", addresses.len());
        for drawn in addresses.chunks(4) {
            *first.entry(drawn[0].to_owned()).or_default() += 1;
        }
        println!("first of {ASKED} answers: {first:?}");
        // Half of all is 100; that the roomy one should come less than 60 times is a chance of 1 in 10^8.
        ensure!(
            first.get("198.51.100.6").is_some_and(|count| *count >= 60),
            "{first:?}"
        );
        Ok(())
    });
}

struct NameServer {
    address: SocketAddr,
}

impl NameServer {
    fn start() -> Result<Self> {
        let server = |text: &str| text.parse().map_err(anyhow::Error::msg);
        let config = Dns {
            zone: Some("live.example.org".parse().map_err(anyhow::Error::msg)?),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)).into(),
            nameservers: vec![
                server("ns1.live.example.org 192.0.2.1")?,
                server("ns2.example.net")?,
            ],
            rate_limit: 0,
            ..Dns::default()
        };
        let source = Arc::new(Source::default());
        source.offer(
            (1..)
                .zip(WEIGHTS)
                .map(|(last, weight)| (IpAddr::from([198, 51, 100, last]), weight)),
        );
        let Some(zone) = Zone::of(&config)? else {
            anyhow::bail!("no zone");
        };
        let server = Server::bind(&config, zone, source, Clock::start(), &registry("test")?)?;
        let address = server.address();
        // It ends with the story's runtime.
        tokio::spawn(server.run(Default::default()));
        Ok(Self { address })
    }

    async fn dig(&self, question: &[&str]) -> Result<String> {
        let mut dig = program("dig")?;
        let port = self.address.port().to_string();
        // Options before the first name hold for all names.
        dig.args([
            "-r",
            "@127.0.0.1",
            "-p",
            &port,
            "+tries=1",
            "+time=5",
            "+norecurse",
        ]);
        output_of(dig.args(question)).await
    }

    async fn drill(&self, question: &[&str]) -> Result<String> {
        let mut drill = program("drill")?;
        drill.args(["-p", &self.address.port().to_string(), "@127.0.0.1"]);
        output_of(drill.args(question)).await
    }
}
