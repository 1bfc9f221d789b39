//! A node: one of the real programs, on free ports of the loopback address, with a folder of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::http::{ask, get, get_by_socket};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::ports::free_port;
use crate::process::{Log, Process, command_after, output_of};
use crate::story::{Stage, profile_dir};
use crate::wait::until;

/// The configuration's name in a node's folder, in which the node runs: the path of a Unix socket beside it, the
/// admin's, may be no longer than 107 bytes, however deep the folder lies.
const CONFIG: &str = "relay.toml";

/// The ports of one node; they stay the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// HTTP viewers.
    pub http: u16,
    /// RTMP publishers and players.
    pub rtmp: u16,
    /// Children, over QUIC (UDP).
    pub link: u16,
    /// `/metrics`, `/healthz`, `/readyz`.
    pub metrics: u16,
}

impl Ports {
    /// Ports that nobody uses.
    pub fn free() -> Self {
        Self {
            http: free_port(),
            rtmp: free_port(),
            link: free_port(),
            metrics: free_port(),
        }
    }
}

/// What a node is started with.
pub struct Node {
    stage: Stage,
    name: String,
    program: PathBuf,
    folder: PathBuf,
    ports: Ports,
    /// Where it listens, and is reached.
    host: IpAddr,
    /// Where its HTTP viewers come, if that is elsewhere on the loopback network.
    http_host: Option<Ipv4Addr>,
    /// Whether its links lead off this machine.
    dials_afar: bool,
    /// Tables beyond the common ones, as TOML.
    tables: String,
    environment: Vec<(String, String)>,
    /// Words before the program's own: what it is started by.
    launcher: Vec<String>,
    process: Option<Process>,
}

impl Node {
    pub(crate) fn new(stage: &Stage, name: &str, program: &str, ports: Ports) -> Result<Self> {
        let folder = stage.folder().join(name);
        std::fs::create_dir_all(&folder)?;
        let program_path = profile_dir()?.join(program);
        ensure!(
            program_path.is_file(),
            "{} is not built; `make build` builds all programs",
            program_path.display()
        );
        Ok(Self {
            stage: stage.clone(),
            name: name.to_owned(),
            program: program_path,
            folder,
            ports,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            http_host: None,
            dials_afar: false,
            tables: String::new(),
            environment: Vec::new(),
            launcher: Vec::new(),
            process: None,
        })
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Takes HTTP viewers at another address of the loopback network: as an edge, under one name with others that have the same port.
    pub fn at(mut self, last: u8) -> Self {
        let host = Ipv4Addr::new(127, 0, 0, last);
        self.http_host = Some(host);
        let port = self.ports.http;
        self.configure(&format!("[edge]\npublic = [\"http://{host}:{port}\"]"));
        self
    }

    /// Its name in the story.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Adds an environment variable for all starts to come.
    pub fn set_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        self.environment.extend(variables);
    }

    /// The stage that it plays on.
    pub(crate) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Adds tables to its configuration, as TOML; for the next start.
    pub fn configure(&mut self, tables: &str) {
        self.tables.push_str(tables);
        self.tables.push('\n');
    }

    /// Has another program start it and become it, such as `taskset -c 0`; for the next start.
    pub fn launched_by(&mut self, words: impl IntoIterator<Item = String>) {
        self.launcher = words.into_iter().collect();
    }

    /// Puts it elsewhere than on the loopback address; for the next start.
    pub(crate) fn move_to(&mut self, host: IpAddr) {
        self.host = host;
    }

    /// Lets it dial nodes that are elsewhere; for the next start.
    pub(crate) fn dial_afar(&mut self) {
        self.dials_afar = true;
    }

    /// Whether it is on the loopback address.
    pub(crate) const fn is_here(&self) -> bool {
        self.host.is_loopback()
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it ends instead, or is not ready within the limit.
    pub async fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Starts it and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(&mut self) -> Result<()> {
        let mut command = self.command_after(&self.launcher)?;
        command.args(self.verb()).args(["--config", CONFIG]);
        self.process = Some(Process::spawn(&self.stage, &self.name, &mut command)?);
        Ok(())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// When it ends instead, or is not ready within the limit.
    pub async fn ready(&mut self) -> Result<()> {
        let url = self.url_of_metrics("readyz");
        let what = format!("{} to be ready", self.name);
        let ready = until(what, async || {
            if !self.is_running() {
                return Some(false);
            }
            let answer = get(&url).await.ok()?;
            (answer.head.status == 200).then_some(true)
        });
        let is_ready = ready.await?;
        if !is_ready {
            bail!("{} ended at once:\n{}", self.name, self.log()?.text());
        }
        Ok(())
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end, and waits until it did.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// Whether it was started and not taken down since.
    pub(crate) const fn was_started(&self) -> bool {
        self.process.is_some()
    }

    /// Whether its process is there.
    pub fn is_running(&mut self) -> bool {
        let process = self.process.as_mut();
        process.is_some_and(|process| process.is_running().unwrap_or(false))
    }

    /// Its process.
    ///
    /// # Errors
    /// When it is down.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process
            .as_mut()
            .with_context(|| format!("{} is down", self.name))
    }

    /// What its present process printed.
    ///
    /// # Errors
    /// When it is down.
    pub fn log(&self) -> Result<&Arc<Log>> {
        let process = self
            .process
            .as_ref()
            .with_context(|| format!("{} is down", self.name))?;
        Ok(process.log())
    }

    /// Its process number.
    ///
    /// # Errors
    /// When it is down.
    pub fn pid(&self) -> Result<u32> {
        let process = self
            .process
            .as_ref()
            .with_context(|| format!("{} is down", self.name))?;
        Ok(process.pid())
    }

    /// What memory it holds.
    ///
    /// # Errors
    /// When it is down.
    pub fn memory(&self) -> Result<Memory> {
        Memory::of(self.pid()?)
    }

    /// How many descriptors it has open.
    ///
    /// # Errors
    /// When it is down.
    pub fn open_files(&self) -> Result<u64> {
        Ok(self.memory()?.descriptors as u64)
    }

    /// Changes how many files it may open while it runs, and gives what held before.
    ///
    /// # Errors
    /// When it is down, or the system refuses.
    pub fn limit_files(&self, soft: u64) -> Result<u64> {
        let pid = i32::try_from(self.pid()?).ok().and_then(Pid::from_raw);
        let held = getrlimit(Resource::Nofile);
        let wanted = Rlimit {
            current: Some(soft),
            maximum: held.maximum,
        };
        let before = prlimit(pid, Resource::Nofile, wanted)?;
        before.current.context("the number of open files has a bound")
    }

    /// The CPU time that it has used so far.
    ///
    /// # Errors
    /// When it is down.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        // Behind the name, which may hold anything: utime and stime are the 14th and 15th of all (proc(5)).
        let fields = stat.rsplit_once(')').context("a name in brackets")?.1;
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_secs_f64(
            ticks as f64 / clock_ticks_per_second() as f64,
        ))
    }

    /// What its admin API answers to a `GET`.
    ///
    /// # Errors
    /// When it is down, or does not answer.
    pub async fn admin(&self, path: &str) -> Result<serde_json::Value> {
        // By way of the folder that it runs in: the real path may be too long for a socket's name.
        let socket = PathBuf::from(format!("/proc/{}/cwd/admin.sock", self.pid()?));
        let answer = get_by_socket(&socket, path).await?;
        ensure!(
            answer.head.status == 200,
            "{path} answers {}: {}",
            answer.head.status,
            answer.text()
        );
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// One look at its metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        Metrics::of(&self.url_of_metrics("metrics")).await
    }

    /// Waits until a metric, summed over its labels, is as wished; a metric that is not there counts as 0.
    ///
    /// # Errors
    /// When it is not within the limit.
    pub async fn metric(&self, name: &str, wished: impl Fn(f64) -> bool) -> Result<f64> {
        let what = format!("{name} of {} to be as wished", self.name);
        until(what, async || {
            let value = self.metrics().await.ok()?.sum(name).unwrap_or(0.0);
            wished(value).then_some(value)
        })
        .await
    }

    /// Waits until a stream can be watched here.
    ///
    /// # Errors
    /// When it cannot within the limit.
    pub async fn shows(&self, stream: &str) -> Result<()> {
        let url = self.flv(stream);
        until(format!("{} to show {stream}", self.name), async || {
            let answer = ask("HEAD", &url, "").await.ok()?;
            (answer.head.status == 200).then_some(())
        })
        .await
    }

    fn http_host(&self) -> IpAddr {
        self.http_host.map_or(self.host, IpAddr::V4)
    }

    /// Where a stream is watched over HTTP.
    pub fn flv(&self, stream: &str) -> String {
        format!("http://{}:{}/{stream}.flv", self.http_host(), self.ports.http)
    }

    /// Where a stream is watched over RTMP.
    pub fn rtmp(&self, stream: &str) -> String {
        format!("rtmp://{}:{}/{stream}", self.host, self.ports.rtmp)
    }

    /// The page of a stream.
    pub fn page(&self, stream: &str) -> String {
        format!("http://{}:{}/watch/{stream}", self.http_host(), self.ports.http)
    }

    /// A page of the metrics listener.
    pub fn url_of_metrics(&self, page: &str) -> String {
        format!("http://{}:{}/{page}", self.host, self.ports.metrics)
    }

    /// Makes this edge a child of another edge: its media comes from there.
    pub fn under(mut self, parent: &Self) -> Self {
        let port = parent.ports.link;
        self.configure(&format!("[edge]\nparent = \"127.0.0.1:{port}\""));
        self
    }

    /// Runs the program with this node's configuration as it is now, and gives its exit code and all that it printed.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub async fn refuses_to_start(&self) -> Result<(Option<i32>, String)> {
        let mut command = self.command()?;
        command.args(self.verb()).args(["--config", CONFIG]);
        let name = format!("{}, refused", self.name);
        let mut process = Process::spawn(&self.stage, &name, &mut command)?;
        let status = process.ended().await?;
        Ok((status.code(), process.log().text()))
    }

    /// What a verb of the program prints, with this node's configuration.
    ///
    /// # Errors
    /// When it fails.
    pub async fn verb_says(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command()?;
        command.args(arguments).args(["--config", CONFIG]);
        output_of(&mut command).await
    }

    /// Starts a verb of the program that stays, with this node's configuration.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn verb_stays(&self, arguments: &[&str]) -> Result<Process> {
        let mut command = self.command()?;
        command.args(arguments).args(["--config", CONFIG]);
        let name = format!("{}, {}", self.name, arguments.join(" "));
        Process::spawn(&self.stage, &name, &mut command)
    }

    /// The program with its environment and its configuration written, without arguments.
    fn command(&self) -> Result<Command> {
        self.command_after(&[])
    }

    /// The same, started by way of other words.
    fn command_after(&self, words: &[String]) -> Result<Command> {
        std::fs::write(self.folder.join(CONFIG), self.config())?;
        let mut command = command_after(words, &self.program);
        command.current_dir(&self.folder).env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    fn is_origin(&self) -> bool {
        self.program.ends_with("relay-origin")
    }

    fn verb(&self) -> &'static [&'static str] {
        if self.is_origin() { &["run"] } else { &[] }
    }

    fn config(&self) -> String {
        let Ports {
            http,
            rtmp,
            link,
            metrics,
        } = self.ports;
        let host = self.host;
        let links = match self.dials_afar {
            true => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            false => host,
        };
        // Where others could reach it, the page of metrics takes one.
        let token = match host.is_loopback() {
            true => "",
            false => "token = \"nobody-asks-for-it\"\n",
        };
        format!(
            "[http]\nlisten = \"{}:{http}\"\n\n[rtmp]\nlisten = \"{host}:{rtmp}\"\n\n\
             [link]\nlisten = \"{links}:{link}\"\n\n[metrics]\nlisten = \"{host}:{metrics}\"\n{token}\n\
             [admin]\nsocket = \"admin.sock\"\n\n{}",
            self.http_host(),
            self.tables
        )
    }
}

/// Whether a path is readable by its owner alone.
///
/// # Errors
/// When it is not there.
pub fn is_private(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)
        .with_context(|| path.display().to_string())?
        .permissions()
        .mode();
    Ok(mode & 0o077 == 0)
}
