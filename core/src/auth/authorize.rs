//! What an identity may do to others: nothing, unless the application's policy says so.

use std::sync::Arc;

use async_trait::async_trait;

use super::Identity;
use crate::UserKey;

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// To see whether a user is online.
    SeeStatus {
        /// The user.
        user: UserKey,
    },
    /// To see who is online, and how many.
    SeeOnline,
    /// To see who is in a channel.
    HereNow {
        /// The channel.
        channel: Arc<str>,
    },
    /// To receive what is published to a channel.
    Subscribe {
        /// The channel.
        channel: Arc<str>,
    },
    /// To receive who comes to a channel and who leaves it.
    SubscribePresence {
        /// The channel.
        channel: Arc<str>,
    },
    /// To publish to a channel.
    Publish {
        /// The channel.
        channel: Arc<str>,
    },
    /// To push to users.
    Push {
        /// The user; `None` where the target is no single user.
        user: Option<UserKey>,
    },
    /// To push to everyone.
    Broadcast,
    /// To end connections of users.
    Kick {
        /// The user; `None` where the target is no single user.
        user: Option<UserKey>,
    },
}

impl Action {
    /// The action's name, as logs and refusals have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SeeStatus { .. } => "SeeStatus",
            Self::SeeOnline => "SeeOnline",
            Self::HereNow { .. } => "HereNow",
            Self::Subscribe { .. } => "Subscribe",
            Self::SubscribePresence { .. } => "SubscribePresence",
            Self::Publish { .. } => "Publish",
            Self::Push { .. } => "Push",
            Self::Broadcast => "Broadcast",
            Self::Kick { .. } => "Kick",
        }
    }

    /// The channel it is about, where it is about one.
    pub fn channel(&self) -> Option<&str> {
        match self {
            Self::HereNow { channel }
            | Self::Subscribe { channel }
            | Self::SubscribePresence { channel }
            | Self::Publish { channel } => Some(channel),
            _ => None,
        }
    }

    /// The user it is about, where it is about one.
    pub fn user(&self) -> Option<&UserKey> {
        match self {
            Self::SeeStatus { user } => Some(user),
            Self::Push { user } | Self::Kick { user } => user.as_ref(),
            _ => None,
        }
    }
}

/// Decides what an identity may do. An action on a user of another account is refused before it is asked.
///
/// A closure is one too: `|who: &Identity, action: &Action| who.has_scope("admin")`.
#[async_trait]
pub trait Authorize: Send + Sync + 'static {
    /// Whether `who` may do it.
    async fn authorize(&self, who: &Identity, action: &Action) -> bool;
}

#[async_trait]
impl<F> Authorize for F
where
    F: Fn(&Identity, &Action) -> bool + Send + Sync + 'static,
{
    async fn authorize(&self, who: &Identity, action: &Action) -> bool {
        self(who, action)
    }
}

/// See [`own_status_only`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OwnStatusOnly;

/// One may see one's own status, and nothing else: the policy where none was set.
pub fn own_status_only() -> OwnStatusOnly {
    OwnStatusOnly
}

#[async_trait]
impl Authorize for OwnStatusOnly {
    async fn authorize(&self, who: &Identity, action: &Action) -> bool {
        matches!(action, Action::SeeStatus { user } if *user == who.user)
    }
}

/// See [`members_see_members`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MembersSeeMembers;

/// Any user of an account may see the status of its users, who of them is online, and who is in its channels, at once
/// and as it changes. Nobody subscribes, publishes, pushes or kicks by it; see
/// [`channels`](MembersSeeMembers::channels).
pub fn members_see_members() -> MembersSeeMembers {
    MembersSeeMembers
}

impl MembersSeeMembers {
    /// In the channels that `opens` says are open to somebody, one may also subscribe and publish; who is in the others,
    /// one may not even see.
    ///
    /// ```
    /// use herenow::{OnlineManager, policy};
    ///
    /// # fn main() -> Result<(), herenow::BuildError> {
    /// let rooms = policy::members_see_members()
    ///     .channels(|who, channel| channel.starts_with("room-") || who.has_scope("staff"));
    /// let online = OnlineManager::builder().authorize(rooms).build()?;
    /// # let _ = online; Ok(())
    /// # }
    /// ```
    pub fn channels<F>(self, opens: F) -> MembersShareChannels<F>
    where
        F: Fn(&Identity, &str) -> bool + Send + Sync + 'static,
    {
        MembersShareChannels { members: self, opens }
    }
}

/// See [`MembersSeeMembers::channels`].
#[derive(Clone, Copy, Debug)]
pub struct MembersShareChannels<F> {
    members: MembersSeeMembers,
    opens: F,
}

#[async_trait]
impl<F> Authorize for MembersShareChannels<F>
where
    F: Fn(&Identity, &str) -> bool + Send + Sync + 'static,
{
    async fn authorize(&self, who: &Identity, action: &Action) -> bool {
        match action.channel() {
            Some(channel) => (self.opens)(who, channel),
            None => self.members.authorize(who, action).await,
        }
    }
}

#[async_trait]
impl Authorize for MembersSeeMembers {
    async fn authorize(&self, who: &Identity, action: &Action) -> bool {
        match action {
            Action::SeeStatus { user } => user.account() == who.user.account(),
            Action::SeeOnline | Action::HereNow { .. } | Action::SubscribePresence { .. } => true,
            _ => false,
        }
    }
}

/// Asks the policy, but never about a user of another account: that is refused whatever it says.
pub(crate) async fn allowed(policy: &dyn Authorize, who: &Identity, action: &Action) -> bool {
    let same_account = action.user().is_none_or(|user| user.account() == who.user.account());
    same_account && policy.authorize(who, action).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(user: impl Into<UserKey>) -> Action {
        Action::SeeStatus { user: user.into() }
    }

    #[tokio::test]
    async fn by_default_one_sees_oneself_and_nothing_else() {
        let (policy, alice) = (own_status_only(), Identity::new("alice"));
        assert!(allowed(&policy, &alice, &see("alice")).await);
        for action in
            [see("bob"), Action::SeeOnline, Action::HereNow { channel: "c".into() }, Action::Broadcast]
        {
            assert!(!allowed(&policy, &alice, &action).await, "{action:?}");
        }
    }

    #[tokio::test]
    async fn members_see_members_and_do_nothing_to_them() {
        let (policy, alice) = (members_see_members(), Identity::new("alice"));
        for action in [see("bob"), Action::SeeOnline, Action::HereNow { channel: "c".into() }] {
            assert!(allowed(&policy, &alice, &action).await, "{action:?}");
        }
        let channel: Arc<str> = "c".into();
        for action in [
            Action::Subscribe { channel: channel.clone() },
            Action::Publish { channel },
            Action::Push { user: None },
            Action::Broadcast,
            Action::Kick { user: Some("alice".into()) },
        ] {
            assert!(!allowed(&policy, &alice, &action).await, "{action:?}");
        }
    }

    #[tokio::test]
    async fn open_channels_are_open_and_the_others_are_not_even_seen() {
        let policy = members_see_members().channels(|_, channel| channel == "open");
        let alice = Identity::new("alice");
        for (name, open) in [("open", true), ("closed", false)] {
            let channel: Arc<str> = name.into();
            for action in [
                Action::HereNow { channel: channel.clone() },
                Action::Subscribe { channel: channel.clone() },
                Action::SubscribePresence { channel: channel.clone() },
                Action::Publish { channel },
            ] {
                assert_eq!(allowed(&policy, &alice, &action).await, open, "{action:?}");
            }
        }
        assert!(allowed(&policy, &alice, &Action::SeeOnline).await);
        assert!(!allowed(&policy, &alice, &Action::Broadcast).await);
    }

    #[tokio::test]
    async fn no_policy_reaches_into_another_account() {
        let everything = |_: &Identity, _: &Action| true;
        let alice = Identity::new(UserKey::in_account("one", "alice"));
        let stranger = UserKey::in_account("two", "alice");
        for action in [
            see(&stranger),
            see("alice"),
            Action::Push { user: Some(stranger.clone()) },
            Action::Kick { user: Some(stranger.clone()) },
        ] {
            assert!(!allowed(&everything, &alice, &action).await, "{action:?}");
        }
        assert!(allowed(&everything, &alice, &see(UserKey::in_account("one", "bob"))).await);
        assert!(allowed(&everything, &alice, &Action::Broadcast).await);
    }
}
