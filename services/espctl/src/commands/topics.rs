//! `espctl topics`: topics as the coordinator sees them on the bus.

use mesh_proto::coordinator::{CreateTopicRequest, DeleteTopicRequest, ListTopicsRequest};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::cli::Topics;
use crate::fail::Fail;
use crate::mesh::{ASK, CHANGE, Client, Mesh};
use crate::out::{self, Column};

/// A topic as `--json` prints it.
#[derive(Debug, Serialize)]
struct Topic {
    topic: String,
    partitions: u32,
    replication_factor: u32,
    in_sync: u32,
    start_offset: u64,
    end_offset: u64,
    settings: BTreeMap<String, String>,
}

/// What `create --json` prints.
#[derive(Debug, Serialize)]
struct Created {
    topic: String,
    created: bool,
}

/// Runs the command.
pub async fn run(what: Topics, mesh: &mut Mesh) -> Result<(), Fail> {
    match what {
        Topics::List { prefix, json } => list(mesh, prefix, json).await,
        Topics::Describe { topic, json } => describe(mesh, &topic, json).await,
        Topics::Create { topic, replication_factor, settings, json } => {
            create(mesh, topic, replication_factor, &settings, json).await
        }
        Topics::Delete { topic, yes } => delete(mesh, topic, yes).await,
    }
}

async fn ask(mesh: &mut Mesh, prefix: &str) -> Result<Vec<Topic>, Fail> {
    let message = ListTopicsRequest { prefix: prefix.to_owned() };
    let list = |mut client: Client, request| async move { client.list_topics(request).await };
    let answer = mesh.call("list topics", ASK, message, list).await?;
    let topic = |topic: mesh_proto::coordinator::Topic| Topic {
        topic: topic.name,
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        in_sync: topic.in_sync,
        start_offset: topic.start_offset,
        end_offset: topic.end_offset,
        settings: topic.settings.into_iter().collect(),
    };
    Ok(answer.topics.into_iter().map(topic).collect())
}

async fn list(mesh: &mut Mesh, prefix: String, json: bool) -> Result<(), Fail> {
    let topics = ask(mesh, &prefix).await?;
    if json {
        return Ok(out::json(&topics)?);
    }
    if topics.is_empty() {
        let which = if prefix.is_empty() { String::new() } else { format!(" whose name starts with `{prefix}`") };
        out::note(&format!("no topics{which}; a project brings its own: espctl project deploy FILE"));
        return Ok(());
    }
    let columns = [
        Column::Text("TOPIC"),
        Column::Number("PARTITIONS"),
        Column::Number("COPIES"),
        Column::Number("IN SYNC"),
        Column::Number("OLDEST"),
        Column::Number("NEXT"),
    ];
    let rows = topics.into_iter().map(|topic| {
        vec![
            topic.topic,
            topic.partitions.to_string(),
            topic.replication_factor.to_string(),
            topic.in_sync.to_string(),
            topic.start_offset.to_string(),
            topic.end_offset.to_string(),
        ]
    });
    Ok(out::line(&out::table(&columns, rows))?)
}

async fn describe(mesh: &mut Mesh, name: &str, json: bool) -> Result<(), Fail> {
    let topics = ask(mesh, name).await?;
    let near: Vec<String> = topics.iter().map(|topic| topic.topic.clone()).take(5).collect();
    let Some(topic) = topics.into_iter().find(|topic| topic.topic == name) else {
        let near = if near.is_empty() { String::new() } else { format!(", only {}", near.join(", ")) };
        return Err(Fail::input(format!(
            "describe topic `{name}`: no such topic{near}; `espctl topics list` names them"
        )));
    };
    if json {
        return Ok(out::json(&topic)?);
    }
    let mut lines = vec![
        format!("topic      {}", topic.topic),
        format!("partitions {}", topic.partitions),
        format!("copies     {}, {} in sync", topic.replication_factor, topic.in_sync),
        format!("offsets    {} to {} (next)", topic.start_offset, topic.end_offset),
    ];
    lines.extend(topic.settings.iter().map(|(key, value)| format!("setting    {key}={value}")));
    out::line(&lines.join("\n"))?;
    if topic.partitions != 1 {
        out::warning(&format!(
            "topic `{name}` has {} partitions, expected 1: order exists only inside a partition; make it anew",
            topic.partitions
        ));
    }
    Ok(())
}

async fn create(
    mesh: &mut Mesh,
    name: String,
    replication_factor: Option<u32>,
    settings: &[String],
    json: bool,
) -> Result<(), Fail> {
    let setting = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err(Fail::input(format!(
            "create topic `{name}`: --set `{text}`: expected KEY=VALUE, as in retention.ms=604800000"
        ))),
    };
    let settings = settings.iter().map(setting).collect::<Result<_, _>>()?;
    let message = CreateTopicRequest {
        name: name.clone(),
        replication_factor: replication_factor.unwrap_or(0),
        settings,
        change: mesh.change("espctl topics create"),
    };
    let what = format!("create topic `{name}`");
    let call = |mut client: Client, request| async move { client.create_topic(request).await };
    let answer = mesh.call(&what, CHANGE, message, call).await?;
    if json {
        return Ok(out::json(&Created { topic: name, created: answer.created })?);
    }
    let said = if answer.created { "created" } else { "was there already, with one partition; nothing was changed" };
    Ok(out::line(&format!("{name} {said}"))?)
}

async fn delete(mesh: &mut Mesh, name: String, yes: bool) -> Result<(), Fail> {
    if !yes {
        return Err(Fail::input(format!(
            "delete topic `{name}`: everything in it would be lost and nothing was done; say that you mean it: espctl topics delete {name} --yes"
        )));
    }
    let what = format!("delete topic `{name}`");
    let call = |mut client: Client, request| async move { client.delete_topic(request).await };
    let message = DeleteTopicRequest { name: name.clone(), change: mesh.change("espctl topics delete") };
    mesh.call(&what, CHANGE, message, call).await?;
    Ok(out::line(&format!("{name} deleted"))?)
}
