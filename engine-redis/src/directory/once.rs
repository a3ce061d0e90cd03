//! Values that are stored once and taken once.

use std::time::Duration;

use herenow::cluster::EngineError;

use super::Directory;

impl Directory {
    pub(crate) async fn put_once(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<(), EngineError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.once(key)).arg(value).arg("PX").arg(ttl.as_millis().max(1) as u64);
        Ok(self.link.call(set).await?)
    }

    pub(crate) async fn take_once(&self, key: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let mut take = redis::cmd("GETDEL");
        take.arg(self.keys.once(key));
        Ok(self.link.call(take).await?)
    }
}
