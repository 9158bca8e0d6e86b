//! What a notification window says, and to whom.

use std::sync::Arc;

use mesh_event::{FieldType, Schema};
use mesh_expr::FunctionalCode;

/// A notification window: for each event and channel at most one message.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Everything that messages are made of, computed for each event: the fields of the window's own schema, then for each
    /// channel what [`Channel`] points to.
    pub code: FunctionalCode,
    /// The channels.
    pub channels: Vec<Channel>,
    /// The mail server that the project names: host, port, user. It decides nothing that is computed.
    pub smtp: Option<MailServer>,
}

/// A mail server as a project names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User, where the server asks for one. Passwords are in no project.
    pub user: Option<String>,
}

/// One way to deliver messages. Numbers are positions of columns that [`Notification::code`] makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its name; empty without one.
    pub name: String,
    /// `email`, `sms`, `mms` or `webhook`.
    pub kind: &'static str,
    /// Nobody is to send the messages.
    pub test: bool,
    /// Least time between two messages to the same recipients.
    pub throttle_us: Option<i64>,
    /// Whether there is a message.
    pub deliver: usize,
    /// Address of the sender.
    pub sender: Option<usize>,
    /// Addresses or the URL.
    pub recipients: usize,
    /// Subject.
    pub subject: Option<usize>,
    /// Whom the message says it comes from.
    pub from: Option<usize>,
    /// Whom the message says it goes to.
    pub to: Option<usize>,
    /// Kind (`text`, `html`, `image`), name and text of each part.
    pub contents: Vec<(&'static str, String, usize)>,
}

impl Notification {
    /// The events of every notification window: one a message.
    pub fn schema() -> Arc<Schema> {
        let strings = ["channel", "type", "sender", "recipients", "subject", "from", "to", "contents"];
        let fields = strings.map(|name| format!("{name}:{}", FieldType::String)).join(",");
        Arc::new(Schema::parse(&format!("message*:int64,{fields},test:int32")).expect("the text is a schema"))
    }
}
