//! Metrics: a registry per service instance, and typed handles by name. Asking twice for a name gives the same metric.
//!
//! Names are `esp_<part>_<what>[_<unit>]`; counters get `_total` when written out.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::{counter, gauge, histogram};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts up.
pub type Counter = counter::Counter;
/// Counts up what comes in parts, as seconds do.
pub type CounterF64 = counter::Counter<f64, AtomicU64>;
/// A whole number that goes up and down.
pub type Gauge = gauge::Gauge;
/// A number that goes up and down.
pub type GaugeF64 = gauge::Gauge<f64, AtomicU64>;
/// How often values fell into each bucket.
pub type Histogram = histogram::Histogram;

/// Buckets for durations in seconds, 100 us to 30 s: fine where takeovers and commits are.
pub const SECONDS_BUCKETS: [f64; 16] =
    [0.0001, 0.000_3, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.4, 1.0, 3.0, 10.0, 30.0];

type Labels = Vec<(String, String)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// The metrics of a service instance. Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    registry: Registry,
    counters: BTreeMap<&'static str, Family<Labels, Counter>>,
    counters_f64: BTreeMap<&'static str, Family<Labels, CounterF64>>,
    gauges: BTreeMap<&'static str, Family<Labels, Gauge>>,
    gauges_f64: BTreeMap<&'static str, Family<Labels, GaugeF64>>,
    seconds: BTreeMap<&'static str, Histograms>,
}

impl Metrics {
    /// Without metrics.
    pub fn new() -> Self {
        Metrics::default()
    }

    /// A counter; keep the handle, looking it up takes a lock.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Counter {
        let inner = &mut *self.lock();
        let family = inner.counters.entry(name).or_insert_with(|| {
            let family = Family::default();
            inner.registry.register(name, help, family.clone());
            family
        });
        family.get_or_create(&owned(labels)).clone()
    }

    /// A counter of what comes in parts.
    pub fn counter_f64(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> CounterF64 {
        let inner = &mut *self.lock();
        let family = inner.counters_f64.entry(name).or_insert_with(|| {
            let family = Family::default();
            inner.registry.register(name, help, family.clone());
            family
        });
        family.get_or_create(&owned(labels)).clone()
    }

    /// A gauge of whole numbers.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        let inner = &mut *self.lock();
        let family = inner.gauges.entry(name).or_insert_with(|| {
            let family = Family::default();
            inner.registry.register(name, help, family.clone());
            family
        });
        family.get_or_create(&owned(labels)).clone()
    }

    /// A gauge of numbers.
    pub fn gauge_f64(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> GaugeF64 {
        let inner = &mut *self.lock();
        let family = inner.gauges_f64.entry(name).or_insert_with(|| {
            let family = Family::default();
            inner.registry.register(name, help, family.clone());
            family
        });
        family.get_or_create(&owned(labels)).clone()
    }

    /// A histogram of durations in seconds ([`SECONDS_BUCKETS`]); the name ends in `_seconds`.
    pub fn seconds(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Histogram {
        let inner = &mut *self.lock();
        let family = inner.seconds.entry(name).or_insert_with(|| {
            let family: Histograms = Family::new_with_constructor(new_seconds as fn() -> Histogram);
            inner.registry.register(name, help, family.clone());
            family
        });
        family.get_or_create(&owned(labels)).clone()
    }

    /// Everything in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.lock().registry).expect("writing to a string does not fail");
        text
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

fn new_seconds() -> Histogram {
    Histogram::new(SECONDS_BUCKETS)
}

fn owned(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_labels_are_the_same_metric() {
        let metrics = Metrics::new();
        metrics.counter("esp_test_events", "Events", &[("project", "weather")]).inc_by(2);
        metrics.counter("esp_test_events", "Events", &[("project", "weather")]).inc();
        metrics.counter("esp_test_events", "Events", &[("project", "other")]).inc();
        metrics.gauge("esp_test_term", "Term", &[]).set(7);
        metrics.seconds("esp_test_takeover_seconds", "Takeover", &[]).observe(0.03);
        let text = metrics.text();
        assert!(text.contains("esp_test_events_total{project=\"weather\"} 3"), "{text}");
        assert!(text.contains("esp_test_events_total{project=\"other\"} 1"), "{text}");
        assert!(text.contains("esp_test_term 7"), "{text}");
        assert!(text.contains("esp_test_takeover_seconds_bucket{le=\"0.04\"} 1"), "{text}");
        assert_eq!(text.matches("# HELP esp_test_events ").count(), 1);
    }
}
