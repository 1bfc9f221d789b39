//! Contenders: the bars of the parts where ours stands beside the bare send loop and the servers of others.

use super::Bar;
use super::comparison::{dearer, median};
use super::faults::nothing_amiss;
use crate::figures::ratio;
use crate::part::Part;
use crate::parts::ten_thousand;
use crate::results::Measured;
use crate::sample::{Contender, Sample};

const SMALL: u64 = 100;
const THOUSAND: u64 = 1_000;

pub(super) fn floor(measured: &Measured) -> Vec<Bar> {
    let mut bars = Vec::new();
    for viewers in [THOUSAND, 4_000, ten_thousand::VIEWERS] {
        let here = |sample: &Sample| sample.setting.viewers == viewers && sample.setting.mbit == 1;
        // Against a floor that does not carry the load itself there is nothing to be held.
        let floor = measured.of(Contender::Floor, |sample| here(sample) && sample.delivers());
        let ours = measured.of(Contender::Relay, here);
        bars.push(Bar::at_most(
            Part::Floor,
            format!("{viewers} viewers: CPU per GB, times the floor's at the same period"),
            1.15,
            "\u{d7}",
            dearer(&ours, &floor),
        ));
        // Less delivered is another load; it would flatter.
        if !floor.is_empty() {
            bars.push(nothing_amiss(Part::Floor, &format!("{viewers} viewers"), &ours));
        }
    }
    // At the period that both were measured at.
    let cost = |contender, viewers| {
        let at = measured.of(contender, |sample| {
            let setting = &sample.setting;
            setting.viewers == viewers && setting.mbit == 1 && setting.period_ms == Some(100)
        });
        median(&at, Sample::server_per_gb)
    };
    let small_to_large = |contender| {
        let (small, large) = cost(contender, SMALL).zip(cost(contender, ten_thousand::VIEWERS))?;
        ratio(small, large)
    };
    bars.push(Bar::at_most(
        Part::Floor,
        "100 viewers: the server's CPU per GB, times that of 10000 at the same period",
        1.3,
        "\u{d7}",
        small_to_large(Contender::Relay),
    ));
    // The machine's own part in that.
    bars.push(Bar::at_most(
        Part::Floor,
        "100 viewers: the same ratio, times the floor's own",
        1.0,
        "\u{d7}",
        small_to_large(Contender::Relay)
            .zip(small_to_large(Contender::Floor))
            .and_then(|(ours, floor)| ratio(ours, floor)),
    ));
    bars
}

pub(super) fn judge_ten_thousand(measured: &Measured) -> Vec<Bar> {
    let here = |sample: &Sample| sample.setting.viewers >= ten_thousand::VIEWERS;
    let ours = measured.of(Contender::Relay, here);
    let floor = measured.of(Contender::Floor, here);
    let late = |samples: &[&Sample]| median(samples, |sample| sample.report.lateness.p99);
    let bar = |says: &str, limit, unit, found| Bar::at_most(Part::TenThousand, says, limit, unit, found);
    vec![
        Bar::at_least(
            Part::TenThousand,
            "10000 viewers: bytes on time, of all together",
            99.5,
            "%",
            median(&ours, |sample| sample.report.delivery.on_time * 100.0),
        ),
        Bar::at_least(
            Part::TenThousand,
            "10000 viewers: bytes on time, of the worst-served viewer",
            99.5,
            "%",
            median(&ours, |sample| sample.report.delivery.on_time_min * 100.0),
        ),
        nothing_amiss(Part::TenThousand, "10000 viewers", &ours),
        bar(
            "10000 viewers: p99 latency above the floor's",
            60.0,
            "ms",
            late(&ours).zip(late(&floor)).map(|(ours, floor)| ours - floor),
        ),
        bar(
            "10000 viewers: resident memory",
            64.0,
            "MB",
            median(&ours, Sample::rss_mb),
        ),
        bar(
            "10000 viewers: resident and TCP memory",
            600.0,
            "MB",
            median(&ours, |sample| sample.rss_mb() + sample.tcp_mb()),
        ),
        bar(
            "10000 viewers: share of the core in our own code",
            5.0,
            "%",
            median(&ours, |sample| sample.user_share() * 100.0),
        ),
    ]
}

pub(super) fn peers(measured: &Measured) -> Vec<Bar> {
    let of = |contender| measured.of(contender, |sample| sample.setting.viewers == THOUSAND);
    let late = |contender| median(&of(contender), |sample| sample.report.lateness.p99);
    let mut bars = vec![Bar::at_most(
        Part::Peers,
        "1000 viewers: p99 latency above the floor's",
        30.0,
        "ms",
        late(Contender::Relay)
            .zip(late(Contender::Floor))
            .map(|(ours, floor)| ours - floor),
    )];
    let carries = |sample: &Sample| sample.setting.viewers == THOUSAND && sample.delivers();
    for peer in Contender::PEERS {
        // One that is not installed, or does not carry the load, has no cost per byte to be held against; a note says so.
        let theirs = measured.of(peer, carries);
        if theirs.is_empty() {
            continue;
        }
        // Each is met on its own ground.
        let ours = if peer.is_rtmp() {
            Contender::RelayRtmp
        } else {
            Contender::Relay
        };
        bars.push(Bar::at_most(
            Part::Peers,
            format!("1000 viewers: CPU per GB, times that of {}", peer.name()),
            0.5,
            "\u{d7}",
            dearer(&of(ours), &theirs),
        ));
    }
    bars
}
