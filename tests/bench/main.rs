//! The bench: measures the relay beside the bare send loop and beside servers of others, judges the bars, and writes
//! docs/performance.md's tables.
//!
//! - [`part`], [`parts`]: what is measured; [`rounds`]: how often, and beside what; [`lab`]: where.
//! - [`server`], [`peer`], [`watch`]: who serves and who watches; [`ground`]: the network that they do it in.
//! - [`sample`], [`results`], [`noise`], [`machine`]: what is kept of it.
//! - [`judge`], [`tables`], [`plot`], [`document`]: what becomes of it, without measuring anything again. Bars and tables of
//!   parts that are alike share a file: `contenders`, `trouble`, `capacity`; what `budget` counts has only a table.

mod document;
mod figures;
mod ground;
mod judge;
mod lab;
mod machine;
mod noise;
mod part;
mod parts;
mod peer;
mod plot;
mod results;
mod rounds;
mod sample;
mod server;
mod table;
mod tables;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use argh::FromArgs;
use relay_core::command_line::{complain, say};
use relay_tests::story::{Stage, profile_dir, target_dir, workspace_dir};
use tokio::signal::unix::{SignalKind, signal};

use judge::Bar;
use lab::Lab;
use machine::Machine;
use part::Part;
use results::Results;

/// The program's name, for what it prints.
const NAME: &str = "bench";

/// Measures the relay beside a bare send loop and beside servers of others, and writes docs/performance.md.
#[derive(FromArgs)]
struct Cli {
    /// which parts: floor, ten-thousand, peers, storm, stalled, slow, streams, budget, starter; default: all but starter
    #[argh(positional)]
    parts: Vec<Part>,

    /// how long each look takes, in seconds, instead of what each part takes by itself
    #[argh(option)]
    seconds: Option<u64>,

    /// for trying: no audience is larger than this; the document stays as it is
    #[argh(option)]
    viewers: Option<u64>,

    /// measure nothing: write the document anew from what was measured before
    #[argh(switch)]
    render: bool,
}

fn main() -> ExitCode {
    match act(&argh::from_env()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(NAME, format_args!("it cannot go on: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether all bars that were judged hold.
fn act(cli: &Cli) -> Result<bool> {
    let places = Places::of(cli)?;
    if cli.render {
        return places.publish(&Results::load(&places.results)?, &Part::ALL);
    }
    ensure!(cli.seconds != Some(0), "a look takes a second at least");
    ensure!(
        cli.viewers.is_none_or(|viewers| viewers >= 10),
        "an audience is 10 viewers at least"
    );
    let own_namespace = ground::enter()?;
    ground::open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Whatever happens, all that was started ends when the measurement is dropped: each process by its own number.
        tokio::select! {
            all_hold = measure(cli, &places, own_namespace) => all_hold,
            _ = interrupt.recv() => anyhow::bail!("it was interrupted; what was measured is kept"),
            _ = terminate.recv() => anyhow::bail!("it was told to end; what was measured is kept"),
        }
    })
}

async fn measure(cli: &Cli, places: &Places, own_namespace: bool) -> Result<bool> {
    let programs = profile_dir()?;
    let build = programs.file_name().unwrap_or_default().to_string_lossy();
    let machine = Machine::look(own_namespace, &build);
    say(NAME, machine.sentence());
    let stage = Stage::in_folder("bench", places.folder.join("stage"))?;
    let mut lab = Lab::new(stage, programs.clone(), target_dir()?.join("tools"), machine);
    lab.seconds = cli.seconds;
    lab.cap = cli.viewers;
    let parts = if cli.parts.is_empty() {
        Part::usual()
    } else {
        cli.parts.clone()
    };
    let mut results = Results::load(&places.results)?;
    for (index, part) in parts.iter().enumerate() {
        lab.begin(*part, &parts[index + 1..]);
        let measured = parts::measure(&lab, *part)
            .await
            .with_context(|| format!("measuring {}", part.name()))?;
        results.insert(*part, measured);
        results.save(&places.results)?;
    }
    std::fs::remove_dir_all(lab.stage.folder())?;
    places.publish(&results, &parts)
}

/// What is written where.
struct Places {
    folder: PathBuf,
    results: PathBuf,
    document: PathBuf,
    plot: PathBuf,
}

impl Places {
    /// A trial with a cut audience writes nothing into the sources.
    fn of(cli: &Cli) -> Result<Self> {
        let folder = target_dir()?.join("bench");
        std::fs::create_dir_all(&folder)?;
        let docs = workspace_dir().join("docs");
        Ok(if cli.viewers.is_some() {
            Self {
                results: folder.join("trial.json"),
                document: folder.join("trial.md"),
                plot: folder.join("trial.svg"),
                folder,
            }
        } else {
            Self {
                results: folder.join("results.json"),
                document: docs.join("performance.md"),
                plot: docs.join("performance.svg"),
                folder,
            }
        })
    }

    /// Writes document and plot, prints the bars, and says whether those of `parts` hold.
    fn publish(&self, results: &Results, parts: &[Part]) -> Result<bool> {
        let bars = judge::bars(results);
        let template = workspace_dir().join("docs/performance.md");
        let document =
            std::fs::read_to_string(&template).with_context(|| format!("reading {}", template.display()))?;
        std::fs::write(&self.document, render(&document, results, &bars)?)
            .with_context(|| format!("writing {}", self.document.display()))?;
        plot::draw(results, &self.plot)?;
        print_bars(&bars, parts);
        let (document, results_file) = (shown(&self.document), shown(&self.results));
        say(NAME, format_args!("\nwritten: {document}, {results_file}"));
        let mut judged = bars.iter().filter(|bar| parts.contains(&bar.part));
        // What was asked for and could not be measured does not hold.
        Ok(judged.all(|bar| bar.holds() == Some(true)))
    }
}

/// The document with all tables in it.
fn render(document: &str, results: &Results, bars: &[Bar]) -> Result<String> {
    let mut document = document.to_owned();
    for part in Part::ALL {
        document = document::replace(&document, part.name(), &tables::of(part, results))?;
    }
    document::replace(&document, "bars", &tables::bars(bars))
}

fn print_bars(bars: &[Bar], parts: &[Part]) {
    say(NAME, "");
    for bar in bars.iter().filter(|bar| parts.contains(&bar.part)) {
        let verdict = match bar.holds() {
            Some(true) => "holds",
            Some(false) => "FAILS",
            None => "not measured",
        };
        let sign = if bar.at_least { ">=" } else { "<=" };
        let found = bar
            .found
            .map_or_else(|| "-".to_owned(), |found| format!("{found:.2}"));
        let Bar {
            says, limit, unit, ..
        } = bar;
        say(
            NAME,
            format_args!("{verdict:12} {says}: {found} {unit} (wanted {sign} {limit})"),
        );
    }
}

/// A path as it is best shown: from the sources' folder.
fn shown(path: &Path) -> String {
    let home = workspace_dir().canonicalize();
    let short = home.ok().and_then(|home| {
        let path = path.canonicalize().ok()?;
        Some(path.strip_prefix(home).ok()?.display().to_string())
    });
    short.unwrap_or_else(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_a_place_for_every_part() -> Result<()> {
        let document = std::fs::read_to_string(workspace_dir().join("docs/performance.md"))?;
        let results = Results::default();
        let rendered = render(&document, &results, &judge::bars(&results))?;
        for part in Part::ALL {
            assert!(rendered.contains(&format!("<!-- bench:{} -->", part.name())));
        }
        Ok(())
    }
}
