//! `--chown`: numbers, or names as the destination's own passwd and group files have them.

use std::io::Read;

use super::error::CopyError;
use crate::builder::context::{Tree, resolve};

/// Most bytes of a passwd or group file that are read.
const LIMIT: u64 = 16 << 20;

/// Who owns what is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// Reads `USER[:GROUP]`.
    ///
    /// A number alone is the group too; a name alone brings its primary group; a user's name that
    /// the destination does not know (or that nothing could look up, without `parent`) is 0, as in
    /// BuildKit. An unknown group leaves the group as the user gave it; an empty part is 0.
    pub fn look_up(text: &str, parent: Option<&dyn Tree>) -> Result<Self, CopyError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let mut owner = match number(user)? {
            Some(uid) => Self { uid, gid: uid },
            None => find(parent, b"etc/passwd", user, |fields| {
                Some(Self { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
            })?
            .unwrap_or(Self { uid: 0, gid: 0 }),
        };
        if let Some(group) = group {
            let gid = match number(group)? {
                Some(gid) => Some(gid),
                None => find(parent, b"etc/group", group, |fields| fields.get(2)?.parse().ok())?,
            };
            owner.gid = gid.unwrap_or(owner.gid);
        }
        Ok(owner)
    }
}

/// Returns a number if the text is one; ids that no file system has are refused.
fn number(text: &str) -> Result<Option<u32>, CopyError> {
    if text.is_empty() {
        return Ok(Some(0));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id < u32::MAX => Ok(Some(id)),
        _ => Err(CopyError::Owner(text.to_owned())),
    }
}

/// Finds the line of a colon-separated file that begins with `name`.
fn find<T>(
    parent: Option<&dyn Tree>,
    path: &[u8],
    name: &str,
    read: impl Fn(&[&str]) -> Option<T>,
) -> Result<Option<T>, CopyError> {
    let Some(parent) = parent else { return Ok(None) };
    let (path, Some(node)) = resolve(parent, path, true)? else { return Ok(None) };
    if node.kind != crate::builder::context::FileKind::File {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read_all = parent.open(&path, &node)?.take(LIMIT).read_to_end(&mut bytes);
    read_all.map_err(|source| CopyError::Read { path: crate::paths::show(&path), source })?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let fields = lines.map(|line| line.split(':').collect::<Vec<_>>());
    Ok(fields.filter(|fields| fields[0] == name).find_map(|fields| read(&fields)))
}
