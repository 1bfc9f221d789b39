//! Footnotes: what has to be known about a table.

use crate::results::Measured;

/// On what, when, how long, with how much noise, and what is missing.
pub(super) fn footnotes(measured: &Measured) -> String {
    let mut text = format!("{} {} s per look.", measured.machine.sentence(), measured.seconds);
    let worst = |core: usize| {
        let late = measured
            .samples
            .iter()
            .filter_map(|sample| sample.noise.late_p99_ms.get(core).copied());
        late.reduce(f64::max)
    };
    if let (Some(server), Some(load)) = (worst(0), worst(1)) {
        let stolen: f64 = measured
            .samples
            .iter()
            .map(|sample| sample.noise.stolen_seconds)
            .sum();
        text.push_str(&format!(
            " Noise: a sleeper's p99 was at worst {server:.1} ms late on the server's core and {load:.1} ms on the load's; \
             {stolen:.1} s were stolen by other machines.",
        ));
    }
    if measured.repeated > 0 {
        text.push_str(&format!(
            " Rounds made again since the floor itself was late: {}.",
            measured.repeated
        ));
    }
    let tired = measured
        .samples
        .iter()
        .filter(|sample| sample.report.load.bottleneck)
        .count();
    if tired > 0 {
        text.push_str(&format!(" In {tired} looks the load tool itself was the limit."));
    }
    text.push('\n');
    for note in &measured.notes {
        text.push_str(&format!("\n- {note}"));
    }
    if !measured.notes.is_empty() {
        text.push('\n');
    }
    text
}
