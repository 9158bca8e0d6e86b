//! Measures the bus on real brokers: transactions back to back, takeover of a dead writer, reading of small records.
//!
//! `cargo run --release -p mesh-bus --features kafka --example bus_bench -- 127.0.0.1:19092,127.0.0.1:19093,127.0.0.1:19094 [k=v;k=v] [transactions|takeover|read|large]`

use bytes::Bytes;
use mesh_bus::{
    Bus, EndOf, KafkaBus, KafkaOptions, OutRecord, Polled, ReaderOptions, StartAt, TopicSpec, Writer, WriterOptions,
    parse_settings,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Outcome = Result<(), Box<dyn Error>>;

const LONG: Duration = Duration::from_secs(30);
const TRANSACTIONS: usize = 500;
const TAKEOVERS: usize = 60;
const SMALL_RECORDS: usize = 1_000_000;
const SMALL_BATCH: usize = 100_000;

struct Bench {
    bus: KafkaBus,
    brokers: u32,
    run: u128,
}

impl Bench {
    fn topic(&self, stem: &str) -> Result<Arc<str>, Box<dyn Error>> {
        let name = format!("bench.{stem}.{}", self.run);
        let settings = BTreeMap::from([("min.insync.replicas".to_owned(), self.brokers.min(2).to_string())]);
        let spec = TopicSpec { name: name.clone(), replication_factor: self.brokers, settings };
        self.bus.create_topic(&spec, LONG)?;
        Ok(Arc::from(name))
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, Box<dyn Error>> {
        let options = WriterOptions {
            client: "bench".to_owned(),
            transactional_id: format!("bench.{id}.{}", self.run),
            two_lanes: false,
            transaction_timeout: Duration::from_secs(10),
            buffer_bytes_max: 256 * 1024 * 1024,
        };
        Ok(self.bus.writer(options, LONG)?)
    }

    /// 1 KB to one topic and 100 B to another, committed.
    fn transact(&self, writer: &mut dyn Writer, topics: [&Arc<str>; 2]) -> Outcome {
        writer.begin(LONG)?;
        writer.send(record(topics[0], 1000), LONG)?;
        writer.send(record(topics[1], 100), LONG)?;
        Ok(writer.commit(LONG)?)
    }

    fn transactions(&self, pause: Duration, name: &str) -> Outcome {
        let (o, c) = (self.topic(&format!("{name}-o"))?, self.topic(&format!("{name}-c"))?);
        let mut writer = self.writer(name)?;
        writer.fence(LONG)?;
        let (mut committed, mut complete) = (Vec::new(), Vec::new());
        for n in 0..TRANSACTIONS {
            let start = Instant::now();
            self.transact(&mut *writer, [&o, &c])?;
            let visible = start.elapsed();
            writer.settle(LONG)?;
            if n >= 20 {
                committed.push(visible);
                complete.push(start.elapsed());
            }
            std::thread::sleep(pause);
        }
        report(name, "begin to committed", &mut committed);
        report(&format!("{name}_complete"), "begin to complete", &mut complete);
        Ok(())
    }

    fn takeover(&self) -> Outcome {
        let (o, c) = (self.topic("takeover-o")?, self.topic("takeover-c")?);
        let mut dead = self.writer("takeover")?;
        dead.fence(LONG)?;
        let (mut fence, mut total, mut refused, mut fallbacks) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for _ in 0..TAKEOVERS {
            let mut standby = self.writer("takeover")?;
            self.transact(&mut *dead, [&o, &c])?;
            // Dies in the middle of a transaction.
            dead.begin(LONG)?;
            dead.send(record(&o, 1000), LONG)?;
            dead.send(record(&c, 100), LONG)?;
            std::thread::sleep(Duration::from_millis(100));
            let start = Instant::now();
            let fenced = standby.fence(LONG)?;
            fence.push(start.elapsed());
            self.transact(&mut *standby, [&o, &c])?;
            total.push(start.elapsed());
            fallbacks += usize::from(fenced.fallback.is_some());
            let start = Instant::now();
            if dead.commit(LONG).is_ok() {
                return Err("a zombie has committed".into());
            }
            refused.push(start.elapsed());
            dead = standby;
        }
        println!("fallbacks: {fallbacks}");
        report("fence", "fence and init, an open transaction before", &mut fence);
        report("takeover_first_commit", "fence, init, first commit", &mut total);
        report("zombie", "zombie's commit refused", &mut refused);
        Ok(())
    }

    fn small_records(&self) -> Outcome {
        let topic = self.topic("small")?;
        let mut writer = self.writer("small")?;
        writer.fence(LONG)?;
        let (start, mut commits) = (Instant::now(), Vec::new());
        for _ in 0..SMALL_RECORDS / SMALL_BATCH {
            let batch = Instant::now();
            writer.begin(LONG)?;
            for _ in 0..SMALL_BATCH {
                writer.send(record(&topic, 100), LONG)?;
            }
            writer.commit(LONG)?;
            commits.push(batch.elapsed());
        }
        rate("write_small", SMALL_RECORDS, start.elapsed());
        report("large_transaction", "100,000 records of 100 B", &mut commits);
        writer.settle(LONG)?;
        let end = self.bus.end(&topic, EndOf::Stable, LONG)?;
        let options = ReaderOptions {
            client: "bench".to_owned(),
            buffer_bytes_max: 16 * 1024 * 1024,
            committed_only: true,
            end_within: ReaderOptions::SOON,
        };
        let start = Instant::now();
        let mut reader = self.bus.reader(options, &[(Arc::clone(&topic), StartAt::Oldest)])?;
        let (mut read, mut next, mut polled) = (0, 0, Vec::new());
        while next < end {
            reader.poll(Duration::from_secs(1), 10_000, &mut polled)?;
            for item in polled.drain(..) {
                match item {
                    Polled::Record(record) => {
                        read += 1;
                        next = record.offset + 1;
                    }
                    Polled::End { next_offset, .. } => next = next_offset,
                }
            }
        }
        rate("read_small", read, start.elapsed());
        Ok(())
    }
}

fn record(topic: &Arc<str>, bytes: usize) -> OutRecord {
    static CONTENT: [u8; 1000] = [b'x'; 1000];
    OutRecord {
        topic: Arc::clone(topic),
        key: None,
        headers: Vec::new(),
        payload: Bytes::from_static(&CONTENT[..bytes]),
    }
}

fn report(name: &str, what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    let (p50, p90, p99, max) = (at(0.5), at(0.9), at(0.99), at(1.0));
    println!("{what} ({} runs): p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, max {max:.1} ms", times.len());
    println!(
        "RESULT {{\"name\":\"bus_{name}\",\"runs\":{},\"p50_ms\":{p50:.2},\"p90_ms\":{p90:.2},\"p99_ms\":{p99:.2},\"max_ms\":{max:.2}}}",
        times.len()
    );
}

fn rate(name: &str, records: usize, took: Duration) {
    let rate = records as f64 / took.as_secs_f64();
    println!("{name}: {records} records in {:.2} s: {rate:.0}/s", took.as_secs_f64());
    println!("RESULT {{\"name\":\"bus_{name}\",\"records\":{records},\"records_per_s\":{rate:.0}}}");
}

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let bootstrap = arguments.next().ok_or("expected the bootstrap addresses, e.g. 127.0.0.1:19092")?;
    let brokers = bootstrap.split(',').count() as u32;
    let (extra, only) = (arguments.next().unwrap_or_default(), arguments.next());
    let bus = KafkaBus::new(KafkaOptions { bootstrap, settings: parse_settings(&extra)? })?;
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let bench = Bench { bus, brokers, run };
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if wanted("transactions") {
        bench.transactions(Duration::ZERO, "transaction_back_to_back")?;
        bench.transactions(Duration::from_millis(60), "transaction_paused")?;
    }
    if wanted("takeover") {
        bench.takeover()?;
    }
    if wanted("read") {
        bench.small_records()?;
    }
    Ok(())
}
