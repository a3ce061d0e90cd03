//! A place to wait at before anybody is logged in: keyed, one-shot, with an end.
//!
//! `meeting` has the public side, `last_word` what the engine keeps while nobody is there, `farewell` how whoever waits
//! is told and let go.
//!
//! # A last word against a connection on its way
//! [`finish`](Rendezvous::finish) does, in this order: it **puts** the word into the engine's store; **tells** whoever
//! is registered here, pending connections too, queueing word and close frame in one step; **asks** the other nodes to
//! do the same; **takes the word back** once one of those it told has answered the close frame.
//! A connection does: it is **registered**, becomes **present**, and then **looks** for a word in the store.
//!
//! - Registered before the telling: it is told. Its look may find the word as well; by then it is closing, and takes no
//!   second one.
//! - Registered after the telling, alone: the put came before, so its look finds the word. Nobody was told, so nobody
//!   takes it back.
//! - Registered after the telling, while another one was told: its look comes before the word is taken back, and it is
//!   told too, or after, and it waits until its end. Who comes when all is said is not promised anything.
//! - Two looks at once: the store gives the word to one of them.
//! - A look that takes the word when its own connection is ending (the page is gone, its time is over, the node drains)
//!   puts it back. So does one whose page does not answer the close frame: a network that was lost has not told anybody.
//! - A node that ends between the steps leaves the word in the store; the worst is that somebody is told again.
//! - `finish` twice, one after the other: the second finds the mark of the first and tells nobody. At the same moment:
//!   a connection takes one of the two words, since it closes with it; the store keeps one at most, and none where
//!   somebody was told, because whoever told takes back whatever is kept, after it has left its mark.

mod farewell;
mod last_word;
mod meeting;

pub(crate) use farewell::finish_here;
pub use meeting::{FinishError, Finished, Rendezvous};
