//! How an engine sends the messages of notification windows.

use std::path::PathBuf;
use std::sync::Arc;

use mesh_connector::notify::{Permitted, Smtp, SmtpTls};
use mesh_model::MailServer;

use super::permit::is_listed;

/// What an engine may use. By default nothing: no message is sent.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// `host:port` or `host:*` that messages may go to: mail servers, and the hosts of webhooks.
    pub addresses: Vec<String>,
    /// The mail server, in the place of the one that a project names.
    pub server: Option<(String, u16)>,
    /// The user at it, in the place of the one that a project names.
    pub user: Option<String>,
    /// File of the password.
    pub password_file: Option<PathBuf>,
    /// Whether TLS is used.
    pub tls: SmtpTls,
}

impl Mail {
    /// The mail server of a window.
    pub(super) fn server(&self, named: Option<&MailServer>) -> Option<Smtp> {
        let (host, port) = self.server.clone().or_else(|| named.map(|named| (named.host.clone(), named.port)))?;
        let user = self.user.clone().or_else(|| named.and_then(|named| named.user.clone()));
        Some(Smtp { host, port, user, password_file: self.password_file.clone(), tls: self.tls })
    }

    pub(super) fn permitted(&self) -> Permitted {
        let addresses = self.addresses.clone();
        Arc::new(move |address| is_listed(address, &addresses, "notification_addresses"))
    }
}
