//! Managers for tests: one on the test's own runtime, or several joined in memory.

use std::{ops::Deref, sync::Arc};

use tokio::runtime::Handle;

use super::ManualClock;
use crate::{Builder, OnlineManager, cluster::LocalEngine};

/// A builder for a test: everything runs on the test's own runtime, by a [`ManualClock`], so that paused time reaches
/// it all.
///
/// # Panics
/// Outside a tokio runtime.
pub fn builder() -> Builder {
    OnlineManager::builder().runtime(Handle::current()).clock(ManualClock::new())
}

/// One node of several; a manager, and the switch of its network.
#[derive(Debug)]
pub struct TestNode {
    online: OnlineManager,
    engine: Arc<LocalEngine>,
}

impl TestNode {
    /// The node's manager.
    pub fn online(&self) -> &OnlineManager {
        &self.online
    }

    /// Cuts the node off from the others, as a failing store would.
    pub fn cut_off(&self) {
        self.engine.set_cut_off(true);
    }

    /// Connects it again.
    pub fn heal(&self) {
        self.engine.set_cut_off(false);
    }

    /// Has logins and look-ups of the node wait for the engine, as for a store that has too much to do.
    pub fn stall(&self) {
        self.engine.set_stalled(true);
    }

    /// Lets them go on.
    pub fn go_on(&self) {
        self.engine.set_stalled(false);
    }
}

impl Deref for TestNode {
    type Target = OnlineManager;

    fn deref(&self) -> &OnlineManager {
        &self.online
    }
}

/// Two nodes with every default that know each other.
///
/// ```
/// use herenow::testing;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), herenow::PushError> {
/// let [here, there] = testing::two_nodes();
/// let mut phone = testing::connect(&there, "u1").await;
/// here.push_to_user("u1", "Hello!").await?;
/// assert_eq!(phone.expect_push().await, "Hello!");
/// # Ok(()) }
/// ```
///
/// # Panics
/// Outside a tokio runtime.
pub fn two_nodes() -> [TestNode; 2] {
    joined_nodes(|builder| builder)
}

/// `N` nodes that know each other, each set up in the same way, on one clock.
///
/// # Panics
/// Outside a tokio runtime, and where the settings do not build.
pub fn joined_nodes<const N: usize>(set_up: impl Fn(Builder) -> Builder) -> [TestNode; N] {
    let clock = ManualClock::new();
    LocalEngine::with_clock::<N>(Arc::new(clock.clone())).map(|engine| {
        let engine = Arc::new(engine);
        let builder = set_up(builder().clock(clock.clone()).engine(engine.clone()));
        let online = builder.build().unwrap_or_else(|error| panic!("the settings do not build: {error}"));
        TestNode { online, engine }
    })
}
