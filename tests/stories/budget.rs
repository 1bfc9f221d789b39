//! What a viewer costs, counted and not timed: system calls, copies, wake-ups (R64; docs/performance.md has the budget).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Node, Origin};
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::metrics::Metrics;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::Flavour;

const STREAM: &str = "live/counted";

/// Viewers, in three flavours.
const VIEWERS: usize = 30;

/// The fixed period, in seconds. 10 bursts a second carry 75 messages a second.
const PERIOD: f64 = 0.1;

/// Slots of a period, each one wake-up.
const SLOTS: f64 = 10.0;

/// Messages of the footage in ten seconds.
const TEN_SECONDS: usize = 750;

#[test]
fn a_burst_is_one_call_and_a_viewer_gets_one_per_period() {
    for (name, from, call) in [("send", "1GiB", "send"), ("sendfile", "0B", "sendfile")] {
        story("budget", Turn::Beside, async |stage| {
            let origin = Origin::start(stage).await?;
            let mut edge = origin.edge(name).await?;
            edge.configure(&format!(
                "[fanout]\nshards = 1\nperiod_min = \"100ms\"\nperiod_max = \"100ms\"\nsendfile_from = \"{from}\""
            ));
            edge.start().await?;
            let ledger = Ledger::default();
            let url = origin.publish_url(STREAM).await?;
            let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
            edge.shows(STREAM).await?;
            let mut crowd = Crowd::new();
            for (flavour, url) in [
                (Flavour::Http11, edge.flv(STREAM)),
                (Flavour::Http10, edge.flv(STREAM)),
                (Flavour::Rtmp, edge.rtmp(STREAM)),
            ] {
                crowd.join(VIEWERS / 3, flavour, &url, &ledger);
            }
            crowd.get(100).await?;

            let before = Look::at(&edge).await?;
            crowd.get(TEN_SECONDS).await?;
            let spent = Look::at(&edge).await?.since(&before);
            crowd.missed_nothing()?;
            spent.is_within_budget(call)
        });
    }
}

/// The fan-out's counters.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    sends: f64,
    short: f64,
    turns: f64,
    bytes: f64,
    by_call: [f64; 2],
}

/// What went into a span of time.
#[derive(Clone, Copy, Debug)]
struct Spent {
    time: Duration,
    look: Look,
}

impl Look {
    async fn at(edge: &Node) -> Result<Self> {
        let metrics = edge.metrics().await?;
        let sum = |name: &str| metrics.sum(name).with_context(|| format!("no {name}"));
        Ok(Self {
            at: Instant::now(),
            sends: sum("relay_fanout_sends_total")?,
            short: sum("relay_fanout_short_sends_total")?,
            turns: sum("relay_fanout_turns_total")?,
            bytes: sum("relay_egress_bytes_total")?,
            by_call: [sent(&metrics, "send")?, sent(&metrics, "sendfile")?],
        })
    }

    fn since(self, before: &Self) -> Spent {
        let [sent, lent] = self.by_call;
        let look = Self {
            sends: self.sends - before.sends,
            short: self.short - before.short,
            turns: self.turns - before.turns,
            bytes: self.bytes - before.bytes,
            by_call: [sent - before.by_call[0], lent - before.by_call[1]],
            ..self
        };
        Spent {
            time: self.at - before.at,
            look,
        }
    }
}

fn sent(metrics: &Metrics, call: &str) -> Result<f64> {
    let label = format!("call=\"{call}\"");
    metrics
        .sum_where("relay_fanout_sent_bytes_total", &label)
        .with_context(|| format!("no bytes by {call}"))
}

impl Spent {
    fn is_within_budget(&self, call: &str) -> Result<()> {
        let seconds = self.time.as_secs_f64();
        let viewers = VIEWERS as f64;
        let Look {
            sends,
            short,
            turns,
            bytes,
            by_call: [copied, lent],
            ..
        } = self.look;
        println!(
            "per viewer and second by {call}: {:.2} sends ({} of {sends} cut short), {:.2} wake-ups, {:.0} bytes a send",
            sends / viewers / seconds,
            short,
            turns / viewers / seconds,
            bytes / sends
        );
        // A held-up thread makes fewer and larger bursts, never more; a look may cut a period in two at either end. A pong, an
        // acknowledgement or a socket with room again is a call and a wake-up of its own.
        let periods = seconds / PERIOD + 2.0;
        let own = 2.0 * short + viewers * (seconds / 2.0 + 1.0);
        ensure!(sends <= viewers * periods + own, "{sends} sends in {seconds} s");
        ensure!(turns <= SLOTS * periods + own, "{turns} turns in {seconds} s");
        ensure!(sends > viewers * 5.0, "{sends} sends: they were not counted");
        // A record is sent once to each, and by the call that was asked for; what is a viewer's own is always copied.
        // The page is read while counters are added up one after the other: a slot's worth may be in one and not yet in another.
        let apart = (copied + lent - bytes).abs();
        ensure!(apart < bytes * 0.02, "{copied} + {lent} is not {bytes}");
        let expected = if call == "send" { copied } else { lent };
        ensure!(expected > bytes * 0.99, "{copied} copied, {lent} lent");
        Ok(())
    }
}
