//! `[[source]]`: streams that the origin fetches itself, a file's or another server's.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::source_url::one_or_more;
use super::{Network, Seconds, SourceUrl};
use crate::stream::StreamKey;

/// How long a pulled stream may be silent before it counts as gone: less than half of the grace window by default, so that
/// a fallback, too, has the time to answer while viewers wait.
const IDLE: Seconds = Seconds::new(5);

/// `[[source]]`: what comes in without an encoder that dials this origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Source {
    /// A file.
    Clip(ClipSource),
    /// A stream of another server.
    Pull(PullSource),
}

/// A file that the origin plays as if an encoder sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipSource {
    /// The FLV file. It is held in memory while it plays.
    pub file: PathBuf,
    /// The stream that it plays on.
    pub stream: StreamKey,
    /// Begin again at the end, with continuous time. Default `true`.
    pub repeat: bool,
}

/// A stream that the origin fetches from another server, for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct PullSource {
    /// Where it comes from: the first URL, and those to try when it fails. At least one.
    pub url: Vec<SourceUrl>,
    /// The stream that it becomes here.
    pub stream: StreamKey,
    /// Networks within which a server may be dialled though not everybody can reach them, such as `10.0.0.0/8`. Default:
    /// none, so that neither a name nor a redirect can lead into this machine's own surroundings.
    pub allow: Vec<Network>,
    /// The certificates, PEM, of the authorities that an https server's own is checked against. Default: those that this
    /// machine trusts.
    pub ca_file: Option<PathBuf>,
    /// How long nothing may come before the server is given up and the next URL is tried. Default `5s`.
    pub idle: Seconds,
}

impl Source {
    /// The stream that it becomes.
    pub const fn stream(&self) -> &StreamKey {
        match self {
            Self::Clip(clip) => &clip.stream,
            Self::Pull(pull) => &pull.stream,
        }
    }

    /// The file that it names, if it names one.
    pub(super) const fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Clip(clip) => Some(&mut clip.file),
            Self::Pull(pull) => pull.ca_file.as_mut(),
        }
    }
}

/// The table as it is written: which keys belong together is known once all of them are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "one_or_more")]
    url: Option<Vec<SourceUrl>>,
    stream: StreamKey,
    #[serde(rename = "loop", default, skip_serializing_if = "Option::is_none")]
    repeat: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow: Option<Vec<Network>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle: Option<Seconds>,
}

impl TryFrom<Written> for Source {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written {
            file,
            url,
            stream,
            repeat,
            allow,
            ca_file,
            idle,
        } = written;
        match (file, url) {
            (Some(_), Some(_)) => Err("a [[source]] has a file or a url, not both"),
            (None, None) => Err("a [[source]] has a file or a url"),
            (Some(_), None) if allow.is_some() || ca_file.is_some() || idle.is_some() => {
                Err("allow, ca_file and idle are for a [[source]] with a url; this one has a file")
            }
            (None, Some(_)) if repeat.is_some() => {
                Err("loop is for a [[source]] with a file; this one has a url")
            }
            (Some(file), None) => Ok(Self::Clip(ClipSource {
                file,
                stream,
                repeat: repeat.unwrap_or(true),
            })),
            (None, Some(url)) => Ok(Self::Pull(PullSource {
                url,
                stream,
                allow: allow.unwrap_or_default(),
                ca_file,
                idle: idle.unwrap_or(IDLE),
            })),
        }
    }
}

impl From<Source> for Written {
    fn from(source: Source) -> Self {
        match source {
            Source::Clip(clip) => Self {
                file: Some(clip.file),
                url: None,
                stream: clip.stream,
                repeat: Some(clip.repeat),
                allow: None,
                ca_file: None,
                idle: None,
            },
            Source::Pull(pull) => Self {
                file: None,
                url: Some(pull.url),
                stream: pull.stream,
                repeat: None,
                allow: Some(pull.allow),
                ca_file: pull.ca_file,
                idle: Some(pull.idle),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(lines: &str) -> Result<Source, String> {
        let text = format!("[[source]]\nstream = \"live/a\"\n{lines}\n");
        let parsed = Config::parse(std::path::Path::new("relay.toml"), &text);
        let config = parsed.map_err(|error| error.to_string())?;
        Ok(config.source.into_iter().next().unwrap())
    }

    fn pull(lines: &str) -> PullSource {
        match parse(lines) {
            Ok(Source::Pull(pull)) => pull,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_url_stands_alone_or_in_a_list() {
        let one = pull("url = \"rtmp://h/a/b\"");
        assert_eq!(one.url.len(), 1);
        assert_eq!((one.allow.len(), one.ca_file, one.idle), (0, None, IDLE));
        let two = pull(
            "url = [\"rtmp://h/a/b\", \"https://h/c.flv\"]\nallow = [\"10.0.0.0/8\", \"::1\"]\nidle = \"9s\"",
        );
        let shown: Vec<_> = two.url.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["rtmp://h:1935/a/b", "https://h/c.flv"]);
        assert_eq!((two.allow.len(), two.idle), (2, Seconds::new(9)));
    }

    #[test]
    fn keys_that_do_not_belong_together_are_refused() {
        for (lines, sentence) in [
            ("", "has a file or a url"),
            ("file = \"f\"\nurl = \"rtmp://h/a/b\"", "not both"),
            ("file = \"f\"\nallow = []", "this one has a file"),
            ("url = \"rtmp://h/a/b\"\nloop = true", "this one has a url"),
            ("url = []", "at least one URL"),
            ("url = 7", "a URL such as"),
            ("url = \"rtmp://h/a/b\"\nidle = \"0s\"", "idle lies between"),
            ("url = \"rtmp://h/a/b\"\nallow = [\"10.0.0.1/8\"]", "10.0.0.0/8"),
        ] {
            let said = parse(lines).unwrap_err();
            assert!(said.contains(sentence), "{lines}: {said}");
        }
        let nine = ["\"rtmp://h/a/b\""; 9].join(",");
        assert!(
            parse(&format!("url = [{nine}]"))
                .unwrap_err()
                .contains("at most 8")
        );
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let table = |number| format!("[[source]]\nfile = \"f\"\nstream = \"a/{number}\"\n");
        let parse = |count| {
            let text: String = (0..count).map(table).collect();
            Config::parse(std::path::Path::new("relay.toml"), &text)
        };
        assert!(parse(1000).is_ok());
        assert!(parse(1001).unwrap_err().to_string().contains("at most 1000"));
    }

    /// What is wrong is shown with its line, but no line with a key or password in it.
    #[test]
    fn no_secret_of_a_wrong_url_is_shown() {
        for lines in [
            "url = \"rtmp://h/cam?key=s3cret\"",
            "url = [\n\"rtmp://h/live/cam?key=s3cret\",\n\"rtmp://h/cam?key=s3cret\",\n]",
            "url = [\"rtmp://h/live/cam?key=s3cret\", 7]",
            "url = \"http://u:s3cret@h/x\"\nloop = true",
            "url = \"http://u:s3cret@h/x\" loop",
            "url = \"\"\"\nrtmp://h/cam?key=s3cret\"\"\"",
            "ulr = \"http://u:s3cret@h/x\"",
            "url = \"u:s3cret@h/x\"",
        ] {
            let said = parse(lines).unwrap_err();
            assert!(!said.contains("s3cret"), "{lines}: {said}");
        }
    }
}
