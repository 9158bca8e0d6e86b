//! Settings of the gateway.

use mesh_service::config::is_host_port;
use mesh_service::{Base, Config, Problems, Span};
use serde::{Deserialize, Serialize};

/// Settings of the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayConfig {
    /// Settings that every service has; `coordinators` must name at least one.
    #[serde(flatten)]
    pub base: Base,
    /// `host:port` of the REST server; port 0 takes a free one.
    pub rest_listen: String,
    /// What the mesh is called as an engine, in `GET server`.
    pub mesh_name: String,
    /// Port of publish and subscribe that is told as long as no engine tells one.
    pub pubsub_port: u16,
    /// An answer older than this is not given any more: the mesh counts as not reached.
    pub stale_after: Span,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        GatewayConfig {
            base: Base::default(),
            rest_listen: "127.0.0.1:61000".to_owned(),
            mesh_name: "esp-mesh".to_owned(),
            pubsub_port: 31415,
            stale_after: Span::from_secs(3),
        }
    }
}

impl Config for GatewayConfig {
    const SERVICE: &'static str = "gateway";

    fn base(&self) -> &Base {
        &self.base
    }

    fn validate(&self, problems: &mut Problems) {
        let coordinators = &self.base.coordinators;
        problems.check(!coordinators.is_empty(), "coordinators", "at least one `host:port`", coordinators.join(","));
        problems.check(is_host_port(&self.rest_listen), "rest_listen", "`host:port`", &self.rest_listen);
        problems.check(!self.mesh_name.is_empty(), "mesh_name", "a name", &self.mesh_name);
        problems.check(!self.stale_after.0.is_zero(), "stale_after", "more than 0", self.stale_after);
    }
}
