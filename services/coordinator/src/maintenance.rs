//! Maintenance: engines that shall lead nothing, projects in which nobody shall be elected.
//!
//! Which engines are drained is desired state, kept in the registry; the election's leader records go by it. What is
//! asked for is brought there at once, and again whenever a record differs: after a project was deployed, after
//! ZooKeeper was away, after a coordinator died half-way. Failover is paused per project in the leader record alone.

use mesh_proto::coordinator::{DrainResponse, HandedOver};
use mesh_proto::election::{GroupStatus, MaintainRequest, Maintenance, MaintenanceAction, Order};
use mesh_service::{Kind, Refusal};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

use crate::author::Author;
use crate::clock::now_us;
use crate::members::ENGINE;
use crate::mesh::Mesh;
use crate::store::{Store, StoredOrder, StoredProject};

/// Records that differ are cared for one by one; one that cannot be written holds the rest up for this long.
const RECONCILE_DEADLINE: Duration = Duration::from_secs(1);

/// Drained engines, by name; `None` until the registry has answered.
pub(crate) type Drained = Option<BTreeMap<String, StoredOrder>>;

fn order(author: &Author) -> Order {
    Order { by: author.who.clone(), reason: author.why.clone(), at_us: now_us() }
}

fn request(group: String, action: MaintenanceAction, candidate: &str, order: Option<Order>) -> MaintainRequest {
    MaintainRequest { group, action: action.into(), candidate: candidate.to_owned(), order }
}

impl Mesh {
    /// Takes an engine out of the lead of everything, and waits until it is, at most for the deadline.
    pub(crate) async fn drain_engine(
        &self,
        store: &Store,
        engine: &str,
        author: &Author,
        deadline: Duration,
    ) -> Result<DrainResponse, Refusal> {
        self.known_engine(engine)?;
        let projects = self.projects(&format!("drain engine `{engine}`"))?;
        let led = self.led_by(engine, &projects);
        let until = Instant::now() + deadline;
        store.put_drained(engine, &StoredOrder::of(order(author))).await?;
        for project in &projects {
            let drain = request(project.group(), MaintenanceAction::Drain, engine, Some(order(author)));
            self.elections.maintain(drain, deadline).await?;
        }
        let mut changed = self.elections.changed();
        loop {
            changed.mark_unchanged();
            let still: Vec<String> = self.led_by(engine, &projects).into_keys().collect();
            let left = until.saturating_duration_since(Instant::now());
            if still.is_empty() || left.is_zero() || !self.can_be_relieved(engine, &projects) {
                return Ok(DrainResponse { handed_over: self.handed_over(&led, &still), still_leads: still });
            }
            // woken in time or not, it is looked again
            let _ = tokio::time::timeout(left, changed.changed()).await;
        }
    }

    /// Lets an engine lead again.
    pub(crate) async fn undrain_engine(&self, store: &Store, engine: &str, deadline: Duration) -> Result<(), Refusal> {
        let what = format!("undrain engine `{engine}`");
        let projects = self.projects(&what)?;
        if !store.remove_drained(engine).await? {
            let drained = self.known.drained.borrow().clone().unwrap_or_default();
            let names: Vec<String> = drained.into_keys().collect();
            return Err(Refusal::new(Kind::NotFound, what).expected("a drained engine").found(
                match names.as_slice() {
                    [] => "that none is drained".to_owned(),
                    names => format!("that only these are: {}", names.join(", ")),
                },
            ));
        }
        for project in &projects {
            let undrain = request(project.group(), MaintenanceAction::Undrain, engine, None);
            self.elections.maintain(undrain, deadline).await?;
        }
        Ok(())
    }

    /// Pauses failover of a project, or resumes it.
    pub(crate) async fn pause_failover(
        &self,
        project: &StoredProject,
        pause: bool,
        author: &Author,
        deadline: Duration,
    ) -> Result<Option<Order>, Refusal> {
        let action = if pause { MaintenanceAction::Pause } else { MaintenanceAction::Resume };
        let held = self.elections.maintain(request(project.group(), action, "", Some(order(author))), deadline).await?;
        Ok(held.paused)
    }

    /// Before a project runs for the first time: engines that are drained shall not lead it even for a moment.
    pub(crate) async fn hold_back(&self, group: &str) -> Result<(), Refusal> {
        let drained = self.known.drained.borrow().clone().unwrap_or_default();
        for (engine, order) in drained {
            let drain = request(group.to_owned(), MaintenanceAction::Drain, &engine, Some(order.to_proto()));
            self.elections.maintain(drain, RECONCILE_DEADLINE).await?;
        }
        Ok(())
    }

    /// Brings the leader records of deployed projects to what is desired.
    pub(crate) async fn reconcile_drained(&self) {
        let (Some(drained), Some(projects)) = (self.known.drained.borrow().clone(), self.known.projects_now()) else {
            return;
        };
        let groups = self.elections.merged().groups;
        for project in projects.values() {
            let name = project.group();
            // a group that nobody has told of is made when there is something to hold back
            let held = groups.iter().find(|group| group.group == name).and_then(|group| group.maintenance.clone());
            for wanted in differing(&name, &drained, &held.unwrap_or_default()) {
                let (engine, action) = (wanted.candidate.clone(), wanted.action());
                match self.elections.maintain(wanted, RECONCILE_DEADLINE).await {
                    Ok(_) => tracing::info!(group = name, engine, ?action, "leader record brought to what is desired"),
                    Err(refusal) => {
                        tracing::debug!(group = name, engine, %refusal, "leader record not changed yet");
                        return;
                    }
                }
            }
        }
    }

    fn projects(&self, what: &str) -> Result<Vec<StoredProject>, Refusal> {
        let projects = self.known.projects_now().ok_or_else(|| {
            Refusal::unavailable(what).found("the projects are not known yet").way_out("try again when etcd is back")
        })?;
        Ok(projects.values().cloned().collect())
    }

    fn known_engine(&self, engine: &str) -> Result<(), Refusal> {
        let members = self.members.all(&self.known);
        let engines = members.iter().map(|(member, _)| member).filter(|member| member.kind == ENGINE);
        let names: Vec<&str> = engines.map(|member| member.name.as_str()).collect();
        if names.contains(&engine) {
            return Ok(());
        }
        let known = if names.is_empty() { "no engine has announced itself".to_owned() } else { names.join(", ") };
        Err(Refusal::not_found(format!("engine `{engine}`"))
            .expected(format!("one of the engines: {known}"))
            .found("no such engine")
            .way_out("`espctl status` names them"))
    }

    fn group(&self, project: &StoredProject) -> Option<GroupStatus> {
        let name = project.group();
        self.elections.merged().groups.into_iter().find(|group| group.group == name)
    }

    /// Projects that an engine leads, with the terms.
    fn led_by(&self, engine: &str, projects: &[StoredProject]) -> BTreeMap<String, u64> {
        let led = projects.iter().filter_map(|project| {
            let group = self.group(project).filter(|group| group.leader == engine)?;
            Some((project.name.clone(), group.term))
        });
        led.collect()
    }

    /// False when nobody can follow it anywhere: then there is nothing to wait for.
    fn can_be_relieved(&self, engine: &str, projects: &[StoredProject]) -> bool {
        let groups = projects.iter().filter_map(|project| self.group(project));
        groups.filter(|group| group.leader == engine).any(|group| {
            let held = group.maintenance.unwrap_or_default();
            let fit = |candidate: &mesh_proto::election::CandidateStatus| {
                let caught_up = candidate.progress.as_ref().is_some_and(|progress| progress.caught_up);
                caught_up && candidate.candidate != engine && !held.drained.contains_key(&candidate.candidate)
            };
            held.paused.is_none() && group.candidates.iter().any(fit)
        })
    }

    fn handed_over(&self, led: &BTreeMap<String, u64>, still: &[String]) -> Vec<HandedOver> {
        let suffix = |project: &str| format!(".{project}");
        let groups = self.elections.merged().groups;
        let gone = led.keys().filter(|project| !still.contains(project));
        gone.filter_map(|project| {
            let group = groups.iter().find(|group| group.group.ends_with(&suffix(project)))?;
            Some(HandedOver { project: project.clone(), engine: group.leader.clone(), term: group.term })
        })
        .collect()
    }
}

/// What has to be changed in a group so that it holds back whom it shall.
fn differing(group: &str, drained: &BTreeMap<String, StoredOrder>, held: &Maintenance) -> Vec<MaintainRequest> {
    let missing = drained.iter().filter(|(engine, _)| !held.drained.contains_key(*engine));
    let surplus = held.drained.keys().filter(|engine| !drained.contains_key(*engine));
    let drain = missing
        .map(|(engine, order)| request(group.to_owned(), MaintenanceAction::Drain, engine, Some(order.to_proto())));
    drain.chain(surplus.map(|engine| request(group.to_owned(), MaintenanceAction::Undrain, engine, None))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_brought_to_what_is_desired_and_then_left_alone() {
        let order = StoredOrder { by: "ada".into(), reason: "disk".into(), at_us: 7 };
        let drained = BTreeMap::from([("e1".to_owned(), order.clone()), ("e2".to_owned(), order.clone())]);
        let held = |names: &[&str]| Maintenance {
            paused: None,
            drained: names.iter().map(|name| ((*name).to_owned(), Order::default())).collect(),
        };
        let changes: Vec<(MaintenanceAction, String)> = differing("g", &drained, &held(&["e2", "e3"]))
            .into_iter()
            .map(|change| (change.action(), change.candidate))
            .collect();
        assert_eq!(changes, [(MaintenanceAction::Drain, "e1".into()), (MaintenanceAction::Undrain, "e3".into())]);
        assert_eq!(differing("g", &drained, &held(&["e1", "e2"])), []);
        assert_eq!(differing("g", &drained, &held(&[]))[0].order, Some(order.to_proto()));
    }
}
