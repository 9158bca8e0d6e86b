//! The calls that a group's effects ask for. Each runs beside the group's task and comes back as an input (S2).

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh_coordination::{Elections, Error, Version};
use mesh_replication::election as rules;
use mesh_replication::election::{Input, NodeData, Probe, SetLeader};
use tokio::net::TcpStream;

use crate::convert::{data_to_port, record_to_port, znode_from_port, znode_to_port};

/// Connects to a candidate: a process that is gone refuses within a millisecond.
pub(crate) async fn probe(candidate: String, incarnation: u64, address: String, limit: Duration) -> Input {
    let outcome = match tokio::time::timeout(limit, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Probe::Answered,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Probe::Refused,
        Ok(Err(_)) | Err(_) => Probe::Unreachable,
    };
    Input::Probed { candidate, incarnation, outcome }
}

pub(crate) async fn make_node(elections: Arc<dyn Elections>, group: Arc<str>, data: NodeData, session: u64) -> Input {
    let made = elections.join(&group, &data_to_port(&data)).await;
    if let Err(error) = &made {
        tracing::warn!(group = &*group, candidate = data.candidate, %error, "no node for the candidate yet, trying again");
    }
    let znode = made.ok().map(|znode| znode_from_port(&znode));
    Input::NodeMade { candidate: data.candidate, incarnation: data.incarnation, session, znode }
}

pub(crate) async fn update_node(elections: Arc<dyn Elections>, znode: rules::Znode, data: NodeData) -> Input {
    let updated = elections.update(&znode_to_port(&znode), &data_to_port(&data)).await;
    let missing = matches!(updated, Err(Error::Missing { .. }));
    let written = updated.is_ok().then_some(data);
    Input::NodeUpdated { znode, written, missing }
}

/// One that fails is tried again: the group sees that the node is still there.
pub(crate) async fn remove_node(elections: Arc<dyn Elections>, znode: rules::Znode) {
    if let Err(error) = elections.leave(&znode_to_port(&znode)).await {
        tracing::debug!(znode = znode.path, %error, "node not removed yet");
    }
}

pub(crate) async fn set_leader(
    elections: Arc<dyn Elections>,
    group: Arc<str>,
    expected: Option<rules::Version>,
    mut record: rules::LeaderRecord,
) -> Input {
    if record.at_us == 0 {
        record.at_us = now_us();
    }
    let expected = expected.map(|version| Version(version.0));
    let outcome = match elections.set_leader(&group, expected, &record_to_port(&record)).await {
        Ok(version) => SetLeader::Won(rules::Version(version.0)),
        Err(Error::Conflict { .. }) => SetLeader::Lost,
        Err(Error::Unknown { .. }) => SetLeader::Unknown,
        Err(error) => {
            tracing::error!(group = &*group, candidate = record.candidate, %error, "leader record not written");
            SetLeader::Unavailable
        }
    };
    Input::LeaderSet { record, outcome }
}

/// Microseconds since the Unix epoch.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
