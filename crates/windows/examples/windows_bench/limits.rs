//! The limit: hand-written loops that answer the queries from the same columns. What a query puts out for an event is
//! handed to [`put_out`]; nothing is kept but what the query needs, nothing is general.

use std::collections::VecDeque;
use std::hint::black_box;

// order-free: groups are found by key only.
use hashbrown::HashTable;
use mesh_event::{Block, Bytes2D, Column, ColumnData};
use xxhash_rust::xxh3::xxh3_64;

/// What came out: number of results, and the sum of one of their fields.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    pub rows: u64,
    pub sum: f64,
}

impl Tally {
    #[inline(always)]
    fn put_out<T>(&mut self, row: T, compared: f64) {
        black_box(row);
        self.rows += 1;
        self.sum += if compared.is_nan() { 0.0 } else { compared };
    }
}

/// One query.
pub trait Limit {
    /// Rows of the other input.
    fn planes(&mut self, _planes: &Block) {}

    /// The next flights.
    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally);
}

/// The columns of some flights; numbers that are null are NaN.
pub struct Flights<'a> {
    pub first: i64,
    pub len: usize,
    pub carrier: &'a Bytes2D,
    pub origin: &'a Bytes2D,
    pub tailnum: &'a Bytes2D,
    pub dep_delay: Numbers<'a>,
    pub arr_delay: Numbers<'a>,
    pub air_time: Numbers<'a>,
    pub distance: Numbers<'a>,
    pub at: &'a [i64],
}

/// A column of doubles.
#[derive(Clone, Copy)]
pub struct Numbers<'a> {
    values: &'a [f64],
    nulls: &'a [u64],
}

impl Numbers<'_> {
    #[inline(always)]
    fn get(&self, row: usize) -> f64 {
        let null = self.nulls.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1);
        if null { f64::NAN } else { self.values[row] }
    }
}

impl<'a> Flights<'a> {
    /// `first`: the key of the first flight.
    pub fn new(block: &'a Block, first: i64) -> Flights<'a> {
        let columns = &block.columns[block.columns.len() - 8..];
        Flights {
            first,
            len: block.len(),
            carrier: texts(&columns[0]),
            origin: texts(&columns[1]),
            tailnum: texts(&columns[2]),
            dep_delay: numbers(&columns[3]),
            arr_delay: numbers(&columns[4]),
            air_time: numbers(&columns[5]),
            distance: numbers(&columns[6]),
            at: match &columns[7].data {
                ColumnData::Stamp(times) => times,
                _ => unreachable!("`at` is a stamp"),
            },
        }
    }
}

fn texts(column: &Column) -> &Bytes2D {
    match &column.data {
        ColumnData::String(texts) => texts,
        _ => unreachable!("the column holds texts"),
    }
}

fn numbers(column: &Column) -> Numbers<'_> {
    match &column.data {
        ColumnData::Double(values) => Numbers { values, nulls: column.nulls.words() },
        _ => unreachable!("the column holds doubles"),
    }
}

/// Numbers texts in the order of their coming.
#[derive(Default)]
struct Index {
    table: HashTable<(u64, u32)>,
    keys: Vec<Box<[u8]>>,
}

impl Index {
    #[inline(always)]
    fn find(&self, key: &[u8]) -> Result<usize, u64> {
        let hash = xxh3_64(key);
        let found = self.table.find(hash, |&(other, at)| other == hash && *self.keys[at as usize] == *key);
        found.map(|&(_, at)| at as usize).ok_or(hash)
    }

    #[inline(always)]
    fn of(&mut self, key: &[u8]) -> usize {
        self.find(key).unwrap_or_else(|hash| {
            let at = self.keys.len();
            self.keys.push(key.into());
            self.table.insert_unique(hash, (hash, at as u32), |&(hash, _)| hash);
            at
        })
    }
}

pub struct Filter;

impl Limit for Filter {
    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally) {
        for row in 0..flights.len {
            let delay = flights.dep_delay.get(row);
            if delay > 15.0 {
                let id = flights.first + row as i64;
                tally.put_out((id, delay), id as f64);
            }
        }
    }
}

pub struct Compute;

impl Limit for Compute {
    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally) {
        for row in 0..flights.len {
            let delay = flights.dep_delay.get(row);
            if delay > 15.0 {
                let (distance, gain) = (flights.distance.get(row), delay - flights.arr_delay.get(row));
                let speed = distance / flights.air_time.get(row) * 60.0;
                tally.put_out((flights.first + row as i64, gain, speed, distance > 1000.0), speed);
            }
        }
    }
}

/// The last twenty values in a ring.
#[derive(Default)]
struct Ring {
    values: [f64; 20],
    len: usize,
    next: usize,
}

impl Ring {
    #[inline(always)]
    fn push(&mut self, value: f64) {
        self.values[self.next] = value;
        self.next = if self.next == 19 { 0 } else { self.next + 1 };
        self.len = (self.len + 1).min(20);
    }

    /// Number, sum, smallest, largest.
    #[inline(always)]
    fn measures(&self) -> (f64, f64, f64, f64) {
        let (mut n, mut sum, mut min, mut max) = (0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        for &value in &self.values[..self.len] {
            if !value.is_nan() {
                (n, sum) = (n + 1.0, sum + value);
                (min, max) = (f64::min(min, value), f64::max(max, value));
            }
        }
        (n, sum, min, max)
    }

    #[inline(always)]
    fn std(&self, n: f64, mean: f64) -> f64 {
        let squares =
            self.values[..self.len].iter().filter(|value| !value.is_nan()).map(|value| (value - mean).powi(2));
        (squares.sum::<f64>() / (n - 1.0)).sqrt()
    }
}

#[derive(Default)]
pub struct LastTwenty {
    ring: Ring,
}

impl Limit for LastTwenty {
    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally) {
        for row in 0..flights.len {
            self.ring.push(flights.dep_delay.get(row));
            let (n, sum, min, max) = self.ring.measures();
            let mean = sum / n;
            tally.put_out((flights.first + row as i64, sum, mean, min, max), mean);
        }
    }
}

/// What leaves the last twenty is taken from its group, so that each group holds what it has of them.
#[derive(Default)]
pub struct LastTwentyByCarrier {
    index: Index,
    last: VecDeque<(usize, f64)>,
    /// Rows of the group, numbers among them, and the numbers.
    groups: Vec<(u32, Vec<f64>)>,
}

impl LastTwentyByCarrier {
    #[inline(always)]
    fn put_out(&self, group: usize, tally: &mut Tally) {
        let (rows, values) = &self.groups[group];
        if *rows > 0 {
            let sum: f64 = values.iter().sum();
            let min = values.iter().copied().fold(f64::INFINITY, f64::min);
            let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mean = sum / values.len() as f64;
            tally.put_out((group, sum, mean, min, max), mean);
        }
    }
}

impl Limit for LastTwentyByCarrier {
    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally) {
        for row in 0..flights.len {
            let (group, delay) = (self.index.of(flights.carrier.row(row)), flights.dep_delay.get(row));
            if group == self.groups.len() {
                self.groups.push((0, Vec::with_capacity(20)));
            }
            self.groups[group].0 += 1;
            if !delay.is_nan() {
                self.groups[group].1.push(delay);
            }
            self.last.push_back((group, delay));
            self.put_out(group, tally);
            if self.last.len() > 20
                && let Some((old, delay)) = self.last.pop_front()
            {
                self.groups[old].0 -= 1;
                if !delay.is_nan() {
                    self.groups[old].1.remove(0);
                }
                self.put_out(old, tally);
            }
        }
    }
}

#[derive(Default)]
pub struct ByOriginAndCarrier {
    index: Index,
    key: Vec<u8>,
    /// Rows, numbers among them, their sum and the largest.
    groups: Vec<(u64, u64, f64, f64)>,
}

impl Limit for ByOriginAndCarrier {
    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally) {
        for row in 0..flights.len {
            self.key.clear();
            self.key.extend_from_slice(flights.origin.row(row));
            self.key.push(0);
            self.key.extend_from_slice(flights.carrier.row(row));
            let (at, delay) = (self.index.of(&self.key), flights.dep_delay.get(row));
            if at == self.groups.len() {
                self.groups.push((0, 0, 0.0, f64::NEG_INFINITY));
            }
            let group = &mut self.groups[at];
            group.0 += 1;
            if !delay.is_nan() {
                (group.1, group.2, group.3) = (group.1 + 1, group.2 + delay, group.3.max(delay));
            }
            let mean = group.2 / group.1 as f64;
            tally.put_out((at, group.0, mean, group.3), mean);
        }
    }
}

const HOUR_US: i64 = 3_600_000_000;

#[derive(Default)]
pub struct HourByOrigin {
    index: Index,
    held: VecDeque<(i64, u32, f64)>,
    /// Rows, numbers among them, their sum.
    groups: Vec<(u64, u64, f64)>,
}

impl HourByOrigin {
    #[inline(always)]
    fn put_out(&self, at: usize, tally: &mut Tally) {
        let (rows, n, sum) = self.groups[at];
        if rows > 0 {
            let mean = sum / n as f64;
            tally.put_out((at, rows, mean), mean);
        }
    }
}

impl Limit for HourByOrigin {
    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally) {
        for row in 0..flights.len {
            let (at, delay) = (self.index.of(flights.origin.row(row)), flights.dep_delay.get(row));
            if at == self.groups.len() {
                self.groups.push((0, 0, 0.0));
            }
            let there = !delay.is_nan();
            let group = &mut self.groups[at];
            group.0 += 1;
            (group.1, group.2) = (group.1 + u64::from(there), group.2 + if there { delay } else { 0.0 });
            let now = flights.at[row];
            self.held.push_back((now, at as u32, delay));
            self.put_out(at, tally);
            while let Some(&(time, old, delay)) = self.held.front()
                && now - time >= HOUR_US
            {
                self.held.pop_front();
                let there = !delay.is_nan();
                let group = &mut self.groups[old as usize];
                group.0 -= 1;
                (group.1, group.2) = (group.1 - u64::from(there), group.2 - if there { delay } else { 0.0 });
                self.put_out(old as usize, tally);
            }
        }
    }
}

#[derive(Default)]
pub struct Join {
    index: Index,
    /// Year and seats; null is the smallest number.
    planes: Vec<(i32, i32)>,
}

impl Limit for Join {
    fn planes(&mut self, planes: &Block) {
        let number = |at: usize, row: usize| match &planes.columns[at].data {
            ColumnData::Int32(_) if planes.columns[at].is_null(row) => i32::MIN,
            ColumnData::Int32(values) => values[row],
            _ => unreachable!("year and seats are int32"),
        };
        for row in 0..planes.len() {
            self.index.of(texts(&planes.columns[0]).row(row));
            self.planes.push((number(1, row), number(2, row)));
        }
    }

    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally) {
        for row in 0..flights.len {
            let tailnum = flights.tailnum.row(row);
            let (year, seats) = self.index.find(tailnum).map_or((i32::MIN, i32::MIN), |at| self.planes[at]);
            let id = flights.first + row as i64;
            let compared = if seats == i32::MIN { 0.0 } else { f64::from(seats) };
            tally.put_out((id, flights.carrier.row(row), tailnum, flights.dep_delay.get(row), seats, year), compared);
        }
    }
}

#[derive(Default)]
pub struct Pattern {
    index: Index,
    /// Key and time of the late arrivals of an aircraft.
    open: Vec<Vec<(i64, i64)>>,
}

impl Limit for Pattern {
    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally) {
        for row in 0..flights.len {
            let (arrival, departure) = (flights.arr_delay.get(row) > 30.0, flights.dep_delay.get(row) > 30.0);
            if !arrival && !departure {
                continue;
            }
            let (at, now, id) = (self.index.of(flights.tailnum.row(row)), flights.at[row], flights.first + row as i64);
            if at == self.open.len() {
                self.open.push(Vec::new());
            }
            let open = &mut self.open[at];
            if departure {
                for (first, time) in open.drain(..) {
                    if now - time <= 6 * HOUR_US {
                        tally.put_out((first, id), first as f64);
                    }
                }
            }
            if arrival {
                open.push((id, now));
            }
        }
    }
}

#[derive(Default)]
pub struct Chain {
    ring: Ring,
    counter: i64,
}

impl Limit for Chain {
    fn flights(&mut self, flights: &Flights<'_>, tally: &mut Tally) {
        for row in 0..flights.len {
            let delay = flights.dep_delay.get(row);
            self.ring.push(delay);
            self.counter += 1;
            let (n, sum, _, _) = self.ring.measures();
            let mean = sum / n;
            let std = self.ring.std(n, mean);
            let late = delay > mean + 2.0 * std;
            let id = flights.first + row as i64;
            let carrier = flights.carrier.row(row);
            tally.put_out((id, self.counter, carrier, flights.at[row], mean, std, late), f64::from(u8::from(late)));
        }
    }
}
