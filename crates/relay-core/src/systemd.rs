//! What a program tells the init system that started it, by the protocol of `Type=notify` units. Where nobody asked to be
//! told (no `NOTIFY_SOCKET`), nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// Says that the program serves, and how it stands.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
}

/// Says how the program stands: what `systemctl status` shows.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(&one_line(status))]);
}

/// Says that the program is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that this takes so much time from now on, however long the unit lets a program end.
pub fn takes(time: Duration) {
    // 71 minutes at most: more than an edge's longest drain.
    let us = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(us)]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell the init system how this program stands");
    }
}

/// A status in one line: each line of a message is an assignment of its own, and a reason may have come from a peer.
fn one_line(status: &str) -> String {
    status
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_assigns_nothing_else() {
        assert_eq!(one_line("trouble\nREADY=1\0"), "trouble READY=1 ");
        assert_eq!(one_line("waiting to join"), "waiting to join");
    }
}
