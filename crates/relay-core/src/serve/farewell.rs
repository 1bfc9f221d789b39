//! How a server leaves its publishers before it ends: it asks those who know how to connect anew (R35).

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Asks publishers to connect anew, and knows when they have left. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Farewell {
    asked: CancellationToken,
    present: TaskTracker,
}

impl Farewell {
    /// Asks all who can, and waits until each has left at a keyframe, for so long at most: one whose keyframe does not come
    /// by then is cut off, as all are who cannot be asked. No publisher is let in from now on.
    pub async fn say(&self, within: Duration) {
        self.asked.cancel();
        self.present.close();
        if !self.present.is_empty() {
            tracing::info!(
                publishers = self.present.len(),
                "publishers are asked to connect anew"
            );
        }
        if tokio::time::timeout(within, self.present.wait()).await.is_err() {
            tracing::info!(
                publishers = self.present.len(),
                "publishers that had not left are cut off"
            );
        }
    }

    /// Counts a publisher that can be asked, until the token is dropped.
    pub(super) fn enter(&self) -> TaskTrackerToken {
        self.present.token()
    }

    /// Whether it has been said.
    pub(super) fn is_said(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Until it is said.
    pub(super) async fn said(&self) {
        self.asked.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn r35_waits_for_those_who_can_leave_and_no_longer_than_it_may() {
        let farewell = Farewell::default();
        // Nobody is there to be waited for.
        farewell.say(Duration::MAX).await;
        assert!(farewell.is_said());

        let farewell = Farewell::default();
        let (present, leaving) = (farewell.enter(), farewell.clone());
        let publisher = tokio::spawn(async move {
            leaving.said().await;
            drop(present);
        });
        farewell.say(Duration::MAX).await;
        publisher.await.unwrap();

        let farewell = Farewell::default();
        let slow = farewell.enter();
        farewell.say(Duration::from_millis(1)).await;
        assert_eq!(farewell.present.len(), 1, "its keyframe does not come");
        drop(slow);
    }
}
