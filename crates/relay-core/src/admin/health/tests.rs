//! Each case in which there is something else to say.

use super::super::{Both, EdgeRow, EndpointRow, SourceRow, UplinkRow};
use super::*;
use crate::stream::Warning;

fn stream(name: &str) -> StreamRow {
    StreamRow {
        stream: name.into(),
        playable: true,
        backup: false,
        epoch: Some(1),
        tags: 1000,
        bytes: 300_000,
        silent_seconds: Some(0.04),
        viewers: 0,
        peak_bits: 2_500_000,
        log_bytes: 1 << 20,
        warnings: Vec::new(),
    }
}

fn edge(id: &str, state: &str) -> EdgeRow {
    EdgeRow {
        id: format!("{id}00000000"),
        state: state.into(),
        why: match state {
            "lost" => "its link has ended; it was last heard 3.1 s ago",
            "unreachable" => {
                "http://192.0.2.7:8080: no answer in 2 s; open that port, or name where viewers reach it as `public` in its \
                 [edge] table"
            }
            _ => "it takes viewers",
        }
        .into(),
        draining: state == "draining",
        version: "0.1.0".into(),
        parent: None,
        endpoints: vec![EndpointRow {
            url: format!("http://{id}.example.org:8080"),
            health: "good".into(),
        }],
        capacity: 10_000_000_000,
        committed: 0,
        headroom: if state == "serving" { 5_000_000_000 } else { 0 },
        viewers: if state == "lost" { 0 } else { 400 },
        egress: 1_000_000_000,
        lag_ms: Some(40),
        age_seconds: 3600,
    }
}

/// An origin of 100 Mbit/s with a stream.
fn origin() -> Overview {
    Overview {
        program: "relay-origin".into(),
        version: "0.1.0".into(),
        time_ms: 1_800_000_000_000,
        uptime_seconds: 3600,
        health: Vec::new(),
        lacks: Vec::new(),
        streams: vec![stream("live/cam")],
        streams_left_out: 0,
        sources: Vec::new(),
        edges: Vec::new(),
        edges_left_out: 0,
        viewers: Both { here: 40, pool: 40 },
        egress: Both::default(),
        room: Some(20),
        viewer_bits: 2_500_000,
        uplink: UplinkRow {
            configured: Some(100_000_000),
            committed: 10_000_000,
            share: Some(0.1),
            scarce_from: Some(0.6),
            full_from: Some(0.85),
            ..UplinkRow::default()
        },
        serves: true,
        joins: Vec::new(),
        admissions: Vec::new(),
        refused_lately: 0,
        tokens_live: Some(0),
    }
}

fn pool(edges: impl IntoIterator<Item = EdgeRow>) -> Overview {
    origin().with_pool(edges.into_iter().collect(), 1)
}

fn said(seen: Overview) -> Vec<(Level, String)> {
    let told = seen.concluded().health;
    told.into_iter()
        .map(|sentence| (sentence.level, sentence.text))
        .collect()
}

/// The first sentence, which is the headline.
fn first(seen: Overview) -> (Level, String) {
    said(seen).remove(0)
}

#[test]
fn all_is_well_in_numbers_that_can_be_read() {
    let three = ["a1", "b2", "c3"].map(|id| edge(id, "serving"));
    assert_eq!(
        said(pool(three)),
        [(
            Level::Well,
            "All is well: 3 edges, 1,240 viewers, room for 6,000 more.".into()
        )]
    );
}

#[test]
fn without_a_stream_it_says_where_to_publish() {
    let seen = |edges: Vec<EdgeRow>| {
        let mut seen = pool(edges);
        seen.streams.clear();
        said(seen)
    };
    let told = seen(vec![edge("a1", "serving")]);
    assert_eq!(
        told,
        [(
            Level::Idle,
            "No stream is live: `relay-origin publish-url live/camera` says where to publish. Ready: 1 edge, room for 2,000 \
             viewers of 2.5 Mbit/s."
                .into()
        )]
    );
    let told = seen(vec![edge("a1", "lost")]);
    assert_eq!(told[0].0, Level::Alarm, "what is wrong comes first: {told:?}");
    assert!(told.iter().any(|(level, _)| *level == Level::Idle), "{told:?}");
}

#[test]
fn a_silent_stream_is_named() {
    let mut seen = pool([edge("a1", "serving")]);
    seen.streams[0].silent_seconds = Some(7.2);
    let told = said(seen);
    assert_eq!(told[0].0, Level::Alarm);
    assert!(
        told[0]
            .1
            .starts_with("Nothing has come of live/cam for 7 s: look at the encoder"),
        "{told:?}"
    );
    assert!(
        told[1].1.starts_with("Meanwhile: 1 edge, 440 viewers, room for"),
        "{told:?}"
    );

    let mut seen = pool([]);
    seen.streams = (0..5).map(|number| stream(&format!("live/{number}"))).collect();
    for (number, row) in seen.streams.iter_mut().enumerate() {
        row.silent_seconds = Some(6.0 + number as f64);
    }
    let (_, text) = first(seen);
    assert!(
        text.starts_with("Nothing has come of live/4, live/3, live/2 and 2 more for up to 10 s"),
        "{text}"
    );
}

#[test]
fn a_stream_without_a_keyframe_is_worth_knowing() {
    let mut seen = pool([edge("a1", "serving")]);
    seen.streams[0].playable = false;
    let told = said(seen);
    assert_eq!((told[0].0, told[1].0), (Level::Well, Level::Notice), "{told:?}");
    assert!(told[1].1.contains("no keyframe yet"), "{told:?}");
}

#[test]
fn an_origin_without_edges_serves_itself_or_nobody() {
    let told = said(pool([]));
    assert_eq!(
        told[0],
        (
            Level::Well,
            "All is well: no edge, 40 viewers, room for 20 more.".into()
        )
    );
    assert!(
        told[1].1.contains("token create") && told[1].0 == Level::Notice,
        "{told:?}"
    );
    let mut seen = origin();
    seen.serves = false;
    let seen = seen.with_pool(Vec::new(), 0);
    assert_eq!(seen.room, None, "there is no room anywhere");
    let (level, text) = first(seen);
    assert!(level == Level::Alarm && text.contains("serves nobody"), "{text}");
}

#[test]
fn a_lost_edge_is_named_and_why() {
    let told = said(pool([edge("a1", "serving"), edge("b2", "lost")]));
    assert_eq!(
        told[0],
        (
            Level::Warning,
            "Edge b2000000 at b2.example.org:8080 is lost: its link has ended; it was last heard 3.1 s ago. Start it again, or \
             another; `relay-origin edge revoke ID` takes it off the list, else an hour does."
                .into()
        )
    );
    assert_eq!(told[1].1, "Meanwhile: 1 edge, 440 viewers, room for 2,000 more.");
    let (level, text) = first(pool([edge("a1", "lost"), edge("b2", "lost")]));
    assert_eq!(level, Level::Alarm);
    assert!(
        text.starts_with("No edge takes viewers, and new viewers come to this origin"),
        "{text}"
    );
    let told = said(pool([
        edge("a1", "lost"),
        edge("b2", "lost"),
        edge("c3", "serving"),
    ]));
    assert!(
        told[0].1.starts_with(
            "2 edges are lost: a1000000 at a1.example.org:8080 and b2000000 at b2.example.org:8080 (the first: its link"
        ) && told[0].1.contains("Start them again"),
        "{told:?}"
    );
}

#[test]
fn an_edge_that_left_on_purpose_is_no_complaint() {
    let mut left = edge("b2", "lost");
    left.draining = true;
    assert_eq!(first(pool([edge("a1", "serving"), left.clone()])).0, Level::Well);
    let told = said(pool([left]));
    assert!(
        told[0].0 == Level::Well && told[1].1.contains("There is no edge"),
        "{told:?}"
    );
}

#[test]
fn an_unreachable_edge_says_which_key_to_set() {
    let (level, text) = first(pool([edge("a1", "serving"), edge("b2", "unreachable")]));
    assert_eq!(level, Level::Warning);
    assert!(
        text.contains("is unreachable") && text.contains("`public`"),
        "{text}"
    );
}

#[test]
fn full_edges_are_a_notice_and_then_an_alarm() {
    let told = said(pool([edge("a1", "serving"), edge("b2", "full")]));
    assert_eq!((told[0].0, told[1].0), (Level::Well, Level::Notice));
    assert_eq!(told[1].1, "1 of 2 edges is full; viewers go to the others.");
    let (level, text) = first(pool([edge("a1", "full"), edge("b2", "full")]));
    assert_eq!(level, Level::Alarm);
    assert!(
        text.starts_with("Every edge is full (2 of 2)") && text.contains("token create"),
        "{text}"
    );
}

#[test]
fn draining_and_coming_edges_are_worth_knowing() {
    let told = said(pool([
        edge("a1", "serving"),
        edge("b2", "draining"),
        edge("c3", "joining"),
        edge("d4", "presumed"),
    ]));
    assert_eq!(told[0].0, Level::Well);
    assert!(told[0].1.contains("1 edge,"), "{told:?}");
    assert_eq!(
        told[1].1,
        "Edge b2000000 at b2.example.org:8080 drains, with 400 viewers left."
    );
    assert_eq!(told[2].1, "2 edges on the way to serving.");
    let only_coming = said(pool([edge("c3", "joining")]));
    assert_eq!(only_coming[0].0, Level::Well, "{only_coming:?}");
}

#[test]
fn a_bad_endpoint_and_a_lag_are_warnings() {
    let mut troubled = edge("a1", "serving");
    troubled.endpoints[0].health = "bad: group 7 has another hash".into();
    troubled.why = "it takes viewers, but http://a1.example.org:8080: group 7 has another hash".into();
    let mut late = edge("b2", "serving");
    late.lag_ms = Some(6_250);
    let told = said(pool([troubled, late]));
    assert!(told[0].1.contains("another hash"), "{told:?}");
    assert!(
        told[1].1.contains("b2000000 at b2.example.org:8080 (6.2 s)"),
        "{told:?}"
    );
    assert!(told[..2].iter().all(|(level, _)| *level == Level::Warning));
}

#[test]
fn the_uplink_warns_before_it_is_full() {
    let at = |share: f64, edges: Vec<EdgeRow>| {
        let mut seen = pool(edges);
        seen.uplink.share = Some(share);
        seen.uplink.committed = (share * 1e8) as u64;
        first(seen)
    };
    assert_eq!(at(0.6, vec![]).0, Level::Well);
    let (level, text) = at(0.65, vec![]);
    assert_eq!(level, Level::Warning);
    assert_eq!(
        text,
        "The uplink fills up, 65 Mbit/s of 100 Mbit/s given away; from 85 % on it takes no viewer more: start an edge with the \
         token of `relay-origin token create`."
    );
    let (level, text) = at(0.9, vec![edge("a1", "serving")]);
    assert_eq!(level, Level::Alarm);
    assert!(
        text.starts_with("The uplink is full, 90 Mbit/s of 100 Mbit/s given away")
            && text.contains("`parent`"),
        "{text}"
    );
}

#[test]
fn a_line_that_nobody_knows_is_no_room() {
    let mut seen = origin();
    seen.uplink = UplinkRow::default();
    let told = said(seen.clone().with_pool(Vec::new(), 0));
    assert_eq!(told[0].1, "All is well: no edge, 40 viewers.");
    assert!(told.iter().any(|(_, text)| text.contains("`uplink`")), "{told:?}");
    let told = said(seen.with_pool(vec![edge("a1", "serving")], 0));
    assert_eq!(
        told[0].1,
        "All is well: 1 edge, 440 viewers, room for 2,000 more."
    );
}

#[test]
fn who_was_turned_away_comes_before_all_else() {
    let mut seen = pool([edge("a1", "serving"), edge("b2", "lost")]);
    seen.refused_lately = 1_200;
    let (level, text) = first(seen);
    assert_eq!(level, Level::Alarm);
    assert!(
        text.starts_with("1,200 times in the last minute a viewer was"),
        "{text}"
    );
}

#[test]
fn what_the_node_itself_is_short_of_is_said() {
    let with = |what: &str| {
        let mut seen = pool([edge("a1", "serving")]);
        seen.uplink.full = true;
        seen.uplink.short_of = Some(what.into());
        said(seen)
    };
    assert!(with("cpu")[0].1.contains("processor is busy"));
    assert!(with("tcp_memory")[0].1.contains("tcp_mem"));
    assert!(with("viewers")[0].1.contains("max_viewers"));
    let draining = with("draining");
    assert!(
        draining[0].0 == Level::Well && draining[1].1.contains("drains"),
        "{draining:?}"
    );
}

#[test]
fn an_edge_tells_of_itself_alone() {
    let mut seen = origin();
    seen.program = "relay-edge".into();
    seen.tokens_live = None;
    seen.room = Some(900);
    assert_eq!(
        said(seen.clone()),
        [(Level::Well, "All is well: 40 viewers, room for 900 more.".into())]
    );
    seen.lacks = vec!["there is no link to the parent yet".into()];
    seen.streams.clear();
    let told = said(seen);
    assert_eq!(
        told[0],
        (
            Level::Alarm,
            "Not ready: there is no link to the parent yet.".into()
        )
    );
    assert!(told[1].1.contains("No stream has come"), "{told:?}");
}

#[test]
fn the_worst_edges_are_listed_and_the_rest_are_counted() {
    let mut edges: Vec<EdgeRow> = (0..1_500)
        .map(|number| edge(&format!("{number:04}"), "serving"))
        .collect();
    edges[1_400] = edge("1400", "lost");
    edges[1_401] = edge("1401", "full");
    let seen = pool(edges).concluded();
    assert_eq!((seen.edges.len(), seen.edges_left_out), (1_000, 500));
    let states: Vec<&str> = seen.edges.iter().map(|edge| &*edge.state).take(3).collect();
    assert_eq!(states, ["lost", "full", "serving"]);
    assert!(
        seen.health
            .iter()
            .any(|sentence| sentence.text.contains("1,499 edges, ")),
        "the sentence is about all of them: {:?}",
        seen.health
    );
}

fn warned(name: &str, raised: crate::stream::Raised) -> StreamRow {
    StreamRow {
        warnings: vec![raised.into()],
        ..stream(name)
    }
}

#[test]
fn r44_an_encoder_is_complained_of_once_however_many_streams_it_has() {
    let raised = |warning| crate::stream::Raised {
        warning,
        measured: 10_000,
        usual: 1_000,
    };
    let mut seen = pool([edge("a1", "serving")]);
    seen.streams = vec![warned("live/a", raised(Warning::LongInterval))];
    let text = "live/a has keyframes 10.0 s apart or more, and by so much joiners are behind: set the encoder's keyframe interval to 2 s.";
    assert_eq!(first(seen.clone()), (Level::Warning, text.into()));
    seen.streams
        .extend(["live/b", "live/c"].map(|name| warned(name, raised(Warning::LongInterval))));
    let all = format!("{text} The same is true of live/b and live/c.");
    assert_eq!(first(seen.clone()), (Level::Warning, all.clone()));
    seen.tokens_live = None;
    assert!(
        said(seen.clone()).contains(&(Level::Notice, all)),
        "an edge has no hand on it"
    );
    seen.streams = vec![warned("live/a", raised(Warning::Leap))];
    seen.tokens_live = Some(1);
    let told = said(seen);
    assert_eq!(told[0].0, Level::Well, "a leap may be what was wanted");
    assert!(
        told.iter()
            .any(|(level, text)| *level == Level::Notice && text.contains("leapt"))
    );
}

#[test]
fn a_source_that_gives_nothing_is_named_with_its_reason() {
    let source = |number: u64, state: &str| SourceRow {
        stream: format!("live/{number}"),
        state: state.into(),
        seconds: 60 + number,
        url: "rtmp://studio.example.org:1935/live/a".into(),
        why: "no answer in time".into(),
        urls: 2,
    };
    let mut seen = origin();
    seen.sources = vec![source(1, "flowing"), source(2, "waiting"), source(3, "standby")];
    let told = said(seen.clone());
    assert_eq!(
        told[0],
        (
            Level::Warning,
            "live/2 has not come from its source for 1 min 2 s; rtmp://studio.example.org:1935/live/a: no answer in time; \
             all 2 URLs are tried in turn."
                .into()
        )
    );
    let standby = "live/3 is not taken from its source: no answer in time.".to_owned();
    assert!(told.contains(&(Level::Notice, standby)), "{told:?}");
    seen.sources = (0..9).map(|number| source(number, "connecting")).collect();
    let told = said(seen.clone());
    assert!(
        told[0].1.starts_with("live/8") && told[3].1.contains("6 further sources"),
        "{told:?}"
    );
    seen.sources[0].seconds = 9;
    seen.sources.truncate(1);
    assert_eq!(said(seen)[0].0, Level::Well, "a moment is no news");
}
