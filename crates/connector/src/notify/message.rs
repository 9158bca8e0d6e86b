//! A message of a notification window, and as an e-mail.

use lettre::message::{Mailbox, MultiPart, SinglePart};
use mesh_event::{Block, Value};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in the window, from 1.
    pub number: i64,
    /// `email`, `sms`, `mms` or `webhook`.
    pub kind: String,
    /// Name of the channel.
    pub channel: String,
    /// Address of the sender.
    pub sender: String,
    /// Addresses with `,` or `;` between them, or the URL.
    pub recipients: String,
    /// Subject.
    pub subject: String,
    /// Whom it says it comes from.
    pub from: String,
    /// Whom it says it goes to.
    pub to: String,
    /// Kind (`text`, `html`, `image`), name, content of each part.
    pub parts: Vec<(String, String, String)>,
    /// Nobody is to send it.
    pub test: bool,
}

impl Message {
    /// The message in a row of a notification window; `None` for what is none.
    pub fn of(block: &Block, row: usize) -> Option<Message> {
        let value = |at: usize| block.columns.get(at).map(|column| column.value(row));
        let text = |at: usize| match value(at) {
            Some(Value::String(text)) => text.to_string(),
            _ => String::new(),
        };
        let (Some(Value::Int64(number)), Some(Value::Int32(test))) = (value(0), value(9)) else { return None };
        let parts: Vec<serde_json::Value> = serde_json::from_str(&text(8)).ok()?;
        let word = |part: &serde_json::Value, name: &str| part[name].as_str().unwrap_or_default().to_owned();
        let parts = parts.iter().map(|part| (word(part, "type"), word(part, "name"), word(part, "content"))).collect();
        Some(Message {
            number,
            channel: text(1),
            kind: text(2),
            sender: text(3),
            recipients: text(4),
            subject: text(5),
            from: text(6),
            to: text(7),
            parts,
            test: test != 0,
        })
    }

    /// As an e-mail. `id`: the same for the same message, whoever sends it.
    ///
    /// # Errors
    /// Which address is none.
    pub fn email(&self, id: &str) -> Result<lettre::Message, String> {
        let mailbox = |address: &str, name: &str| {
            let parsed: Mailbox = address.parse().map_err(|error| format!("address `{address}`: {error}"))?;
            // A name that is an address itself says nothing more.
            let named = !name.is_empty() && !name.contains('@') && parsed.name.is_none();
            Ok::<Mailbox, String>(if named { Mailbox::new(Some(name.to_owned()), parsed.email) } else { parsed })
        };
        let mut builder = lettre::Message::builder()
            .message_id(Some(format!("<{id}@esp-mesh>")))
            .from(mailbox(&self.sender, &self.from)?);
        let recipients: Vec<&str> =
            self.recipients.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()).collect();
        let name = if recipients.len() == 1 { self.to.as_str() } else { "" };
        for recipient in recipients {
            builder = builder.to(mailbox(recipient, name)?);
        }
        if !self.subject.is_empty() {
            builder = builder.subject(self.subject.replace(['\r', '\n'], " "));
        }
        let of_kind = |wanted: &str| {
            let parts = self.parts.iter().filter(|(kind, ..)| kind == wanted).map(|(_, _, content)| content.as_str());
            parts.collect::<Vec<_>>().join("\n")
        };
        // An image is named by a place that only its engine could read: the name goes out.
        let plain = [of_kind("text"), of_kind("image")].into_iter().filter(|part| !part.is_empty());
        let (plain, html) = (plain.collect::<Vec<_>>().join("\n"), of_kind("html"));
        let made = match (plain.is_empty(), html.is_empty()) {
            (_, true) => builder.singlepart(SinglePart::plain(plain)),
            (true, false) => builder.singlepart(SinglePart::html(html)),
            (false, false) => builder.multipart(MultiPart::alternative_plain_html(plain, html)),
        };
        made.map_err(|error| format!("message {}: {error}", self.number))
    }

    /// As the body of a request, with its type: the text of a single part, else all of the message as JSON.
    pub fn body(&self) -> (String, &'static str) {
        match &self.parts[..] {
            [(_, _, content)]
                if serde_json::from_str::<serde_json::Value>(content).is_ok_and(|json| !json.is_number()) =>
            {
                (content.clone(), "application/json")
            }
            [(kind, _, content)] if kind == "text" => (content.clone(), "text/plain; charset=utf-8"),
            [(kind, _, content)] if kind == "html" => (content.clone(), "text/html; charset=utf-8"),
            _ => {
                let part = |(kind, name, content): &(String, String, String)| serde_json::json!({ "type": kind, "name": name, "content": content });
                let all = serde_json::json!({
                    "message": self.number, "channel": self.channel, "sender": self.sender, "subject": self.subject,
                    "from": self.from, "to": self.to, "contents": self.parts.iter().map(part).collect::<Vec<_>>(),
                });
                (all.to_string(), "application/json")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(parts: &[(&str, &str)]) -> Message {
        let parts = parts.iter().map(|(kind, content)| ((*kind).to_owned(), "n".to_owned(), (*content).to_owned()));
        Message {
            number: 3,
            kind: "email".into(),
            channel: "loud".into(),
            sender: "mesh@x.org".into(),
            recipients: "a@x.org; b@x.org".into(),
            subject: "it is\nhot".into(),
            from: "The mesh".into(),
            to: "You".into(),
            parts: parts.collect(),
            test: false,
        }
    }

    #[test]
    fn an_email_has_what_the_message_says() {
        let email =
            message(&[("text", "39 degrees"), ("html", "<b>39</b>")]).email("t-3").expect("addresses are right");
        let text = String::from_utf8(email.formatted()).expect("it is text");
        for part in ["Message-ID: <t-3@esp-mesh>", "From: \"The mesh\" <mesh@x.org>", "a@x.org, b@x.org"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            text.contains("Subject: it is hot") && text.contains("39 degrees") && text.contains("<b>39</b>"),
            "{text}"
        );
        let wrong = Message { sender: "nobody".into(), ..message(&[]) };
        assert!(wrong.email("t-3").is_err_and(|error| error.contains("`nobody`")));
    }

    #[test]
    fn the_body_of_a_request_is_the_part_or_everything() {
        assert_eq!(message(&[("text", "{\"a\": 1}")]).body(), ("{\"a\": 1}".into(), "application/json"));
        assert_eq!(message(&[("text", "a 1")]).body(), ("a 1".into(), "text/plain; charset=utf-8"));
        let (all, kind) = message(&[("text", "a"), ("html", "b")]).body();
        assert_eq!(kind, "application/json");
        assert!(all.contains("\"message\":3") && all.contains("\"content\":\"b\""), "{all}");
    }
}
