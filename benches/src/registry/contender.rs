//! The two registries, behind one face.

use std::{collections::HashMap, error::Error};

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::people::Person;

/// Whose registry.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    Herenow,
    SaToken,
}

impl Contender {
    /// The name in a table.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Herenow => "herenow",
            Self::SaToken => "sa-token-core",
        }
    }
}

/// What both can do. Each call is made as an application makes it: from `&str`, with the records built anew. An answer
/// that is not what it has to be is an error, so that no call is measured that did nothing.
pub(super) trait Registry: Send + Sync {
    const NAME: Contender;
    /// Whether it gives out its users in pages.
    const HAS_PAGES: bool;

    fn new() -> Result<Self, Box<dyn Error>>
    where
        Self: Sized;
    async fn mark_online(&self, person: Person<'_>) -> bool;
    async fn mark_offline(&self, person: Person<'_>) -> bool;
    async fn is_online(&self, person: Person<'_>) -> bool;
    async fn update_activity(&self, person: Person<'_>) -> bool;
    async fn sessions(&self, person: Person<'_>) -> usize;
    async fn count(&self) -> usize;
    /// How many were listed, in one go.
    async fn list_all(&self) -> usize;
    /// How many were listed, page by page.
    async fn list_pages(&self) -> usize;
}

const DEVICE: &str = "web";
const PAGE: usize = 1_000;

/// herenow's, with every default.
pub(super) struct Ours(herenow::OnlineManager);

impl Registry for Ours {
    const NAME: Contender = Contender::Herenow;
    const HAS_PAGES: bool = true;

    fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self(herenow::OnlineManager::builder().build()?))
    }

    async fn mark_online(&self, person: Person<'_>) -> bool {
        let marked = herenow::OnlineUser {
            login_id: person.login_id.to_owned(),
            token: person.token.to_owned(),
            device: DEVICE.to_owned(),
            connect_time: DateTime::<Utc>::UNIX_EPOCH,
            last_activity: DateTime::<Utc>::UNIX_EPOCH,
            metadata: HashMap::new(),
        };
        self.0.mark_online(marked).await == herenow::Marked::Online
    }

    async fn mark_offline(&self, person: Person<'_>) -> bool {
        self.0.mark_offline(person.login_id, person.token).await;
        true
    }

    async fn is_online(&self, person: Person<'_>) -> bool {
        self.0.is_online(person.login_id).await
    }

    async fn update_activity(&self, person: Person<'_>) -> bool {
        self.0.update_activity(person.login_id, person.token).await;
        true
    }

    async fn sessions(&self, person: Person<'_>) -> usize {
        self.0.get_user_sessions(person.login_id).await.len()
    }

    async fn count(&self) -> usize {
        self.0.get_online_count().await
    }

    async fn list_all(&self) -> usize {
        self.0.get_online_users().await.len()
    }

    async fn list_pages(&self) -> usize {
        let (mut listed, mut cursor) = (0, None);
        loop {
            let page = self.0.online_users(cursor, PAGE).await;
            listed += page.items.len();
            cursor = page.next;
            if cursor.is_none() {
                return listed;
            }
        }
    }
}

/// sa-token-core's own, in process.
pub(super) struct Theirs(sa_token_core::OnlineManager);

impl Registry for Theirs {
    const NAME: Contender = Contender::SaToken;
    const HAS_PAGES: bool = false;

    fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self(sa_token_core::OnlineManager::new()))
    }

    async fn mark_online(&self, person: Person<'_>) -> bool {
        let marked = sa_token_core::OnlineUser {
            login_type: sa_token_core::LOGIN_TYPE_DEFAULT.to_owned(),
            login_id: person.login_id.to_owned(),
            token: person.token.to_owned(),
            device: DEVICE.to_owned(),
            connect_time: DateTime::<Utc>::UNIX_EPOCH,
            last_activity: DateTime::<Utc>::UNIX_EPOCH,
            metadata: HashMap::new(),
        };
        self.0.mark_online(marked).await.is_ok()
    }

    async fn mark_offline(&self, person: Person<'_>) -> bool {
        self.0.mark_offline(person.login_id, person.token).await.is_ok()
    }

    async fn is_online(&self, person: Person<'_>) -> bool {
        self.0.is_online(person.login_id).await.unwrap_or(false)
    }

    async fn update_activity(&self, person: Person<'_>) -> bool {
        self.0.update_activity(person.login_id, person.token).await.is_ok()
    }

    async fn sessions(&self, person: Person<'_>) -> usize {
        self.0.get_user_sessions(person.login_id).await.map_or(0, |sessions| sessions.len())
    }

    async fn count(&self) -> usize {
        self.0.get_online_count().await.unwrap_or(0)
    }

    async fn list_all(&self) -> usize {
        self.0.get_online_users().await.map_or(0, |users| users.len())
    }

    async fn list_pages(&self) -> usize {
        self.list_all().await
    }
}
