//! A server for tests: a synthetic stream of 50 frames a second, well or badly served, by a thread per viewer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use relay_core::clock::Clock;
use relay_core::flavour::Flavour;
use relay_core::flv::{Tag, TagKind, file_header};
use relay_core::rtmp::server::{Config, Event, Session};

use crate::mark::Mark;

const FRAME_US: u64 = 20_000;

/// From keyframe to keyframe, in frames.
const GROUP: u64 = 25;

/// A server, until it is dropped.
pub(super) struct Server {
    http: SocketAddr,
    rtmp: SocketAddr,
    over: Arc<AtomicBool>,
    doors: Vec<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let began_us = wall_us();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [http, rtmp] = [0, 1].map(|at| listeners[at].local_addr().unwrap());
        let serve: [fn(TcpStream, u64) -> io::Result<()>; 2] = [serve_http, serve_rtmp];
        let doors = listeners.into_iter().zip(serve).map(|(listener, serve)| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                for socket in listener.incoming() {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let socket = socket.unwrap();
                    // A viewer that leaves ends its thread with an error, which is how each of them ends.
                    std::thread::spawn(move || serve(socket, began_us));
                }
            })
        });
        let doors = doors.collect();
        Self {
            http,
            rtmp,
            over,
            doors,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.http)
    }

    pub(super) fn rtmp_url(&self) -> String {
        format!("rtmp://{}/live/cam", self.rtmp)
    }

    /// A stream that is to be had at [`rtmp_url`](Self::rtmp_url)'s app.
    pub(super) fn moved_rtmp_url(&self) -> String {
        format!("rtmp://{}/moved/cam", self.rtmp)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for address in [self.http, self.rtmp] {
            drop(TcpStream::connect(address));
        }
        for door in self.doors.drain(..) {
            door.join().unwrap();
        }
    }
}

fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

fn frame(began_us: u64, sequence: u64) -> Tag {
    let first = if sequence.is_multiple_of(GROUP) {
        0x17
    } else {
        0x27
    };
    let mark = Mark {
        sequence,
        made_us: began_us + sequence * FRAME_US,
    };
    Tag {
        kind: TagKind::Video,
        time: sequence * FRAME_US / 1000,
        payload: mark.frame([first, 1, 0, 0, 0], &[&[7; 300]]).into(),
    }
}

/// Gives out the frames from the newest keyframe on, each when it is made, until giving fails.
fn play(began_us: u64, mut give: impl FnMut(Tag) -> io::Result<()>) -> io::Result<()> {
    let made = |sequence: u64| began_us + sequence * FRAME_US;
    let mut sequence = (wall_us() - began_us) / FRAME_US / GROUP * GROUP;
    loop {
        // A stream is made in time: this is its clock, and nobody waits for it.
        std::thread::sleep(Duration::from_micros(made(sequence).saturating_sub(wall_us())));
        give(frame(began_us, sequence))?;
        sequence += 1;
    }
}

fn serve_http(mut socket: TcpStream, began_us: u64) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    match request.split_whitespace().nth(1).unwrap_or_default() {
        "/live" | "/0" => chunked(socket, began_us),
        "/1" => socket.write_all(b"HTTP/1.1 302 Found\r\nLocation: live\r\n\r\n"),
        "/2" => socket.write_all(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /2\r\n\r\n"),
        "/3" => socket.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nfull\n"),
        "/4" => reset(&socket),
        "/5" => {
            begin(&mut socket, Flavour::Flv)?;
            put(&mut socket, Flavour::Flv, &frame(began_us, 0))?;
            socket.shutdown(Shutdown::Write)?;
            // It still listens, as one does who has closed only half: until the viewer is gone.
            socket.read(&mut [0]).map(drop)
        }
        "/6" => socket.write_all(b"SSH-2.0-OpenSSH\r\n"),
        "/7" => {
            begin(&mut socket, Flavour::FlvBare)?;
            play(began_us, |tag| put(&mut socket, Flavour::FlvBare, &tag))
        }
        "/faulty" => faulty(socket, began_us),
        "/cut-the-third" if socket.peer_addr()?.ip().to_string() == "127.1.0.3" => reset(&socket),
        "/cut-the-third" => chunked(socket, began_us),
        other => panic!("{other}"),
    }
}

fn chunked(mut socket: TcpStream, began_us: u64) -> io::Result<()> {
    begin(&mut socket, Flavour::Flv)?;
    play(began_us, |tag| put(&mut socket, Flavour::Flv, &tag))
}

/// The tenth frame is left out, the twelfth comes twice, and one bit of the fourteenth is wrong.
fn faulty(mut socket: TcpStream, began_us: u64) -> io::Result<()> {
    begin(&mut socket, Flavour::Flv)?;
    let mut count = 0;
    play(began_us, |mut tag| {
        count += 1;
        match count {
            10 => return Ok(()),
            12 => put(&mut socket, Flavour::Flv, &tag)?,
            14 => {
                let mut bent = tag.payload.to_vec();
                *bent.last_mut().unwrap() ^= 1;
                tag.payload = bent.into();
            }
            _ => {}
        }
        put(&mut socket, Flavour::Flv, &tag)
    })
}

fn begin(socket: &mut TcpStream, flavour: Flavour) -> io::Result<()> {
    let header = file_header(false, true);
    if flavour == Flavour::Flv {
        socket.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n")?;
        socket.write_all(&header)?;
        return socket.write_all(b"\r\n");
    }
    socket.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
    socket.write_all(&header)
}

fn put(socket: &mut TcpStream, flavour: Flavour, tag: &Tag) -> io::Result<()> {
    let mut record = Vec::new();
    flavour.frame(tag, &mut record);
    socket.write_all(&record)
}

fn reset(socket: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(
        socket,
        Some(Duration::ZERO),
    )?)
}

fn serve_rtmp(mut socket: TcpStream, began_us: u64) -> io::Result<()> {
    let clock = Clock::start();
    let mut session = Session::new(Config::default(), [3; 32]);
    let mut input = [0; 4096];
    loop {
        let count = socket.read(&mut input)?;
        if count == 0 {
            return Ok(());
        }
        session.handle_input(&input[..count], clock.now()).unwrap();
        let app = std::iter::from_fn(|| session.poll_event()).find_map(|event| match event {
            Event::Play { app, .. } => Some(app),
            _ => None,
        });
        let plays = app.as_deref() == Some("live");
        if plays {
            session.accept_play().unwrap();
        } else if app.is_some() {
            session.redirect_play(&format!("rtmp://{}/live", socket.local_addr()?));
        }
        let output: Vec<Bytes> = std::iter::from_fn(|| session.poll_output()).collect();
        socket.write_all(&output.concat())?;
        if plays {
            return play(began_us, |tag| put(&mut socket, Flavour::Rtmp, &tag));
        }
    }
}
