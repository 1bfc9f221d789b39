//! Bans and licences: `deny.toml`, held against what cargo says of every package in the tree.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use relay_tests::process::output_of;
use relay_tests::story::{Turn, story, workspace_dir};
use serde_json::Value;

#[test]
fn no_banned_crate_and_no_strange_licence() {
    story("dependencies", Turn::Beside, async |_| {
        let lists = std::fs::read_to_string(workspace_dir().join("deny.toml"))?;
        let lists: toml::Value = toml::from_str(&lists)?;
        let allowed = texts(&lists["licenses"]["allow"])?;
        let banned = lists["bans"]["deny"].as_array().context("a list of bans")?;
        let banned: Vec<Ban> = banned
            .iter()
            .map(|entry| Ban::parse(&entry["crate"]))
            .collect::<Result<_>>()?;

        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["metadata", "--format-version=1", "--locked"])
            .current_dir(workspace_dir());
        let metadata: Value = serde_json::from_str(&output_of(&mut cargo).await?)?;
        let packages = metadata["packages"].as_array().context("a list of packages")?;
        ensure!(packages.len() > 50, "only {} packages", packages.len());
        let mut faults = Vec::new();
        for package in packages {
            let text = |key: &str| package[key].as_str().unwrap_or_default();
            let (name, version, licence) = (text("name"), text("version"), text("license"));
            if banned.iter().any(|ban| ban.hits(name, version)) {
                faults.push(format!("{name} {version} is banned"));
            }
            if !is_allowed(licence, &allowed) {
                faults.push(format!("{name} {version} has the licence {licence:?}"));
            }
        }
        ensure!(faults.is_empty(), "{}", faults.join("\n"));
        Ok(())
    });
}

/// A crate that may not be used: at all, or below a version.
struct Ban {
    name: String,
    below: Option<Vec<u64>>,
}

impl Ban {
    /// Reads `name` or `name@<version`.
    fn parse(entry: &toml::Value) -> Result<Self> {
        let entry = entry.as_str().context("a ban names a crate")?;
        let (name, below) = match entry.split_once("@<") {
            Some((name, version)) => (name, Some(numbers(version))),
            None => (entry, None),
        };
        ensure!(!name.contains('@'), "{entry}: only `<` is understood here");
        Ok(Self {
            name: name.to_owned(),
            below,
        })
    }

    fn hits(&self, name: &str, version: &str) -> bool {
        self.name == name && self.below.as_ref().is_none_or(|below| numbers(version) < *below)
    }
}

fn numbers(version: &str) -> Vec<u64> {
    version
        .split(['.', '-', '+'])
        .map_while(|part| part.parse().ok())
        .collect()
}

fn texts(list: &toml::Value) -> Result<Vec<&str>> {
    let list = list.as_array().context("a list")?;
    list.iter()
        .map(|entry| entry.as_str().context("a text"))
        .collect()
}

/// Whether an SPDX expression can be met with the allowed licences. Old packages write `/` for `OR`; `OR` binds
/// weaker than `AND`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let tokens = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let tokens: Vec<&str> = tokens.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    any(&mut rest, allowed) == Some(true) && rest.is_empty()
}

fn any(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut good = all(rest, allowed)?;
    while let Some(after) = rest.strip_prefix(&["OR"]) {
        *rest = after;
        good |= all(rest, allowed)?;
    }
    Some(good)
}

fn all(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut good = one(rest, allowed)?;
    while let Some(after) = rest.strip_prefix(&["AND"]) {
        *rest = after;
        good &= one(rest, allowed)?;
    }
    Some(good)
}

fn one(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    if *first == "(" {
        let good = any(rest, allowed)?;
        *rest = rest.strip_prefix(&[")"])?;
        return Some(good);
    }
    let mut name = (*first).to_owned();
    if let Some(["WITH", exception, after @ ..]) = rest.get(..).filter(|rest| rest.len() >= 2) {
        name = format!("{name} WITH {exception}");
        *rest = after;
    }
    Some(allowed.contains(&name.as_str()))
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
    for (expression, good) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("MIT/GPL-3.0", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("Apache-2.0", false),
        ("", false),
        ("(MIT", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), good, "{expression}");
    }
}
