//! Strings, numbers and integers as ssh writes them (RFC 4251, section 5).

use super::KeyError;

/// Reads one field after another.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], KeyError> {
        if count > self.0.len() {
            return Err(KeyError::Damaged);
        }
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn number(&mut self) -> Result<u32, KeyError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes(bytes.try_into().map_err(|_| KeyError::Damaged)?))
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], KeyError> {
        let length = usize::try_from(self.number()?).map_err(|_| KeyError::Damaged)?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, KeyError> {
        std::str::from_utf8(self.string()?).map_err(|_| KeyError::Damaged)
    }

    /// An unsigned integer, without the zero that keeps it positive.
    pub(super) fn integer(&mut self) -> Result<&'a [u8], KeyError> {
        let bytes = self.string()?;
        Ok(&bytes[bytes.iter().take_while(|b| **b == 0).count()..])
    }
}

/// Appends a string.
pub(super) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends an unsigned integer.
pub(super) fn put_integer(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
    match bytes.first() {
        Some(first) if *first >= 0x80 => put_string(out, &[&[0], bytes].concat()),
        _ => put_string(out, bytes),
    }
}
