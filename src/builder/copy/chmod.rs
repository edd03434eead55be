//! `--chmod`: octal for everything that is created, symbolic relative to each file's own mode.

use super::error::CopyError;

/// A parsed `--chmod`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// One mode for files, directories and created parents.
    Octal(u32),
    /// Changes to the mode of each copied entry, in order.
    Symbolic(Vec<Change>),
}

/// One action of a symbolic mode: `[ugoa]*[+-=][rwxXst]*` or a copy of another class's bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Classes that change, as bits of `07777` (setuid and setgid where the class owns them).
    who: u32,
    action: Action,
    bits: Bits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bits {
    /// These for every class, and `x` only for directories and what someone may execute if `conditional`.
    Fixed { mode: u32, conditional: bool },
    /// The bits that this class has now: shift of `u`, `g` or `o`.
    CopyOf(u32),
}

const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
const OTHER: u32 = 0o0007;
const STICKY: u32 = 0o1000;

impl Chmod {
    /// Parses the flag's value.
    pub fn parse(text: &str) -> Result<Self, CopyError> {
        let bad = || CopyError::Chmod(text.to_owned());
        if let Ok(mode) = u32::from_str_radix(text, 8)
            && !text.starts_with('+')
        {
            return if mode <= 0o7777 { Ok(Self::Octal(mode)) } else { Err(bad()) };
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            parse_clause(clause, &mut changes).ok_or_else(bad)?;
        }
        Ok(Self::Symbolic(changes))
    }

    /// Returns the mode of an entry that has `mode` at its source.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match self {
            Self::Octal(octal) => *octal,
            Self::Symbolic(changes) => changes.iter().fold(mode, |mode, change| change.apply(mode, is_dir)),
        }
    }

    /// Returns the mode of directories made on the way to the destination: without setuid, setgid and sticky.
    pub fn parent_mode(&self) -> u32 {
        match self {
            Self::Octal(octal) => *octal & 0o777,
            Self::Symbolic(_) => 0o755,
        }
    }
}

/// Parses `who` and one or more actions.
fn parse_clause(clause: &str, into: &mut Vec<Change>) -> Option<()> {
    let at = clause.find(['+', '-', '='])?;
    let mut who = 0;
    for class in clause[..at].chars() {
        who |= match class {
            'u' => USER,
            'g' => GROUP,
            'o' => OTHER | STICKY,
            'a' => 0o7777,
            _ => return None,
        };
    }
    if at == 0 {
        who = 0o7777;
    }
    let mut rest = &clause[at..];
    while !rest.is_empty() {
        let action = match rest.as_bytes()[0] {
            b'+' => Action::Add,
            b'-' => Action::Remove,
            _ => Action::Set,
        };
        let body = &rest[1..];
        let end = body.find(['+', '-', '=']).unwrap_or(body.len());
        into.push(Change { who, action, bits: parse_bits(&body[..end])? });
        rest = &body[end..];
    }
    Some(())
}

fn parse_bits(text: &str) -> Option<Bits> {
    match text {
        "u" => return Some(Bits::CopyOf(6)),
        "g" => return Some(Bits::CopyOf(3)),
        "o" => return Some(Bits::CopyOf(0)),
        _ => {}
    }
    let (mut mode, mut conditional) = (0, false);
    for letter in text.chars() {
        match letter {
            'r' => mode |= 0o444,
            'w' => mode |= 0o222,
            'x' => mode |= 0o111,
            'X' => conditional = true,
            's' => mode |= 0o6000,
            't' => mode |= STICKY,
            _ => return None,
        }
    }
    Some(Bits::Fixed { mode, conditional })
}

impl Change {
    fn apply(self, mode: u32, is_dir: bool) -> u32 {
        let bits = match self.bits {
            Bits::Fixed { mode: fixed, conditional } => {
                let execute = conditional && (is_dir || mode & 0o111 != 0);
                fixed | if execute { 0o111 } else { 0 }
            }
            Bits::CopyOf(shift) => (mode >> shift & 7) * 0o111,
        };
        let bits = bits & self.who;
        match self.action {
            Action::Add => mode | bits,
            Action::Remove => mode & !bits,
            Action::Set => mode & !self.who | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_applies() {
        let table: &[(&str, u32, bool, u32)] = &[
            ("755", 0o644, false, 0o755),
            ("0", 0o644, false, 0),
            ("04755", 0o644, false, 0o4755),
            ("7777", 0, true, 0o7777),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a+x", 0o644, true, 0o755),
            ("g=u", 0o640, false, 0o660),
            ("g=u,o=g", 0o700, false, 0o777),
            ("o-rwx", 0o777, false, 0o770),
            ("go=", 0o755, false, 0o700),
            ("u+s", 0o755, false, 0o4755),
            ("g+s", 0o755, true, 0o2755),
            ("o+s", 0o755, false, 0o755),
            ("+t", 0o777, true, 0o1777),
            ("u+x-w", 0o644, false, 0o544),
            ("=", 0o755, false, 0),
            ("a=r", 0o4755, false, 0o444),
            ("u=rwX,go=rX", 0o2750, true, 0o755),
            ("o=", 0o2750, true, 0o2750),
        ];
        for (text, before, is_dir, after) in table {
            let chmod = Chmod::parse(text).expect(text);
            assert_eq!(chmod.apply(*before, *is_dir), *after, "{text} on {before:o}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", "8", "10000", "+8", "u", "x+r", "u=q", "rwx", "u=rw,", "u=ug", "-1", "77777777777777"]
        {
            let error = Chmod::parse(text).expect_err(text);
            assert_eq!(
                error.to_string(),
                format!(
                    "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
                )
            );
        }
    }

    #[test]
    fn only_octal_reaches_created_parents() {
        assert_eq!(Chmod::parse("700").expect("octal").parent_mode(), 0o700);
        assert_eq!(Chmod::parse("7755").expect("octal").parent_mode(), 0o755);
        assert_eq!(Chmod::parse("u=rwx").expect("symbolic").parent_mode(), 0o755);
    }
}
