//! Writing sections.

use std::io;

use xxhash_rust::xxh3::Xxh3;

use super::{FRAME, State};

/// Takes the values of a section. The first error of the stream is kept, and handed out at the end.
pub(crate) struct Writer<'a> {
    out: &'a mut dyn io::Write,
    frame: Vec<u8>,
    hash: Xxh3,
    result: io::Result<()>,
}

/// Writes one section; `content` puts its values.
pub(crate) fn write_section(
    out: &mut dyn io::Write,
    name: &str,
    kind: &str,
    version: u16,
    content: impl FnOnce(&mut Writer<'_>),
) -> io::Result<()> {
    for text in [name, kind] {
        out.write_all(&(text.len() as u32).to_le_bytes())?;
        out.write_all(text.as_bytes())?;
    }
    out.write_all(&version.to_le_bytes())?;
    let mut writer = Writer { out, frame: Vec::with_capacity(FRAME), hash: Xxh3::new(), result: Ok(()) };
    content(&mut writer);
    writer.flush();
    let Writer { out, hash, result, .. } = writer;
    result?;
    out.write_all(&0_u32.to_le_bytes())?;
    out.write_all(&hash.digest().to_le_bytes())
}

impl Writer<'_> {
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(FRAME - self.frame.len()));
            self.frame.extend_from_slice(now);
            bytes = later;
            if self.frame.len() == FRAME {
                self.flush();
            }
        }
    }

    pub(crate) fn put(&mut self, value: &impl State) {
        value.save(self);
    }

    pub(crate) fn length(&mut self, length: usize) {
        self.put(&(length as u64));
    }

    /// What is to be written cannot be: the section fails with this reason.
    pub(crate) fn refuse(&mut self, why: String) {
        if self.result.is_ok() {
            self.result = Err(io::Error::other(why));
        }
    }

    fn flush(&mut self) {
        if !self.frame.is_empty() && self.result.is_ok() {
            self.hash.update(&self.frame);
            let length = (self.frame.len() as u32).to_le_bytes();
            self.result = self.out.write_all(&length).and_then(|()| self.out.write_all(&self.frame));
        }
        self.frame.clear();
    }
}
