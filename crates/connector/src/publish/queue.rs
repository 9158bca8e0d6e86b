//! Blocks read ahead: a queue with a limit of blocks and a limit of bytes, whichever is reached first.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// What a queue may hold.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Items, at most.
    pub items_max: usize,
    /// Bytes, at most; one item is always taken, however long.
    pub bytes_max: usize,
}

/// A queue between one producer and one consumer.
#[derive(Debug)]
pub struct Queue<T> {
    limits: QueueLimits,
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    /// The producer has ended.
    ended: bool,
    /// The consumer has gone.
    closed: bool,
}

/// What a wait brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Items were appended.
    Some,
    /// Nothing came in time.
    Nothing,
    /// Nothing will come any more.
    Ended,
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Queue<T> {
        let inner = Inner { items: VecDeque::new(), bytes: 0, ended: false, closed: false };
        Queue { limits, inner: Mutex::new(inner), changed: Condvar::new() }
    }

    /// Adds an item, waiting for room. False when the consumer has gone: the producer should end.
    pub fn push(&self, item: T, bytes: usize) -> bool {
        let mut inner = self.lock();
        while !inner.closed && !inner.items.is_empty() && self.is_full(&inner, bytes) {
            inner = self.changed.wait(inner).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        if inner.closed {
            return false;
        }
        inner.bytes += bytes;
        inner.items.push_back((item, bytes));
        drop(inner);
        self.changed.notify_all();
        true
    }

    /// The producer has ended; what is queued can still be taken.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// The consumer has gone; what is queued is dropped.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.items.clear();
        inner.bytes = 0;
        drop(inner);
        self.changed.notify_all();
    }

    /// Waits for an item, then takes what is there up to these limits; the first item is always taken.
    pub fn take(&self, timeout: Duration, limits: QueueLimits, into: &mut Vec<T>) -> Taken {
        let inner = self.lock();
        let waiting = |inner: &mut Inner<T>| inner.items.is_empty() && !inner.ended;
        let (mut inner, _) =
            self.changed.wait_timeout_while(inner, timeout, waiting).unwrap_or_else(std::sync::PoisonError::into_inner);
        let (mut items, mut bytes) = (0, 0);
        while let Some((_, size)) = inner.items.front() {
            if items > 0 && (items >= limits.items_max || bytes + size > limits.bytes_max) {
                break;
            }
            let (item, size) = inner.items.pop_front().expect("its front was just seen");
            items += 1;
            bytes += size;
            inner.bytes -= size;
            into.push(item);
        }
        let ended = inner.ended;
        drop(inner);
        self.changed.notify_all();
        match (items, ended) {
            (0, true) => Taken::Ended,
            (0, false) => Taken::Nothing,
            _ => Taken::Some,
        }
    }

    /// Bytes queued.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn is_full(&self, inner: &Inner<T>, more: usize) -> bool {
        inner.items.len() >= self.limits.items_max || inner.bytes + more > self.limits.bytes_max
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // a panic of the other side leaves the queue as it is between two statements that belong together nowhere
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const WIDE: QueueLimits = QueueLimits { items_max: 100, bytes_max: 1000 };

    #[test]
    fn both_limits_hold_the_producer_back_and_order_is_kept() {
        let queue = Arc::new(Queue::new(QueueLimits { items_max: 3, bytes_max: 10 }));
        let producer = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                for i in 0..100usize {
                    assert!(queue.push(i, if i % 10 == 0 { 30 } else { 4 }));
                }
                queue.end();
            })
        };
        let mut all = Vec::new();
        loop {
            assert!(queue.bytes() <= 30);
            let before = all.len();
            match queue.take(Duration::from_secs(10), WIDE, &mut all) {
                Taken::Some => assert!(all.len() - before <= 3),
                Taken::Ended => break,
                Taken::Nothing => panic!("the producer is stuck"),
            }
        }
        producer.join().unwrap();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_take_keeps_to_its_limits_but_takes_at_least_one() {
        let queue = Queue::new(WIDE);
        for i in 0..6 {
            queue.push(i, 10);
        }
        let mut taken = Vec::new();
        queue.take(Duration::ZERO, QueueLimits { items_max: 2, bytes_max: 1000 }, &mut taken);
        assert_eq!(taken, [0, 1]);
        queue.take(Duration::ZERO, QueueLimits { items_max: 9, bytes_max: 5 }, &mut taken);
        assert_eq!(taken, [0, 1, 2]);
        queue.take(Duration::ZERO, QueueLimits { items_max: 9, bytes_max: 25 }, &mut taken);
        assert_eq!(taken, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_consumer_that_goes_frees_the_producer() {
        let queue = Arc::new(Queue::new(QueueLimits { items_max: 1, bytes_max: 10 }));
        queue.push(1, 1);
        let producer = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || queue.push(2, 1))
        };
        queue.close();
        assert!(!producer.join().unwrap());
        assert_eq!(queue.take(Duration::ZERO, WIDE, &mut Vec::new()), Taken::Nothing);
    }
}
