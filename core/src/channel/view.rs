//! The members of a channel in the whole cluster, as a node knows them that has watchers of it. A plain value.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::roster::{Action, Happened, weight};
use crate::{
    Cause, EventKind, Status, UserKey,
    cluster::{Member, MemberNow, Members},
};

/// A copy of the directory's list, kept up by what the engine tells.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// `None` until the first list came.
    known: Option<Known>,
    /// While a list is on its way: what is told meanwhile.
    waiting: Option<Vec<MemberNow>>,
    /// The question that was asked last.
    asked: u64,
}

/// A list that came.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ver: u64,
    members: BTreeMap<UserKey, Seen>,
    clients: usize,
    weight: usize,
}

/// What a list that came means for those who watch already.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// What happened since the list before, or since this one.
    pub(crate) happened: Vec<Happened>,
    /// Something happened before it that nobody was told of.
    pub(crate) is_late: bool,
}

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) clients: usize,
    pub(crate) status: Status,
    pub(crate) data: Option<Arc<RawValue>>,
}

impl View {
    /// A list of one's own is to be fetched: what is told from now on waits for it.
    pub(crate) fn awaited() -> Self {
        Self { waiting: Some(Vec::new()), ..Self::default() }
    }

    /// A list is asked for: what is told from now on waits for it.
    pub(crate) fn ask(&mut self, number: u64) {
        self.waiting.get_or_insert_default();
        self.asked = number;
    }

    /// Whether nobody asked since.
    pub(crate) fn is_asked(&self, number: u64) -> bool {
        self.asked == number
    }

    pub(crate) fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    /// The list came that was asked for by this number; what waits for it and is newer follows.
    pub(crate) fn load(&mut self, members: Members, number: u64, at: DateTime<Utc>) -> Loaded {
        let mut list = Known { ver: members.ver, ..Known::default() };
        for Member { user, clients, status, data } in members.listed {
            list.put(user, Seen { clients: clients as usize, status, data });
        }
        if number != self.asked {
            // Somebody asked again, and may have had a reason: what waits, waits for that list.
            self.known.get_or_insert(list);
            return Loaded::default();
        }
        let waiting = self.waiting.take().unwrap_or_default();
        let mut loaded =
            Loaded { is_late: waiting.iter().any(|now| now.ver <= list.ver), ..Loaded::default() };
        if let Some(before) = &self.known {
            (loaded.happened, loaded.is_late) = (list.since(before, at), false);
        }
        loaded.happened.extend(waiting.into_iter().filter_map(|now| list.apply(now, |_| false)));
        self.known = Some(list);
        loaded
    }

    /// The list could not be had: what is known has to do until the next, with what was told meanwhile.
    pub(crate) fn keep(&mut self, number: u64) -> Vec<Happened> {
        if number != self.asked {
            return Vec::new();
        }
        let waiting = self.waiting.take().unwrap_or_default();
        let Some(known) = &mut self.known else { return Vec::new() };
        waiting.into_iter().filter_map(|now| known.apply(now, |_| false)).collect()
    }

    /// Nobody says how it is in the cluster, and somebody is on this node: then it is in the cluster too. Of who left, that
    /// is not known.
    pub(crate) fn is_here(&mut self, member: Member, cause: Cause, at: DateTime<Utc>) -> Option<Happened> {
        let known = self.known.as_mut().filter(|_| self.waiting.is_none())?;
        let Member { user, clients, status, data } = member;
        if known.members.contains_key(&user) {
            return None;
        }
        let action = if cause == Cause::Reconnect { Action::Online } else { Action::Join };
        known.put(
            user.clone(),
            Seen { clients: clients as usize, status: status.clone(), data: data.clone() },
        );
        Some(Happened { action, cause, user, status, data, at })
    }

    /// How it is with one member from now on; what happened, if that is for watchers. `is_back` says of a newcomer whether
    /// its last membership ended by a disconnect not long ago.
    pub(crate) fn apply(
        &mut self,
        now: MemberNow,
        is_back: impl FnOnce(&UserKey) -> bool,
    ) -> Option<Happened> {
        match (&mut self.waiting, &mut self.known) {
            (Some(waiting), _) => {
                waiting.push(now);
                None
            }
            (None, known) => known.as_mut()?.apply(now, is_back),
        }
    }
}

impl Known {
    pub(crate) fn users(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&UserKey, &Seen)> {
        self.members.iter()
    }

    fn apply(&mut self, now: MemberNow, is_back: impl FnOnce(&UserKey) -> bool) -> Option<Happened> {
        if now.ver <= self.ver {
            return None; // The list took it in already.
        }
        self.ver = now.ver;
        let MemberNow { kind, member, cause, at, .. } = now;
        let Member { user, clients, status, data } = member;
        let happened = |action, cause, user: UserKey, data| {
            Some(Happened { action, cause, user, status: status.clone(), data, at })
        };
        if kind == Some(EventKind::Leave) {
            let before = self.take(&user)?;
            let action = if cause == Cause::Unsubscribe { Action::Leave } else { Action::Offline };
            return happened(action, cause, user, before.data.or(data));
        }
        let before = self.take(&user);
        let data = data.or_else(|| before.as_ref().and_then(|before| before.data.clone()));
        self.put(
            user.clone(),
            Seen { clients: clients as usize, status: status.clone(), data: data.clone() },
        );
        match before {
            None if cause == Cause::Reconnect || is_back(&user) => {
                happened(Action::Online, Cause::Reconnect, user, data)
            }
            None => happened(Action::Join, cause, user, data),
            Some(before) if before.status != status => happened(Action::Update, cause, user, data),
            Some(_) => None,
        }
    }

    /// What must have happened since an earlier list.
    fn since(&self, before: &Self, at: DateTime<Utc>) -> Vec<Happened> {
        let happened = |action, cause, user: &UserKey, status: &Status, data: &Option<Arc<RawValue>>| {
            Happened { action, cause, user: user.clone(), status: status.clone(), data: data.clone(), at }
        };
        let gone = before.members.iter().filter(|(user, _)| !self.members.contains_key(*user)).map(
            |(user, seen)| happened(Action::Offline, Cause::Disconnect, user, &Status::Offline, &seen.data),
        );
        let others = self.members.iter().filter_map(|(user, Seen { status, data, .. })| {
            match before.members.get(user) {
                None => Some(happened(Action::Join, Cause::Subscribe, user, status, data)),
                Some(seen) if seen.status != *status => {
                    Some(happened(Action::Update, Cause::Status, user, status, data))
                }
                Some(_) => None,
            }
        });
        gone.chain(others).collect()
    }

    fn put(&mut self, user: UserKey, seen: Seen) {
        self.clients += seen.clients;
        self.weight += weight(&user, seen.data.as_deref());
        self.members.insert(user, seen);
    }

    fn take(&mut self, user: &UserKey) -> Option<Seen> {
        let seen = self.members.remove(user)?;
        self.clients -= seen.clients;
        self.weight -= weight(user, seen.data.as_deref());
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn member(user: &str, clients: u32, status: Status) -> Member {
        Member { user: user.into(), clients, status, data: None }
    }

    fn now(ver: u64, kind: Option<EventKind>, member: Member, cause: Cause) -> MemberNow {
        MemberNow { channel: "lobby".into(), ver, kind, member, cause, at: DateTime::UNIX_EPOCH }
    }

    fn joins(ver: u64, user: &str) -> MemberNow {
        now(ver, Some(EventKind::Join), member(user, 1, Status::Online), Cause::Subscribe)
    }

    fn goes(ver: u64, user: &str, cause: Cause) -> MemberNow {
        now(ver, Some(EventKind::Leave), member(user, 0, Status::Offline), cause)
    }

    fn done(happened: Option<Happened>) -> Option<Action> {
        happened.map(|happened| happened.action)
    }

    fn list(ver: u64, listed: Vec<Member>) -> Members {
        Members { ver, listed, ..Members::default() }
    }

    fn loaded(ver: u64, listed: Vec<Member>) -> View {
        let mut view = View::awaited();
        view.load(list(ver, listed), 0, DateTime::UNIX_EPOCH);
        view
    }

    fn told(loaded: &Loaded) -> Vec<(Action, &str)> {
        loaded.happened.iter().map(|happened| (happened.action, happened.user.login_id())).collect()
    }

    fn amounts(view: &View) -> (usize, usize) {
        view.known().map(|known| (known.users(), known.clients())).unwrap()
    }

    #[test]
    fn what_the_list_has_taken_in_is_told_no_second_time() {
        let mut view = View::awaited();
        assert_eq!(done(view.apply(joins(4, "u1"), |_| false)), None);
        assert_eq!(done(view.apply(joins(6, "u2"), |_| false)), None);
        let came = view.load(list(5, vec![member("u1", 1, Status::Online)]), 0, DateTime::UNIX_EPOCH);
        assert_eq!((told(&came), came.is_late), (vec![(Action::Join, "u2")], true));
        assert_eq!(amounts(&view), (2, 2));
        assert_eq!(done(view.apply(joins(6, "u2"), |_| false)), None);
        assert_eq!(done(view.apply(joins(7, "u3"), |_| false)), Some(Action::Join));
    }

    #[test]
    fn where_something_may_have_been_missed_the_next_list_says_what() {
        let both = vec![member("u1", 1, Status::Online), member("u2", 1, Status::Online)];
        let mut view = loaded(9, both);
        view.ask(1);
        assert_eq!(done(view.apply(joins(3, "u4"), |_| false)), None);
        assert_eq!(amounts(&view), (2, 2));
        // The store counts anew after it was emptied.
        let now = vec![member("u2", 1, Status::Away), member("u3", 2, Status::Online)];
        let came = view.load(list(2, now), 1, DateTime::UNIX_EPOCH);
        let happened =
            vec![(Action::Offline, "u1"), (Action::Update, "u2"), (Action::Join, "u3"), (Action::Join, "u4")];
        assert_eq!((told(&came), came.is_late), (happened, false));
        assert_eq!(amounts(&view), (3, 4));
    }

    #[test]
    fn without_a_list_what_is_known_stays_and_what_was_told_is_added() {
        let mut view = loaded(1, vec![member("u1", 1, Status::Online)]);
        view.ask(1);
        assert_eq!(done(view.apply(joins(2, "u2"), |_| false)), None);
        let kept: Vec<Action> = view.keep(1).into_iter().map(|happened| happened.action).collect();
        assert_eq!((kept, amounts(&view)), (vec![Action::Join], (2, 2)));
        assert_eq!(done(view.apply(goes(3, "u1", Cause::Disconnect), |_| false)), Some(Action::Offline));
    }

    #[test]
    fn a_list_that_was_asked_for_before_something_was_missed_does_not_stand_for_the_next() {
        let mut view = View::awaited();
        view.ask(1);
        // Something was missed, and a list asked for anew.
        view.ask(2);
        assert_eq!(done(view.apply(joins(9, "u3"), |_| false)), None);
        let before = view.load(list(5, vec![member("u1", 1, Status::Online)]), 1, DateTime::UNIX_EPOCH);
        assert_eq!((told(&before), amounts(&view)), (vec![], (1, 1)), "better than none");
        let now = vec![member("u1", 1, Status::Online), member("u2", 1, Status::Online)];
        let came = view.load(list(8, now), 2, DateTime::UNIX_EPOCH);
        assert_eq!(told(&came), [(Action::Join, "u2"), (Action::Join, "u3")]);
        // One that comes still later says nothing new.
        assert!(view.load(list(5, Vec::new()), 1, DateTime::UNIX_EPOCH).happened.is_empty());
        assert_eq!((view.keep(1).len(), amounts(&view)), (0, (3, 3)));
    }

    #[test]
    fn who_is_here_is_there_without_being_told_and_no_second_time() {
        let mut view = loaded(5, vec![member("u1", 1, Status::Online)]);
        let mut is_here = |user| {
            view.is_here(member(user, 1, Status::Online), Cause::Subscribe, DateTime::UNIX_EPOCH)
                .map(|happened| happened.action)
        };
        assert_eq!((is_here("u1"), is_here("u2"), is_here("u2")), (None, Some(Action::Join), None));
        view.ask(1);
        let both = vec![member("u1", 1, Status::Online), member("u2", 1, Status::Online)];
        assert!(view.load(list(7, both), 1, DateTime::UNIX_EPOCH).happened.is_empty());
    }

    #[test]
    fn a_change_of_connections_alone_is_counted_and_not_told() {
        let mut view = loaded(1, vec![member("u1", 1, Status::Online)]);
        let two = now(2, None, member("u1", 2, Status::Online), Cause::Subscribe);
        assert_eq!(done(view.apply(two, |_| false)), None);
        assert_eq!(amounts(&view), (1, 2));
        let away = now(3, Some(EventKind::Update), member("u1", 2, Status::Away), Cause::Status);
        assert_eq!(done(view.apply(away, |_| false)), Some(Action::Update));
    }

    #[test]
    fn who_left_by_its_own_will_left_and_who_was_cut_is_offline_and_comes_back_online() {
        let mut view = loaded(1, vec![member("u1", 1, Status::Online), member("u2", 1, Status::Online)]);
        assert_eq!(done(view.apply(goes(2, "u1", Cause::Unsubscribe), |_| false)), Some(Action::Leave));
        assert_eq!(done(view.apply(goes(3, "u2", Cause::Disconnect), |_| false)), Some(Action::Offline));
        assert_eq!(done(view.apply(goes(4, "u2", Cause::Disconnect), |_| false)), None);
        assert_eq!(done(view.apply(joins(5, "u2"), |_| true)), Some(Action::Online));
        assert_eq!(amounts(&view), (1, 1));
        assert_eq!(done(view.apply(goes(6, "u2", Cause::Kicked), |_| false)), Some(Action::Offline));
        assert_eq!((amounts(&view), view.known().unwrap().weight()), ((0, 0), 0));
    }
}
