//! Questions between nodes: [`Questions`] waits for the answers to this node's, [`Asked`] carries out those of others,
//! each once, and [`Kicks`] remembers what has to reach everybody until it surely has.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use herenow::{
    Instant,
    cluster::{Answers, LocalNode},
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    frame::{self, Asker, Frame},
    keys::Keys,
    link::Link,
    script::{Call, Script},
};

static KICK: Script =
    Script::new("kick", &[include_str!("../scripts/say.lua"), include_str!("../scripts/kick.lua")]);

/// The scripts of this file.
pub(crate) const SCRIPTS: &[&Script] = &[&KICK];

/// About so many entries are kept in the kick log.
const LOG: usize = 10_000;

/// What is written to the log, and told to everybody.
pub(crate) fn kick(keys: &Keys, question: &[u8]) -> Call {
    KICK.call(&[keys.kick()], (question, keys.all(), LOG))
}

/// This node's questions that wait for answers.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    questions: HashMap<u64, Question>,
}

#[derive(Debug)]
struct Question {
    /// Nodes that have not answered.
    waiting: BTreeSet<u32>,
    /// So many of them will not: nothing was sent to them.
    unasked: usize,
    answers: Vec<Bytes>,
    done: Option<oneshot::Sender<()>>,
}

impl Question {
    fn tell_if_done(&mut self) {
        if self.waiting.len() <= self.unasked
            && let Some(done) = self.done.take()
        {
            let _ = done.send(()); // Whoever asked may have gone.
        }
    }
}

impl Questions {
    /// A question to these nodes, and what tells that all have answered.
    pub(crate) fn ask(self: &Arc<Self>, nodes: BTreeSet<u32>) -> (Pending, oneshot::Receiver<()>) {
        let (number, all) = self.begin(nodes);
        (Pending { questions: self.clone(), number }, all)
    }

    fn begin(&self, nodes: BTreeSet<u32>) -> (u64, oneshot::Receiver<()>) {
        let (done, all) = oneshot::channel();
        let mut open = self.open.lock();
        open.last += 1;
        let number = open.last;
        let mut question = Question { waiting: nodes, unasked: 0, answers: Vec::new(), done: Some(done) };
        question.tell_if_done();
        open.questions.insert(number, question);
        (number, all)
    }

    /// It reached only so many of them; the others are not waited for.
    pub(crate) fn reached(&self, number: u64, nodes: usize) {
        if let Some(question) = self.open.lock().questions.get_mut(&number) {
            let asked = question.waiting.len() + question.answers.len();
            question.unasked = asked.saturating_sub(nodes);
            question.tell_if_done();
        }
    }

    /// A node answers.
    pub(crate) fn answered(&self, Asker { node, number }: Asker, answer: Bytes) {
        if let Some(question) = self.open.lock().questions.get_mut(&number)
            && question.waiting.remove(&node)
        {
            question.answers.push(answer);
            question.tell_if_done();
        }
    }

    /// What has come; the rest does not count any more.
    fn end(&self, number: u64) -> Answers {
        let Some(question) = self.open.lock().questions.remove(&number) else { return Answers::default() };
        Answers { unreachable: question.waiting.len(), answers: question.answers }
    }
}

/// A question that waits for answers. Dropped, it waits no more: whoever asked has gone.
#[derive(Debug)]
pub(crate) struct Pending {
    questions: Arc<Questions>,
    pub(crate) number: u64,
}

impl Pending {
    /// What has come; the rest does not count any more.
    pub(crate) fn end(self) -> Answers {
        self.questions.end(self.number)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        drop(self.questions.end(self.number));
    }
}

/// Which sure questions were carried out, so that each is once.
#[derive(Debug, Default)]
struct Seen {
    known: HashSet<Asker>,
    order: VecDeque<Asker>,
}

/// More than the log can hold, since it is trimmed by and by.
const SEEN: usize = 2 * LOG;

impl Seen {
    /// Whether it is new; from now on it is not.
    fn is_new(&mut self, asker: Asker) -> bool {
        if !self.known.insert(asker) {
            return false;
        }
        self.order.push_back(asker);
        if self.order.len() > SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Carries out what other nodes ask. One for all Redis of a node.
#[derive(Debug)]
pub(crate) struct Asked {
    node: u32,
    seen: Mutex<Seen>,
    /// So many at once.
    at_once: Arc<Semaphore>,
}

/// A question that arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) asker: Asker,
    pub(crate) surely: bool,
    pub(crate) query: Bytes,
}

/// So many questions wait to be carried out before more are dropped.
pub(crate) const WAITING: usize = 4096;

/// So long an answer may take before its place is given to another.
const LONGEST: Duration = Duration::from_secs(60);

impl Asked {
    pub(crate) fn new(node: u32) -> Self {
        Self { node, seen: Mutex::default(), at_once: Arc::new(Semaphore::new(256)) }
    }

    /// Carries out what arrives by either way, until no more can.
    pub(crate) async fn run(
        self: Arc<Self>,
        local: Weak<dyn LocalNode>,
        link: Link,
        keys: Arc<Keys>,
        mut arrived: mpsc::Receiver<Arrived>,
        mut logged: mpsc::Receiver<Vec<Vec<u8>>>,
    ) {
        loop {
            tokio::select! {
                Some(arrived) = arrived.recv() => self.carry_out(arrived, &local, &link, &keys).await,
                Some(entries) = logged.recv() => {
                    for entry in entries {
                        if let Some(Frame::Question { asker, surely, query }) = frame::read(entry.into()) {
                            self.carry_out(Arrived { asker, surely, query }, &local, &link, &keys).await;
                        }
                    }
                }
                else => return,
            }
        }
    }

    async fn carry_out(
        &self,
        Arrived { asker, surely, query }: Arrived,
        local: &Weak<dyn LocalNode>,
        link: &Link,
        keys: &Arc<Keys>,
    ) {
        if asker.node == self.node || (surely && !self.seen.lock().is_new(asker)) {
            return;
        }
        let Some(local) = local.upgrade() else { return };
        let Ok(place) = self.at_once.clone().acquire_owned().await else { return };
        let (node, link, keys) = (self.node, link.clone(), keys.clone());
        tokio::spawn(async move {
            let Ok(answer) = tokio::time::timeout(LONGEST, local.answer(query)).await else { return };
            drop(place);
            let answer = frame::answer(node, asker.number, &answer);
            // Whoever asked waits no longer than its deadline.
            let _ = link.call::<i64>(keys.publish(keys.inbox(asker.node.to_be_bytes()), &answer)).await;
        });
    }
}

/// What this node told everybody lately, to be told again where Redis may have lost it.
#[derive(Debug, Default)]
pub(crate) struct Kicks {
    lately: Mutex<VecDeque<Told>>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    number: u64,
    question: Bytes,
    /// Whether it is known to stand in the log.
    logged: bool,
}

/// So long it is remembered, and so much of it.
const LATELY: Duration = Duration::from_secs(60);
const REMEMBERED: usize = 1000;

impl Kicks {
    /// Remembers a question that is about to be asked.
    pub(crate) fn remember(&self, at: Instant, number: u64, question: Bytes) {
        let mut lately = self.lately.lock();
        if lately.len() >= REMEMBERED {
            lately.pop_front();
        }
        lately.push_back(Told { at, number, question, logged: false });
    }

    /// The question stands in the log.
    pub(crate) fn logged(&self, number: u64) {
        let mut lately = self.lately.lock();
        lately.iter_mut().rev().filter(|told| told.number == number).for_each(|told| told.logged = true);
    }

    /// What of the last minute has to be told again: what is not known to have been logged, and all of it where the
    /// log was lost. Not more: a node that began since would carry out what was said before its time.
    pub(crate) fn again(&self, now: Instant, log_lost: bool) -> Vec<(u64, Bytes)> {
        let mut lately = self.lately.lock();
        while lately.front().is_some_and(|told| now.saturating_duration_since(told.at) > LATELY) {
            lately.pop_front();
        }
        let again = lately.iter().filter(|told| log_lost || !told.logged);
        again.map(|told| (told.number, told.question.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use herenow::{Clock, SystemClock};

    use super::*;

    fn answer(node: u32, number: u64) -> (Asker, Bytes) {
        (Asker { node, number }, Bytes::from_static(b"yes"))
    }

    #[test]
    fn a_question_is_done_when_all_that_were_reached_have_answered() {
        let questions = Questions::default();
        let (number, mut done) = questions.begin(BTreeSet::from([1, 2, 3]));
        let (one, yes) = answer(1, number);
        questions.answered(one, yes.clone());
        questions.answered(one, yes.clone()); // Twice is once.
        questions.answered(Asker { node: 9, number }, yes.clone()); // Not asked.
        assert!(done.try_recv().is_err());
        questions.reached(number, 2);
        assert!(done.try_recv().is_err());
        questions.answered(Asker { node: 2, number }, yes);
        assert_eq!(done.try_recv(), Ok(()));
        let answers = questions.end(number);
        assert_eq!((answers.answers.len(), answers.unreachable), (2, 1));
        assert!(questions.open.lock().questions.is_empty());
    }

    #[test]
    fn a_question_whose_asker_has_gone_is_forgotten() {
        let questions = Arc::new(Questions::default());
        let (pending, _all) = questions.ask(BTreeSet::from([1]));
        let (other, _all) = questions.ask(BTreeSet::from([1]));
        drop(pending);
        assert_eq!(questions.open.lock().questions.len(), 1);
        assert_eq!(other.end().unreachable, 1);
        assert!(questions.open.lock().questions.is_empty());
    }

    #[test]
    fn a_question_to_nobody_is_done_at_once() {
        let questions = Questions::default();
        let (_, mut done) = questions.begin(BTreeSet::new());
        assert_eq!(done.try_recv(), Ok(()));
        let (number, mut done) = questions.begin(BTreeSet::from([1]));
        questions.reached(number, 0);
        assert_eq!(done.try_recv(), Ok(()));
        assert_eq!(questions.end(number).unreachable, 1);
    }

    #[test]
    fn what_was_seen_is_remembered_within_a_bound() {
        let mut seen = Seen::default();
        let asker = |number| Asker { node: 1, number };
        assert!(seen.is_new(asker(0)) && !seen.is_new(asker(0)));
        for number in 1..=SEEN as u64 {
            assert!(seen.is_new(asker(number)));
        }
        assert_eq!((seen.known.len(), seen.order.len()), (SEEN, SEEN));
        assert!(seen.is_new(asker(0)), "the oldest is forgotten");
    }

    #[test]
    fn kicks_are_remembered_for_a_minute() {
        let kicks = Kicks::default();
        let now = SystemClock.now();
        kicks.remember(now, 1, Bytes::from_static(b"a"));
        kicks.remember(now + LATELY, 2, Bytes::from_static(b"b"));
        kicks.logged(1);
        assert_eq!(kicks.again(now + LATELY, true).len(), 2);
        assert_eq!(kicks.again(now + LATELY, false), [(2, Bytes::from_static(b"b"))]);
        assert_eq!(kicks.again(now + LATELY + Duration::from_secs(1), true).len(), 1);
        (0..=REMEMBERED as u64).for_each(|number| kicks.remember(now, number, Bytes::new()));
        assert_eq!(kicks.again(now, true).len(), REMEMBERED);
    }
}
