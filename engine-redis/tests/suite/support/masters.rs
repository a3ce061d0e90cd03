//! [`Masters`]: a Redis Cluster of three masters without replicas, of a test's own.

use herenow_redis::{RedisConfig, Server};

use super::{Redis, node::quicken, redis::free_port};

/// Slots of a Redis Cluster.
const SLOTS: usize = 16_384;

/// Three masters, each with a third of the slots.
pub(crate) struct Masters {
    pub(crate) all: [Redis; 3],
}

impl Masters {
    pub(crate) async fn start() -> Self {
        let all = [master().await, master().await, master().await];
        for (n, master) in all.iter().enumerate() {
            let (first, last) = (n * SLOTS / 3, (n + 1) * SLOTS / 3 - 1);
            master.run::<String>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).await;
            let (port, bus) = (all[0].port().to_string(), bus_of(&all[0]));
            master.run::<String>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
        }
        let masters = Self { all };
        masters.whole().await;
        masters
    }

    /// Waits until every master knows that every slot is held.
    pub(crate) async fn whole(&self) {
        for master in &self.all {
            let is_whole =
                |info: &String| info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384");
            master.wait_for(&["CLUSTER", "INFO"], "the cluster is whole", is_whole).await;
        }
    }

    /// For a node that knows one of them.
    pub(crate) fn config(&self) -> RedisConfig {
        quicken(RedisConfig::new(Server::cluster([self.all[1].url()])))
    }

    /// Moves a slot with all that is in it from one master to another, as `redis-cli --cluster reshard` does.
    pub(crate) async fn move_slot(&self, slot: &str, from: usize, to: usize) {
        let (from, to) = (&self.all[from], &self.all[to]);
        let (old, new) = (id_of(from).await, id_of(to).await);
        to.run::<String>(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &old]).await;
        from.run::<String>(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &new]).await;
        for _ in 0..1_000 {
            let keys: Vec<String> = from.run(&["CLUSTER", "GETKEYSINSLOT", slot, "100"]).await;
            if keys.is_empty() {
                break;
            }
            let port = to.port().to_string();
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "REPLACE", "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            from.run::<String>(&words).await;
        }
        for master in [to, from] {
            master.run::<String>(&["CLUSTER", "SETSLOT", slot, "NODE", &new]).await;
        }
    }
}

async fn master() -> Redis {
    let bus = free_port().to_string();
    Redis::with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "1000",
        "--cluster-require-full-coverage",
        "no",
    ])
    .await
}

fn bus_of(master: &Redis) -> String {
    master.option("--cluster-port").unwrap()
}

async fn id_of(master: &Redis) -> String {
    master.run(&["CLUSTER", "MYID"]).await
}
