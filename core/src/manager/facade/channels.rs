//! What the facade says of channels; what they are stands in [`channel`](crate::channel).

use crate::{
    ChannelEvents, ChannelKey, Connection, ConnectionId, HereNow, HereNowReport, channel::here_now,
    manager::OnlineManager,
};

impl OnlineManager {
    /// Who is in channels, on all nodes, now: how many clients and users, and where asked, who they are. A channel that
    /// nobody is in has zeros, whatever its name.
    ///
    /// ```
    /// use herenow::{HereNow, OnlineManager};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let online = OnlineManager::new();
    /// let report = online.here_now(HereNow::of(["lobby"]).include_users().distinct()).await;
    /// assert_eq!(report.channels[0].user_amount, 0);
    /// let body = serde_json::to_string(&report).expect("a report is JSON"); // as `GET /herenow` answers
    /// assert!(body.starts_with(r#"{"code":200,"content":{"channels":{"lobby":"#));
    /// # }
    /// ```
    pub async fn here_now(&self, asked: HereNow) -> HereNowReport {
        here_now::report(&self.inner, &asked).await
    }

    /// What happens in a channel, on any node, as it happens: who comes, who goes, whose status changes. Where there are
    /// several nodes, a listener may be told [`Resync`](crate::Notice::Resync): ask [`here_now`](Self::here_now) then.
    ///
    /// ```
    /// use herenow::{EventKind, Notice, testing};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// let online = testing::builder().build().unwrap();
    /// let mut lobby = online.subscribe_presence("lobby");
    /// let phone = testing::connect(&online, "u1").await;
    /// phone.connection().join("lobby").unwrap();
    /// let Some(Notice::Event(event)) = lobby.recv().await else { panic!() };
    /// assert_eq!((event.kind, event.user.login_id()), (EventKind::Join, "u1"));
    /// # }
    /// ```
    pub fn subscribe_presence(&self, channel: impl Into<ChannelKey>) -> ChannelEvents {
        self.inner.channels.listen(channel.into())
    }

    /// A handle on a connection of this node, by the id that `welcome` told its client: how an application puts a stream
    /// of events, which can ask for nothing itself, into a channel. An id is no secret: look at
    /// [`user`](Connection::user) first. `None` where it is not here or not present.
    ///
    /// ```
    /// use herenow::testing;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let online = testing::builder().build()?;
    /// let mut phone = testing::connect(&online, "u1").await;
    /// let id = phone.welcome()["connection"].as_str().ok_or("no id")?.parse()?;
    /// let connection = online.connection(id).filter(|connection| connection.user().login_id() == "u1");
    /// connection.ok_or("gone")?.join("lobby")?;
    /// online.publish("lobby", "Welcome!").await?;
    /// assert_eq!(phone.expect_push().await, "Welcome!");
    /// # Ok(()) }
    /// ```
    pub fn connection(&self, id: ConnectionId) -> Option<Connection> {
        let conn = self.inner.lanes.find(id).filter(|conn| conn.is_known())?;
        let is_present = self.inner.registry.read(conn.user(), |state| {
            state.is_some_and(|state| state.present().any(|member| member.conn.id == id))
        });
        is_present.then(|| Connection { inner: self.inner.clone(), conn })
    }

    /// How many channels of this node somebody is in, watches or listens to.
    pub fn channels(&self) -> usize {
        self.inner.channels.alive()
    }
}
