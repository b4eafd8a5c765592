//! The commands of Redis that instances share by, and no others: the README lists them for the operator's access rules.
//!
//! What comes back is another's word: of the wrong type or longer than [`MOST_VALUE`], it is as if nothing were there.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{Client, Cmd, Pipeline, RedisError, RedisResult, Value};
use thiserror::Error;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::redis_address::RedisAddress;

/// One instance's connection to Redis. It is made when it is needed, and again whenever it broke.
#[derive(Debug)]
pub(crate) struct Store {
    client: Client,
    commands: OnceCell<Commands>,
}

struct Commands(ConnectionManager);

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Commands")
    }
}

/// Redis does not do what it is asked.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("Redis cannot be reached, or refuses")]
pub(crate) struct Down;

impl Store {
    /// Of the Redis at this address. Nothing is connected yet.
    pub(crate) fn new(address: &RedisAddress) -> Self {
        Self { client: address.client(), commands: OnceCell::new() }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`Down`], here and in all that follows.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Down> {
        Ok(value(&self.ask(Cmd::get(key)).await?))
    }

    /// The value of `key`, which is gone afterwards: of all who ask, one gets it.
    pub(crate) async fn take(&self, key: &str) -> Result<Option<Vec<u8>>, Down> {
        Ok(value(&self.ask(Cmd::get_del(key)).await?))
    }

    /// Sets `key` for `ttl` if it has no value; whether it had none.
    pub(crate) async fn set_new(&self, key: &str, value: &str, ttl: Duration) -> Result<bool, Down> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(value).arg("NX").arg("PX").arg(milliseconds(ttl));
        Ok(matches!(self.ask(command).await?, Value::Okay))
    }

    /// Sets `key` for `ttl`.
    pub(crate) async fn set(&self, key: &str, value: &str, ttl: Duration) -> Result<(), Down> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(value).arg("PX").arg(milliseconds(ttl));
        self.ask(command).await.map(|_| ())
    }

    /// Removes `key`.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Down> {
        self.ask(Cmd::del(key)).await.map(|_| ())
    }

    /// Publishes to a channel; how many listen there.
    pub(crate) async fn publish(&self, channel: &str, bytes: &[u8]) -> Result<u64, Down> {
        Ok(number(&self.ask(Cmd::publish(channel, bytes)).await?))
    }

    /// The counters at `keys`. What is no number counts nothing.
    pub(crate) async fn counts(&self, keys: &[String]) -> Result<Vec<u64>, Down> {
        let mut commands = redis::pipe();
        for key in keys {
            commands.get(key);
        }
        Ok(self.ask_all(commands).await?.iter().map(number).collect())
    }

    /// Counts `by` for each key; a counter forgets everything when the time beside it has passed since it began. The
    /// counts come back.
    pub(crate) async fn count(&self, keys: &[(String, Duration)], by: usize) -> Result<Vec<u64>, Down> {
        let mut commands = redis::pipe();
        for (key, window) in keys {
            for _ in 0..by {
                commands.cmd("INCR").arg(key);
            }
            commands.cmd("PEXPIRE").arg(key).arg(milliseconds(*window)).arg("NX");
        }
        let answers = self.ask_all(commands).await?;
        Ok(answers.chunks(by + 1).map(|of_key| of_key.iter().rev().nth(1).map_or(0, number)).collect())
    }

    /// Has a counter forget after `window` from now.
    pub(crate) async fn lock(&self, key: &str, window: Duration) -> Result<(), Down> {
        self.ask(Cmd::pexpire(key, milliseconds(window))).await.map(|_| ())
    }

    /// Listens to `channels`.
    pub(crate) async fn listen(&self, channels: &[&str]) -> Result<PubSub, Down> {
        let listening = async {
            let mut listener = self.client.get_async_pubsub().await.map_err(|error| down(&error))?;
            listener.subscribe(channels).await.map_err(|error| down(&error))?;
            Ok(listener)
        };
        timeout(DEADLINE, listening).await.map_err(|_| Down)?
    }

    async fn ask(&self, command: Cmd) -> Result<Value, Down> {
        let mut manager = self.commands().await?;
        let answer = timeout(DEADLINE, manager.send_packed_command(&command)).await;
        judge(answer.map_err(|_| Down)?)
    }

    async fn ask_all(&self, mut commands: Pipeline) -> Result<Vec<Value>, Down> {
        commands.ignore_errors();
        let mut manager = self.commands().await?;
        let asked = commands.query_async::<Vec<RedisResult<Value>>>(&mut manager);
        let answers = timeout(DEADLINE, asked).await.map_err(|_| Down)?.map_err(|error| down(&error))?;
        Ok(answers.into_iter().map(|answer| answer.unwrap_or(Value::Nil)).collect())
    }

    async fn commands(&self) -> Result<ConnectionManager, Down> {
        let made = self.commands.get_or_try_init(async || {
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_connection_timeout(Some(DEADLINE))
                .set_response_timeout(Some(DEADLINE))
                .set_pipeline_buffer_size(QUEUE);
            let manager = ConnectionManager::new_lazy_with_config(self.client.clone(), config);
            manager.map(Commands).map_err(|error| down(&error))
        });
        made.await.map(|commands| commands.0.clone())
    }
}

/// An answer, or that there is none. A value of a type that we never write is nothing.
fn judge(answer: RedisResult<Value>) -> Result<Value, Down> {
    match answer {
        Ok(Value::ServerError(error)) => judge(Err(error.into())),
        Ok(value) => Ok(value),
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(Value::Nil),
        Err(error) => Err(down(&error)),
    }
}

fn down(error: &RedisError) -> Down {
    tracing::debug!(%error, "Redis");
    Down
}

fn value(answer: &Value) -> Option<Vec<u8>> {
    let Value::BulkString(bytes) = answer else { return None };
    (bytes.len() <= MOST_VALUE).then(|| bytes.clone())
}

fn number(answer: &Value) -> u64 {
    if let Value::Int(number) = answer {
        return u64::try_from(*number).unwrap_or(0);
    }
    let text = value(answer).and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// Longest value that we write, and that we read.
const MOST_VALUE: usize = 512;

/// How long Redis may take for anything. It is next door, and somebody waits.
const DEADLINE: Duration = Duration::from_secs(2);

/// Commands that may wait for the connection.
const QUEUE: usize = 1024;
