//! Users and groups of an image, by docker's rules.

use super::error::RunError;
use crate::fs::Root;

/// The greatest number of a user or group that docker takes.
const MAX_ID: u32 = i32::MAX as u32;
/// The most bytes of a passwd or group file that are read.
const MAX_FILE: usize = 16 << 20;

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups, the primary one among them.
    pub groups: Vec<u32>,
    /// Home directory from the passwd file; `/` where it says nothing.
    pub home: String,
}

impl Default for User {
    fn default() -> Self {
        Self { uid: 0, gid: 0, groups: vec![0], home: "/".into() }
    }
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct GroupEntry<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Looks up `name|uid[:group|gid]` in the passwd and group files of `root`; an empty text is user 0.
///
/// Numbers need no entry, names do. A numeric user without a group takes group and home of its entry, or group 0.
/// Without a group, all groups that list the user are supplementary; a named group is the only one.
///
/// # Errors
/// A name has no entry, a number is out of range, or a file can't be read.
pub fn lookup_user(root: &Root, text: &str) -> Result<User, RunError> {
    let (user, group) = text.split_once(':').map_or((text, ""), |(user, group)| (user, group));
    let (passwd, groups) = (read(root, "etc/passwd")?, read(root, "etc/group")?);
    resolve(&passwd, &groups, user, group)
}

/// Looks up groups by name or number, as `--group-add` does.
///
/// # Errors
/// A name has no entry, a number is out of range, or the file can't be read.
pub fn lookup_groups(root: &Root, names: &[String]) -> Result<Vec<u32>, RunError> {
    let groups = read(root, "etc/group")?;
    names.iter().map(|name| resolve_group(&groups, name)).collect()
}

fn resolve(passwd: &str, groups: &str, user: &str, group: &str) -> Result<User, RunError> {
    let number = number(user)?;
    let entry = passwd.lines().filter_map(passwd_entry).find(|entry| match (user, number) {
        ("", _) => entry.uid == 0,
        (_, Some(number)) => entry.uid == number,
        _ => entry.name == user,
    });
    let (uid, mut gid, home) = match (&entry, number) {
        (Some(entry), _) => (entry.uid, entry.gid, entry.home),
        (None, Some(number)) => (number, 0, "/"),
        (None, None) if user.is_empty() => (0, 0, "/"),
        (None, None) => return Err(RunError::NoUser(user.to_owned())),
    };
    let mut all = Vec::new();
    if !group.is_empty() {
        gid = resolve_group(groups, group)?;
    } else if let Some(entry) = &entry {
        let listed = |g: &GroupEntry<'_>| g.members.split(',').any(|member| member == entry.name);
        all.extend(groups.lines().filter_map(group_entry).filter(listed).map(|g| g.gid));
    }
    if !all.contains(&gid) {
        all.insert(0, gid);
    }
    let home = if home.is_empty() { "/" } else { home };
    Ok(User { uid, gid, groups: all, home: home.to_owned() })
}

fn resolve_group(groups: &str, text: &str) -> Result<u32, RunError> {
    let number = number(text)?;
    let entry = groups.lines().filter_map(group_entry).find(|entry| match number {
        Some(number) => entry.gid == number,
        None => entry.name == text,
    });
    entry.map(|e| e.gid).or(number).ok_or_else(|| RunError::NoGroup(text.to_owned()))
}

/// Returns the number that `text` is; none when it is a name.
fn number(text: &str) -> Result<Option<u32>, RunError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(number) if number <= MAX_ID => Ok(Some(number)),
        _ => Err(RunError::IdRange),
    }
}

fn passwd_entry(line: &str) -> Option<PasswdEntry<'_>> {
    let mut fields = line.trim().split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let home = fields.nth(1).unwrap_or("");
    (uid <= MAX_ID && gid <= MAX_ID && !name.starts_with('#')).then_some(PasswdEntry { name, uid, gid, home })
}

fn group_entry(line: &str) -> Option<GroupEntry<'_>> {
    let mut fields = line.trim().split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    let gid = fields.next()?.parse().ok()?;
    let members = fields.next().unwrap_or("");
    (gid <= MAX_ID && !name.starts_with('#')).then_some(GroupEntry { name, gid, members })
}

fn read(root: &Root, path: &str) -> Result<String, RunError> {
    match root.read(path, MAX_FILE) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.is_not_found() || error.kind() == std::io::ErrorKind::NotADirectory => {
            Ok(String::new())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# a comment\nbroken line\n\
        daemon:x:1:1::/usr/sbin:/bin/false\nanna:x:1000:100:Anna:/home/anna:/bin/sh\n12:x:55:56::/twelve:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,anna\nusers:x:100:\naudio:x:29:anna\nstaff:x:50:daemon\n";

    #[test]
    fn users_by_name_and_number() {
        for (text, expected) in [
            ("", "0 0 [0, 10] /root"),
            ("root", "0 0 [0, 10] /root"),
            ("0", "0 0 [0, 10] /root"),
            ("anna", "1000 100 [100, 10, 29] /home/anna"),
            ("1000", "1000 100 [100, 10, 29] /home/anna"),
            ("anna:audio", "1000 29 [29] /home/anna"),
            ("anna:7", "1000 7 [7] /home/anna"),
            ("4711", "4711 0 [0] /"),
            ("4711:4712", "4711 4712 [4712] /"),
            ("4711:staff", "4711 50 [50] /"),
            ("12", "12 0 [0] /"),
            ("nobody", "unable to find user nobody: no matching entries in passwd file"),
            ("root:nogroup", "unable to find group nogroup: no matching entries in group file"),
            ("-1", "uids and gids must be in range 0-2147483647"),
            ("2147483648", "uids and gids must be in range 0-2147483647"),
            ("0:99999999999", "uids and gids must be in range 0-2147483647"),
        ] {
            let (user, group) = text.split_once(':').unwrap_or((text, ""));
            let found = match resolve(PASSWD, GROUP, user, group) {
                Ok(u) => format!("{} {} {:?} {}", u.uid, u.gid, u.groups, u.home),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn without_files_only_numbers_are_known() {
        let user = resolve("", "", "", "").expect("root needs no entry");
        assert_eq!(user, User::default());
        assert!(resolve("", "", "root", "").is_err());
        assert_eq!(resolve("", "", "5", "6").expect("numbers need no entry").gid, 6);
    }

    #[test]
    fn a_passwd_file_outside_the_root_is_not_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = Root::open(dir.path()).expect("it opens");
        root.create_dir("etc", 0o755).expect("made");
        root.symlink("/../../../etc/passwd", "etc/passwd").expect("made");
        assert!(lookup_user(&root, "root").is_err());
    }
}
