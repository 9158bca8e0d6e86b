//! The same request id gives the same answer, at whichever instance.

use mesh_proto::admin::Change;
use mesh_proto::coordinator::{DeployRequest, DeployResponse, HistoryRequest, ListVersionsRequest, UndeployRequest};
use mesh_service::{Kind, Refusal};

use crate::host::{Host, PROJECT, until};

fn change(request_id: &str) -> Option<Change> {
    Some(Change { who: "ada".into(), why: "test".into(), request_id: request_id.into() })
}

async fn deploy(host: &Host, xml: &str, id: &str) -> Result<DeployResponse, Refusal> {
    let message = DeployRequest { xml: xml.into(), change: change(id), ..DeployRequest::default() };
    let answer = host.client.clone().deploy(message).await;
    answer.map(tonic::Response::into_inner).map_err(|status| Refusal::from_status("coordinator", &status))
}

#[tokio::test]
async fn a_request_made_again_is_answered_as_before_at_either_instance() {
    let one = Host::start(&[]).await;
    let two = Host::start_on(one.registry.clone(), one.bus.clone(), &[]).await;
    let first = deploy(&one, PROJECT, "a-1").await.unwrap();
    assert_eq!((first.version, first.created_topics.len()), (1, 6));
    let changed = PROJECT.replace("double", "int32");
    assert_eq!(deploy(&two, &changed, "a-2").await.unwrap().version, 2);
    assert_eq!(deploy(&two, PROJECT, "a-1").await.unwrap(), first, "the very answer, and version 2 goes on running");
    let versions = ListVersionsRequest { project: "orders".into() };
    let versions = one.client.clone().list_versions(versions).await.unwrap().into_inner().versions;
    assert_eq!((versions.len(), versions[0].current), (2, true));

    let other = deploy(&one, &changed, "a-1").await.unwrap_err();
    assert_eq!((other.kind, other.found.as_str()), (Kind::Invalid, "another request"));
    let wrong = deploy(&one, &changed, "no/key").await.unwrap_err();
    assert!(wrong.to_string().contains("`change.request_id`"), "{wrong}");

    // a refusal has done nothing: the id is free for another try
    let undeploy = |id: &str| UndeployRequest { project: "orders".into(), change: change(id) };
    let stop = |host: &Host, id: &str| {
        let (mut client, message) = (host.client.clone(), undeploy(id));
        async move { client.undeploy(message).await }
    };
    stop(&one, "u-1").await.unwrap();
    stop(&two, "u-1").await.unwrap();
    let refused = Refusal::from_status("coordinator", &stop(&two, "u-2").await.unwrap_err());
    assert_eq!(refused.kind, Kind::NotFound);
    assert_eq!(deploy(&one, PROJECT, "a-3").await.unwrap().version, 3);
    stop(&one, "u-2").await.unwrap();

    let history =
        || async { one.client.clone().history(HistoryRequest::default()).await.unwrap().into_inner().entries };
    let entries = until("every change", history, |entries| entries.len() >= 5).await;
    let what = |what: &str| entries.iter().filter(|entry| entry.what == what).count();
    assert_eq!((what("deploy"), what("undeploy")), (3, 2), "what was answered again was not done again");
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn of_two_calls_with_one_id_at_the_same_time_one_works() {
    let one = Host::start(&[]).await;
    let two = Host::start_on(one.registry.clone(), one.bus.clone(), &[]).await;
    let (a, b) = tokio::join!(deploy(&one, PROJECT, "x"), deploy(&two, PROJECT, "x"));
    let answers: Vec<&DeployResponse> = [&a, &b].into_iter().flatten().collect();
    assert!(answers.iter().all(|answer| answer.version == 1 && answer.created_topics.len() == 6), "{a:?} {b:?}");
    for refusal in [&a, &b].into_iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(refusal.kind, Kind::Unavailable);
        assert_eq!(refusal.way_out, "ask again with the same id: it answers what the first call did");
    }
    assert!(!answers.is_empty());
    assert_eq!(deploy(&two, PROJECT, "x").await.unwrap().created_topics.len(), 6);
    one.stop().await;
    two.stop().await;
}
