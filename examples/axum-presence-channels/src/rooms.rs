//! Who may enter which room. Nothing is open by default: what is not named here is refused.

use herenow_axum::auth::{Action, Identity};

use crate::auth::STAFF;

/// The channels of seed 4's own snippets, on the page `/seed`.
const SEED: [&str; 2] = ["my_channel", "my_channel2"];

/// The application's policy: whoever may enter a room may also see who is in it, and speak there.
pub(crate) fn policy(who: &Identity, action: &Action) -> bool {
    match action {
        Action::Subscribe { channel }
        | Action::SubscribePresence { channel }
        | Action::HereNow { channel }
        | Action::Publish { channel } => may_enter(who, channel),
        Action::SeeStatus { user } => *user == who.user,
        _ => false, // Kicks go through the admin routes, which ask for the scope themselves.
    }
}

fn may_enter(who: &Identity, channel: &str) -> bool {
    match channel {
        "staff-room" => who.has_scope(STAFF),
        _ => channel.starts_with("room-") || SEED.contains(&channel),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_open_the_staff_room_is_the_staffs_and_there_is_no_other() {
        let (bob, ada) = (Identity::new("bob"), Identity::new("ada").scope(STAFF));
        for (channel, bobs, adas) in [
            ("room-lobby", true, true),
            ("my_channel", true, true),
            ("staff-room", false, true),
            ("lobby", false, false),
        ] {
            for action in [
                Action::Subscribe { channel: channel.into() },
                Action::SubscribePresence { channel: channel.into() },
                Action::HereNow { channel: channel.into() },
                Action::Publish { channel: channel.into() },
            ] {
                assert_eq!((policy(&bob, &action), policy(&ada, &action)), (bobs, adas), "{action:?}");
            }
        }
        assert!(
            !policy(&ada, &Action::Broadcast) && !policy(&bob, &Action::Kick { user: Some("ada".into()) })
        );
    }
}
