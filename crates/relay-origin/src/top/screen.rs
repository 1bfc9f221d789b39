//! A snapshot as lines of text: a function of it and of the space that there is.

#[cfg(test)]
mod tests;

use std::time::{Duration, UNIX_EPOCH};

use relay_core::admin::SHORT_ID;
use relay_core::admin::words::{counted, grouped, rate, span};
use relay_core::admin::{EdgeRow, Level, Overview, StreamRow};

/// Sentences beyond the first; of the rest the number is told. In a terminal without room, fewer.
const SENTENCES: usize = 4;

/// The least rows that are kept for a table's head and content.
const LEAST_TABLE: usize = 3;

/// How to show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Columns, if there is an end to them.
    pub(super) columns: Option<usize>,
    /// Rows, if there is an end to them.
    pub(super) rows: Option<usize>,
    /// Whether to use colours.
    pub(super) colour: bool,
}

impl Style {
    /// For a file or a pipe.
    pub(super) const fn plain() -> Self {
        Self {
            columns: None,
            rows: None,
            colour: false,
        }
    }

    /// A line that fits, in a colour. What nodes say of themselves gets no hold of the terminal.
    fn line(self, level: Option<Level>, text: &str) -> String {
        let clean = text.chars().map(|c| if c.is_control() { '?' } else { c });
        let fitting: String = match self.columns {
            Some(columns) => clean.take(columns).collect(),
            None => clean.collect(),
        };
        let code = match level.filter(|_| self.colour) {
            Some(Level::Alarm) => "31;1",
            Some(Level::Warning) => "33",
            Some(Level::Well) => "32",
            Some(Level::Idle) => "1",
            Some(Level::Notice) | None => return fitting,
        };
        format!("\x1b[{code}m{fitting}\x1b[0m")
    }

    /// A sentence over as many lines as it takes.
    fn sentence(self, level: Level, indent: &str, text: &str) -> Vec<String> {
        let width = self.columns.unwrap_or(usize::MAX);
        let mut rows = vec![indent.to_owned()];
        for word in text.split(' ') {
            let row = &rows[rows.len() - 1];
            let used = row.chars().count();
            let begun = used > indent.len();
            if begun && used + 1 + word.chars().count() > width {
                rows.push(" ".repeat(indent.len()));
            }
            let last = rows.len() - 1;
            if rows[last].chars().count() > indent.len() {
                rows[last].push(' ');
            }
            rows[last].push_str(word);
        }
        rows.iter().map(|row| self.line(Some(level), row)).collect()
    }
}

/// The line that says that the origin is away.
pub(super) fn trouble(error: &str, style: Style) -> String {
    style.line(
        Some(Level::Alarm),
        &format!("Trying again; below is how it stood last. {error}"),
    )
}

/// The snapshot, in no more rows than there are.
pub(super) fn lines(seen: &Overview, style: Style) -> Vec<String> {
    let mut lines = head(seen, style);
    let foot = foot(seen, style);
    let room = style
        .rows
        .map(|rows| rows.saturating_sub(lines.len() + foot.len()));
    let (streams, edges) = shares(seen, room);
    lines.extend(streams_table(seen, style, streams));
    lines.extend(edges_table(seen, style, edges));
    lines.extend(foot);
    if let Some(rows) = style.rows {
        lines.truncate(rows);
    }
    lines
}

/// How many rows each table gets: streams no more than half where both want more.
fn shares(seen: &Overview, room: Option<usize>) -> (usize, usize) {
    let Some(room) = room else {
        return (usize::MAX, usize::MAX);
    };
    let wanted = seen.streams.len().max(1) + 2;
    let streams = wanted.min((room / 2).max(LEAST_TABLE));
    (streams, room.saturating_sub(streams))
}

fn head(seen: &Overview, style: Style) -> Vec<String> {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(seen.time_ms));
    let title = format!(
        "{} {}, up {}, {time}",
        seen.program,
        seen.version,
        span(seen.uptime_seconds)
    );
    let mut lines = vec![style.line(None, &title), String::new()];
    if let Some((first, rest)) = seen.health.split_first() {
        lines.extend(style.sentence(first.level, "", &first.text));
        let most = style.rows.map_or(usize::MAX, |rows| SENTENCES.min(rows / 8));
        for sentence in rest.iter().take(most) {
            lines.extend(style.sentence(sentence.level, "- ", &sentence.text));
        }
        if let more @ 1.. = rest.len().saturating_sub(most) {
            lines.push(style.line(None, &format!("- and {more} more to say")));
        }
    }
    if let Some(rows) = style.rows {
        // Half of it is for the figures, whatever there is to say.
        lines.truncate((rows / 2).max(LEAST_TABLE));
    }
    lines.push(String::new());
    lines.extend(figures(seen).map(|line| style.line(None, &line)));
    lines.push(String::new());
    lines
}

fn figures(seen: &Overview) -> [String; 2] {
    let (viewers, egress, uplink) = (seen.viewers, seen.egress, &seen.uplink);
    let pool = seen.tokens_live.is_some();
    let here = |text: String| {
        if pool {
            format!(", {text} here")
        } else {
            String::new()
        }
    };
    let sent = format!(
        "{}{}; {} sent{}",
        counted(viewers.pool, "viewer"),
        here(grouped(viewers.here)),
        rate(egress.pool),
        here(rate(egress.here)),
    );
    let mut given = match (uplink.share, uplink.configured) {
        (Some(share), Some(configured)) => {
            format!("{:.0} % of {} given away", share * 100.0, rate(configured))
        }
        _ => format!("{} given away", rate(uplink.committed)),
    };
    if pool {
        given = format!("uplink: {given}, copies to edges {}", rate(uplink.to_edges));
    }
    [sent, given]
}

fn streams_table(seen: &Overview, style: Style, most: usize) -> Vec<String> {
    let head = format!(
        "{:<28} {:<8} {:>8} {:>9}  LAST TAG",
        "STREAM", "STATE", "HERE", "RATE"
    );
    let rows = seen.streams.iter().map(|row| stream(row, style));
    table(&head, rows, seen.streams_left_out, style, most)
}

fn stream(row: &StreamRow, style: Style) -> String {
    let silent = row.silent_seconds;
    let (state, level) = match silent {
        _ if !row.playable => ("waiting", None),
        Some(5.0..) => ("silent", Some(Level::Alarm)),
        _ => ("live", None),
    };
    let last = match silent {
        None => "never".to_owned(),
        Some(seconds) if seconds < 1.0 => "now".to_owned(),
        // A time that fits; no stream has been silent for longer than there are seconds.
        Some(seconds) => format!("{} ago", span(seconds as u64)),
    };
    let text = format!(
        "{:<28} {state:<8} {:>8} {:>9}  {last}",
        row.stream,
        grouped(row.viewers),
        narrow(row.peak_bits)
    );
    style.line(level, &text)
}

fn edges_table(seen: &Overview, style: Style, most: usize) -> Vec<String> {
    if seen.tokens_live.is_none() || (seen.edges.is_empty() && seen.edges_left_out == 0) {
        return Vec::new();
    }
    let head = format!(
        "{:<SHORT_ID$}  {:<11} {:>7} {:>9} {:>9} {:>7}  WHERE, OR WHY NOT",
        "EDGE", "STATE", "VIEWERS", "SENDS", "ROOM", "LAG"
    );
    let rows = seen.edges.iter().map(|row| edge(row, style));
    table(&head, rows, seen.edges_left_out, style, most)
}

fn edge(row: &EdgeRow, style: Style) -> String {
    let level = match &*row.state {
        "lost" if row.draining => None,
        "lost" | "unreachable" => Some(Level::Alarm),
        "full" | "draining" => Some(Level::Warning),
        _ => None,
    };
    let place = row.endpoints.first().map_or("-", |endpoint| {
        let url = endpoint.url.as_str();
        url.strip_prefix("http://").unwrap_or(url)
    });
    let last = match &*row.state {
        "serving" => place,
        _ => &row.why,
    };
    let lag = row
        .lag_ms
        .map_or_else(|| "-".to_owned(), |lag| format!("{} ms", grouped(lag)));
    // What was true of a lost one says nothing of now.
    let now = |text: String| if row.state == "lost" { "-".to_owned() } else { text };
    let text = format!(
        "{:<SHORT_ID$}  {:<11} {:>7} {:>9} {:>9} {:>7}  {last}",
        row.short_id(),
        row.state,
        now(grouped(u64::from(row.viewers))),
        now(narrow(row.egress)),
        now(narrow(row.headroom)),
        now(lag),
    );
    style.line(level, &text)
}

/// A rate as it fits into a column, whose head says that it is one.
fn narrow(bits: u64) -> String {
    rate(bits).trim_end_matches("/s").to_owned()
}

/// A head, rows, what of them is left out, and an empty line, in at most so many lines.
fn table(
    head: &str,
    rows: impl ExactSizeIterator<Item = String>,
    left_out: u64,
    style: Style,
    most: usize,
) -> Vec<String> {
    let all = rows.len();
    // The head, the empty line, and one to say what is left out.
    let fits = all.saturating_add(2) <= most && left_out == 0;
    let shown = if fits {
        all
    } else {
        all.min(most.saturating_sub(3))
    };
    let mut lines = vec![style.line(Some(Level::Idle), head)];
    lines.extend(rows.take(shown));
    if all == 0 {
        lines.push(style.line(None, "none"));
    }
    if let more @ 1.. = (all - shown) as u64 + left_out {
        lines.push(style.line(None, &format!("and {} more, no worse than these", grouped(more))));
    }
    lines.push(String::new());
    lines
}

fn foot(seen: &Overview, style: Style) -> Vec<String> {
    let asked: Vec<String> = seen
        .joins
        .iter()
        .filter(|row| row.count > 0)
        .map(|row| format!("{} {}", row.outcome.replace('_', " "), grouped(row.count)))
        .collect();
    let decided: Vec<String> = seen
        .admissions
        .iter()
        .map(|row| format!("{} ({}) {}", row.decision, row.reason, grouped(row.count)))
        .collect();
    let or_nobody = |list: Vec<String>| {
        if list.is_empty() {
            "nobody yet".to_owned()
        } else {
            list.join(", ")
        }
    };
    let mut lines = vec![
        style.line(None, &format!("asked here: {}", or_nobody(asked))),
        style.line(None, &format!("decided:    {}", or_nobody(decided))),
    ];
    if let Some(tokens) = seen.tokens_live {
        lines.push(style.line(
            None,
            &format!("{} that can be joined with", counted(tokens, "token")),
        ));
    }
    lines
}
