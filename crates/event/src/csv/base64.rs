//! Blobs in text: base64 with the standard alphabet and padding.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the text of these bytes.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let letter = ALPHABET[(group >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { letter } else { b'=' });
        }
    }
}

/// Appends the bytes of this text; false when it is not base64. Padding may be missing.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    let text = match text {
        [text @ .., b'=', b'='] | [text @ .., b'='] if text.len() % 4 != 0 => text,
        _ => text,
    };
    for chunk in text.chunks(4) {
        let mut group = 0_u32;
        for &letter in chunk {
            let Some(value) = value(letter) else { return false };
            group = group << 6 | value;
        }
        if chunk.len() == 1 {
            return false;
        }
        group <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&group.to_be_bytes()[1..chunk.len()]);
    }
    true
}

fn value(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_pairs_and_refusals() {
        for (bytes, shown) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(text(bytes.as_bytes()), shown);
        }
        for bad in ["Z", "Zg=", "Z===", "====", "Zm9v=", "Zm 9"] {
            let ok = decode(bad.as_bytes(), &mut Vec::new());
            assert_eq!(ok, bad == "Zg=", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>) {
            let mut out = Vec::new();
            prop_assert!(decode(text(&bytes).as_bytes(), &mut out));
            prop_assert_eq!(out, bytes);
        }
    }
}
