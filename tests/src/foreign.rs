//! What others do on the same cluster with Kafka's own tools.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

const DEADLINE: Duration = Duration::from_secs(10);

/// Creates a topic with several partitions, which no part of the mesh would.
pub fn create_topic(bootstrap: &str, topic: &str, partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().context("an admin client")?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(3));
    let options = AdminOptions::new().operation_timeout(Some(DEADLINE));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for made in runtime.block_on(admin.create_topics([&new], &options))? {
        if let Err((topic, code)) = made {
            bail!("creating `{topic}`: {code}");
        }
    }
    Ok(())
}

/// Where brokers keep the state of transactions.
const TRANSACTIONS: &str = "__transaction_state";

/// The broker that leads the only partition of a topic.
pub fn leader_of(bootstrap: &str, topic: &str) -> Result<i32> {
    leader(bootstrap, topic, |_| 0)
}

/// The broker that coordinates the transactions of an id.
pub fn coordinator_of(bootstrap: &str, transactional_id: &str) -> Result<i32> {
    leader(bootstrap, TRANSACTIONS, |partitions| {
        java_hash(transactional_id).unsigned_abs() as usize % partitions.max(1)
    })
}

fn leader(bootstrap: &str, topic: &str, partition: impl Fn(usize) -> usize) -> Result<i32> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).with_context(|| format!("metadata of {topic}"))?;
    let partitions = metadata.topics().first().map(|topic| topic.partitions()).unwrap_or_default();
    let wanted = partition(partitions.len()) as i32;
    let found = partitions.iter().find(|partition| partition.id() == wanted);
    found.map(|partition| partition.leader()).with_context(|| format!("{topic} has no partition {wanted}"))
}

/// `String.hashCode`, by which brokers choose the partition of an id.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hashed_as_java_does() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("hello"), 99_162_322);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    }
}
