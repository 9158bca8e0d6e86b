//! etcd, Kafka, and the topics of the projects that are deployed.

use mesh_bus::TopicInfo;
use mesh_model::parse_project;
use mesh_proto::coordinator::{Finding, Severity};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Diagnosis, finding, well};
use crate::store::{Store, StoredProject};
use crate::{refuse, topics};

/// A store that takes longer than this is told.
const SLOW: Duration = Duration::from_millis(500);

pub(super) async fn etcd(store: &Store) -> Finding {
    let began = Instant::now();
    match store.registry().get("probe").await {
        Err(error) => {
            let way_out =
                "see that etcd is up and `etcd.endpoints` is right; running projects go on, changes are refused";
            finding(Severity::Problem, "etcd", "reachable", error.to_string(), way_out)
        }
        Ok(_) => answered("etcd", began.elapsed()),
    }
}

fn answered(part: &str, took: Duration) -> Finding {
    let found = format!("answers in {:.1} ms", took.as_secs_f64() * 1e3);
    if took < SLOW {
        return well(part, "reachable", found);
    }
    finding(Severity::Warning, part, "reachable", found, "look at its load and its disk")
}

pub(super) async fn kafka(diagnosis: &Diagnosis<'_>) -> Vec<Finding> {
    let deadline = diagnosis.config.bus_timeout.0;
    let began = Instant::now();
    let listing = topics::blocking(diagnosis.bus, "list topics", deadline, move |bus| {
        bus.topics("", deadline).map_err(refuse::admin)
    });
    let infos = match listing.await {
        Ok(infos) => infos,
        Err(refusal) => {
            let way_out = "see that the brokers are up and `kafka.brokers` is right";
            return vec![finding(Severity::Problem, "kafka", "reachable", refusal.to_string(), way_out)];
        }
    };
    let mut found = vec![answered("kafka", began.elapsed())];
    let projects = diagnosis.mesh.known.projects_now();
    for project in projects.iter().flat_map(|projects| projects.values()) {
        found.extend(topics_of(project, &infos, diagnosis));
    }
    found
}

/// Whether a project's topics are there, and as they are made.
fn topics_of(project: &StoredProject, infos: &[TopicInfo], diagnosis: &Diagnosis<'_>) -> Vec<Finding> {
    let part = format!("project {}", project.name);
    let unreadable = |found: String| {
        let way_out = "it was deployed by another version: deploy it again";
        vec![finding(Severity::Problem, &part, "topics", found, way_out)]
    };
    let checked = match parse_project(&project.xml, &project.name, &BTreeMap::new()) {
        Ok(checked) => checked,
        Err(diagnostics) => return unreadable(diagnostics.to_string()),
    };
    let specs = match topics::specs(&project.url_host_port, &project.name, &checked.project, &diagnosis.config.topics) {
        Ok(specs) => specs,
        Err(refusal) => return unreadable(refusal.to_string()),
    };
    let mut found = Vec::new();
    for spec in &specs {
        let Some(info) = infos.iter().find(|info| info.name == spec.name) else {
            let way_out = "deploy the project again: it makes the topics that are missing";
            found.push(finding(Severity::Problem, &part, "topics", format!("no topic `{}`", spec.name), way_out));
            continue;
        };
        if info.partitions != 1 {
            let refusal = refuse::wrong_partitions(&info.name, info.partitions);
            found.push(finding(Severity::Problem, &part, "topics", refusal.found, &refusal.way_out));
        }
        let mut warnings = Vec::new();
        topics::preflight(spec, info, &mut warnings);
        for warning in warnings {
            let (what, way_out) = warning.rsplit_once("; ").unwrap_or((&warning, ""));
            found.push(finding(Severity::Warning, &part, "topics", what.to_owned(), way_out));
        }
    }
    if found.is_empty() {
        found.push(well(&part, "topics", format!("{} topics as they should be", specs.len())));
    }
    found
}
