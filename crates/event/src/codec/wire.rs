//! The few rules of protobuf's wire format: tags, varints, zigzag, length-delimited fields; written for speed.
//!
//! A varint of up to eight bytes is spread or gathered in three shift-and-mask steps instead of byte by byte.

use super::BlockError;

/// Wire type of varints.
pub(super) const VARINT: u8 = 0;
/// Wire type of eight little endian bytes.
pub(super) const FIXED64: u8 = 1;
/// Wire type of a length and as many bytes.
pub(super) const BYTES: u8 = 2;
/// Wire type of four little endian bytes.
const FIXED32: u8 = 5;

const CONTINUE: u64 = 0x8080_8080_8080_8080;

/// Maps small numbers of either sign to small unsigned numbers.
#[inline]
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`zigzag`].
#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Bytes a varint of this value takes.
#[inline]
pub(super) fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Appends one varint.
#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field's tag.
#[inline]
pub(super) fn put_tag(out: &mut Vec<u8>, field: u32, wire_type: u8) {
    put_varint(out, u64::from(field << 3) | u64::from(wire_type));
}

/// Appends a varint field unless it has the default value, which protobuf leaves out.
pub(super) fn put_varint_field(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        put_tag(out, field, VARINT);
        put_varint(out, value);
    }
}

/// Appends a field of bytes unless it is empty.
pub(super) fn put_bytes_field(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_tag(out, field, BYTES);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

/// Length of a field of bytes as [`put_bytes_field`] writes it, for field numbers below 16.
pub(super) fn bytes_field_len(len: usize) -> usize {
    if len == 0 { 0 } else { 1 + varint_len(len as u64) + len }
}

/// Writes packed varints into `scratch`, which grows as needed and keeps its size; returns how many bytes they took.
#[inline]
pub(super) fn pack_varints(scratch: &mut Vec<u8>, count: usize, values: impl Iterator<Item = u64>) -> usize {
    const LONGEST: usize = 10;
    if scratch.len() < count * LONGEST {
        scratch.resize(count * LONGEST, 0);
    }
    let buffer = scratch.as_mut_slice();
    let mut at = 0;
    for value in values {
        if value < 0x80 {
            buffer[at] = value as u8;
            at += 1;
        } else if value < 1 << 56 {
            let len = varint_len(value);
            let word = spread(value) | (CONTINUE & ((1 << (8 * (len - 1))) - 1));
            buffer[at..at + 8].copy_from_slice(&word.to_le_bytes());
            at += len;
        } else {
            let mut rest = value;
            while rest >= 0x80 {
                buffer[at] = rest as u8 | 0x80;
                at += 1;
                rest >>= 7;
            }
            buffer[at] = rest as u8;
            at += 1;
        }
    }
    at
}

/// Puts each group of seven bits of a 56-bit number into a byte of its own.
#[inline]
fn spread(value: u64) -> u64 {
    let value = (value & 0x0fff_ffff) | ((value & 0x00ff_ffff_f000_0000) << 4);
    let value = (value & 0x0000_3fff_0000_3fff) | ((value & 0x0fff_c000_0fff_c000) << 2);
    (value & 0x007f_007f_007f_007f) | ((value & 0x3f80_3f80_3f80_3f80) << 1)
}

/// Undoes [`spread`]; the top bit of each byte must be clear.
#[inline]
fn gather(word: u64) -> u64 {
    let word = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x3fff_0000_3fff_0000) >> 2);
    (word & 0x0fff_ffff) | ((word & 0x0fff_ffff_0000_0000) >> 4)
}

/// Reads one varint at `at` and moves past it; `None` when it is cut off or longer than ten bytes.
#[inline]
pub(super) fn take_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(u64::from(first));
    }
    if let Some(word) = bytes.get(*at..*at + 8) {
        let word = u64::from_le_bytes(word.try_into().expect("a range of eight bytes"));
        let ends = !word & CONTINUE;
        if ends != 0 {
            // all bits up to and including the first clear continuation bit, without the continuation bits
            let kept = word & (ends ^ (ends - 1)) & !CONTINUE;
            *at += ends.trailing_zeros() as usize / 8 + 1;
            return Some(gather(kept));
        }
    }
    take_long_varint(bytes, at)
}

#[cold]
fn take_long_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        // the tenth byte has room for one bit; more is not a 64-bit number
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// One field of a message, with where its bytes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawField {
    /// Field number.
    pub number: u32,
    /// Wire type.
    pub wire_type: u8,
    /// The number of a varint or fixed field.
    pub value: u64,
    /// Range of a length-delimited field's bytes, within the whole payload.
    pub start: usize,
    /// End of that range.
    pub end: usize,
}

/// Walks through the fields of one message that lies in `bytes[at..end]`.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// Fields of the message in `payload[start..end]`; `what` names the message in errors.
    pub(super) fn new(payload: &'a [u8], start: usize, end: usize, what: &'static str) -> Fields<'a> {
        Fields { bytes: &payload[..end], at: start, what }
    }

    /// The next field; `None` at the end of the message. Inlined wherever it is called: a block of one event is little
    /// but fields.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<RawField>, BlockError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let Some(tag) = take_varint(self.bytes, &mut self.at) else { return Err(self.cut("a field's tag")) };
        let number = tag >> 3;
        if number == 0 || number > u64::from(u32::MAX) {
            return Err(self.bad_tag(tag));
        }
        let mut field =
            RawField { number: number as u32, wire_type: (tag & 7) as u8, value: 0, start: self.at, end: self.at };
        match field.wire_type {
            BYTES => {
                let Some(len) = take_varint(self.bytes, &mut self.at) else { return Err(self.cut("a length")) };
                let left = self.bytes.len() - self.at;
                if len > left as u64 {
                    return Err(self.too_long(len));
                }
                field.start = self.at;
                field.end = self.at + len as usize;
                self.at = field.end;
            }
            VARINT => match take_varint(self.bytes, &mut self.at) {
                Some(value) => field.value = value,
                None => return Err(self.cut("a varint")),
            },
            FIXED64 => {
                let Some(raw) = self.bytes.get(self.at..self.at + 8) else { return Err(self.cut("eight bytes")) };
                field.value = u64::from_le_bytes(raw.try_into().expect("a range of eight bytes"));
                self.at += 8;
            }
            FIXED32 => {
                let Some(raw) = self.bytes.get(self.at..self.at + 4) else { return Err(self.cut("four bytes")) };
                field.value = u64::from(u32::from_le_bytes(raw.try_into().expect("a range of four bytes")));
                self.at += 4;
            }
            _ => return Err(self.bad_tag(tag)),
        }
        Ok(Some(field))
    }

    #[cold]
    #[inline(never)]
    fn cut(&self, wanted: &'static str) -> BlockError {
        BlockError::Truncated { what: self.what, wanted, offset: self.at }
    }

    #[cold]
    #[inline(never)]
    fn bad_tag(&self, found: u64) -> BlockError {
        BlockError::Tag { what: self.what, offset: self.at, found }
    }

    #[cold]
    #[inline(never)]
    fn too_long(&self, found: u64) -> BlockError {
        let left = self.bytes.len() - self.at;
        BlockError::Length { what: self.what, offset: self.at, found, left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn varints_at_every_length_boundary() {
        for bits in 0..64 {
            for value in [1_u64 << bits, (1_u64 << bits).wrapping_sub(1), u64::MAX >> bits] {
                let mut plain = Vec::new();
                put_varint(&mut plain, value);
                assert_eq!(plain.len(), varint_len(value), "{value}");
                let mut scratch = Vec::new();
                let len = pack_varints(&mut scratch, 1, std::iter::once(value));
                assert_eq!(&scratch[..len], &plain[..], "{value}");
                for tail in [0, 9] {
                    let mut bytes = plain.clone();
                    bytes.resize(plain.len() + tail, 0xff);
                    let mut at = 0;
                    assert_eq!(take_varint(&bytes, &mut at), Some(value));
                    assert_eq!(at, plain.len());
                }
                let mut at = 0;
                assert_eq!(take_varint(&plain[..plain.len() - 1], &mut at), None);
            }
        }
    }

    #[test]
    fn a_varint_beyond_64_bits_is_refused() {
        let mut at = 0;
        assert_eq!(take_varint(&[0xff; 11], &mut at), None);
        at = 0;
        assert_eq!(take_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &mut at), None);
    }

    proptest! {
        #[test]
        fn zigzag_roundtrip(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }

        #[test]
        fn packed_numbers_come_back(values: Vec<u64>) {
            let mut scratch = vec![0xff; 3];
            let len = pack_varints(&mut scratch, values.len(), values.iter().copied());
            let mut at = 0;
            for value in values {
                prop_assert_eq!(take_varint(&scratch[..len], &mut at), Some(value));
            }
            prop_assert_eq!(at, len);
        }
    }
}
