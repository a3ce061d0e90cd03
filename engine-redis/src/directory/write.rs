//! The writer: brings what changed to Redis, in one go for all that changed meanwhile, and tells the node which transitions
//! that made.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use herenow::{
    ChannelKey, Status, UserKey,
    cluster::{Bucket, Change, Entry, Here, LocalNode, Wish},
};
use redis::Value;

use super::{
    Directory, EVENTS,
    dirty::{Batch, Mark, SeatChange},
    event::{Body, Made},
    scripts::{SEATS, UPSERT_MEMBERS, UPSERT_USERS, WISH},
};
use crate::{
    error::Unavailable,
    health::Held,
    keys::{Keys, channel_field, user_field},
    lease::LeaseId,
    record,
    script::Call,
};

/// Entries that are written in one go: the more, the more of them are in the same bucket, and in the same call.
const AT_ONCE: usize = 32_768;
/// Users or members that one call takes.
const PER_CALL: usize = 128;
/// Entries, or else calls, of one pipeline: a push behind it waits no longer than for these.
const PER_PIPELINE: usize = 1024;

/// While nothing can be written, who came and went is forgotten every so often.
const FORGET: Duration = Duration::from_secs(5);

/// What could not be written is tried again after this, where Redis answers and refuses.
const REFUSED: Duration = Duration::from_millis(200);

/// A call, and what it writes.
struct Write {
    call: Call,
    of: Of,
}

impl Write {
    fn size(&self) -> usize {
        match &self.of {
            Of::Users(marks) | Of::Members(_, marks) => marks.len(),
            Of::Wish(..) | Of::Seat(_) => 1,
        }
    }
}

/// What is to be written, and what is true of it now.
struct Now {
    mark: Mark,
    here: Option<Here>,
}

/// How many of the calls go into the next pipeline.
fn pipeline(writes: &[Write]) -> usize {
    let mut room = PER_PIPELINE;
    let fits = |write: &&Write| room.checked_sub(write.size()).inspect(|left| room = *left).is_some();
    writes.iter().take_while(fits).count().max(1)
}

enum Of {
    Users(Vec<Mark>),
    Members(ChannelKey, Vec<Mark>),
    Wish(Wish, bool),
    Seat(SeatChange),
}

impl Of {
    /// It was not written, as far as is known.
    fn put_into(self, left: &mut Batch) {
        match self {
            Self::Users(marks) | Self::Members(_, marks) => left.entries.extend(marks),
            Self::Wish(wish, yes) => left.wishes.push((wish, yes)),
            Self::Seat(change) => left.seats.push(change),
        }
    }
}

impl Directory {
    /// Writes for as long as the node lives.
    pub(super) async fn write(&self) {
        let mut wrote_by = None;
        loop {
            let by = self.something_to_write().await;
            let Some(local) = self.local() else { return };
            if wrote_by.replace(by) != Some(by) {
                self.defer_gone(&local);
            }
            let batch = {
                let (mut dirty, now) = (self.dirty.lock(), self.now());
                dirty.written_in(by.1.epoch, now + self.cluster.lease_time());
                dirty.take(AT_ONCE, now)
            };
            let up_to = batch.up_to;
            let mut lost: HashSet<Entry> = batch.lost().collect();
            let (left, refusal) = self.write_batch(&local, &batch, &mut lost).await;
            for entry in left.lost() {
                lost.remove(&entry);
            }
            if !lost.is_empty() {
                self.tell_lost(&local, &batch, &lost).await;
            }
            let is_answered = !matches!(refusal, Some(Unavailable::Down | Unavailable::Late));
            if let Some(up_to) = up_to.filter(|_| is_answered) {
                // What was refused keeps nobody waiting: it may be refused for ever.
                self.written.send_replace(up_to);
            }
            if let Some(error) = &refusal {
                tracing::debug!(%error, "changes could not be written; they will be once Redis takes them");
                self.dirty.lock().put_back(left);
                tokio::time::sleep(REFUSED).await;
            }
            if refusal.is_some() || up_to.is_none() {
                self.changed.notify_one();
            }
        }
    }

    /// Redis was away: who left meanwhile may have come back elsewhere, and is given a lease's time to be written there.
    fn defer_gone(&self, local: &Arc<dyn LocalNode>) {
        let waiting = self.dirty.lock().waiting();
        // Not under the lock: the node is asked.
        let gone: Vec<Entry> = waiting.into_iter().filter(|entry| local.here(entry).is_none()).collect();
        self.dirty.lock().defer(&gone, self.now() + self.cluster.lease_time());
    }

    /// Nothing can be written: of those who come and go meanwhile nothing is kept.
    fn forget_gone(&self) {
        let Some(local) = self.local() else { return };
        let mut gone = self.dirty.lock().newcomers();
        // Not under the lock: the node is asked.
        gone.retain(|(entry, _)| local.here(entry).is_none());
        self.dirty.lock().forget(&gone);
    }

    /// Waits until there is something to write, and somewhere to write it: the connection and the lease.
    async fn something_to_write(&self) -> (u64, Held) {
        loop {
            let next = self.dirty.lock().next();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = due => {}
            }
            let mut facts = self.cluster.facts();
            let both = async {
                let facts = facts.wait_for(|facts| facts.commands.is_some() && facts.lease.is_some()).await;
                facts.ok().and_then(|facts| facts.commands.zip(facts.lease))
            };
            tokio::select! {
                Some(both) = both => return both,
                () = tokio::time::sleep(FORGET) => {
                    self.forget_gone();
                    self.changed.notify_one();
                }
            }
        }
    }

    /// In pipelines, so that others' commands come through between them. What was refused or has no answer is left, and the
    /// reason with it; of what was written the node is told in any case.
    /// What of the `lost` was found and told of is taken out of them.
    async fn write_batch(
        &self,
        local: &Arc<dyn LocalNode>,
        batch: &Batch,
        lost: &mut HashSet<Entry>,
    ) -> (Batch, Option<Unavailable>) {
        let me = self.cluster.me();
        let mut writes = self.calls(local, batch, me);
        let (mut left, mut refusal) = (Batch::default(), None);
        while !writes.is_empty() {
            let later = writes.split_off(pipeline(&writes));
            let now = std::mem::replace(&mut writes, later);
            let (calls, of): (Vec<_>, Vec<_>) = now.into_iter().map(|write| (write.call, write.of)).unzip();
            let answers = match self.link.run_all(calls).await {
                Ok(answers) => answers,
                Err(error) => {
                    let later = writes.into_iter().map(|write| write.of);
                    of.into_iter().chain(later).for_each(|of| of.put_into(&mut left));
                    return (left, Some(error));
                }
            };
            for (answer, of) in answers.into_iter().zip(of) {
                match answer {
                    Ok(answer) => self.made(&answer, of, lost),
                    Err(error) => {
                        of.put_into(&mut left);
                        refusal = Some(error);
                    }
                }
            }
        }
        (left, refusal)
    }

    fn calls(&self, local: &Arc<dyn LocalNode>, batch: &Batch, me: LeaseId) -> Vec<Write> {
        let mut users: HashMap<(Bucket, bool), Vec<Now>> = HashMap::new();
        let mut members: HashMap<(&ChannelKey, bool), Vec<Now>> = HashMap::new();
        for mark in &batch.entries {
            let here = local.here(&mark.change.entry);
            // What was lost and is here still looks like coming there.
            let silent = mark.silent || (mark.lost && here.is_some());
            let mut now = Now { mark: mark.clone(), here };
            now.mark.silent = silent;
            match &mark.change.entry {
                Entry::User(user) => users.entry((Bucket::of(user), silent)).or_default().push(now),
                Entry::Member(channel, _) => members.entry((channel, silent)).or_default().push(now),
            }
        }
        // Wishes first: who hears of something hears of what is written next.
        let mut writes: Vec<Write> =
            batch.wishes.iter().filter_map(|(wish, yes)| self.wish(wish, *yes, me)).collect();
        let seat = |change: &SeatChange| Write { call: self.seat(change), of: Of::Seat(change.clone()) };
        writes.extend(batch.seats.iter().map(seat));
        for ((bucket, silent), marks) in users {
            writes.extend(marks.chunks(PER_CALL).map(|marks| self.users(bucket, marks, silent, me)));
        }
        for ((channel, silent), marks) in members {
            writes.extend(marks.chunks(PER_CALL).map(|marks| self.members(channel, marks, silent, me)));
        }
        writes
    }

    fn users(&self, bucket: Bucket, marks: &[Now], silent: bool, me: LeaseId) -> Write {
        let tag = Keys::tag_of(bucket);
        let keys = [self.keys.bucket(bucket), self.keys.online(tag), self.keys.watched(tag)];
        let mut args = self.head(me, silent);
        for Now { mark, here } in marks {
            let Entry::User(user) = &mark.change.entry else { continue };
            let mine = here.as_ref().map(record::user);
            args.extend([user_field(user).into_bytes(), mine.unwrap_or_default(), body(mark)]);
        }
        let marks = marks.iter().map(|now| now.mark.clone()).collect();
        Write { call: UPSERT_USERS.call(&keys[..], args), of: Of::Users(marks) }
    }

    fn members(&self, channel: &ChannelKey, marks: &[Now], silent: bool, me: LeaseId) -> Write {
        let mut args = self.head(me, silent);
        args.push(channel_field(channel).into_bytes());
        for Now { mark, here } in marks {
            let Entry::Member(_, user) = &mark.change.entry else { continue };
            let mine = here.as_ref().map(record::member);
            args.extend([user.login_id().as_bytes().to_vec(), mine.unwrap_or_default(), body(mark)]);
        }
        let marks = marks.iter().map(|now| now.mark.clone()).collect();
        let call = UPSERT_MEMBERS.call(&self.channel_keys(channel)[..], args);
        Write { call, of: Of::Members(channel.clone(), marks) }
    }

    pub(super) fn channel_keys(&self, channel: &ChannelKey) -> [String; 4] {
        let (keys, tag) = (&self.keys, Keys::channel_tag(channel));
        [keys.members(channel), keys.channels(tag), keys.wished(tag), keys.version(tag)]
    }

    fn head(&self, me: LeaseId, silent: bool) -> Vec<Vec<u8>> {
        let firehose = if silent { String::new() } else { self.keys.firehose() };
        vec![me.to_vec(), firehose.into_bytes(), self.keys.inboxes().into_bytes(), EVENTS.to_vec()]
    }

    fn wish(&self, wish: &Wish, yes: bool, me: LeaseId) -> Option<Write> {
        let (key, field, flag) = match wish {
            Wish::Pushes(channel) => {
                (self.keys.wished(Keys::channel_tag(channel)), channel_field(channel), 1)
            }
            Wish::Members(channel) => {
                (self.keys.wished(Keys::channel_tag(channel)), channel_field(channel), 2)
            }
            Wish::User(user) => (self.keys.watched(Keys::user_tag(user)), user_field(user), 4),
            Wish::Everything => return None,
        };
        let call = WISH.call(&[key], (field, &me[..], flag, i32::from(yes)));
        Some(Write { call, of: Of::Wish(wish.clone(), yes) })
    }

    fn seat(&self, change: &SeatChange) -> Call {
        let SeatChange { user, connection, token } = change;
        let token = token.map(|token| token.to_string()).unwrap_or_default();
        SEATS
            .call(&[self.keys.seats(Keys::user_tag(user))], (user_field(user), connection.to_string(), token))
    }

    /// Users who went after Redis had lost them: there was nothing that could be taken out, and nobody but this node knows.
    async fn tell_lost(&self, local: &Arc<dyn LocalNode>, batch: &Batch, lost: &HashSet<Entry>) {
        let mut gone = Vec::new();
        for mark in batch.entries.iter().filter(|mark| lost.contains(&mark.change.entry)) {
            if let Entry::User(user) = &mark.change.entry
                && local.here(&mark.change.entry).is_none()
            {
                gone.push((mark.clone(), user.clone()));
            }
        }
        let look = |(mark, user): (Mark, UserKey)| async move {
            let status = self.status(&user).await;
            (mark, user, status)
        };
        let mut looks = futures_util::stream::iter(gone).map(look).buffered(PER_CALL);
        let mut unknown = Batch::default();
        while let Some((mark, user, status)) = looks.next().await {
            match status {
                Ok(Status::Offline) => self.tell(Made::offline(&user).of_user(&mark.change)),
                Ok(_) => {} // It is somewhere else by now.
                Err(_) => unknown.entries.push(mark),
            }
        }
        if !unknown.entries.is_empty() {
            self.dirty.lock().put_back(unknown);
            self.changed.notify_one();
        }
    }

    /// Tells the node which transitions an answer says that its write made.
    fn made(&self, answer: &Value, of: Of, lost: &mut HashSet<Entry>) {
        let (marks, channel) = match of {
            Of::Users(marks) => (marks, None),
            Of::Members(channel, marks) => (marks, Some(channel)),
            Of::Wish(..) | Of::Seat(_) => return,
        };
        let made = Made::all(answer);
        if made.is_empty() {
            return;
        }
        let field_of = |change: &Change| match &change.entry {
            Entry::User(user) => user_field(user),
            Entry::Member(_, user) => user.login_id().to_owned(),
        };
        let marks: HashMap<String, Mark> =
            marks.into_iter().map(|mark| (field_of(&mark.change), mark)).collect();
        for one in made {
            let Some(Mark { change, silent: false, .. }) = marks.get(&one.field) else { continue };
            lost.remove(&change.entry);
            self.tell(match &channel {
                None => one.of_user(change),
                Some(channel) => one.of_member(channel, change),
            });
        }
    }
}

/// What is told of a change; nothing of one that nobody is told of.
fn body(mark: &Mark) -> Vec<u8> {
    if mark.silent { Vec::new() } else { Body::of(&mark.change) }
}
