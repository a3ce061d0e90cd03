//! The same over TLS.

use std::time::Duration;

use herenow::cluster::{Engine, Leave};
use herenow_redis::{ConnectError, RedisConfig, RedisEngine, Server};

use crate::support::{Node, Redis, free_port, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_trusted_by_the_ca_that_is_given_and_by_no_other() {
    let dir = std::env::temp_dir().join(format!("herenow-redis-tls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let port = free_port();
    let (port_word, cert, key) = (port.to_string(), cert.to_string_lossy(), key.to_string_lossy());
    let options = [
        "--tls-port",
        &port_word,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ];
    let redis = Redis::with(&options).await;

    let server = || Server::at(format!("rediss://localhost:{port}/"));
    let node = Node::up(RedisConfig::new(server().tls_ca(own.cert.pem()))).await;
    let clients: String = redis.run(&["CLIENT", "LIST"]).await;
    assert_eq!(clients.lines().filter(|line| line.contains(&format!("laddr=127.0.0.1:{port} "))).count(), 3);
    node.engine.shutdown(Leave::Now).await;

    for wrong in [server(), Server::at(format!("rediss://127.0.0.1:{port}/")).tls_ca(own.cert.pem())] {
        let connecting = RedisEngine::connect(RedisConfig::new(wrong));
        let error = within("an answer", Duration::from_secs(5), connecting).await.unwrap_err();
        assert!(matches!(error, ConnectError::Unreachable { .. } | ConnectError::Config(_)), "{error:?}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
