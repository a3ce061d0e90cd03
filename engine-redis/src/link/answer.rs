//! Reads what Redis answers to a beat.

use redis::{FromRedisValue, Value};

use crate::lease::{Answer, Live, Member, Verdict};

/// What a beat read of the kick log: where that ended, and the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) read: String,
    pub(super) entries: Vec<Vec<u8>>,
}

/// Why an answer says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The keys are laid out so.
    Layout(String),
    /// It is none of ours.
    Strange,
}

/// The answer, and if the lease holds what was read of the log.
pub(super) fn read(value: Value) -> Result<(Answer, Option<Log>), NoAnswer> {
    let Value::Array(parts) = value else { return Err(NoAnswer::Strange) };
    let mut parts = parts.into_iter();
    let verdict = match next::<String>(&mut parts)?.as_str() {
        "ok" => Verdict::Ok,
        "gone" => Verdict::Gone,
        "expired" => Verdict::Expired,
        "replaced" => Verdict::Replaced,
        "layout" => return Err(NoAnswer::Layout(next(&mut parts)?)),
        _ => return Err(NoAnswer::Strange),
    };
    let epoch = next(&mut parts)?;
    if verdict != Verdict::Ok {
        let (live, dead) = (Live::default(), Vec::new());
        return Ok((Answer { verdict, epoch, live, dead, hearers: 0 }, None));
    }
    let (live, dead) = (members(&mut parts)?, members(&mut parts)?);
    let hearers = next(&mut parts)?;
    let retired = next::<u64>(&mut parts)? > 0;
    let log = Log { read: next(&mut parts)?, entries: next(&mut parts)? };
    let live = Live { members: live, retired, away: members(&mut parts)? };
    Ok((Answer { verdict, epoch, live, dead, hearers }, Some(log)))
}

/// Those that can be read, in their order.
fn members(parts: &mut impl Iterator<Item = Value>) -> Result<Vec<Member>, NoAnswer> {
    let all: Vec<Vec<u8>> = next(parts)?;
    let mut members: Vec<Member> = all.iter().filter_map(|bytes| Member::from_bytes(bytes)).collect();
    members.sort_unstable();
    Ok(members)
}

fn next<T: FromRedisValue>(parts: &mut impl Iterator<Item = Value>) -> Result<T, NoAnswer> {
    let part = parts.next().ok_or(NoAnswer::Strange)?;
    redis::from_redis_value(part).map_err(|_| NoAnswer::Strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_good_answer_says_who_is_there() {
        let (one, two) = (Member { lease: [1; 4], node: 1 }, Member { lease: [2; 4], node: 2 });
        let written = |member: Member| Value::BulkString(member.to_bytes().into());
        let ok = Value::Array(vec![
            text("ok"),
            text("77"),
            Value::Array(vec![written(two), text("foreign"), written(one)]),
            Value::Array(vec![]),
            Value::Int(1),
            Value::Int(0),
            text("5-0"),
            Value::Array(vec![text("kick")]),
            Value::Array(vec![written(two)]),
        ]);
        let (answer, log) = read(ok).unwrap();
        let live = Live { members: vec![one, two], retired: false, away: vec![two] };
        assert_eq!(answer, Answer { verdict: Verdict::Ok, epoch: 77, live, dead: vec![], hearers: 1 });
        assert_eq!(log, Some(Log { read: "5-0".into(), entries: vec![b"kick".to_vec()] }));
    }

    #[test]
    fn a_bad_answer_says_what_became_of_the_lease() {
        let gone = read(Value::Array(vec![text("gone"), text("3")])).unwrap();
        assert_eq!((gone.0.verdict, gone.0.epoch, gone.1), (Verdict::Gone, 3, None));
        let layout = read(Value::Array(vec![text("layout"), text("0;1;2")]));
        assert_eq!(layout, Err(NoAnswer::Layout("0;1;2".into())));
        for strange in
            [Value::Nil, Value::Array(vec![]), Value::Array(vec![text("ok"), text("x")]), text("ok")]
        {
            assert_eq!(read(strange), Err(NoAnswer::Strange));
        }
    }
}
