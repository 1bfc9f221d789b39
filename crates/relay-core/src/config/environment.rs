//! The few environment variables that a program without a file needs.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, HostPort, Listen, LogLevel, Program, Seconds, Secret};
use crate::limits::TOKEN_FILE_BYTES;
use crate::token::TOKEN_PREFIX;

/// The join token itself.
pub const JOIN: &str = "RELAY_JOIN";
/// A file that holds the join token.
pub const JOIN_FILE: &str = "RELAY_JOIN_FILE";
/// `[edge] parent`.
pub const PARENT: &str = "RELAY_PARENT";
/// `[edge] drain`.
pub const DRAIN: &str = "RELAY_DRAIN";
/// `[metrics] listen`.
pub const METRICS_LISTEN: &str = "RELAY_METRICS_LISTEN";
/// `[metrics] token`.
pub const METRICS_TOKEN: &str = "RELAY_METRICS_TOKEN";
/// `[log] level`.
pub const LOG: &str = "RELAY_LOG";

/// The name of the join token among systemd's credentials.
const JOIN_CREDENTIAL: &str = "relay-join";

/// The variables of the process, or those that a test gives.
#[derive(Clone, Debug)]
pub struct Environment {
    given: Option<HashMap<String, OsString>>,
}

impl Environment {
    /// This process's own.
    pub const fn process() -> Self {
        Self { given: None }
    }

    /// Exactly these.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let given = variables.map(|(name, value)| (name.to_owned(), value.into()));
        Self {
            given: Some(given.into()),
        }
    }

    /// A variable that is set and not empty.
    fn value(&self, name: &str) -> Option<OsString> {
        let value = match &self.given {
            Some(given) => given.get(name).cloned(),
            None => std::env::var_os(name),
        };
        value.filter(|value| !value.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    /// A folder that systemd gives. It may give several, separated by colons; the first is ours.
    fn folder(&self, name: &str) -> Option<PathBuf> {
        let value = self.value(name)?.into_string().ok()?;
        value
            .split(':')
            .next()
            .filter(|first| !first.is_empty())
            .map(PathBuf::from)
    }

    /// A variable's value read as a setting.
    fn setting<T: std::str::FromStr<Err = String>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        self.value(name)
            .map(|value| value.to_string_lossy().parse())
            .transpose()
            .map_err(|reason| ConfigError::Environment { name, reason })
    }
}

impl Config {
    /// Puts in what the environment overrides.
    pub(super) fn apply(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        if let Some(listen) = environment.setting::<Listen>(METRICS_LISTEN)? {
            self.metrics.listen = listen;
        }
        if let Some(token) = environment.value(METRICS_TOKEN) {
            let token = Secret::new(&token.to_string_lossy());
            let name = METRICS_TOKEN;
            self.metrics.token = Some(token.map_err(|reason| ConfigError::Environment { name, reason })?);
        }
        if let Some(parent) = environment.setting::<HostPort>(PARENT)? {
            self.edge.parent = Some(parent);
        }
        if let Some(drain) = environment.setting::<Seconds>(DRAIN)? {
            self.edge.drain = drain;
        }
        if let Some(level) = environment.setting::<LogLevel>(LOG)? {
            self.log.level = level;
        }
        if environment.value(METRICS_LISTEN).is_some() && self.metrics.is_exposed() {
            return Err(ConfigError::Environment {
                name: METRICS_LISTEN,
                reason: format!(
                    "others can reach {}, so a token is needed: set {METRICS_TOKEN} too",
                    self.metrics.listen
                ),
            });
        }
        Ok(())
    }

    /// The origin's state folder.
    ///
    /// # Errors
    /// When neither the file nor the environment says where it is.
    pub fn state_dir(&self, environment: &Environment) -> Result<PathBuf, ConfigError> {
        let absolute = |path: PathBuf| path.is_absolute().then_some(path);
        self.origin
            .state_dir
            .clone()
            .or_else(|| environment.folder("STATE_DIRECTORY"))
            .or_else(|| {
                let home = environment.path("XDG_STATE_HOME").and_then(absolute);
                home.or_else(|| environment.path("HOME").and_then(absolute).map(|home| home.join(".local/state")))
                    .map(|state| state.join(Program::Origin.name()))
            })
            .ok_or_else(|| {
                ConfigError::Missing(
                    "there is no place to keep state: neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME is set; \
                     set state_dir in [origin]"
                        .to_owned(),
                )
            })
    }

    /// Where the command line looks for the origin's state, in this order: where an origin started in the same way would
    /// keep it, and where systemd's unit does.
    ///
    /// # Errors
    /// As [`state_dir`](Self::state_dir).
    pub fn state_dirs(&self, environment: &Environment) -> Result<Vec<PathBuf>, ConfigError> {
        let own = self.state_dir(environment)?;
        let unit = Path::new("/var/lib").join(Program::Origin.name());
        Ok(match self.origin.state_dir {
            Some(_) => vec![own],
            None => vec![own, unit],
        })
    }

    /// The admin socket of a program; an edge that systemd did not start and whose file names none has none.
    ///
    /// # Errors
    /// As [`state_dir`](Self::state_dir), for the origin.
    pub fn admin_socket(
        &self,
        program: Program,
        environment: &Environment,
    ) -> Result<Option<PathBuf>, ConfigError> {
        if let Some(socket) = &self.admin.socket {
            return Ok(Some(socket.clone()));
        }
        let folder = match (environment.folder("RUNTIME_DIRECTORY"), program) {
            (Some(folder), _) => folder,
            (None, Program::Origin) => self.state_dir(environment)?,
            (None, Program::Edge) => return Ok(None),
        };
        Ok(Some(folder.join("admin.sock")))
    }

    /// Where the command line looks for a running program's admin socket, in this order: where that program, started in
    /// the same way, would have put it, and where systemd's unit puts it.
    pub fn admin_sockets(&self, program: Program, environment: &Environment) -> Vec<PathBuf> {
        if let Some(socket) = &self.admin.socket {
            return vec![socket.clone()];
        }
        let own = self.admin_socket(program, environment).ok().flatten();
        let unit = Path::new("/run").join(program.name()).join("admin.sock");
        own.into_iter().chain([unit]).collect()
    }

    /// The join token's text: of the command line, `RELAY_JOIN`, `RELAY_JOIN_FILE`, `[edge] join_file`, or the systemd
    /// credential `relay-join`, whichever comes first.
    ///
    /// # Errors
    /// A sentence that names all the ways to give one, or the file that cannot be read.
    pub fn join_text(
        &self,
        argument: Option<&str>,
        environment: &Environment,
    ) -> Result<String, ConfigError> {
        if let Some(text) = argument {
            return Ok(text.trim().to_owned());
        }
        if let Some(text) = environment.value(JOIN) {
            return Ok(text.to_string_lossy().trim().to_owned());
        }
        let credential = || {
            let file = environment.path("CREDENTIALS_DIRECTORY")?.join(JOIN_CREDENTIAL);
            file.exists().then_some(file)
        };
        let file = environment
            .path(JOIN_FILE)
            .or_else(|| self.edge.join_file.clone())
            .or_else(credential)
            .ok_or_else(|| {
                ConfigError::Missing(format!(
                    "this edge has no join token: run `relay-origin token create` at the origin, and give what it prints \
                     in {JOIN}, in a file that {JOIN_FILE} or [edge] join_file names, as the systemd credential \
                     {JOIN_CREDENTIAL}, or by --join"
                ))
            })?;
        if file
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(TOKEN_PREFIX))
        {
            return Err(ConfigError::Missing(format!(
                "{JOIN_FILE} or [edge] join_file holds a join token, but takes the path of a file with one; the token itself \
                 goes into {JOIN}"
            )));
        }
        read_short(&file)
            .map(|text| text.trim().to_owned())
            .map_err(|reason| {
                ConfigError::Missing(format!(
                    "cannot read the join token from {}: {reason}",
                    file.display()
                ))
            })
    }
}

/// Reads a small text file; the bound keeps a mistaken path from filling memory.
pub(super) fn read_short(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(TOKEN_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > TOKEN_FILE_BYTES {
        return Err(format!("it is larger than {TOKEN_FILE_BYTES} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_has_an_order_and_a_sentence() {
        let config = Config::default();
        let dir = |environment| {
            config
                .state_dir(&environment)
                .map(|path| path.display().to_string())
        };
        let systemd = Environment::of([("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("HOME", "/home/x")]);
        assert_eq!(dir(systemd).unwrap(), "/var/lib/a");
        let xdg = Environment::of([("XDG_STATE_HOME", "/s"), ("HOME", "/home/x")]);
        assert_eq!(dir(xdg).unwrap(), "/s/relay-origin");
        let looked = config.state_dirs(&Environment::of([("HOME", "/h")])).unwrap();
        let unit = PathBuf::from("/var/lib/relay-origin");
        assert_eq!(looked, [PathBuf::from("/h/.local/state/relay-origin"), unit]);
        let relative = Environment::of([("XDG_STATE_HOME", "s"), ("HOME", "/home/x")]);
        assert_eq!(dir(relative).unwrap(), "/home/x/.local/state/relay-origin");
        let error = dir(Environment::of([])).unwrap_err().to_string();
        assert!(error.contains("set state_dir in [origin]"), "{error}");
    }

    #[test]
    fn the_admin_socket_lies_where_the_program_may_write() {
        let config = Config::default();
        let bare = Environment::of([("HOME", "/h")]);
        let unit = Environment::of([("HOME", "/h"), ("RUNTIME_DIRECTORY", "/run/r")]);
        let socket = |program, environment| config.admin_socket(program, environment).unwrap();
        assert_eq!(
            socket(Program::Origin, &bare),
            Some("/h/.local/state/relay-origin/admin.sock".into())
        );
        assert_eq!(socket(Program::Edge, &bare), None);
        assert_eq!(socket(Program::Edge, &unit), Some("/run/r/admin.sock".into()));
        let looked = config.admin_sockets(Program::Origin, &bare);
        assert_eq!(
            looked.last(),
            Some(&PathBuf::from("/run/relay-origin/admin.sock"))
        );
    }

    #[test]
    fn a_variable_overrides_the_file_and_errors_name_it() {
        let load = |environment| Config::load(None, &environment);
        let config = load(Environment::of([
            (METRICS_LISTEN, "127.0.0.1:0"),
            (PARENT, "a.example:4433"),
            (LOG, "debug"),
        ]))
        .unwrap();
        assert_eq!(config.metrics.listen.port(), 0);
        assert_eq!(config.edge.parent.unwrap().to_string(), "a.example:4433");
        assert_eq!(config.log.level.as_str(), "debug");
        let error = load(Environment::of([(LOG, "loud")])).unwrap_err().to_string();
        assert!(
            error.starts_with("the environment variable RELAY_LOG is wrong: a log level is"),
            "{error}"
        );
        let error = load(Environment::of([(METRICS_LISTEN, "[::]:9935")]))
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("so a token is needed: set RELAY_METRICS_TOKEN too"),
            "{error}"
        );
        let open = [(METRICS_LISTEN, "[::]:9935"), (METRICS_TOKEN, "0123456789abcdef")];
        assert!(load(Environment::of(open)).is_ok());
    }

    #[test]
    fn the_join_token_has_an_order_and_a_sentence() {
        let config = Config::default();
        let both = Environment::of([(JOIN, " one\n"), (JOIN_FILE, "/nowhere")]);
        assert_eq!(config.join_text(Some("zero"), &both).unwrap(), "zero");
        assert_eq!(config.join_text(None, &both).unwrap(), "one");
        let file = Environment::of([(JOIN_FILE, "/nowhere")]);
        let error = config.join_text(None, &file).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot read the join token from /nowhere: "),
            "{error}"
        );
        let pasted = Environment::of([(JOIN_FILE, "relay-join-1.c2VjcmV0")]);
        let error = config.join_text(None, &pasted).unwrap_err().to_string();
        assert!(
            error.contains("takes the path of a file") && !error.contains("c2VjcmV0"),
            "{error}"
        );
        let error = config
            .join_text(None, &Environment::of([]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("relay-origin token create"), "{error}");
    }
}
