//! Reading sections.

use std::io;

use xxhash_rust::xxh3::Xxh3;

use super::{FRAME, MAX_NAME, RestoreError, State};

/// What stops the reading of a section's values.
#[derive(Debug)]
pub(crate) enum Damage {
    /// The stream failed.
    Io(io::Error),
    /// The values contradict themselves.
    Broken(&'static str),
}

/// Gives the values of a section.
pub(crate) struct Reader<'a> {
    from: &'a mut dyn io::Read,
    frame: Vec<u8>,
    at: usize,
    hash: Xxh3,
    ended: bool,
}

/// Elements for which room is made before any of them has come.
const TRUSTED: usize = 1024;

/// Reads one section, which must have this name, kind and version; `content` takes its values, all of them.
pub(crate) fn read_section<T>(
    from: &mut dyn io::Read,
    (position, name, kind, version): (usize, &str, &str, u16),
    content: impl FnOnce(&mut Reader<'_>) -> Result<T, Damage>,
) -> Result<T, RestoreError> {
    let (found_name, found_kind) = (header_text(from)?, header_text(from)?);
    let mut found_version = [0; 2];
    from.read_exact(&mut found_version)?;
    let found_version = u16::from_le_bytes(found_version);
    if (found_name.as_str(), found_kind.as_str(), found_version) != (name, kind, version) {
        let found = format!("`{found_name}` ({found_kind}, version {found_version})");
        return Err(RestoreError::Section {
            position,
            found,
            expected: format!("`{name}` ({kind}, version {version})"),
        });
    }
    let mut reader = Reader { from, frame: Vec::new(), at: 0, hash: Xxh3::new(), ended: false };
    let result = content(&mut reader).and_then(|value| reader.end().map(|()| value));
    result.map_err(|damage| match damage {
        Damage::Io(error) => RestoreError::Read(error),
        Damage::Broken(what) => RestoreError::Damaged { section: name.to_owned(), what },
    })
}

fn header_text(from: &mut dyn io::Read) -> Result<String, RestoreError> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    let damaged = |what| RestoreError::Damaged { section: "?".to_owned(), what };
    if length > MAX_NAME {
        return Err(damaged("the name in a section's header is too long"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| damaged("the name in a section's header is not UTF-8"))
}

impl Reader<'_> {
    pub(crate) fn get<T: State>(&mut self) -> Result<T, Damage> {
        T::load(self)
    }

    /// A value that the window knows already: what it is made for, not what happened to it.
    pub(crate) fn expect<T: State + PartialEq>(&mut self, expected: &T, what: &'static str) -> Result<(), Damage> {
        if self.get::<T>()? == *expected { Ok(()) } else { Err(Damage::Broken(what)) }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A number of elements, each of which takes at least a byte, and the capacity that may be made for them.
    pub(crate) fn length(&mut self) -> Result<(usize, usize), Damage> {
        let length = usize::try_from(self.get::<u64>()?).map_err(|_| Damage::Broken("a length beyond memory"))?;
        Ok((length, length.min(TRUSTED)))
    }

    /// The next `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<Vec<u8>, Damage> {
        let mut bytes = Vec::with_capacity(length.min(FRAME));
        while bytes.len() < length {
            self.more()?;
            let taken = (length - bytes.len()).min(self.frame.len() - self.at);
            bytes.extend_from_slice(&self.frame[self.at..self.at + taken]);
            self.at += taken;
        }
        Ok(bytes)
    }

    fn fill(&mut self, mut bytes: &mut [u8]) -> Result<(), Damage> {
        while !bytes.is_empty() {
            self.more()?;
            let taken = bytes.len().min(self.frame.len() - self.at);
            let (now, later) = bytes.split_at_mut(taken);
            now.copy_from_slice(&self.frame[self.at..self.at + taken]);
            self.at += taken;
            bytes = later;
        }
        Ok(())
    }

    /// Makes sure that the frame holds an unread byte.
    fn more(&mut self) -> Result<(), Damage> {
        if self.at < self.frame.len() {
            return Ok(());
        }
        if self.ended || !self.next_frame()? {
            return Err(Damage::Broken("it ends too early"));
        }
        Ok(())
    }

    fn next_frame(&mut self) -> Result<bool, Damage> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length).map_err(Damage::Io)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > FRAME {
            return Err(Damage::Broken("a frame is too long"));
        }
        self.frame.resize(length, 0);
        self.from.read_exact(&mut self.frame).map_err(Damage::Io)?;
        self.at = 0;
        self.hash.update(&self.frame);
        self.ended = length == 0;
        Ok(length > 0)
    }

    /// Checks that everything was read, and that it is what was written.
    fn end(&mut self) -> Result<(), Damage> {
        if self.at < self.frame.len() || !self.ended && self.next_frame()? {
            return Err(Damage::Broken("it holds more than was expected"));
        }
        let mut hash = [0; 8];
        self.from.read_exact(&mut hash).map_err(Damage::Io)?;
        if u64::from_le_bytes(hash) != self.hash.digest() {
            return Err(Damage::Broken("its hash is not that of its content"));
        }
        Ok(())
    }
}
