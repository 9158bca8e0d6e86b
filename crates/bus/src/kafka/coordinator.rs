//! Speaks to the transaction coordinator of one transactional id over a plain connection that is kept open:
//! the fast fence, and the question whether a transaction is complete.
//!
//! librdkafka does both with fixed pauses (500 ms when InitProducerId is refused, 20 ms and more while markers are
//! written). Kafka needs 8 ms and 1 ms for them.

use kafka_protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    InitProducerIdRequest, InitProducerIdResponse, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use std::fmt;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::transport::Transport;
use super::wire::{Api, Connection};

const FIND_COORDINATOR: Api = Api { name: "FindCoordinator", key: 10, version: 4 };
const INIT_PRODUCER_ID: Api = Api { name: "InitProducerId", key: 22, version: 4 };
const DESCRIBE_TRANSACTIONS: Api = Api { name: "DescribeTransactions", key: 65, version: 0 };

/// Kafka's error codes that are answered by asking again.
mod code {
    pub(super) const NONE: i16 = 0;
    pub(super) const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub(super) const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub(super) const NOT_COORDINATOR: i16 = 16;
    pub(super) const CONCURRENT_TRANSACTIONS: i16 = 51;
    pub(super) const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
}

/// Pause before asking again: shorter than librdkafka's by two orders, and a broker answers in under a millisecond.
const AGAIN: Duration = Duration::from_millis(2);

/// Limit of one attempt to reach one broker, so that one that hangs does not use up the caller's deadline.
const ATTEMPT_MAX: Duration = Duration::from_millis(500);

/// Why the plain way failed.
#[derive(Debug)]
pub(super) struct PlainError(String);

impl fmt::Display for PlainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the coordinator says of the last transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completion {
    /// Nothing of it is left to do.
    Complete,
    /// Markers are being written.
    Pending,
}

pub(super) struct Coordinator {
    bootstrap: Vec<String>,
    transport: Transport,
    client: String,
    id: StrBytes,
    timeout_ms: i32,
    connection: Option<Connection>,
}

enum Failure {
    /// Broken connection, or another broker is coordinator now: find it again.
    Locate(String),
    /// Ask the same broker again.
    Again(String),
    /// Asking again will not help.
    Final(String),
}

impl Coordinator {
    /// For brokers `bootstrap`; `client` and transactional id as the broker knows them.
    pub(super) fn new(
        bootstrap: &str,
        transport: Transport,
        (client, transactional_id): (&str, &str),
        timeout: Duration,
    ) -> Self {
        Self {
            bootstrap: bootstrap.split(',').map(|a| with_port(a.trim())).collect(),
            transport,
            client: client.to_owned(),
            id: StrBytes::from_string(transactional_id.to_owned()),
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            connection: None,
        }
    }

    /// Opens the connection if it is not open.
    pub(super) fn connect(&mut self, until: Instant) -> Result<(), PlainError> {
        self.persist(until, |_, _| Ok(()))
    }

    /// InitProducerId until it is not refused: then the old writer's transaction is aborted and the writer fenced.
    pub(super) fn fence(&mut self, until: Instant) -> Result<(), PlainError> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(self.id.clone())))
            .with_transaction_timeout_ms(self.timeout_ms)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        self.persist(until, |connection, until| {
            let answer: InitProducerIdResponse = call(connection, INIT_PRODUCER_ID, &request, until)?;
            judge(INIT_PRODUCER_ID, answer.error_code)
        })
    }

    /// Asks once how far the last transaction is; the question itself makes the coordinator go on with it.
    pub(super) fn completion(&mut self, until: Instant) -> Result<Completion, PlainError> {
        let request =
            DescribeTransactionsRequest::default().with_transactional_ids(vec![TransactionalId(self.id.clone())]);
        self.persist(until, |connection, until| {
            let answer: DescribeTransactionsResponse = call(connection, DESCRIBE_TRANSACTIONS, &request, until)?;
            let Some(state) = answer.transaction_states.first() else {
                return Err(Failure::Final("DescribeTransactions was answered with nothing".to_owned()));
            };
            if state.error_code == code::TRANSACTIONAL_ID_NOT_FOUND {
                return Ok(Completion::Complete);
            }
            judge(DESCRIBE_TRANSACTIONS, state.error_code)?;
            // `Ongoing` or `PrepareEpochFence` after our own end of transaction is another writer's business.
            Ok(match state.transaction_state.as_str() {
                "PrepareCommit" | "PrepareAbort" => Completion::Pending,
                _ => Completion::Complete,
            })
        })
    }

    /// Runs `ask` on the coordinator's connection until it succeeds, fails for good, or the time is up.
    fn persist<T>(
        &mut self,
        until: Instant,
        mut ask: impl FnMut(&mut Connection, Instant) -> Result<T, Failure>,
    ) -> Result<T, PlainError> {
        let mut asked = 0;
        loop {
            asked += 1;
            let failure = match self.locate(until) {
                Ok(connection) => ask(connection, until.min(Instant::now() + 4 * ATTEMPT_MAX)),
                Err(failure) => Err(failure),
            };
            let reason = match failure {
                Ok(result) => return Ok(result),
                Err(Failure::Final(reason)) => {
                    self.connection = None;
                    return Err(PlainError(reason));
                }
                Err(Failure::Locate(reason)) => {
                    self.connection = None;
                    reason
                }
                Err(Failure::Again(reason)) => reason,
            };
            if Instant::now() + AGAIN >= until {
                return Err(PlainError(format!("{reason} (asked {asked} times)")));
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// The connection to the coordinator, opened if need be.
    fn locate(&mut self, until: Instant) -> Result<&mut Connection, Failure> {
        if self.connection.is_none() {
            let address = self.find(until)?;
            let attempt = until.min(Instant::now() + ATTEMPT_MAX);
            let opened = Connection::open(&address, &self.transport, &self.client, attempt)
                .map_err(|error| Failure::Locate(format!("connecting to the coordinator {address}: {error}")))?;
            self.connection = Some(opened);
        }
        Ok(self.connection.as_mut().expect("just opened"))
    }

    /// Asks the brokers, one after the other, who coordinates this id.
    fn find(&self, until: Instant) -> Result<String, Failure> {
        let request = FindCoordinatorRequest::default().with_key_type(1).with_coordinator_keys(vec![self.id.clone()]);
        let mut last = Failure::Final("no bootstrap address".to_owned());
        for address in &self.bootstrap {
            let attempt = until.min(Instant::now() + ATTEMPT_MAX);
            let answer = Connection::open(address, &self.transport, &self.client, attempt)
                .map_err(|error| Failure::Locate(format!("connecting to {address}: {error}")))
                .and_then(|mut connection| {
                    call::<_, FindCoordinatorResponse>(&mut connection, FIND_COORDINATOR, &request, attempt)
                });
            match answer {
                Ok(answer) => {
                    let Some(found) = answer.coordinators.first() else {
                        last = Failure::Final(format!("FindCoordinator was answered with nothing by {address}"));
                        continue;
                    };
                    match judge(FIND_COORDINATOR, found.error_code) {
                        Ok(()) => return Ok(format!("{}:{}", found.host.as_str(), found.port)),
                        Err(failure) => last = failure,
                    }
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }
}

fn with_port(address: &str) -> String {
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { address.to_owned() } else { format!("{address}:9092") }
}

fn call<Q, A>(connection: &mut Connection, api: Api, request: &Q, until: Instant) -> Result<A, Failure>
where
    Q: kafka_protocol::protocol::Encodable + kafka_protocol::protocol::HeaderVersion,
    A: kafka_protocol::protocol::Decodable + kafka_protocol::protocol::HeaderVersion,
{
    let address = connection.address.clone();
    connection.call(api, request, until).map_err(|error| {
        let text = format!("{} to {address}: {error}", api.name);
        // Not understood by one of the two: the versions differ, and asking again will not change that.
        if error.kind() == ErrorKind::InvalidData { Failure::Final(text) } else { Failure::Locate(text) }
    })
}

fn judge(api: Api, error: i16) -> Result<(), Failure> {
    let text = || format!("{} refused with Kafka error code {error}", api.name);
    match error {
        code::NONE => Ok(()),
        code::CONCURRENT_TRANSACTIONS | code::COORDINATOR_LOAD_IN_PROGRESS => Err(Failure::Again(text())),
        code::COORDINATOR_NOT_AVAILABLE | code::NOT_COORDINATOR => Err(Failure::Locate(text())),
        _ => Err(Failure::Final(text())),
    }
}
