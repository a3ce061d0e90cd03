//! The connections of one channel, as lists by lane: what a push to all of them needs is a few pointers.

use std::sync::Arc;

use crate::connection::Conn;

/// One list for each lane that has somebody. Whoever sends takes the lists as they are then; a change makes a list of
/// its own where one is in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd {
    lists: Vec<(u8, Arc<Vec<Arc<Conn>>>)>,
}

/// The connections of one lane, as they were when a push began.
pub(crate) type List = Arc<Vec<Arc<Conn>>>;

impl Crowd {
    /// Puts a connection in. It must not be in already, and a hand mark, which belongs to no lane, is left out.
    pub(crate) fn add(&mut self, conn: &Arc<Conn>) {
        let Some(lane) = conn.id.place().map(|place| place.lane) else { return };
        match self.lists.iter_mut().find(|(of, _)| *of == lane) {
            Some((_, list)) => Arc::make_mut(list).push(conn.clone()),
            None => self.lists.push((lane, Arc::new(vec![conn.clone()]))),
        }
    }

    /// Takes a connection out; one that is not in is no matter.
    pub(crate) fn remove(&mut self, conn: &Conn) {
        let Some(lane) = conn.id.place().map(|place| place.lane) else { return };
        let Some(index) = self.lists.iter().position(|(of, _)| *of == lane) else { return };
        let list = &mut self.lists[index].1;
        // By address: a list of many thousands is passed over without a look at anybody.
        let Some(at) = list.iter().position(|one| std::ptr::eq(Arc::as_ptr(one), conn)) else { return };
        if list.len() == 1 {
            self.lists.swap_remove(index);
        } else {
            Arc::make_mut(list).swap_remove(at);
        }
        if self.lists.is_empty() {
            self.lists = Vec::new();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.lists.iter().map(|(_, list)| list.len()).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Conn>> {
        self.lists.iter().flat_map(|(_, list)| list.iter())
    }

    /// The lists as they are now, each with its lane.
    pub(crate) fn lists(&self) -> impl Iterator<Item = (usize, List)> + '_ {
        self.lists.iter().map(|(lane, list)| (usize::from(*lane), list.clone()))
    }
}
