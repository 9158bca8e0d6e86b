//! The rules: which crate lies in which layer, and who alone may use what.

use super::Violation;
use super::graph::{Crate, Graph};

/// Layers from the bottom up; an arrow may only point to a lower one.
const LAYERS: &[&[&str]] = &[
    &["mesh-proto", "mesh-event"],
    &["mesh-expr", "mesh-script", "mesh-model", "mesh-windows", "mesh-replication"],
    &[
        "mesh-bus",
        "mesh-coordination",
        "mesh-service",
        "mesh-snapshot",
        "mesh-adapter",
        "mesh-connector",
        "mesh-candidate",
        "mesh-sim",
    ],
    &[
        "mesh-engine",
        "mesh-election",
        "mesh-coordinator",
        "mesh-publisher-adapter",
        "mesh-subscriber-adapter",
        "mesh-gateway",
    ],
    &["espctl", "mesh-tests", "xtask"],
];

/// The only arrows inside a layer.
const ALLOWED_WITHIN: &[(&str, &str)] = &[
    ("mesh-event", "mesh-proto"),
    ("mesh-model", "mesh-expr"),
    ("mesh-model", "mesh-script"),
    ("mesh-windows", "mesh-script"),
    ("mesh-windows", "mesh-model"),
    ("mesh-windows", "mesh-expr"),
    ("mesh-adapter", "mesh-bus"),
    ("mesh-connector", "mesh-adapter"),
    ("mesh-connector", "mesh-bus"),
    ("mesh-connector", "mesh-candidate"),
    ("mesh-connector", "mesh-service"),
    ("mesh-tests", "xtask"),
];

const SERVICES: usize = 3;

/// Crates without clock, threads, random numbers and I/O: their output is a function of their input.
pub const PURE: &[&str] = &["mesh-event", "mesh-expr", "mesh-script", "mesh-model", "mesh-windows", "mesh-replication"];

/// Dependencies that only some crates may name in their manifests.
struct Reserved {
    /// A name, or with a final `*` a prefix.
    pattern: &'static str,
    /// Names that the pattern covers but the rule does not mean.
    except: &'static [&'static str],
    users: &'static [&'static str],
    reason: &'static str,
    way_out: &'static str,
}

/// mesh-candidate is among them because it is one end of a gRPC stream, and nothing else.
const GRPC_USERS: &[&str] = &[
    "mesh-proto",
    "mesh-service",
    "mesh-candidate",
    "mesh-engine",
    "mesh-election",
    "mesh-coordinator",
    "mesh-publisher-adapter",
    "mesh-subscriber-adapter",
    "mesh-gateway",
    "espctl",
    "mesh-tests",
];

const RESERVED: &[Reserved] = &[
    Reserved {
        pattern: "rdkafka*",
        except: &[],
        users: &["mesh-bus", "mesh-tests"], // the tests also publish as a stranger does: with a plain producer
        reason: "one crate owns the pauses and errors of Kafka's client; all others see the bus port, which memory implements too",
        way_out: "use the bus port; if it lacks something, add it there, to both implementations and to the contract tests",
    },
    Reserved {
        pattern: "kafka-protocol",
        except: &[],
        users: &["mesh-bus"],
        reason: "the fast fence over raw connections is the bus's business",
        way_out: "use the bus port; if it lacks something, add it there",
    },
    Reserved {
        pattern: "zookeeper-client",
        except: &[],
        users: &["mesh-coordination"],
        reason: "only the election service talks to ZooKeeper, through the port",
        way_out: "use the ports of mesh-coordination",
    },
    Reserved {
        pattern: "etcd-client",
        except: &[],
        users: &["mesh-coordination"],
        reason: "only the coordinator talks to etcd, through the port",
        way_out: "use the ports of mesh-coordination",
    },
    Reserved {
        pattern: "object_store",
        except: &[],
        users: &["mesh-snapshot"],
        reason: "what a store may lose, tear or damage is dealt with in one place",
        way_out: "use mesh-snapshot",
    },
    Reserved {
        pattern: "opentelemetry*",
        except: &[],
        users: &["mesh-service", "mesh-tests"],
        reason: "how traces are exported is decided once, for every service",
        way_out: "write spans with `tracing`; set up and propagate through mesh-service",
    },
    Reserved {
        pattern: "tracing-opentelemetry",
        except: &[],
        users: &["mesh-service", "mesh-tests"],
        reason: "how traces are exported is decided once, for every service",
        way_out: "write spans with `tracing`; set up and propagate through mesh-service",
    },
    Reserved {
        pattern: "axum",
        except: &[],
        users: &["mesh-service", "mesh-gateway"],
        reason: "HTTP is spoken by the admin server that all services share and by the gateway, by nobody else",
        way_out: "add the route to mesh-service (admin) or mesh-gateway (REST)",
    },
    Reserved {
        pattern: "tonic*",
        except: &["tonic-prost-build"],
        users: GRPC_USERS,
        reason: "libraries below the services know no transport, so that they can be tested and simulated without one",
        way_out: "return the crate's own error or value, and map it to gRPC in the service",
    },
];

/// What a pure crate may not name. mesh-event reaches gRPC types only through mesh-proto, which keeps them behind a feature.
const BANNED_IN_PURE: &[&str] =
    &["tokio*", "tracing-subscriber", "rand*", "getrandom", "futures*", "async-*", "crossbeam*", "rayon"];

/// Judges the dependencies of every crate.
pub fn check(graph: &Graph) -> Vec<Violation> {
    graph.crates.iter().flat_map(check_crate).collect()
}

fn check_crate(krate: &Crate) -> Vec<Violation> {
    let Some(layer) = layer_of(&krate.name) else {
        return vec![Violation {
            krate: krate.name.clone(),
            subject: "(no layer)".to_owned(),
            rule: "every crate of the workspace has a layer".to_owned(),
            reason: "without one nobody can say which arrows are allowed",
            way_out: "add it to LAYERS in xtask/src/layers/rules.rs and to docs/ARCHITECTURE.md".to_owned(),
        }];
    };
    let mut found = Vec::new();
    for dependency in &krate.dependencies {
        found.extend(arrow(krate, layer, dependency));
        found.extend(reserved(krate, dependency));
        found.extend(purity(krate, dependency));
    }
    found
}

fn arrow(krate: &Crate, layer: usize, dependency: &str) -> Option<Violation> {
    let other = layer_of(dependency)?;
    if other < layer || (other == layer && ALLOWED_WITHIN.contains(&(krate.name.as_str(), dependency))) {
        return None;
    }
    let (rule, reason, way_out) = if other > layer {
        (
            format!("arrows point down only: {} is layer {layer}, {dependency} layer {other}", krate.name),
            "what lies below must be buildable, testable and understandable without what lies above",
            "move the needed part down, or pass it in from above as a value or trait".to_owned(),
        )
    } else if layer == SERVICES {
        (
            "services never depend on services".to_owned(),
            "each can be started, replaced and tested alone; they meet over gRPC and Kafka",
            "move what both need to a crate of layer 2 or to mesh-proto".to_owned(),
        )
    } else {
        (
            format!("within layer {layer} only listed arrows are allowed"),
            "neighbours that may use each other freely soon are one crate",
            "move the shared part to a lower layer; a well-founded exception goes to ALLOWED_WITHIN in xtask/src/layers/rules.rs".to_owned(),
        )
    };
    Some(Violation { krate: krate.name.clone(), subject: dependency.to_owned(), rule, reason, way_out })
}

fn reserved(krate: &Crate, dependency: &str) -> Option<Violation> {
    let rule = RESERVED.iter().find(|rule| matches(rule.pattern, dependency) && !rule.except.contains(&dependency))?;
    if rule.users.contains(&krate.name.as_str()) {
        return None;
    }
    Some(Violation {
        krate: krate.name.clone(),
        subject: dependency.to_owned(),
        rule: format!("{} only in {}", rule.pattern, rule.users.join(", ")),
        reason: rule.reason,
        way_out: rule.way_out.to_owned(),
    })
}

fn purity(krate: &Crate, dependency: &str) -> Option<Violation> {
    let banned =
        PURE.contains(&krate.name.as_str()) && BANNED_IN_PURE.iter().any(|pattern| matches(pattern, dependency));
    banned.then(|| Violation {
        krate: krate.name.clone(),
        subject: dependency.to_owned(),
        rule: format!("pure crates ({}) have no runtime, clock, randomness or threads", PURE.join(", ")),
        reason: "the engine's state must be a pure function of its steps, or replicas diverge",
        way_out: "pass time, seeds and input in as arguments; do the I/O in the service".to_owned(),
    })
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn violations(name: &str, dependencies: &[&str]) -> Vec<Violation> {
        let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
        let krate =
            Crate { name: name.to_owned(), id: String::new(), dir: PathBuf::new(), dependencies, has_library: true };
        check(&Graph { crates: vec![krate], target_dir: PathBuf::new() })
    }

    fn only_rule(name: &str, dependency: &str) -> String {
        let found = violations(name, &[dependency]);
        assert_eq!(found.len(), 1, "{name} -> {dependency}: {found:?}");
        assert_eq!((found[0].krate.as_str(), found[0].subject.as_str()), (name, dependency));
        found[0].rule.clone()
    }

    #[test]
    fn downward_and_listed_arrows_are_fine() {
        assert_eq!(violations("mesh-engine", &["mesh-bus", "mesh-windows", "mesh-proto", "tonic", "tokio"]), []);
        assert_eq!(violations("mesh-windows", &["mesh-model", "mesh-expr", "mesh-event", "hashbrown"]), []);
        assert_eq!(violations("espctl", &["mesh-engine", "mesh-gateway", "tonic"]), []);
        assert_eq!(violations("xtask", &["tonic-prost-build", "anyhow"]), []);
        assert_eq!(violations("mesh-bus", &["rdkafka", "kafka-protocol"]), []);
    }

    #[test]
    fn upward_arrows_are_found() {
        assert!(only_rule("mesh-event", "mesh-model").starts_with("arrows point down only"));
        assert!(only_rule("mesh-replication", "mesh-bus").starts_with("arrows point down only"));
        assert!(only_rule("mesh-engine", "espctl").starts_with("arrows point down only"));
    }

    #[test]
    fn unlisted_arrows_inside_a_layer_are_found() {
        assert_eq!(only_rule("mesh-expr", "mesh-model"), "within layer 1 only listed arrows are allowed");
        assert_eq!(only_rule("mesh-service", "mesh-bus"), "within layer 2 only listed arrows are allowed");
        assert_eq!(only_rule("mesh-engine", "mesh-election"), "services never depend on services");
        assert_eq!(only_rule("mesh-gateway", "mesh-engine"), "services never depend on services");
    }

    #[test]
    fn clients_stay_in_the_crates_that_own_them() {
        for (name, dependency) in [
            ("mesh-engine", "rdkafka"),
            ("mesh-tests", "kafka-protocol"),
            ("mesh-election", "zookeeper-client"),
            ("mesh-coordinator", "etcd-client"),
            ("mesh-bus", "opentelemetry"),
            ("mesh-engine", "opentelemetry-otlp"),
            ("mesh-engine", "tracing-opentelemetry"),
            ("espctl", "axum"),
            ("mesh-coordination", "tonic"),
            ("mesh-bus", "tonic-types"),
        ] {
            assert!(only_rule(name, dependency).contains(" only in "), "{name} -> {dependency}");
        }
    }

    #[test]
    fn pure_crates_stay_pure() {
        for dependency in ["tokio", "tokio-util", "rand", "tracing-subscriber", "async-trait"] {
            assert!(only_rule("mesh-replication", dependency).starts_with("pure crates"), "{dependency}");
        }
        assert!(only_rule("mesh-event", "tonic").contains(" only in "));
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        assert_eq!(violations("mesh-new", &["mesh-event"])[0].rule, "every crate of the workspace has a layer");
    }

    #[test]
    fn a_violation_prints_all_its_parts() {
        let text = violations("mesh-engine", &["rdkafka"])[0].to_string();
        for part in [
            "mesh-engine -> rdkafka",
            "rule: rdkafka* only in mesh-bus, mesh-tests",
            "reason: one crate owns",
            "way out: use the bus port",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }
}
