//! Quotes, escapes and variables of a word (Dockerfile reference, "Environment replacement").
//!
//! `$name`, `${name}` and its modifiers, single and double quotes, the escape
//! character. Nothing here knows where variables come from: a closure answers.

use super::error::WordError;
use super::pattern::Pattern;

/// How deep expansions may stand in expansions.
const MAX_DEPTH: usize = 64;

/// What became of a word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// The value, without quotes.
    pub value: String,
    /// Variables that were asked for and not set, in order.
    pub unset: Vec<String>,
}

/// Returns the value of a variable, if it is set.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Expands a word into one value; blanks in it stay.
///
/// # Errors
/// The quotes or a substitution are malformed, or `${v:?}` asks for an error.
pub fn expand(word: &str, escape: char, env: &Env<'_>) -> Result<Expanded, WordError> {
    let mut lexer = Lexer::new(word, escape, env);
    let value = lexer.run(None, false)?.text;
    Ok(Expanded { value, unset: lexer.unset })
}

/// Expands a word and splits it at the blanks that are not quoted, those in values of variables included.
///
/// # Errors
/// As [`expand`].
pub fn expand_list(word: &str, escape: char, env: &Env<'_>) -> Result<(Vec<String>, Vec<String>), WordError> {
    let mut lexer = Lexer::new(word, escape, env);
    let words = lexer.run(None, false)?.into_words();
    Ok((words, lexer.unset))
}

/// Expands the body of a heredoc: quotes are ordinary characters, the escape is always a backslash.
///
/// # Errors
/// As [`expand`].
pub fn expand_heredoc(body: &str, env: &Env<'_>) -> Result<Expanded, WordError> {
    let mut lexer = Lexer::new(body, '\\', env);
    lexer.quotes = false;
    let value = lexer.run(None, false)?.text;
    Ok(Expanded { value, unset: lexer.unset })
}

/// Text with the places where a list of words is cut.
#[derive(Default)]
struct Output {
    text: String,
    words: Vec<String>,
    word: String,
    in_word: bool,
}

impl Output {
    /// Adds a character that ends a word if it is blank.
    fn push(&mut self, c: char) {
        self.text.push(c);
        if c.is_whitespace() {
            if self.in_word {
                self.words.push(std::mem::take(&mut self.word));
                self.in_word = false;
            }
        } else {
            self.in_word = true;
            self.word.push(c);
        }
    }

    /// Adds a character that belongs to a word whatever it is.
    fn push_quoted(&mut self, c: char) {
        self.text.push(c);
        self.in_word = true;
        self.word.push(c);
    }

    fn into_words(mut self) -> Vec<String> {
        if self.in_word {
            self.words.push(self.word);
        }
        self.words
    }
}

struct Lexer<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    escape: char,
    env: &'a Env<'a>,
    quotes: bool,
    unset: Vec<String>,
    depth: usize,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, escape: char, env: &'a Env<'a>) -> Self {
        Self { chars: text.chars().peekable(), escape, env, quotes: true, unset: Vec::new(), depth: 0 }
    }

    /// Reads up to `stop`, which is consumed, or to the end. With `raw`, escapes stay in the text.
    fn run(&mut self, stop: Option<char>, raw: bool) -> Result<Output, WordError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(WordError::new("substitutions are nested too deeply"));
        }
        let mut out = Output::default();
        while let Some(c) = self.chars.peek().copied() {
            if Some(c) == stop {
                self.chars.next();
                self.depth -= 1;
                return Ok(out);
            }
            match c {
                '\'' if self.quotes => self.single_quoted(&mut out)?,
                '"' if self.quotes => self.double_quoted(&mut out, raw)?,
                '$' => {
                    for c in self.dollar()?.chars() {
                        out.push(c);
                    }
                }
                c if c == self.escape => {
                    self.chars.next();
                    if raw {
                        out.push_quoted(c);
                    }
                    if let Some(next) = self.chars.next() {
                        out.push_quoted(next);
                    }
                }
                c => {
                    self.chars.next();
                    out.push(c);
                }
            }
        }
        self.depth -= 1;
        match stop {
            Some(stop) => Err(WordError::new(format!("syntax error: missing '{stop}'"))),
            None => Ok(out),
        }
    }

    fn single_quoted(&mut self, out: &mut Output) -> Result<(), WordError> {
        self.chars.next();
        out.in_word = true;
        for c in self.chars.by_ref() {
            if c == '\'' {
                return Ok(());
            }
            out.push_quoted(c);
        }
        Err(WordError::new("unexpected end of statement while looking for matching single-quote"))
    }

    fn double_quoted(&mut self, out: &mut Output, raw: bool) -> Result<(), WordError> {
        self.chars.next();
        out.in_word = true;
        loop {
            match self.chars.peek().copied() {
                None => {
                    return Err(WordError::new(
                        "unexpected end of statement while looking for matching double-quote",
                    ));
                }
                Some('"') => {
                    self.chars.next();
                    return Ok(());
                }
                Some('$') => {
                    for c in self.dollar()?.chars() {
                        out.push_quoted(c);
                    }
                }
                Some(c) => {
                    self.chars.next();
                    if c != self.escape {
                        out.push_quoted(c);
                        continue;
                    }
                    match self.chars.peek().copied() {
                        // A lone escape at the end vanishes; the missing quote is the error then.
                        None => {}
                        Some(next) if next == '"' || next == '$' || next == self.escape => {
                            self.chars.next();
                            if raw {
                                out.push_quoted(c);
                            }
                            out.push_quoted(next);
                        }
                        Some(_) => out.push_quoted(c),
                    }
                }
            }
        }
    }

    /// Reads what follows a dollar and returns what it stands for.
    fn dollar(&mut self) -> Result<String, WordError> {
        self.chars.next();
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            return Ok(if name.is_empty() {
                "$".to_owned()
            } else {
                self.look_up(&name).unwrap_or_default()
            });
        }
        self.chars.next();
        match self.chars.peek() {
            None => return Err(WordError::new("syntax error: missing '}'")),
            Some('{' | '}' | ':') => return Err(WordError::new("syntax error: bad substitution")),
            Some(_) => {}
        }
        let name = self.name();
        match self.chars.next() {
            None => Err(WordError::new("syntax error: missing '}'")),
            Some('}') => Ok(self.look_up(&name).unwrap_or_default()),
            Some(':') => match self.chars.next() {
                Some(c @ ('+' | '-' | '?')) => self.conditional(&name, c, true),
                other => Err(unsupported(&format!(":{}", other.map_or(String::new(), String::from)))),
            },
            Some(c @ ('+' | '-' | '?')) => self.conditional(&name, c, false),
            Some(c @ ('#' | '%')) => self.trim(&name, c),
            Some('/') => self.replace(&name),
            Some(c) => Err(unsupported(&c.to_string())),
        }
    }

    fn conditional(&mut self, name: &str, modifier: char, empty_is_unset: bool) -> Result<String, WordError> {
        let word = self.run(Some('}'), false)?.text;
        let value = (self.env)(name);
        let counts = value.as_ref().is_some_and(|value| !(empty_is_unset && value.is_empty()));
        match modifier {
            '-' if counts => Ok(value.unwrap_or_default()),
            '-' => Ok(word),
            '+' => Ok(if counts { word } else { String::new() }),
            _ if counts => Ok(value.unwrap_or_default()),
            _ => {
                let missing = if value.is_none() { "unset" } else { "empty" };
                let reason = if word.is_empty() { format!("is not allowed to be {missing}") } else { word };
                Err(WordError::new(format!("{name}: {reason}")))
            }
        }
    }

    fn trim(&mut self, name: &str, end: char) -> Result<String, WordError> {
        let word = self.run(Some('}'), true)?.text;
        let (longest, word) = match word.strip_prefix(end) {
            Some(rest) => (true, rest),
            None => (false, word.as_str()),
        };
        let pattern = Pattern::parse(word)?;
        let value = self.look_up(name).unwrap_or_default();
        Ok(if end == '#' {
            pattern.without_prefix(&value, longest)
        } else {
            pattern.without_suffix(&value, longest)
        })
    }

    fn replace(&mut self, name: &str) -> Result<String, WordError> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.run(Some('/'), true)?.text;
        let replacement = self.run(Some('}'), true)?.text;
        let pattern = Pattern::parse(&pattern)?;
        let replacement = unescape(&replacement);
        let value = self.look_up(name).unwrap_or_default();
        Ok(pattern.replace(&value, &replacement, all))
    }

    fn look_up(&mut self, name: &str) -> Option<String> {
        let value = (self.env)(name);
        if value.is_none() {
            self.unset.push(name.to_owned());
        }
        value
    }

    /// Reads a name: letters, digits and `_`; or digits alone; or one special character.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_ascii_digit() => {
                while let Some(digit) = self.chars.next_if(char::is_ascii_digit) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.chars.next()),
            _ => {
                while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }
}

fn unsupported(modifier: &str) -> WordError {
    WordError::new(format!("unsupported modifier ({modifier}) in substitution"))
}

/// Drops the backslashes that embed `/`, `}` and themselves in a replacement.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        Some(
            match name {
                "PWD" => "/home",
                "SHELL" => "bash",
                "EMPTY" => "",
                "LIST" => "one two  three",
                "FILE" => "archive.tar.gz",
                "STARS" => "a*b?c",
                "ÄÖ" => "umlaut",
                "X1" => "x1",
                _ => return None,
            }
            .to_owned(),
        )
    }

    /// `input | expected`; `!text` expects an error that contains the text.
    const TABLE: &str = r#"
hello | hello
he'll'o | hello
he'll | !looking for matching single-quote
he"ll | !looking for matching double-quote
"a 'b' c" | a 'b' c
'a "b" $PWD' | a "b" $PWD
he\'llo | he'llo
he\\llo | he\llo
he\ | he
"he\"ll\$\\o\n" | he"ll$\o\n
'he\'llo | he\llo
"he\a" | he\a
$PWD | /home
'$PWD' | $PWD
"$PWD" | /home
\$PWD | $PWD
\\$PWD | \/home
a$PWDb | a
a${PWD}b | a/homeb
a${PWD | !missing '}'
${ | !missing '}'
${} | !bad substitution
${:} | !bad substitution
${{PWD}} | !bad substitution
$ | $
a$ | a$
$.a | $.a
$1x$22y | xy
$@$*$#$?$-$!|x
$X1. | x1.
$ÄÖ | umlaut
${NOPE:-w} | w
${NOPE-w} | w
${EMPTY:-w} | w
${EMPTY-w} |
${PWD:-w} | /home
${NOPE:-$PWD} | /home
${NOPE:-${NOPE2:-x}} | x
${NOPE:-"a b"} | a b
${NOPE:-'$PWD'} | $PWD
${PWD:+w} | w
${PWD+w} | w
${EMPTY:+w} |
${EMPTY+w} | w
${NOPE:+w} |
${NOPE+w} |
${NOPE:?} | !NOPE: is not allowed to be unset
${NOPE:?because} | !NOPE: because
${NOPE?because} | !NOPE: because
${EMPTY:?} | !EMPTY: is not allowed to be empty
${EMPTY?x} |
${PWD:?x} | /home
${PWD:=w} | !unsupported modifier (:=) in substitution
${PWD=w} | !unsupported modifier (=) in substitution
${PWD:#w} | !unsupported modifier (:#) in substitution
${PWD^} | !unsupported modifier (^) in substitution
${FILE#*.} | tar.gz
${FILE##*.} | gz
${FILE%.*} | archive.tar
${FILE%%.*} | archive
${FILE%nope} | archive.tar.gz
${FILE#?r} | chive.tar.gz
${FILE/a/A} | Archive.tar.gz
${FILE//a/A} | Archive.tAr.gz
${FILE/a*r/X} | X.gz
${FILE//.} | !missing '/'
${FILE//./} | archivetargz
${PWD/\//x} | xhome
${STARS/\*/-} | a-b?c
${STARS//\?/-} | a*b-c
${STARS/[/-} | a*b?c
${FILE/\q/-} | !invalid escape '\q'
${NOPE/a/b} |
${FILE/$SHELL/x} | archive.tar.gz
"#;

    #[test]
    fn words_expand() {
        for line in TABLE.lines().filter(|line| !line.is_empty()) {
            let Some((input, expected)) = line.rsplit_once(" |") else { continue };
            let expected = expected.strip_prefix(' ').unwrap_or(expected);
            match (expand(input, '\\', &env), expected.strip_prefix('!')) {
                (Ok(expanded), None) => assert_eq!(expanded.value, expected, "{input}"),
                (Err(error), Some(part)) => assert!(error.message.contains(part), "{input}: {error}"),
                (other, _) => panic!("{input}: {other:?}, expected {expected}"),
            }
        }
    }

    #[test]
    fn the_other_escape_character() {
        let value = |word: &str| expand(word, '`', &env).unwrap().value;
        assert_eq!(value(r"c:\dir`$x"), r"c:\dir$x");
        assert_eq!(value("\"`\"\""), "\"");
        assert_eq!(value("a`b``"), "ab`");
    }

    #[test]
    fn lists_are_cut_after_expansion() {
        let list = |word: &str| expand_list(word, '\\', &env).unwrap().0;
        assert_eq!(list("a $LIST b"), ["a", "one", "two", "three", "b"]);
        assert_eq!(list("\"$LIST\" 'x y' z\\ z"), ["one two  three", "x y", "z z"]);
        assert_eq!(list("a\"\" '' "), ["a", ""]);
        assert!(list("  ").is_empty());
    }

    #[test]
    fn unset_names_are_reported() {
        let expanded = expand("$A ${B} ${C:-x} $PWD \"$D\"", '\\', &env).unwrap();
        assert_eq!(expanded.unset, ["A", "B", "D"]);
    }

    #[test]
    fn heredocs_keep_quotes_and_process_backslashes() {
        let body = "it's \"$PWD\" \\$PWD \\\\ \\x\n'$PWD'\n";
        assert_eq!(expand_heredoc(body, &env).unwrap().value, "it's \"/home\" $PWD \\ x\n'/home'\n");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = "${A:-".repeat(100_000);
        assert!(expand(&deep, '\\', &env).is_err());
    }
}
