//! What holds across nodes, on nodes of three frameworks: joined in memory, and over a Redis of the test's own, in one process
//! and each in its own.

#[path = "../../engine-redis/tests/suite/support/redis.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Its own suite uses all of it.
mod redis_server;
#[path = "../../engine-redis/tests/suite/support/wait.rs"]
#[allow(dead_code)] // Its own suite uses all of it.
mod wait;

mod local {
    use herenow_conformance::Cluster;

    herenow_conformance::cluster_suite!(Cluster::local);
}

mod redis {
    use std::sync::Arc;

    use herenow::cluster::Engine;
    use herenow_conformance::Cluster;
    use herenow_redis::RedisEngine;

    use super::redis_server::Redis;

    /// The cluster, and the Redis that it needs for as long.
    async fn over_redis(options: &[&str]) -> (Cluster, Redis) {
        let redis = Redis::start().await;
        let mut engines: Vec<Arc<dyn Engine>> = Vec::new();
        for _ in 0..3 {
            engines.push(Arc::new(RedisEngine::connect(redis.url().as_str()).await.expect("it connects")));
        }
        let engines = engines.try_into().unwrap_or_else(|_| panic!("three of them"));
        (Cluster::on(engines, options).await, redis)
    }

    herenow_conformance::cluster_suite!(over_redis);
}

mod processes {
    use herenow_conformance::Cluster;

    use super::redis_server::Redis;

    /// Each node in a process of its own.
    async fn over_redis(options: &[&str]) -> (Cluster, Redis) {
        let redis = Redis::start().await;
        let url = redis.url();
        let options = [&["--redis", url.as_str()], options].concat();
        (Cluster::of_processes(env!("CARGO_BIN_EXE_conformance-server"), &options).await, redis)
    }

    herenow_conformance::cluster_suite!(over_redis);
}
