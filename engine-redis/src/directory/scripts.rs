//! The scripts of the directory, in `scripts/`.

use crate::script::Script;

const COMMON: &str = concat!(include_str!("../../scripts/say.lua"), include_str!("../../scripts/common.lua"));
const SAY: &str = include_str!("../../scripts/say.lua");
const USERS: &str = include_str!("../../scripts/users.lua");
const MEMBERS: &str = include_str!("../../scripts/members.lua");
const SEND: &str = include_str!("../../scripts/send.lua");

macro_rules! scripts {
    ($($name:ident $file:literal [$($part:expr),*])*) => {
        $(pub(crate) static $name: Script =
            Script::new($file, &[$($part,)* include_str!(concat!("../../scripts/", $file, ".lua"))]);)*

        pub(crate) const SCRIPTS: &[&Script] = &[$(&$name),*];
    };
}

scripts! {
    UPSERT_USERS "upsert_users" [COMMON, USERS]
    REAP_USERS "reap_users" [COMMON, USERS]
    SCAN_USERS "scan_users" []
    UPSERT_MEMBERS "upsert_members" [COMMON, MEMBERS]
    REAP_MEMBERS "reap_members" [COMMON, MEMBERS]
    SCAN_MEMBERS "scan_members" []
    WISH "wish" []
    REAP_WISHES "reap_wishes" []
    PUSH_USER "push_user" [COMMON, SEND]
    PUSH_CHANNEL "push_channel" [COMMON, SEND]
    PUSH_NODES "push_nodes" [COMMON, SEND]
    PUSH_ALL "push_all" [COMMON, SEND]
    RETIRE "retire" [SAY]
    UNRETIRE "unretire" [SAY]
    SYNCED "synced" []
    SWAP "swap" []
    SEATS "seats" []
    REAP_SEATS "reap_seats" []
    DENY "deny" []
}
