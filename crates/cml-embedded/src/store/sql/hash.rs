//! Content hashes: bytes in the database, hexadecimal text elsewhere.

/// Bytes of a SHA-256.
pub(in crate::store) const LENGTH: usize = 32;

/// A SHA-256 in lower-case hexadecimal text as bytes; `None` for any other text.
pub(in crate::store) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != LENGTH || !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Bytes as lower-case hexadecimal text.
pub(in crate::store) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_comes_back_and_nothing_else_is_one() {
        let text = "00ff10ab".repeat(8);
        assert_eq!(from_hex(&text).as_deref().map(to_hex), Some(text.clone()));
        for other in ["", "no hash", &text.to_uppercase(), &text[2..]] {
            assert_eq!(from_hex(other), None, "{other}");
        }
    }
}
