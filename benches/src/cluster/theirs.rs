//! sa-token-core's store for several nodes, on the same Redis: what its steps cost.

use std::{error::Error, sync::Arc, time::Duration};

use chrono::DateTime;
use sa_token_core::{
    LOGIN_TYPE_DEFAULT, OnlineUser, SaTokenConfig,
    dao::SaTokenDao,
    online::{DistributedOnlineStore, OnlineStore as _},
};
use sa_token_storage_redis::RedisStorage;

use super::{Figure, Options, Redis, Report, node::login_id};
use crate::load::now;

const NAME: &str = "sa-token-core";
/// Its list of everybody is read whole by each login: more users than these would take hours.
const MOST: usize = 100_000;
/// Users who log in by its own means; the rest of the list is put there by one command.
const LOGINS: usize = 200;
/// Logins into an empty store, for what each takes.
const FIRST: usize = 2_000;
const TTL: Option<Duration> = Some(Duration::from_secs(86_400));

pub(super) async fn measure(options: &Options, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let mut before = 0;
    for users in options.users() {
        let users = users.min(MOST);
        if users != before {
            of_users(users, report).await?;
        }
        before = users;
    }
    Ok(())
}

async fn of_users(users: usize, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let redis = Redis::start().await?;
    let storage = RedisStorage::new(&redis.url(), "bench:").await?;
    let dao = Arc::new(SaTokenDao::new(Arc::new(storage), Arc::new(SaTokenConfig::default())));
    let store = DistributedOnlineStore::new(dao.clone(), TTL);

    let memory = redis.memory().await?;
    for number in 0..FIRST {
        store.mark_online(user(number)).await?;
    }
    let each = redis.memory().await?.saturating_sub(memory) as f64 / FIRST as f64;
    report.take(Figure::ours("memory for a user", format!("{FIRST} users"), each, "bytes").of(NAME));

    // The list as so many logins would leave it.
    let list: Vec<String> = redis.run(&["KEYS", "bench:*users*"]).await?;
    let [list] = list.as_slice() else { return Err(format!("its list was not found: {list:?}").into()) };
    for number in FIRST..users {
        if number % 1_000 == 0 || number == FIRST {
            let ids: Vec<String> =
                (number..users.min(number - number % 1_000 + 1_000)).map(login_id).collect();
            let mut words = vec!["RPUSH", list];
            words.extend(ids.iter().map(String::as_str));
            redis.run::<u64>(&words).await?;
        }
    }
    let there = store.get_online_count().await?;
    if there != users.max(FIRST) {
        return Err(format!("its list has {there} users").into());
    }

    let with = format!("{there} users there");
    let (cpu, begin) = (redis.cpu().await?, now());
    for number in users..users + LOGINS {
        store.mark_online(user(number)).await?;
    }
    let wall = begin.elapsed().as_secs_f64() * 1e6 / LOGINS as f64;
    let figure = Figure::ours("connect", &with, micros(redis.cpu().await? - cpu), "us").of(NAME);
    report.take(
        figure.note(format!("{wall:.0} us from the call to its end; Redis does nothing else meanwhile")),
    );

    let cpu = redis.cpu().await?;
    for number in users..users + LOGINS {
        if !store.is_online(LOGIN_TYPE_DEFAULT, &login_id(number)).await? {
            return Err("a user was not seen".into());
        }
    }
    report.take(Figure::ours("is_online", &with, micros(redis.cpu().await? - cpu), "us").of(NAME));

    let cpu = redis.cpu().await?;
    for number in users..users + LOGINS {
        store.update_activity(LOGIN_TYPE_DEFAULT, &login_id(number), &token(number)).await?;
    }
    let figure = Figure::ours("heartbeat of a user", &with, micros(redis.cpu().await? - cpu), "us").of(NAME);
    report.take(figure.note("herenow: none, a node beats for all its users"));

    let cpu = redis.cpu().await?;
    for number in users..users + LOGINS {
        store.mark_offline(LOGIN_TYPE_DEFAULT, &login_id(number), &token(number)).await?;
    }
    report.take(Figure::ours("log out", &with, micros(redis.cpu().await? - cpu), "us").of(NAME));
    Ok(())
}

fn user(number: usize) -> OnlineUser {
    OnlineUser {
        login_type: LOGIN_TYPE_DEFAULT.to_owned(),
        login_id: login_id(number),
        token: token(number),
        device: "web".to_owned(),
        connect_time: DateTime::UNIX_EPOCH,
        last_activity: DateTime::UNIX_EPOCH,
        metadata: std::collections::HashMap::new(),
    }
}

fn token(number: usize) -> String {
    format!("token-{number}")
}

fn micros(cpu: Duration) -> f64 {
    cpu.as_secs_f64() * 1e6 / LOGINS as f64
}
