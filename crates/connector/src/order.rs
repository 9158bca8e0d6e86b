//! In which order a project's connectors are read.

use mesh_model::{Endpoint, Project};

/// A connector that publishes: the input and the position of the connector in its window.
pub type Place = (usize, usize);

/// The connectors of these inputs in the order in which they start: those in no group, then group by group, each behind
/// the groups that must come to their state first. Each is read to its end before the next, so every state is reached;
/// the order is the same at every run. Groups that wait for each other start in the order of the file.
pub fn ordered(project: &Project, inputs: &[Endpoint<'_>], places: &[Place]) -> Vec<Place> {
    let order = &project.start_order;
    let group_of = |&(input, connector): &Place| {
        let endpoint = &inputs[input];
        let window = &project.queries[endpoint.query_index].windows[endpoint.window_index];
        let name = &window.connectors[connector].name;
        order.groups.iter().enumerate().find_map(|(at, group)| {
            let is_it = |entry: &mesh_model::ConnectorEntry| {
                (entry.query.as_str(), entry.window.as_str()) == (endpoint.query, endpoint.window)
                    && entry.connector == *name
            };
            group.entries.iter().position(is_it).map(|entry| (at, entry))
        })
    };
    let mut ranks = vec![None; order.groups.len()];
    for rank in 0..order.groups.len() {
        let waits = |at: usize| order.edges.iter().any(|&(before, after)| after == at && ranks[before].is_none());
        let free = |at: &usize| ranks[*at].is_none();
        let next = (0..ranks.len()).find(|at| free(at) && !waits(*at)).or_else(|| (0..ranks.len()).find(free));
        if let Some(next) = next {
            ranks[next] = Some(rank);
        }
    }
    let mut all = places.to_vec();
    all.sort_by_key(|place| group_of(place).map(|(group, entry)| (ranks[group], entry)));
    all
}
