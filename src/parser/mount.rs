//! `RUN --mount=key=value,…`

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::{all_consuming, cut};
use nom::multi::{fold_many0, separated_list0};
use nom::sequence::delimited;
use nom::{IResult, Parser};

use super::duration::parse_size;
use super::error::{ParseError, Problem};
use super::flags::Hinted;
use super::instruction::{Mount, MountFlag, MountKind, Sharing};
use super::source::Span;
use super::suggest::suggest;
use super::words::WordError;

const TYPES: [(&str, MountKind); 5] = [
    ("bind", MountKind::Bind),
    ("cache", MountKind::Cache),
    ("secret", MountKind::Secret),
    ("ssh", MountKind::Ssh),
    ("tmpfs", MountKind::Tmpfs),
];

const SHARING: [(&str, Sharing); 3] =
    [("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

impl MountKind {
    /// Returns the name of the type.
    pub fn name(self) -> &'static str {
        TYPES.into_iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl MountFlag {
    /// Takes a flag's value. Only its form and `from` are checked, as the rest may hold variables.
    ///
    /// # Errors
    /// It is no line of CSV, or `from` is a variable.
    pub fn new(text: String) -> Result<Self, Problem> {
        let mut from = None;
        for field in fields(&text)? {
            if let Some((key, value)) = field.split_once('=')
                && key.eq_ignore_ascii_case("from")
            {
                if is_variable(value) {
                    return Err(Problem::MountVariableFrom);
                }
                from = Some(value.to_owned()).filter(|from| !from.is_empty());
            }
        }
        Ok(Self { text, from })
    }

    /// Reads the mount, each value run through `expand` first.
    ///
    /// # Errors
    /// Fails on keys, values and combinations that docker refuses, in its words, at `span`.
    pub fn resolve(
        &self,
        span: Span,
        expand: &mut dyn FnMut(&str) -> Result<String, WordError>,
    ) -> Result<Mount, ParseError> {
        self.read(expand).map_err(|(problem, hint)| ParseError { hint, ..ParseError::new(problem, span) })
    }

    fn read(&self, expand: &mut dyn FnMut(&str) -> Result<String, WordError>) -> Result<Mount, Hinted> {
        let mut mount = empty();
        for field in fields(&self.text).map_err(plain)? {
            match field.split_once('=') {
                None => switch(&mut mount, &field)?,
                Some((key, value)) => {
                    let value = expand(value)
                        .map_err(|source| plain(Problem::Word { word: value.to_owned(), source }))?;
                    set(&mut mount, &key.to_lowercase(), value, &field)?;
                }
            }
        }
        check(&mount).map_err(plain)?;
        Ok(mount)
    }
}

/// Whether a value refers to a variable.
pub(super) fn is_variable(value: &str) -> bool {
    value.find('$').is_some_and(|at| at + 1 < value.len())
}

fn plain(problem: Problem) -> Hinted {
    (problem, None)
}

fn empty() -> Mount {
    Mount {
        kind: MountKind::Bind,
        from: None,
        source: None,
        target: None,
        read_only: None,
        id: None,
        sharing: None,
        mode: None,
        uid: None,
        gid: None,
        size: None,
        required: false,
        env: None,
    }
}

/// A key without value.
fn switch(mount: &mut Mount, field: &str) -> Result<(), Hinted> {
    let key = field.to_lowercase();
    match key.as_str() {
        "readonly" | "ro" => mount.read_only = Some(true),
        "readwrite" | "rw" => mount.read_only = Some(false),
        "required" => required(mount, &key, true)?,
        _ if KEYS.contains(&key.as_str()) => return Err(plain(Problem::MountField { field: field.into() })),
        _ => {
            let hint = suggest(&key, KEYS, true);
            return Err((Problem::MountField { field: field.into() }, hint));
        }
    }
    Ok(())
}

fn required(mount: &mut Mount, key: &str, value: bool) -> Result<(), Hinted> {
    only_for(mount, key, &[MountKind::Secret, MountKind::Ssh])?;
    mount.required = value;
    Ok(())
}

fn only_for(mount: &Mount, key: &str, kinds: &[MountKind]) -> Result<(), Hinted> {
    if kinds.contains(&mount.kind) {
        return Ok(());
    }
    Err(plain(Problem::MountKeyForType { key: key.into(), kind: mount.kind.name() }))
}

/// A key with its expanded value.
fn set(mount: &mut Mount, key: &str, value: String, field: &str) -> Result<(), Hinted> {
    match key {
        "type" => mount.kind = one_of(&TYPES, value, |value| Problem::MountType { value })?,
        "sharing" => {
            mount.sharing = Some(one_of(&SHARING, value, |value| Problem::MountSharing { value })?);
        }
        "from" => mount.from = filled(value),
        "source" | "src" => mount.source = filled(value),
        "target" | "dst" | "destination" => mount.target = filled(value),
        "id" => mount.id = filled(value),
        "env" => mount.env = filled(value),
        "readonly" | "ro" => mount.read_only = Some(boolean(key, value)?),
        "readwrite" | "rw" => mount.read_only = Some(!boolean(key, value)?),
        "required" => {
            only_for(mount, key, &[MountKind::Secret, MountKind::Ssh])?;
            mount.required = boolean(key, value)?;
        }
        "size" => {
            only_for(mount, key, &[MountKind::Tmpfs])?;
            let size = parse_size(&value);
            mount.size = Some(size.ok_or_else(|| plain(Problem::MountValue { key: key.into(), value }))?);
        }
        "mode" => mount.mode = Some(number("mode", value, 8)?),
        "uid" => mount.uid = Some(number("uid", value, 10)?),
        "gid" => mount.gid = Some(number("gid", value, 10)?),
        _ => {
            let hint = suggest(key, KEYS, true);
            return Err((Problem::MountKey { key: key.into(), field: field.into() }, hint));
        }
    }
    Ok(())
}

fn filled(value: String) -> Option<String> {
    Some(value).filter(|value| !value.is_empty())
}

fn one_of<T: Copy>(
    known: &[(&'static str, T)],
    value: String,
    problem: impl Fn(String) -> Problem,
) -> Result<T, Hinted> {
    match known.iter().find(|(name, _)| name.eq_ignore_ascii_case(&value)) {
        Some((_, found)) => Ok(*found),
        None => {
            let hint = suggest(&value, known.iter().map(|(name, _)| *name), true);
            Err((problem(value), hint))
        }
    }
}

/// A boolean as Go reads one.
fn boolean(key: &str, value: String) -> Result<bool, Hinted> {
    match value.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(plain(Problem::MountValue { key: key.into(), value })),
    }
}

fn number(key: &'static str, value: String, radix: u32) -> Result<u32, Hinted> {
    let digits = value.starts_with(|c: char| c.is_ascii_digit());
    let parsed = if digits { u32::from_str_radix(&value, radix).ok() } else { None };
    parsed.ok_or_else(|| plain(Problem::MountNumber { key, value }))
}

/// Combinations that no type allows.
fn check(mount: &Mount) -> Result<(), Problem> {
    let kind = mount.kind.name();
    if matches!(mount.kind, MountKind::Bind | MountKind::Tmpfs) {
        for (key, given) in [("mode", mount.mode), ("uid", mount.uid), ("gid", mount.gid)] {
            if given.is_some() {
                return Err(Problem::MountOwner { key, kind });
            }
        }
    }
    if mount.kind == MountKind::Secret {
        check_secret(mount)?;
    } else if mount.env.is_some() {
        return Err(Problem::MountKeyForType { key: "env".into(), kind });
    }
    if mount.sharing.is_some() && mount.kind != MountKind::Cache {
        return Err(Problem::SharingForType { kind });
    }
    Ok(())
}

fn check_secret(mount: &Mount) -> Result<(), Problem> {
    if mount.from.is_some() {
        return Err(Problem::SecretFrom);
    }
    if mount.sharing.is_some() {
        return Err(Problem::SecretSharing);
    }
    if mount.source.is_none() && mount.target.is_none() && mount.id.is_none() {
        return Err(Problem::SecretUnnamed);
    }
    if mount.source.is_some() && mount.id.is_some() {
        return Err(Problem::SecretTwoNames);
    }
    Ok(())
}

/// Splits one line of CSV.
fn fields(text: &str) -> Result<Vec<String>, Problem> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    match all_consuming(separated_list0(char(','), field)).parse(text) {
        Ok((_, fields)) => Ok(fields),
        Err(nom::Err::Failure(_)) => {
            Err(Problem::MountCsv { reason: "extraneous or missing \" in quoted-field" })
        }
        Err(_) => Err(Problem::MountCsv { reason: "bare \" in non-quoted-field" }),
    }
}

fn field(input: &str) -> IResult<&str, String> {
    let piece = alt((take_while1(|c| c != '"'), tag("\"\"").map(|_| "\"")));
    let text = fold_many0(piece, String::new, |text, piece| text + piece);
    let quoted = delimited(char('"'), text, cut((char('"'), field_end)));
    let bare = (take_while(|c| c != ',' && c != '"'), field_end);
    alt((quoted, bare.map(|(text, ()): (&str, ())| text.to_owned()))).parse(input)
}

/// A comma ahead, or the end.
fn field_end(input: &str) -> IResult<&str, ()> {
    if input.is_empty() || input.starts_with(',') {
        return Ok((input, ()));
    }
    Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Eof)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::words::expand;

    fn resolve(text: &str) -> Result<Mount, String> {
        let env = |name: &str| (name == "UID").then(|| "1000".to_owned());
        let flag = MountFlag::new(text.into()).map_err(|e| e.to_string())?;
        flag.resolve(Span::line(1), &mut |word| Ok(expand(word, '\\', &env)?.value))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn reads_mounts() {
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("", empty()),
            ("type=bind,TARGET=/a,RO", Mount { target: some("/a"), read_only: Some(true), ..empty() }),
            (
                "src=a,dst=/b,rw",
                Mount { source: some("a"), target: some("/b"), read_only: Some(false), ..empty() },
            ),
            ("ro=false,destination=/b", Mount { target: some("/b"), read_only: Some(false), ..empty() }),
            ("from=s,\"source=a,b\"", Mount { from: some("s"), source: some("a,b"), ..empty() }),
            (
                "type=cache,id=x,sharing=Locked,mode=0755,uid=$UID,gid=${GID:-5}",
                Mount {
                    kind: MountKind::Cache,
                    id: some("x"),
                    sharing: Some(Sharing::Locked),
                    mode: Some(0o755),
                    uid: Some(1000),
                    gid: Some(5),
                    ..empty()
                },
            ),
            ("type=tmpfs,size=64m", Mount { kind: MountKind::Tmpfs, size: Some(64 << 20), ..empty() }),
            (
                "env=A,type=secret,id=x,required",
                Mount { kind: MountKind::Secret, id: some("x"), env: some("A"), required: true, ..empty() },
            ),
            ("type=ssh,required=1", Mount { kind: MountKind::Ssh, required: true, ..empty() }),
        ] {
            assert_eq!(resolve(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_mounts() {
        for (text, expected) in [
            ("type=bnd", "unsupported mount type \"bnd\" (did you mean bind?)"),
            ("taget=/a", "unexpected key 'taget' in 'taget=/a' (did you mean target?)"),
            ("nonsense=/a", "unexpected key 'nonsense' in 'nonsense=/a'"),
            ("target", "invalid field 'target' must be a key=value pair"),
            ("requird", "invalid field 'requird' must be a key=value pair (did you mean required?)"),
            ("required,type=secret", "unexpected key 'required' for mount type 'bind'"),
            ("type=cache,size=1", "unexpected key 'size' for mount type 'cache'"),
            ("type=tmpfs,size=x", "invalid value for size: x"),
            ("ro=maybe", "invalid value for ro: maybe"),
            ("type=cache,sharing=lockd", "unsupported sharing value \"lockd\" (did you mean locked?)"),
            ("type=cache,mode=9", "invalid value 9 for mode"),
            ("type=cache,uid=-1", "invalid value -1 for uid"),
            ("type=cache,gid=+1", "invalid value +1 for gid"),
            ("mode=0755", "mode not allowed for \"bind\" type mounts"),
            ("type=tmpfs,uid=1", "uid not allowed for \"tmpfs\" type mounts"),
            ("from=$x", "'from' doesn't support variable expansion, define alias stage instead"),
            ("type=secret", "invalid secret mount. one of source, target required"),
            ("type=secret,id=a,from=b", "secret mount should not have a from"),
            ("type=secret,id=a,sharing=shared", "secret mount should not define sharing"),
            ("type=secret,id=a,source=b", "both source and id can't be set"),
            ("sharing=shared", "invalid cache sharing set for bind mount"),
            ("env=x", "unexpected key 'env' for mount type 'bind'"),
            ("a\"b", "failed to parse csv mounts: bare \" in non-quoted-field"),
            ("\"a", "failed to parse csv mounts: extraneous or missing \" in quoted-field"),
            ("\"a\"b", "failed to parse csv mounts: extraneous or missing \" in quoted-field"),
            ("target=${x", "failed to process \"${x\""),
        ] {
            assert_eq!(resolve(text), Err(expected.to_owned()), "{text}");
        }
    }

    /// A CSV field, quoted where it must be.
    fn field(key: &str, value: &str) -> String {
        let field = format!("{key}={value}");
        if field.contains([',', '"', ' ', '\n']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field
        }
    }

    proptest::proptest! {
        /// What a key is given, the mount has, in any order and with any spelling of the key.
        #[test]
        fn values_come_back_in_any_order(
            source in "[a-z/, ._é-]{1,12}",
            target in "/[a-z/, ._é-]{0,12}",
            id in "[a-zA-Z0-9, ]{1,8}",
            uid in 0u32..70_000,
            mode in 0u32..0o10000,
            sharing in 0usize..3,
            turn in 0usize..7,
            upper: bool,
        ) {
            let names = ["shared", "private", "locked"];
            let mut fields = [
                field("type", "cache"),
                field(if upper { "SRC" } else { "source" }, &source),
                field(if upper { "Dst" } else { "target" }, &target),
                field("id", &id),
                field("uid", &uid.to_string()),
                field("mode", &format!("{mode:04o}")),
                field("sharing", names[sharing]),
            ];
            fields.rotate_left(turn);
            let text = fields.join(",");
            let mount = resolve(&text);
            proptest::prop_assert!(mount.is_ok(), "{}: {:?}", text, mount);
            let mount = mount.unwrap();
            proptest::prop_assert_eq!(mount.kind, MountKind::Cache);
            proptest::prop_assert_eq!(mount.source, Some(source));
            proptest::prop_assert_eq!(mount.target, Some(target));
            proptest::prop_assert_eq!(mount.id, Some(id));
            proptest::prop_assert_eq!((mount.uid, mount.mode), (Some(uid), Some(mode)));
            proptest::prop_assert_eq!(mount.sharing, Some([Sharing::Shared, Sharing::Private, Sharing::Locked][sharing]));
        }

        /// A variable's value is one value: it can add no key.
        #[test]
        fn expansion_adds_no_keys(value in "[ -~]{0,20}") {
            let flag = MountFlag::new("type=bind,source=$x,target=/t".into()).expect("it is well formed");
            let env = |name: &str| (name == "x").then(|| value.clone());
            let mount = flag.resolve(Span::line(1), &mut |word| Ok(expand(word, '\\', &env)?.value));
            let source = Some(value.clone()).filter(|value| !value.is_empty());
            let expected = Mount { source, target: Some("/t".to_owned()), ..empty() };
            proptest::prop_assert_eq!(mount.map_err(|e| e.to_string()), Ok(expected));
        }

        /// Any text is a mount or an error, in bounded time.
        #[test]
        fn any_text_is_an_answer(text in "((type|target|id|from|mode|ro|size|required)?=?[ -~é]{0,8},?){0,6}") {
            let _ = resolve(&text);
        }
    }
}
