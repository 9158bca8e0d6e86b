//! Deploying: versions, topics, refusals.

use mesh_bus::{Bus, TopicSpec};
use mesh_coordination::Registry;
use mesh_proto::coordinator::{
    CreateTopicRequest, DeleteTopicRequest, DeployRequest, ListProjectsRequest, ListTopicsRequest, UndeployRequest,
    WatchProjectsRequest,
};
use mesh_service::{Kind, Refusal};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::{Host, PROJECT, until, within};

#[tokio::test]
async fn a_deploy_makes_topics_and_a_version_and_engines_hear_of_it() {
    let host = Host::start(&[]).await;
    let mut client = host.client.clone();
    let watch = within("watch", client.watch_projects(WatchProjectsRequest { engine: "e1".into() })).await.unwrap();
    let mut watch = watch.into_inner();
    assert_eq!(within("first set", watch.message()).await.unwrap().unwrap().projects, []);

    let answer = host.deploy(PROJECT).await.unwrap();
    assert_eq!((answer.project.as_str(), answer.version), ("orders", 1));
    let project_topics = ["esp_31415.M", "esp_31415.orders.C", "esp_31415.orders.cq.in.I", "esp_31415.orders.cq.out.O"];
    let meta = ["ESPAdapterMetapub", "ESPAdapterMetasub"];
    assert_eq!(answer.created_topics, [&project_topics[..], &meta[..]].concat());

    let set = within("second set", watch.message()).await.unwrap().unwrap();
    assert_eq!(set.projects.len(), 1);
    assert_eq!((set.projects[0].name.as_str(), set.projects[0].version), ("orders", 1));
    assert_eq!(set.projects[0].xml, PROJECT);
    assert_eq!(set.projects[0].url_host_port, "esp_31415");

    let again = host.deploy(PROJECT).await.unwrap();
    assert_eq!((again.version, again.created_topics.len()), (1, 0), "same content, same version");
    let changed = host.deploy(&PROJECT.replace("double", "int32")).await.unwrap();
    assert_eq!(changed.version, 2);
    let set = within("third set", watch.message()).await.unwrap().unwrap();
    assert_eq!(set.projects[0].version, 2);

    client.undeploy(UndeployRequest { project: "orders".into(), ..UndeployRequest::default() }).await.unwrap();
    assert_eq!(within("fourth set", watch.message()).await.unwrap().unwrap().projects, []);
    let status =
        client.undeploy(UndeployRequest { project: "orders".into(), ..UndeployRequest::default() }).await.unwrap_err();
    assert_eq!(Refusal::from_status("coordinator", &status).kind, Kind::NotFound);
    assert_eq!(host.deploy(PROJECT).await.unwrap().version, 3, "versions go on counting");
    host.stop().await;
}

#[tokio::test]
async fn topics_are_made_so_that_recovery_can_replay_them() {
    let host = Host::start(&[]).await;
    host.deploy(PROJECT).await.unwrap();
    let list =
        host.client.clone().list_topics(ListTopicsRequest { prefix: "esp_31415".into() }).await.unwrap().into_inner();
    let setting = |topic: &str, key: &str| {
        let topic = list.topics.iter().find(|found| found.name == topic).unwrap();
        topic.settings.get(key).cloned().unwrap_or_default()
    };
    assert_eq!(setting("esp_31415.M", "cleanup.policy"), "compact");
    assert_eq!(setting("esp_31415.orders.C", "retention.ms"), "-1");
    assert_eq!(setting("esp_31415.orders.cq.in.I", "retention.ms"), "-1");
    assert_eq!(setting("esp_31415.orders.cq.out.O", "retention.ms"), "");
    assert!(list.topics.iter().all(|topic| topic.settings["min.insync.replicas"] == "2"));
    assert!(list.topics.iter().all(|topic| topic.replication_factor == 3 && topic.partitions == 1));
    host.stop().await;
}

#[tokio::test]
async fn every_problem_of_a_project_is_told_and_nothing_is_deployed() {
    let host = Host::start(&[]).await;
    let wrong = PROJECT.replace("target=\"out\"", "target=\"aut\"").replace("type=\"double\"", "type=\"dubble\"");
    let refusal = host.deploy(&wrong).await.unwrap_err();
    let text = refusal.to_string();
    assert_eq!(refusal.kind, Kind::Invalid);
    for part in ["orders.xml", "aut", "dubble", "nothing was deployed"] {
        assert!(text.contains(part), "`{part}` in: {text}");
    }
    assert_eq!(host.bus.topics("", Duration::from_secs(1)).unwrap(), []);
    assert_eq!(host.registry.list("").await.unwrap().entries, []);
    host.stop().await;
}

#[tokio::test]
async fn names_that_make_no_topic_are_refused() {
    let host = Host::start(&[]).await;
    let dotted =
        PROJECT.replace("window-copy name=\"out\"", "window-copy name=\"o.ut\"").replace("\"out\"/>", "\"o.ut\"/>");
    let refusal = host.deploy(&dotted).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Invalid);
    assert!(refusal.to_string().contains("`o.ut`"), "{refusal}");
    let message = DeployRequest { xml: PROJECT.into(), url_host_port: "no port".into(), ..DeployRequest::default() };
    let status = host.client.clone().deploy(message).await.unwrap_err();
    assert!(status.message().contains("`no port`"), "{status}");
    assert_eq!(host.bus.topics("", Duration::from_secs(1)).unwrap(), []);
    host.stop().await;
}

#[tokio::test]
async fn a_topic_with_two_partitions_is_refused_by_name() {
    let host = Host::start(&[]).await;
    let spec = |name: &str| TopicSpec { name: name.into(), replication_factor: 3, settings: BTreeMap::new() };
    host.bus.create_with_partitions(spec("esp_31415.orders.cq.in.I"), 2);
    let refusal = host.deploy(PROJECT).await.unwrap_err();
    assert_eq!(refusal.what, "topic `esp_31415.orders.cq.in.I`");
    assert_eq!(refusal.found, "2 partitions");
    assert_eq!(host.registry.list("").await.unwrap().entries, [], "nothing was deployed");
    host.stop().await;
}

#[tokio::test]
async fn preflight_says_what_existing_topics_lack() {
    let host = Host::start(&[]).await;
    let settings = BTreeMap::from([("retention.ms".to_owned(), "60000".to_owned())]);
    let spec = TopicSpec { name: "esp_31415.orders.C".into(), replication_factor: 1, settings };
    host.bus.create_topic(&spec, Duration::from_secs(1)).unwrap();
    let warnings = host.deploy(PROJECT).await.unwrap().warnings.join("\n");
    for part in [
        "has 1 copies, expected 3",
        "`retention.ms` is 60000, expected -1",
        "`min.insync.replicas` is the broker's default",
    ] {
        assert!(warnings.contains(part), "`{part}` in: {warnings}");
    }
    host.stop().await;
}

#[tokio::test]
async fn topics_by_hand() {
    let host = Host::start(&[]).await;
    let mut client = host.client.clone();
    let create = CreateTopicRequest { name: "mine".into(), ..CreateTopicRequest::default() };
    assert!(client.create_topic(create.clone()).await.unwrap().into_inner().created);
    assert!(!client.create_topic(create).await.unwrap().into_inner().created);
    client.delete_topic(DeleteTopicRequest { name: "mine".into(), ..DeleteTopicRequest::default() }).await.unwrap();
    let status = client
        .delete_topic(DeleteTopicRequest { name: "mine".into(), ..DeleteTopicRequest::default() })
        .await
        .unwrap_err();
    assert_eq!(Refusal::from_status("coordinator", &status).kind, Kind::NotFound);
    host.stop().await;
}

#[tokio::test]
async fn two_coordinators_agree() {
    let one = Host::start(&[]).await;
    let two = Host::start_on(one.registry.clone(), one.bus.clone(), &[]).await;
    let variants: Vec<String> =
        (0..6).map(|n| PROJECT.replace("type=\"double\"", &format!("type=\"double\" n=\"{n}\""))).collect();
    let deploys =
        variants.iter().enumerate().map(|(n, xml)| if n % 2 == 0 { one.deploy(xml) } else { two.deploy(xml) });
    let deployed = futures_all(deploys.collect()).await;
    let mut versions: Vec<u64> = deployed.into_iter().flatten().map(|answer| answer.version).collect();
    let done = versions.len();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), done, "no version was given twice: {versions:?}");
    let last = *versions.last().unwrap();
    let list = || async {
        let answer = two.client.clone().list_projects(ListProjectsRequest {}).await;
        answer.map(|answer| answer.into_inner().projects)
    };
    until("both know the last version", list, |answer| {
        answer.as_ref().is_ok_and(|projects| projects[0].version == last)
    })
    .await
    .unwrap();
    one.stop().await;
    two.stop().await;
}

/// Runs futures side by side.
async fn futures_all<T: Send + 'static, F: Future<Output = T>>(futures: Vec<F>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
