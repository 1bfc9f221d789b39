//! The command line: verbs and `--config`, never a second copy of a setting.

mod key;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use argh::FromArgs;
use relay_core::admin::KickRequest;
use relay_core::stream::StreamKey;

pub use key::{Key, KeyAdd, KeyList, KeyRevoke, KeyVerb};

/// Takes live streams from encoders, pushes them to edges, serves viewers.
///
/// Without a verb it runs. Without a configuration file it runs on embedded defaults: RTMP on 1935, HTTP on 8080, edges on
/// UDP 4433, metrics on 127.0.0.1:9935.
#[derive(Debug, FromArgs)]
pub struct Cli {
    /// print the version and exit
    #[argh(switch)]
    pub version: bool,
    /// configuration file, for `run` when no verb is given
    #[argh(option)]
    pub config: Option<PathBuf>,
    /// what to do
    #[argh(subcommand)]
    pub verb: Option<Verb>,
}

/// What to do.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub enum Verb {
    /// Run.
    Run(Run),
    /// Check.
    Check(Check),
    /// Tokens.
    Token(Token),
    /// Streams.
    Streams(Streams),
    /// Kick.
    Kick(Kick),
    /// Publish URL.
    PublishUrl(PublishUrl),
    /// Publish keys.
    Key(Key),
    /// Edges.
    Edges(Edges),
    /// One edge.
    Edge(Edge),
    /// Console.
    Console(Console),
    /// Top.
    Top(Top),
}

/// run the origin (this is what happens without a verb)
#[derive(Debug, Default, FromArgs)]
#[argh(subcommand, name = "run")]
pub struct Run {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// check the configuration and this machine, and say what it all means
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "check")]
pub struct Check {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// make, list or revoke the tokens by which edges join
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "token")]
pub struct Token {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
    /// what to do
    #[argh(subcommand)]
    pub verb: TokenVerb,
}

/// What to do with tokens.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub enum TokenVerb {
    /// Create.
    Create(TokenCreate),
    /// List.
    List(TokenList),
    /// Revoke.
    Revoke(TokenRevoke),
}

/// make a token and print it: give it to an edge as RELAY_JOIN
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "create")]
pub struct TokenCreate {
    /// for how long edges may join with it, such as 24h or 30m (default 24h)
    #[argh(option, default = "Duration::from_secs(24 * 3600)", from_str_fn(duration))]
    pub ttl: Duration,
    /// how many edges may join with it (default 20)
    #[argh(option, default = "20")]
    pub uses: u32,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// list the tokens, without their secrets
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "list")]
pub struct TokenList {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// revoke a token: nobody joins with it any more
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "revoke")]
pub struct TokenRevoke {
    /// the token's id, as `token list` shows it
    #[argh(positional)]
    pub id: String,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// list the streams of the running origin
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "streams")]
pub struct Streams {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// let a stream's publisher go, so that another one can have its name at once; or a viewer
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "kick")]
pub struct Kick {
    /// the stream, such as live/camera, or a viewer's id
    #[argh(positional, from_str_fn(whom))]
    pub whom: KickRequest,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// print the URL to publish a stream with; it holds the publish key
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "publish-url")]
pub struct PublishUrl {
    /// the stream, such as live/camera
    #[argh(positional)]
    pub stream: StreamKey,
    /// the URL of the port that takes TLS
    #[argh(switch)]
    pub rtmps: bool,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// list the edges of the pool: how they fare, and what they have room for
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "edges")]
pub struct Edges {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// show the running origin and its pool in a browser of this machine, until Ctrl-C
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "console")]
pub struct Console {
    /// loopback address to listen on (default 127.0.0.1:0, any free port)
    #[argh(
        option,
        default = "SocketAddr::from(([127, 0, 0, 1], 0))",
        from_str_fn(loopback)
    )]
    pub listen: SocketAddr,
    /// let whoever has the URL change things too, by the admin API
    #[argh(switch)]
    pub allow_changes: bool,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// show the running origin and its pool on this terminal, until Ctrl-C; where the output is no terminal, once
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "top")]
pub struct Top {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// drain or revoke an edge
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "edge")]
pub struct Edge {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
    /// what to do
    #[argh(subcommand)]
    pub verb: EdgeVerb,
}

/// What to do with an edge.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub enum EdgeVerb {
    /// Drain.
    Drain(EdgeDrain),
    /// Revoke.
    Revoke(EdgeRevoke),
}

/// let an edge take nobody new
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "drain")]
pub struct EdgeDrain {
    /// the edge's id as `edges` shows it, or the beginning of it
    #[argh(positional)]
    pub id: String,
    /// let it take viewers again
    #[argh(switch)]
    pub undo: bool,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// end an edge's membership at once and for good
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "revoke")]
pub struct EdgeRevoke {
    /// the edge's id as `edges` shows it, or the beginning of it
    #[argh(positional)]
    pub id: String,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write something like 24h or 30m"))
}

/// A viewer's id is a number, a stream has a slash in its name.
fn whom(text: &str) -> Result<KickRequest, String> {
    if let Ok(id) = text.parse() {
        return Ok(KickRequest::Viewer(id));
    }
    let stream = text.parse::<StreamKey>().map_err(|error| error.to_string())?;
    Ok(KickRequest::Stream(stream.to_string()))
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "write something like 127.0.0.1:9940".to_owned())?;
    if !address.ip().is_loopback() {
        return Err(
            "the console listens on this machine only; from another, `ssh -L 9940:127.0.0.1:9940` leads here"
                .to_owned(),
        );
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Cli {
        Cli::from_args(&["relay-origin"], words).unwrap()
    }

    #[test]
    fn a_config_may_stand_behind_any_verb() {
        assert!(parse(&[]).verb.is_none());
        assert_eq!(parse(&["--config", "a"]).config, Some(PathBuf::from("a")));
        let Some(Verb::Token(token)) = parse(&["token", "create", "--ttl", "90m", "--config", "a"]).verb
        else {
            panic!()
        };
        let TokenVerb::Create(create) = token.verb else {
            panic!()
        };
        assert_eq!((create.ttl, create.uses), (Duration::from_secs(5400), 20));
        assert_eq!(create.config, Some(PathBuf::from("a")));
        assert!(Cli::from_args(&["relay-origin"], &["token", "create", "--ttl", "soon"]).is_err());
    }

    #[test]
    fn r08_a_stream_or_a_viewer_is_kicked() {
        let whom = |text| match Cli::from_args(&["relay-origin"], &["kick", text]) {
            Ok(Cli {
                verb: Some(Verb::Kick(kick)),
                ..
            }) => Some(kick.whom),
            _ => None,
        };
        assert_eq!(whom("live/cam"), Some(KickRequest::Stream("live/cam".to_owned())));
        assert_eq!(whom("17"), Some(KickRequest::Viewer(17)));
        assert_eq!(whom("camera"), None);
    }

    #[test]
    fn a_key_is_wished_for_in_words() {
        let words = [
            "key",
            "add",
            "live/*",
            "--id",
            "hall",
            "--from",
            "192.0.2.0/24",
            "--from",
            "::1",
            "--ttl",
            "2days",
        ];
        let Some(Verb::Key(key)) = parse(&words).verb else {
            panic!()
        };
        let KeyVerb::Add(add) = key.verb else { panic!() };
        assert_eq!((add.stream.to_string(), add.from.len()), ("live/*".into(), 2));
        assert_eq!(add.ttl, Some(Duration::from_secs(2 * 24 * 3600)));
        for wrong in [
            &["key", "add"][..],
            &["key", "add", "camera"],
            &["key", "add", "a/b", "--from", "home"],
            &["key", "revoke", "../tokens"],
        ] {
            assert!(Cli::from_args(&["relay-origin"], wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_console_is_for_this_machine() {
        let listen = |words: &[&str]| match Cli::from_args(&["relay-origin"], words) {
            Ok(cli) => match cli.verb {
                Some(Verb::Console(console)) => Ok((console.listen.to_string(), console.allow_changes)),
                other => panic!("{other:?}"),
            },
            Err(early) => Err(early.output),
        };
        assert_eq!(listen(&["console"]), Ok(("127.0.0.1:0".into(), false)));
        assert_eq!(
            listen(&["console", "--listen", "[::1]:9940", "--allow-changes"]),
            Ok(("[::1]:9940".into(), true))
        );
        for (address, complaint) in [("0.0.0.0:80", "this machine only"), ("9940", "something like")] {
            let said = listen(&["console", "--listen", address]).unwrap_err();
            assert!(said.contains(complaint), "{said}");
        }
    }
}
