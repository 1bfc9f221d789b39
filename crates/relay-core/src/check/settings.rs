//! The kernel settings that are shipped, held against the running kernel. The file itself is the one source: what an operator
//! installs, what is compared, and the reasons that are given.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Facts;
use crate::config::Config;

/// What `make install` puts into `/etc/sysctl.d`.
const SHIPPED: &str = include_str!("../../../../scripts/deploy/90-relay.conf");

/// A line of the file, with the comment above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting<'a> {
    /// As `sysctl` names it.
    pub(super) key: &'a str,
    /// What is wanted.
    pub(super) value: &'a str,
    /// Why.
    pub(super) reason: String,
}

/// The settings that are shipped.
pub(super) fn shipped() -> Vec<Setting<'static>> {
    parse(SHIPPED)
}

/// Reads a file of sysctl.d(5). A comment belongs to the setting right below it.
fn parse(text: &str) -> Vec<Setting<'_>> {
    let mut settings = Vec::new();
    let mut reason = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix(['#', ';']) {
            if !reason.is_empty() {
                reason.push(' ');
            }
            reason.push_str(comment.trim());
        } else if let Some((key, value)) = line.split_once('=') {
            settings.push(Setting {
                // A dash in front tells sysctl to go on where the key is unknown.
                key: key.trim().trim_start_matches('-'),
                value: value.trim(),
                reason: std::mem::take(&mut reason),
            });
        } else {
            reason.clear();
        }
    }
    settings
}

/// What the kernel has for each key that is shipped; `sys` is `/proc/sys`.
pub(super) fn running(sys: &Path) -> BTreeMap<String, String> {
    let read = |setting: Setting<'_>| {
        let text = fs::read_to_string(sys.join(setting.key.replace('.', "/"))).ok()?;
        let words: Vec<&str> = text.split_whitespace().collect();
        Some((setting.key.to_owned(), words.join(" ")))
    };
    shipped().into_iter().filter_map(read).collect()
}

/// A sentence per setting that is not as it is wanted.
pub(super) fn warnings(config: &Config, facts: &Facts) -> Vec<String> {
    let warning = |(setting, running, wanted): (Setting<'_>, &str, String)| {
        let Setting { key, reason, .. } = setting;
        format!("{key} is {running}; set {key} = {wanted}: {reason}")
    };
    compared(config, facts)
        .filter(|(_, running, wanted)| falls_short(running, wanted))
        .map(warning)
        .collect()
}

/// How many are as they are wanted, in a line; none if the kernel tells none of them.
pub(super) fn line(config: &Config, facts: &Facts) -> Option<String> {
    let (mut told, mut good) = (0, 0);
    for (_, running, wanted) in compared(config, facts) {
        told += 1;
        good += usize::from(!falls_short(running, &wanted));
    }
    (told > 0).then(|| format!("kernel settings: {good} of {told} are as in 90-relay.conf"))
}

/// Each setting that the kernel tells: what it is, and what is wanted here.
fn compared<'a>(
    config: &'a Config,
    facts: &'a Facts,
) -> impl Iterator<Item = (Setting<'static>, &'a str, String)> {
    shipped().into_iter().filter_map(|setting| {
        let running = facts.settings.get(setting.key)?;
        let wanted = wanted(config, &setting);
        Some((setting, running.as_str(), wanted))
    })
}

/// What the file says, unless the configuration asks the kernel for something else.
fn wanted(config: &Config, setting: &Setting<'_>) -> String {
    match setting.key {
        "net.core.rmem_max" | "net.core.wmem_max" => config.link.udp_buffer.bytes().to_string(),
        _ => setting.value.to_owned(),
    }
}

/// Whether a running value is not what is wanted. 0 and 1 are switches; of any other number, more is fine.
fn falls_short(running: &str, wanted: &str) -> bool {
    let mut running = running.split_whitespace();
    wanted.split_whitespace().any(|wanted| {
        let Some(running) = running.next() else {
            return true;
        };
        match (running.parse::<u64>(), wanted.parse::<u64>()) {
            (Ok(running), Ok(wanted)) if wanted > 1 => running < wanted,
            _ => running != wanted,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shipped_setting_has_a_reason_and_stands_once() {
        let settings = shipped();
        assert!(settings.len() >= 5, "{settings:?}");
        for setting in &settings {
            assert!(
                setting.reason.starts_with("with "),
                "{setting:?} completes a sentence"
            );
            assert!(setting.key.starts_with("net."), "{setting:?}");
            assert!(!setting.value.is_empty(), "{setting:?}");
            let same = settings.iter().filter(|other| other.key == setting.key);
            assert_eq!(same.count(), 1, "{setting:?}");
        }
    }

    #[test]
    fn the_file_and_the_defaults_want_the_same() {
        for setting in shipped() {
            assert_eq!(
                wanted(&Config::default(), &setting),
                setting.value,
                "{}",
                setting.key
            );
        }
    }

    #[test]
    fn a_comment_belongs_to_the_setting_below_it() {
        let text = "# about the file\n\n# why\n; in two lines\n-net.a = 1\nnet.b=2 3\n#after a gap\n\n net.c = x \nnoise\n";
        let setting = |key, value, reason: &str| Setting {
            key,
            value,
            reason: reason.to_owned(),
        };
        assert_eq!(
            parse(text),
            [
                setting("net.a", "1", "why in two lines"),
                setting("net.b", "2 3", ""),
                setting("net.c", "x", ""),
            ]
        );
        assert_eq!(parse(""), []);
    }

    #[test]
    fn switches_must_match_and_numbers_may_be_larger() {
        for (running, wanted, short) in [
            ("0", "0", false),
            ("1", "0", true),
            ("2", "1", true),
            ("4095", "4096", true),
            ("4096", "4096", false),
            ("9000", "4096", false),
            ("cubic", "bbr", true),
            ("fq", "fq", false),
            ("10 20 30", "10 20 31", true),
            ("10 21 31", "10 20 31", false),
            ("10 20", "10 20 31", true),
            ("", "5", true),
        ] {
            assert_eq!(falls_short(running, wanted), short, "{running:?} for {wanted:?}");
        }
    }
}
