//! What no part can judge alone.

use std::fmt;

use mesh_proto::coordinator::Member;
use mesh_proto::election::Role;
use mesh_proto::engine::{DivergedStatus, ProjectStatus};

/// Engines that have to differ from the active before it is the active that is doubted.
const DOUBTED_BY: usize = 2;

/// Something that somebody must look at.
pub(crate) struct Alarm {
    /// What.
    pub text: String,
    /// What to do.
    pub way_out: String,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.way_out)
    }
}

/// Projects whose active recorded something else than several other engines computed: a single one that differs is made
/// anew and is its own trouble, of two or more the active may be the one that is wrong.
pub(crate) fn alarms(members: &[Member]) -> Vec<Alarm> {
    let engines = || members.iter().filter_map(|member| member.engine.as_ref());
    let on = |name: &str| -> Vec<(&str, &ProjectStatus)> {
        let of = |engine| -> Option<(&str, &ProjectStatus)> {
            let engine: &mesh_proto::engine::StatusResponse = engine;
            Some((engine.engine.as_str(), engine.projects.iter().find(|project| project.project == name)?))
        };
        engines().filter_map(of).collect()
    };
    let mut names: Vec<&str> =
        engines().flat_map(|engine| &engine.projects).map(|here| here.project.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|name| doubted(name, &on(name))).collect()
}

fn doubted(project: &str, engines: &[(&str, &ProjectStatus)]) -> Option<Alarm> {
    let (active, led) =
        engines.iter().filter(|(_, here)| here.role() == Role::Active).max_by_key(|(_, here)| here.term)?;
    let differ: Vec<(&str, &DivergedStatus)> = engines
        .iter()
        .filter(|(engine, _)| engine != active)
        .filter_map(|(engine, here)| Some((*engine, here.diverged.as_ref()?)))
        .filter(|(_, diverged)| diverged.term == led.term)
        .collect();
    if differ.len() < DOUBTED_BY {
        return None;
    }
    let told: Vec<String> = differ
        .iter()
        .map(|(engine, diverged)| match diverged.window.as_str() {
            "" => format!("{engine} at commit {}", diverged.commit_number),
            window => format!("{engine} at commit {} in window `{window}`", diverged.commit_number),
        })
        .collect();
    let (told, count, of, term) = (told.join(", "), differ.len(), engines.len(), led.term);
    let next = differ[0].0;
    Some(Alarm {
        text: format!(
            "project {project}: {count} of {of} engines differ from {active}, which leads in term {term}: {told}; {active} may \
             be the one that is wrong"
        ),
        way_out: format!(
            "keep the logs of all of them, compare an output with `espctl dev`, and hand over with `espctl promote {project} \
             {next}` if theirs is right"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::engine::StatusResponse;

    fn engine(name: &str, role: Role, diverged: Option<(u64, u64)>) -> Member {
        let diverged = diverged.map(|(commit_number, term)| DivergedStatus {
            commit_number,
            term,
            window: "sum".into(),
            at_us: 1,
        });
        let project =
            ProjectStatus { project: "w".into(), role: role.into(), term: 3, diverged, ..ProjectStatus::default() };
        let engine = StatusResponse { engine: name.into(), projects: vec![project], ..StatusResponse::default() };
        Member { engine: Some(engine), ..Member::default() }
    }

    #[test]
    fn two_of_three_that_differ_from_the_active_are_an_alarm_that_names_all_three() {
        let (active, good) = (engine("a", Role::Active, None), engine("b", Role::Standby, None));
        let (b, c) = (engine("b", Role::Quarantined, Some((12, 3))), engine("c", Role::Recovering, Some((13, 3))));
        let alarms = |members: &[Member]| -> Vec<String> { alarms(members).iter().map(Alarm::to_string).collect() };
        assert_eq!(alarms(&[active.clone(), good, c.clone()]), Vec::<String>::new(), "one is its own trouble");
        let old = engine("b", Role::Standby, Some((12, 2)));
        assert_eq!(alarms(&[active.clone(), old, c.clone()]), Vec::<String>::new(), "of an earlier term");
        let told = alarms(&[active, b, c]);
        let begins = "project w: 2 of 3 engines differ from a, which leads in term 3: b at commit 12 in window `sum`, c at \
                      commit 13 in window `sum`; a may be the one that is wrong";
        assert!(told.len() == 1 && told[0].starts_with(begins), "{told:?}");
    }
}
