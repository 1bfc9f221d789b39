//! The fan-out over real sockets of this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus::Registry;

use super::*;
use crate::flv::{Tag, TagKind};
use crate::stream::{GroupHead, Hub, HubConfig};

/// Long enough for any machine; nothing waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

struct Scene {
    fanout: Fanout,
    stream: Arc<Stream>,
    hub: Hub,
    clock: Clock,
    registry: Registry,
    listener: TcpListener,
    groups: u64,
}

impl Scene {
    fn new(config: FanoutConfig) -> Self {
        Self::start(FanoutConfig { shards: 1, ..config })
    }

    fn with_shards(shards: usize) -> Self {
        Self::start(FanoutConfig {
            shards,
            ..FanoutConfig::default()
        })
    }

    fn start(config: FanoutConfig) -> Self {
        let (clock, registry) = (Clock::start(), Registry::new());
        let metrics = FanoutMetrics::register(&registry).unwrap();
        let fanout = Fanout::start(config, clock, &metrics).unwrap();
        let hub = Hub::new(HubConfig::default());
        let stream = hub.open(&"live/cam".parse().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut scene = Self {
            fanout,
            stream,
            hub,
            clock,
            registry,
            listener,
            groups: 0,
        };
        scene.group(b"first");
        scene
    }

    fn group(&mut self, name: &[u8]) {
        let now = self.clock.now();
        let number = self.groups;
        self.groups += 1;
        let head = GroupHead {
            epoch: 1,
            number,
            continuation: false,
            first_time: 0,
            origin_us: 0,
        };
        self.stream.begin_group(head, now).unwrap();
        let payload = Bytes::from([b"\x17\x01", name].concat());
        self.stream
            .append(
                &Tag {
                    kind: TagKind::Video,
                    time: number,
                    payload,
                },
                now,
            )
            .unwrap();
    }

    fn watch(&self) -> (TcpStream, Result<u64, HandOverError>) {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, peer) = self.listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let viewer = NewViewer {
            socket: socket.into(),
            peer,
            stream: Arc::clone(&self.stream),
            flavour: Flavour::Flv,
            head: Bytes::from_static(b"HEAD "),
            dialogue: None,
        };
        let id = self.fanout.hand_over(viewer);
        (client, id)
    }

    fn list(&self) -> Vec<ViewerInfo> {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(self.fanout.list())
    }

    fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let wanted = |metric: &&prometheus::proto::Metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        };
        let metric = family.get_metric().iter().find(wanted).unwrap();
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }
}

/// Reads until `what` has come.
fn read_until(client: &mut TcpStream, what: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut byte = [0; 512];
    while !all.windows(what.len()).any(|window| window == what) {
        let count = client.read(&mut byte).unwrap();
        assert_ne!(
            count,
            0,
            "the end came before {:?}",
            String::from_utf8_lossy(what)
        );
        all.extend_from_slice(&byte[..count]);
    }
    all
}

#[test]
fn a_viewer_gets_head_prelude_start_point_and_what_comes_then() {
    let mut scene = Scene::new(FanoutConfig::default());
    let (mut client, id) = scene.watch();
    let seen = read_until(&mut client, b"first");
    assert!(
        seen.starts_with(b"HEAD d\r\nFLV\x01\x01"),
        "{:?}",
        String::from_utf8_lossy(&seen)
    );
    scene.group(b"second");
    read_until(&mut client, b"second");
    let viewers = scene.list();
    assert_eq!(
        (viewers.len(), viewers[0].id, viewers[0].behind_bytes),
        (1, id.unwrap(), 0)
    );
    assert_eq!(scene.stream.viewer_count(), 1);
}

#[test]
fn at_the_true_end_the_last_chunk_comes_and_then_the_close() {
    let scene = Scene::new(FanoutConfig::default());
    let (mut client, _) = scene.watch();
    read_until(&mut client, b"first");
    scene.hub.remove(scene.stream.key());
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}

#[test]
fn one_that_never_reads_is_closed_with_its_reason_and_the_others_watch_on() {
    let mut scene = Scene::new(FanoutConfig {
        no_progress_ms: 200,
        max_late_ms: 100_000,
        ..FanoutConfig::default()
    });
    let (mut reader, _) = scene.watch();
    let (_stalled, _) = scene.watch();
    let frame = vec![7; 1 << 20];
    let mut groups = 0;
    while scene.metric("relay_viewer_goodbyes_total", "no_progress") < 1.0 {
        scene.group(&frame);
        groups += 1;
        let mut whole = vec![0; frame.len()];
        reader.read_exact(&mut whole).unwrap();
        assert!(groups < 10_000, "the stalled viewer stays");
    }
    assert_eq!(scene.list().len(), 1);
    scene.group(b"afterwards");
    read_until(&mut reader, b"afterwards");
}

#[test]
fn a_kicked_viewer_is_gone_and_one_too_many_is_refused() {
    let scene = Scene::new(FanoutConfig {
        max_viewers: 1,
        ..FanoutConfig::default()
    });
    let (mut client, id) = scene.watch();
    read_until(&mut client, b"first");
    assert!(matches!(scene.watch().1, Err(HandOverError::Full(1))));
    scene.fanout.kick(id.unwrap());
    client.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!((scene.list().len(), scene.fanout.viewers()), (0, 0));
    assert_eq!(scene.metric("relay_viewer_goodbyes_total", "kicked"), 1.0);
}

#[test]
fn a_viewer_that_talks_without_end_is_closed() {
    let scene = Scene::new(FanoutConfig::default());
    let (mut client, _) = scene.watch();
    read_until(&mut client, b"first");
    // The close may come in the middle of it.
    let _ = client.write_all(&[b'x'; 64 << 10]);
    let _ = client.read_to_end(&mut Vec::new());
    assert_eq!(scene.metric("relay_viewer_goodbyes_total", "bad_input"), 1.0);
}

#[test]
fn stopping_ends_all_viewers() {
    let scene = Scene::new(FanoutConfig::default());
    let (mut client, _) = scene.watch();
    read_until(&mut client, b"first");
    scene.fanout.stop();
    client.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(scene.metric("relay_viewers", "http-flv"), 0.0);
}

/// Four shards, 1,000 viewers of a stream and 250 of one eight times as heavy, in an order of chance: how far the fullest
/// shard is above the mean, in hundredths.
fn imbalance(place: impl Fn(usize, &[u64]) -> usize) -> u64 {
    let mut loads = [0; 4];
    for number in 0..1250 {
        let weight = if number % 5 == 0 { 8 } else { 1 };
        let shard = place(number, &loads);
        loads[shard] += weight;
    }
    let mean = loads.iter().sum::<u64>() / 4;
    (loads.iter().max().unwrap() - mean) * 100 / mean
}

/// Why viewers are handed over by what they take: the kernel's own spreading (SO_REUSEPORT) is a hash of addresses.
#[test]
fn a_hand_over_by_weight_is_even_where_a_hash_is_not() {
    let by_weight = imbalance(|_, loads| (0..4).min_by_key(|shard| loads[*shard]).unwrap());
    let by_hash = |seed: u64| {
        imbalance(|number, _| {
            let mixed = (number as u64 + seed * 7919).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 62) as usize
        })
    };
    let hashed = (1..=20).map(by_hash).sum::<u64>() / 20;
    println!("the fullest shard is above the mean by {by_weight} % by weight, {hashed} % by a hash");
    assert!(by_weight <= 1 && hashed >= 3, "{by_weight} {hashed}");
}

#[test]
fn viewers_go_to_the_shard_that_carries_least() {
    let scene = Scene::with_shards(3);
    let mut clients = Vec::new();
    for _ in 0..9 {
        clients.push(scene.watch().0);
    }
    for client in &mut clients {
        read_until(client, b"first");
    }
    let weight = scene.stream.weight();
    let loads: Vec<u64> = scene
        .fanout
        .mailboxes
        .iter()
        .map(|mailbox| mailbox.load.load(Ordering::Relaxed))
        .collect();
    assert_eq!(loads, [3 * weight; 3]);
}
