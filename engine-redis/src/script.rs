//! [`Script`]: Lua with a name, run by its hash. All of them are loaded on every connect; one that Redis lost since is
//! loaded again where it is missed.

use std::{fmt::Write, sync::OnceLock};

use redis::{Cmd, ToRedisArgs};
use sha1::{Digest, Sha1};

/// Lua that Redis runs as one step.
pub(crate) struct Script {
    name: &'static str,
    parts: &'static [&'static str],
    ready: OnceLock<Ready>,
}

struct Ready {
    text: String,
    sha: String,
}

/// One command for a [`Link`](crate::link::Link): a script with its keys and arguments, or any other.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) cmd: Cmd,
    pub(crate) script: Option<&'static Script>,
}

/// Every script there is, for those who load them.
pub(crate) fn all() -> impl Iterator<Item = &'static Script> {
    let own: [&[&'static Script]; _] = [crate::link::SCRIPTS, crate::ask::SCRIPTS, crate::directory::SCRIPTS];
    own.into_iter().flatten().copied()
}

impl Script {
    /// A script of several texts, one after the other: what scripts share comes first.
    pub(crate) const fn new(name: &'static str, parts: &'static [&'static str]) -> Self {
        Self { name, parts, ready: OnceLock::new() }
    }

    /// What it is called in errors.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.ready().text
    }

    /// The script with its keys and arguments: anything that `redis` can write, tuples and slices too.
    pub(crate) fn call(&'static self, keys: impl ToRedisArgs, args: impl ToRedisArgs) -> Call {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&self.ready().sha).arg(keys.num_of_args()).arg(keys).arg(args);
        Call { cmd, script: Some(self) }
    }

    fn ready(&self) -> &Ready {
        self.ready.get_or_init(|| {
            let text = self.parts.join("\n");
            let sha = Sha1::digest(text.as_bytes()).iter().fold(String::new(), |mut sha, byte| {
                let _ = write!(sha, "{byte:02x}"); // Strings take all that is written.
                sha
            });
            Ready { text, sha }
        })
    }
}

impl From<Cmd> for Call {
    fn from(cmd: Cmd) -> Self {
        Self { cmd, script: None }
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_its_script_by_hash_and_counts_its_keys() {
        static TWO: Script = Script::new("two", &["local a = 1", "return a"]);
        assert_eq!(TWO.text(), "local a = 1\nreturn a");
        let call = TWO.call(&["k1", "k2"], ("a", 7));
        let words: Vec<String> = call
            .cmd
            .args_iter()
            .filter_map(|arg| match arg {
                redis::Arg::Simple(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(words.len(), 7);
        assert_eq!((words[0].as_str(), words[1].len(), words[2].as_str()), ("EVALSHA", 40, "2"));
        assert_eq!(&words[3..], ["k1", "k2", "a", "7"]);
    }

    #[test]
    fn no_two_scripts_share_a_name() {
        let mut names: Vec<_> = all().map(Script::name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
