//! The same on real Kafka: `ESP_MESH_KAFKA=host:port cargo test -p mesh-publisher-adapter --test kafka`.
#![cfg(feature = "real")]
#![allow(clippy::unwrap_used)] // a test stops at its first surprise

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use common::*;
use mesh_bus::{Bus, KafkaBus, KafkaOptions};
use mesh_publisher_adapter::Publisher;

const LINES: usize = 20_000;

#[test]
fn killed_at_random_calls_it_goes_on_without_loss_or_double() {
    let Ok(bootstrap) = std::env::var("ESP_MESH_KAFKA") else {
        return println!("skipped: ESP_MESH_KAFKA names no broker");
    };
    let bus: Arc<dyn Bus> = Arc::new(KafkaBus::new(KafkaOptions { bootstrap, settings: Default::default() }).unwrap());
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let (host, dir, mut random) = (format!("pub{time}"), tempfile::tempdir().unwrap(), Seeded(7));
    let input = format!("{host}_1.p.q.w.I");
    for topic in [&format!("{host}_1.M"), &input] {
        bus.create_topic(&spec(topic), WAIT).unwrap();
    }
    write(
        bus.as_ref(),
        &format!("{host}_1.M"),
        [(Some(b"p/q/w".to_vec()), prost::Message::encode_to_vec(&announcement(SCHEMA)))],
    );
    let path = source(dir.path(), "in.csv", LINES);
    let with = |faulty: Arc<dyn Bus>, more: &str| {
        let mut options = options(&path, more);
        options.common.url = format!("dfESP://{host}:1/p/q/w");
        options.common.transport.metatopic = Some(format!("{host}.meta"));
        Publisher::new(options, faulty, 0.0).run(&AtomicBool::new(false))
    };
    let mut kills = 0;
    for _ in 0..4 {
        let faulty = FaultyBus::new(Arc::clone(&bus), Fault::Kill, 20 + random.below(300) as i64);
        kills += usize::from(
            catch_unwind(AssertUnwindSafe(|| with(Arc::new(faulty), ",blocksize=4,transactionblocks=50"))).is_err(),
        );
    }
    assert!(kills >= 3, "{kills} kills");
    let began = Instant::now();
    let summary = with(Arc::clone(&bus), ",blocksize=64").unwrap();
    println!("{kills} kills; the last run: {} events in {:?}", summary.events, began.elapsed());
    assert_eq!(published_in(bus.as_ref(), &input), (0..LINES as i64).collect::<Vec<_>>());
    for topic in [&format!("{host}_1.M"), &input] {
        bus.delete_topic(topic, WAIT).unwrap();
    }
}
