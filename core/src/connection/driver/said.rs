//! What a client says of its user, at a pace: a status said again within a moment waits, and of several the last counts.

use std::time::Duration;

use crate::{Instant, Status};

/// A status set again within this time waits until it is over.
const PACE: Duration = Duration::from_millis(200);

/// When a status last counted, and which waits. Of a client that never said one, nothing.
#[derive(Debug, Default)]
pub(super) struct Said(Option<Box<(Instant, Option<Status>)>>);

impl Said {
    /// The client said it; it is returned where it counts at once.
    pub(super) fn say(&mut self, status: Status, now: Instant) -> Option<Status> {
        match &mut self.0 {
            Some(said) if now < said.0 + PACE => {
                said.1 = Some(status);
                None
            }
            _ => {
                self.0 = Some(Box::new((now, None)));
                Some(status)
            }
        }
    }

    /// When a status that waits is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.as_ref().filter(|said| said.1.is_some()).map(|said| said.0 + PACE)
    }

    /// The status that is due by now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Status> {
        self.due().filter(|due| *due <= now)?;
        let said = self.0.as_mut()?;
        said.0 = now;
        said.1.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, SystemClock};

    #[test]
    fn of_what_is_said_within_a_moment_the_first_counts_at_once_and_the_last_when_it_is_over() {
        let (mut said, start) = (Said::default(), SystemClock.now());
        assert_eq!(said.say(Status::Away, start), Some(Status::Away));
        assert_eq!((said.due(), said.take(start + PACE)), (None, None));
        assert_eq!(said.say(Status::Online, start + PACE / 4), None);
        assert_eq!(said.say("busy".into(), start + PACE / 2), None);
        assert_eq!((said.due(), said.take(start + PACE / 2)), (Some(start + PACE), None));
        assert_eq!(said.take(start + PACE), Some("busy".into()));
        assert_eq!((said.due(), said.take(start + PACE)), (None, None));
        assert_eq!(said.say(Status::Away, start + PACE), None, "what was due counts as said");
        assert_eq!(said.take(start + 2 * PACE), Some(Status::Away));
    }
}
