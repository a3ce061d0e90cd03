//! What each failure looks like (`docs/SCALING.md`): three nodes, each a process of its own on another framework, over a Redis
//! of the test's own. Processes are killed, stopped and started while clients look on.

#[path = "../../../engine-redis/tests/suite/support/redis.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Its own suite uses all of it.
mod redis_server;
#[path = "../../../engine-redis/tests/suite/support/wait.rs"]
#[allow(dead_code)] // Its own suite uses all of it.
mod wait;

mod dead_nodes;
mod load;
mod lost_redis;
mod nodes;
mod races;
mod restarts;
mod site;
mod stopped_nodes;
