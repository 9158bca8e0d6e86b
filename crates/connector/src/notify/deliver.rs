//! Sends messages: by SMTP, or with an HTTP POST.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{SmtpTransport, Transport};

use super::Message;
use crate::http::{Http, HttpError, host_port};

/// Longest time that a mail server may take for one step.
const SMTP_TIMEOUT: Duration = Duration::from_secs(10);
/// A longer file is no password.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// How the connection to the mail server is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SmtpTls {
    /// By the port: 465 from the first byte, 587 and wherever a user is named by STARTTLS, else where it is offered.
    #[default]
    Auto,
    /// Not at all.
    Off,
    /// By STARTTLS, or nothing is sent.
    StartTls,
    /// From the first byte.
    Tls,
}

/// The mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User, where the server asks for one.
    pub user: Option<String>,
    /// File of the password: read for each message, so that it can be changed.
    pub password_file: Option<PathBuf>,
    /// Whether TLS is used.
    pub tls: SmtpTls,
}

/// Whether an address `host:port` may be used, or why not.
pub type Permitted = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// What sends messages, and where to.
#[derive(Clone)]
pub struct Delivery {
    /// The mail server; `None`: there is none for e-mails.
    pub smtp: Option<Smtp>,
    /// Which addresses may be used.
    pub permitted: Permitted,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("smtp", &self.smtp).finish_non_exhaustive()
    }
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// It never will be: its addresses are none, or the server refuses it for good.
    Refused(String),
    /// It may be another time.
    Unavailable(String),
}

impl From<HttpError> for Unsent {
    fn from(error: HttpError) -> Unsent {
        match error {
            HttpError::Refused(why) => Unsent::Refused(why),
            HttpError::Unavailable(why) => Unsent::Unavailable(why),
        }
    }
}

impl Delivery {
    /// Sends a message. `id`: the same for the same message, whoever sends it, so that receivers can tell.
    ///
    /// # Errors
    /// Why not.
    pub fn send(&self, http: &Http, id: &str, message: &Message) -> Result<(), Unsent> {
        if message.kind == "webhook" {
            let address = host_port(&message.recipients).map_err(Unsent::Refused)?;
            (self.permitted)(&address).map_err(Unsent::Unavailable)?;
            let (body, content) = message.body();
            return Ok(http.post(
                &message.recipients,
                &[("content-type", content), ("idempotency-key", id)],
                body.as_bytes(),
            )?);
        }
        let Some(smtp) = &self.smtp else {
            let why = "no mail server: name one in <smtp host=...> of the window, or with `smtp_server`";
            return Err(Unsent::Unavailable(why.to_owned()));
        };
        (self.permitted)(&format!("{}:{}", smtp.host, smtp.port)).map_err(Unsent::Unavailable)?;
        let email = message.email(id).map_err(Unsent::Refused)?;
        let place = format!("mail server {}:{}", smtp.host, smtp.port);
        let sent = transport(smtp).map_err(Unsent::Unavailable)?.send(&email);
        sent.map(drop).map_err(|error| {
            let why = format!("{place}: {error}");
            if error.is_permanent() { Unsent::Refused(why) } else { Unsent::Unavailable(why) }
        })
    }
}

fn transport(smtp: &Smtp) -> Result<SmtpTransport, String> {
    let parameters = || TlsParameters::new(smtp.host.clone()).map_err(|error| format!("TLS to {}: {error}", smtp.host));
    let tls = match (smtp.tls, smtp.port, &smtp.user) {
        (SmtpTls::Off, ..) => Tls::None,
        (SmtpTls::Tls, ..) | (SmtpTls::Auto, 465, _) => Tls::Wrapper(parameters()?),
        (SmtpTls::StartTls, ..) | (SmtpTls::Auto, 587, _) | (SmtpTls::Auto, _, Some(_)) => Tls::Required(parameters()?),
        (SmtpTls::Auto, _, None) => Tls::Opportunistic(parameters()?),
    };
    let builder = SmtpTransport::builder_dangerous(&smtp.host).port(smtp.port).timeout(Some(SMTP_TIMEOUT)).tls(tls);
    let Some(user) = &smtp.user else { return Ok(builder.build()) };
    let Some(file) = &smtp.password_file else {
        return Err(format!("user `{user}` has no password: name its file with `smtp_password_file`"));
    };
    let failed = |why: String| format!("password of the mail server: `{}`: {why}", file.display());
    let bytes = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
    if bytes > PASSWORD_BYTES_MAX {
        return Err(failed(format!("it has {bytes} bytes, expected a line of at most {PASSWORD_BYTES_MAX}")));
    }
    let password = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    Ok(builder.credentials(Credentials::new(user.clone(), password.trim_end().to_owned())).build())
}
