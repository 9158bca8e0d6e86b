//! What is wrong with the mesh, and what to do: every part is looked at, and what they have in common.
//!
//! `members` asks each process (is it there, which version, which clock, which settings), `stores` looks at etcd, Kafka
//! and the topics, `projects` at roles. A look that fails is a finding, not an error: what could be seen is always told.

mod members;
mod projects;
mod stores;

use mesh_bus::Bus;
use mesh_proto::coordinator::{DiagnoseResponse, Finding, Severity};
use std::cmp::Reverse;
use std::sync::Arc;

use crate::config::CoordinatorConfig;
use crate::mesh::Mesh;
use crate::store::Store;

/// What the looks work with.
pub(crate) struct Diagnosis<'a> {
    pub(crate) config: &'a CoordinatorConfig,
    pub(crate) bus: &'a Arc<dyn Bus>,
    pub(crate) store: &'a Store,
    pub(crate) mesh: &'a Mesh,
}

impl Diagnosis<'_> {
    /// Looks at everything, the worst first.
    pub(crate) async fn findings(&self) -> DiagnoseResponse {
        let status = self.mesh.status("").await;
        let (etcd, kafka, asked) =
            tokio::join!(stores::etcd(self.store), stores::kafka(self), members::ask(self.mesh, &status.members));
        let mut findings = vec![etcd];
        findings.extend(kafka);
        findings.extend(members::elections(self.mesh));
        findings.extend(members::findings(&asked));
        findings.extend(members::settings(&asked));
        findings.extend(projects::findings(&status, self.mesh.known.projects_now().as_deref()));
        findings
            .sort_by(|a, b| (Reverse(a.severity), &a.part, &a.check).cmp(&(Reverse(b.severity), &b.part, &b.check)));
        DiagnoseResponse { findings }
    }
}

fn finding(severity: Severity, part: &str, check: &str, found: String, way_out: &str) -> Finding {
    let (part, check, way_out) = (part.to_owned(), check.to_owned(), way_out.to_owned());
    Finding { severity: severity.into(), part, check, found, way_out }
}

fn well(part: &str, check: &str, found: impl Into<String>) -> Finding {
    finding(Severity::Ok, part, check, found.into(), "")
}
