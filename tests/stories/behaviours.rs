//! docs/behaviours.md, held against the suite: every behaviour has a test that is there, and that knows which behaviour it is of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use relay_tests::story::{Turn, story, workspace_dir};

/// Those that are required of an ingest: publishers, the wire, codecs and time.
const REQUIRED: std::ops::RangeInclusive<u32> = 1..=44;

/// Where each crate's modules begin.
const ROOTS: [(&str, &str); 7] = [
    ("relay_core", "crates/relay-core/src"),
    ("relay_origin", "crates/relay-origin/src"),
    ("relay_edge", "crates/relay-edge/src"),
    ("relay_load", "crates/relay-load/src"),
    ("relay_web", "crates/relay-web/src"),
    ("relay_tests", "tests/support"),
    ("stories", "tests/stories"),
];

#[test]
fn every_behaviour_has_its_test() {
    story("behaviours", Turn::Beside, async |_| {
        let table = std::fs::read_to_string(workspace_dir().join("docs/behaviours.md"))?;
        let rows = rows(&table)?;
        let mut faults = Vec::new();
        for number in REQUIRED {
            if !rows.contains_key(&number) {
                faults.push(format!("R{number:02} is not in the table"));
            }
        }
        for (number, tests) in &rows {
            faults.extend(
                faults_of(*number, tests)
                    .into_iter()
                    .map(|fault| format!("R{number:02}: {fault}")),
            );
        }
        ensure!(faults.is_empty(), "docs/behaviours.md:\n{}", faults.join("\n"));
        println!(
            "behaviours: {} of them, {} tests",
            rows.len(),
            rows.values().flatten().collect::<BTreeSet<_>>().len()
        );
        Ok(())
    });
}

/// The tests of each behaviour.
fn rows(table: &str) -> Result<BTreeMap<u32, Vec<String>>> {
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| R")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, behaviour, tests] = cells[..] else {
            anyhow::bail!("a row has three cells: {line}");
        };
        let number = number
            .trim_start_matches('R')
            .parse()
            .with_context(|| line.to_owned())?;
        ensure!(!behaviour.is_empty(), "{line}");
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        ensure!(rows.insert(number, tests).is_none(), "twice: {line}");
    }
    Ok(rows)
}

fn faults_of(number: u32, tests: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut cited = false;
    if tests.is_empty() {
        faults.push("it has no test".to_owned());
    }
    for test in tests {
        match find(test, workspace_dir()) {
            Some(source) => cited |= cites(&source, number),
            None => faults.push(format!("there is no test {test}")),
        }
    }
    if faults.is_empty() && !cited {
        faults.push(format!("no file of its tests says R{number:02}"));
    }
    faults
}

/// The text of the file that a test stands in, by the test's path: `crate::module::test`.
fn find(test: &str, workspace: &Path) -> Option<String> {
    let (modules, name) = test.rsplit_once("::")?;
    let mut modules = modules.split("::");
    let krate = modules.next()?;
    let (_, root) = ROOTS.iter().find(|(name, _)| *name == krate)?;
    let modules: Vec<&str> = modules.collect();
    // Modules may stand within a file, as `tests` often does.
    (0..=modules.len()).rev().find_map(|depth| {
        let path: PathBuf = workspace.join(root).join(modules[..depth].join("/"));
        let files = [
            path.with_extension("rs"),
            path.join("mod.rs"),
            path.join("lib.rs"),
        ];
        files.iter().find_map(|file| {
            let source = std::fs::read_to_string(file).ok()?;
            is_test(&source, name).then_some(source)
        })
    })
}

/// Whether there is a function of that name behind a test's attribute.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let starts = [format!("fn {name}("), format!("async fn {name}(")];
    let here = |line: &str| starts.iter().any(|start| line.starts_with(start));
    let Some(at) = lines.iter().position(|line| here(line)) else {
        return false;
    };
    lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("#[") || line.starts_with("///"))
        .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
}

/// Whether a text names a behaviour: `R14` in a comment, or `r14` in a function's name.
fn cites(source: &str, number: u32) -> bool {
    [format!("R{number:02}"), format!("r{number:02}")]
        .iter()
        .any(|word| {
            source.match_indices(word.as_str()).any(|(at, _)| {
                let before = source[..at].chars().next_back();
                let behind = source[at + word.len()..].chars().next();
                !before.is_some_and(char::is_alphanumeric) && !behind.is_some_and(char::is_alphanumeric)
            })
        })
}

#[test]
fn what_is_no_test_is_not_taken_for_one() {
    let source = "/// R14.\n#[test]\nfn one() {}\n\n#[tokio::test]\nasync fn two() {}\n\nfn three() {}\n";
    assert!(is_test(source, "one") && is_test(source, "two"));
    assert!(!is_test(source, "three") && !is_test(source, "on"));
    assert!(cites(source, 14) && !cites(source, 1));
    assert!(cites("fn r01_r02_goes() {}", 2) && !cites("fn r011() {}", 1));
    assert!(find("relay_core::no::such_test", workspace_dir()).is_none());
    let rows = rows("| R14 | it is | `a::b` and `a::c` |\n| R15 | so | |\n").unwrap();
    assert_eq!(rows[&14], ["a::b", "a::c"]);
    assert_eq!(faults_of(15, &rows[&15]), ["it has no test"]);
}
