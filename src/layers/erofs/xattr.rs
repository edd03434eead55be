//! Extended attributes in the form that follows an inode.

use super::IndexError;

/// The name spaces that EROFS numbers; the first that a name starts with is its own.
const PREFIXES: [(&[u8], u8); 5] = [
    (b"user.", 1),
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"trusted.", 4),
    (b"security.", 6),
];

/// Attributes that mean something to overlayfs; only this program may make them.
const OVERLAY: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// The number of bytes before the first attribute.
pub(super) const HEADER: usize = 12;

/// The most bytes of attributes that an inode's 16-bit count of 4-byte units can tell.
const MAX_TOTAL: usize = (u16::MAX as usize - 1) * 4;

/// Returns the encoded attributes of an entry, without the header, sorted as given.
pub(super) fn encode(path: &[u8], xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result<Box<[u8]>, IndexError> {
    let mut encoded = Vec::new();
    for (name, value) in xattrs {
        if OVERLAY.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let (index, suffix) =
            split(name).ok_or_else(|| IndexError::entry(path, "an extended attribute of an unknown kind"))?;
        if suffix.len() > 255 || value.len() > usize::from(u16::MAX) {
            return Err(IndexError::entry(path, "an extended attribute is too large"));
        }
        push(&mut encoded, index, suffix, value);
    }
    if encoded.len() + opaque().len() > MAX_TOTAL {
        return Err(IndexError::entry(path, "its extended attributes are too large together"));
    }
    Ok(encoded.into_boxed_slice())
}

/// Returns the mark of an opaque directory, encoded.
pub(super) fn opaque() -> Vec<u8> {
    let mut encoded = Vec::new();
    push(&mut encoded, 4, b"overlay.opaque", b"y");
    encoded
}

fn split(name: &[u8]) -> Option<(u8, &[u8])> {
    let (prefix, index) = PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix))?;
    let suffix = &name[prefix.len()..];
    // A name space with a dot wants a name in it, an access control list is the whole name.
    (suffix.is_empty() != prefix.ends_with(b".") && !suffix.contains(&0)).then_some((*index, suffix))
}

fn push(encoded: &mut Vec<u8>, index: u8, suffix: &[u8], value: &[u8]) {
    encoded.extend([suffix.len() as u8, index]);
    encoded.extend((value.len() as u16).to_le_bytes());
    encoded.extend(suffix);
    encoded.extend(value);
    encoded.resize(encoded.len().next_multiple_of(4), 0);
}
