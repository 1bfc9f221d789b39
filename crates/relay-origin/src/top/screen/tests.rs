//! It fits, says what it leaves out, and is the master of its terminal.

use relay_core::admin::{Both, EndpointRow, JoinRow, Sentence, UplinkRow};

use super::*;

fn edge_row(number: usize, state: &str) -> EdgeRow {
    EdgeRow {
        id: format!("{number:08x}ffffffff"),
        state: state.into(),
        why: "its link has ended; it was last heard 3.1 s ago".into(),
        draining: false,
        version: "0.1.0".into(),
        parent: None,
        endpoints: vec![EndpointRow {
            url: "http://192.0.2.7:8080".into(),
            health: "good".into(),
        }],
        capacity: 10_000_000_000,
        committed: 0,
        headroom: 5_000_000_000,
        viewers: 1_240,
        egress: 2_512_000_000,
        lag_ms: Some(40),
        age_seconds: 60,
    }
}

fn seen(streams: usize, edges: usize) -> Overview {
    let stream = |number| StreamRow {
        stream: format!("live/{number}"),
        playable: true,
        epoch: Some(1),
        tags: 9,
        bytes: 9,
        silent_seconds: Some(0.1),
        viewers: 12,
        peak_bits: 2_500_000,
        log_bytes: 0,
        warnings: Vec::new(),
    };
    let state = |number| if number == 0 { "lost" } else { "serving" };
    Overview {
        program: "relay-origin".into(),
        version: "0.1.0".into(),
        time_ms: 1_800_000_000_000,
        uptime_seconds: 11_520,
        health: vec![Sentence {
            level: Level::Well,
            text: "All is well: 3 edges, 1,240 viewers, room for 22,000 more.".into(),
        }],
        lacks: Vec::new(),
        streams: (0..streams).map(stream).collect(),
        streams_left_out: 0,
        edges: (0..edges).map(|number| edge_row(number, state(number))).collect(),
        edges_left_out: 0,
        viewers: Both {
            here: 40,
            pool: 1_240,
        },
        egress: Both {
            here: 100_000_000,
            pool: 3_100_000_000,
        },
        room: Some(22_000),
        viewer_bits: 2_500_000,
        uplink: UplinkRow {
            configured: Some(100_000_000),
            committed: 34_000_000,
            share: Some(0.34),
            ..UplinkRow::default()
        },
        serves: true,
        joins: vec![JoinRow {
            outcome: "not_found".into(),
            count: 1_200,
        }],
        admissions: Vec::new(),
        refused_lately: 0,
        tokens_live: Some(1),
    }
}

const TERMINAL: Style = Style {
    columns: Some(80),
    rows: Some(24),
    colour: false,
};

#[test]
fn a_pipe_gets_all_of_it() {
    let text = lines(&seen(1, 2), Style::plain()).join("\n");
    assert_eq!(
        text,
        "relay-origin 0.1.0, up 3 h 12 min, 2027-01-15T08:00:00Z\n\
         \n\
         All is well: 3 edges, 1,240 viewers, room for 22,000 more.\n\
         \n\
         1,240 viewers, 40 here; 3.1 Gbit/s sent, 100 Mbit/s here\n\
         uplink: 34 % of 100 Mbit/s given away, copies to edges 0 bit/s\n\
         \n\
         STREAM                       STATE        HERE      RATE  LAST TAG\n\
         live/0                       live           12  2.5 Mbit  now\n\
         \n\
         EDGE      STATE       VIEWERS     SENDS      ROOM     LAG  WHERE, OR WHY NOT\n\
         00000000  lost              -         -         -       -  its link has ended; it was last heard 3.1 s ago\n\
         00000001  serving       1,240  2.5 Gbit    5 Gbit   40 ms  192.0.2.7:8080\n\
         \n\
         asked here: not found 1,200\n\
         decided:    nobody yet\n\
         1 token that can be joined with"
    );
}

#[test]
fn a_terminal_gets_what_fits_and_is_told_of_the_rest() {
    for (streams, edges, columns, rows) in [
        (1, 2, 80, 24),
        (0, 0, 80, 24),
        (500, 1_000, 80, 24),
        (500, 1_000, 200, 60),
        (3, 1_000, 80, 24),
        (9, 9, 20, 5),
        (9, 9, 1, 1),
    ] {
        let style = Style {
            columns: Some(columns),
            rows: Some(rows),
            colour: false,
        };
        let mut seen = seen(streams, edges);
        seen.health.extend((0..20).map(|_| Sentence {
            level: Level::Warning,
            text: "A sentence that takes more than one row on a terminal, since it has so much to say of what is wrong."
                .into(),
        }));
        let shown = lines(&seen, style);
        assert!(shown.len() <= rows, "{} rows of {rows}", shown.len());
        for line in &shown {
            assert!(line.chars().count() <= columns, "{line:?}");
        }
        if edges > rows && rows >= 24 {
            let text = shown.join("\n");
            assert!(text.contains("more, no worse than these"), "{text}");
            assert!(text.contains("lost"), "the worst edge is seen: {text}");
        }
    }
}

#[test]
fn an_edge_has_no_edges() {
    let mut edge = seen(1, 0);
    edge.tokens_live = None;
    let text = lines(&edge, TERMINAL).join("\n");
    assert!(!text.contains("EDGE") && !text.contains("token"), "{text}");
}

#[test]
fn colours_are_for_those_who_want_them() {
    let coloured = Style {
        colour: true,
        ..TERMINAL
    };
    let with = lines(&seen(1, 2), coloured).join("\n");
    assert!(
        with.contains("\x1b[32mAll is well") && with.contains("\x1b[31;1m00000000"),
        "{with:?}"
    );
    assert!(!lines(&seen(1, 2), TERMINAL).join("\n").contains('\x1b'));
}

#[test]
fn what_a_node_says_does_not_move_the_cursor() {
    let mut seen = seen(1, 2);
    seen.edges[0].why = "\x1b]0;pwned\x07\x1b[2J\r\nAll is well".into();
    seen.streams[0].stream = "live/\x1b[31m".into();
    let text = lines(&seen, TERMINAL);
    assert!(
        text.iter().all(|line| !line.chars().any(char::is_control)),
        "{text:?}"
    );
}
