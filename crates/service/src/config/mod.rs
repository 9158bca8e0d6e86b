//! Configuration: defaults < TOML file < environment < flags. Every wrong or unknown setting is reported at once.
//!
//! A service's settings are one serde struct with `#[serde(default)]` and a `Default`; each field's doc comment is its
//! manual entry. The loader learns the known settings from the serialised default, so nothing is listed twice.
//! Every setting can be given in the file (`kafka.brokers` in `[kafka]`), as `ESP_<SERVICE>_KAFKA_BROKERS`,
//! as `--kafka-brokers` and as `--set kafka.brokers=`.
//!
//! **Invariant:** a setting is judged by itself first, so that one wrong setting never hides another.

mod base;
mod cli;
mod layers;
mod problem;
mod secure;

pub use base::is_host_port;
pub use base::{Base, LogFormat};
pub use cli::{Cli, Command, cli};
pub use layers::{Given, Layers};
pub(crate) use layers::{env_name, known_settings};
pub use problem::{Problem, Problems, did_you_mean};
pub use secure::{AuthConfig, ClientTls, TlsConfig};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The settings of a service.
pub trait Config: Serialize + DeserializeOwned + Default + Send + 'static {
    /// Name of the service as in `esp-<name>` and `ESP_<NAME>_...`, e.g. `publisher-adapter`.
    const SERVICE: &'static str;

    /// The settings that every service has (a field with `#[serde(flatten)]`).
    fn base(&self) -> &Base;

    /// Checks what one setting by itself cannot show: report each problem, with the setting's name.
    fn validate(&self, _problems: &mut Problems) {}

    /// Further arguments of the command line beside the settings (e.g. the `-C key=value,...` of adapters).
    fn arguments(command: clap::Command) -> clap::Command {
        command
    }

    /// Turns those arguments into settings; what is given here is stronger than the environment, weaker than flags.
    fn from_arguments(_matches: &clap::ArgMatches, _layers: &mut Layers, _problems: &mut Problems) {}
}

/// Checks the given settings and builds the configuration from them, or says everything that is wrong.
pub fn load<C: Config>(layers: &Layers) -> Result<C, Problems> {
    let mut problems = Problems::default();
    load_into::<C>(layers, &mut problems).ok_or(problems)
}

/// The same, beside problems that were found before.
pub(crate) fn load_into<C: Config>(layers: &Layers, problems: &mut Problems) -> Option<C> {
    let config: C = build(layers, problems)?;
    config.base().validate(problems);
    config.validate(problems);
    problems.locate(|setting| layers.source(setting));
    problems.is_empty().then_some(config)
}

/// Each setting judged by itself only: a probe needs to know where the service listens, not all that the service needs.
pub(crate) fn load_apart<C: Config>(layers: &Layers, problems: &mut Problems) -> Option<C> {
    build(layers, problems).filter(|_| problems.is_empty())
}

fn build<C: Config>(layers: &Layers, problems: &mut Problems) -> Option<C> {
    let known = layers::known_settings(&C::default());
    let tree = layers.resolve::<C>(&known, problems);
    match serde_json::from_value(tree) {
        Ok(config) => Some(config),
        Err(error) => {
            problems.add(Problem::new("(all)", "all layers").found(error.to_string()));
            None
        }
    }
}

#[cfg(test)]
mod tests;
