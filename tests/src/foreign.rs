//! What others do on the same cluster with Kafka's own tools.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

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
