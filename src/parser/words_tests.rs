//! Expansion as tables of `input | expected`; `!text` stands for an error that holds the text.

use super::*;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "PWD" => "/home",
        "SHELL" => "bash",
        "KOREAN" => "한국어",
        "NULL" => "",
        "LIST" => "one two  three",
        "FILE" => "archive.tar.gz",
        "STARS" => "a*b?c",
        "NEEDLE" => "\\*/",
        "GLOB" => "/x*/*/*.txt",
        "ESCAPED" => "()[]{}^$.*?|\\x",
        "SLASHES" => "/tmp/tmp/bar.txt",
        "TMP" => "/tmp",
        "AYY" => "a***yy*",
        "Ä1" => "umlaut",
        _ => return None,
    };
    Some(value.to_owned())
}

const TABLE: &str = r#"
hello                       | hello
he'll'o                     | hello
he'll                       | !looking for matching single-quote
he"ll                       | !looking for matching double-quote
he\'llo                     | he'llo
he\\'llo                    | !single-quote
he\\llo                     | he\llo
abc\tdef                    | abctdef
"abc\tdef"                  | abc\tdef
'abc\tdef'                  | abc\tdef
hello\                      | hello
hello\\                     | hello\
"hello                      | !double-quote
"hello\"                    | !double-quote
"hel'lo"                    | hel'lo
'hello                      | !single-quote
'hello\'                    | hello\
''                          |
$.                          | $.
he$1x                       | hex
he$.x                       | he$.x
he$pwd.                     | he.
he$PWD                      | he/home
he\$PWD                     | he$PWD
he\\$PWD                    | he\/home
"he\$PWD"                   | he$PWD
"he\\$PWD"                  | he\/home
"he\"ll\$\\o\n"             | he"ll$\o\n
'$PWD'                      | $PWD
"'$PWD'"                    | '/home'
'"$PWD"'                    | "$PWD"
\${}                        | ${}
\${}aaa                     | ${}aaa
he\${}                      | he${}
he${}                       | !syntax error: bad substitution
he${}xx                     | !syntax error: bad substitution
he${:}                      | !syntax error: bad substitution
${{aaa}                     | !syntax error: bad substitution
${                          | !syntax error: missing '}'
${PWD                       | !syntax error: missing '}'
${PWD:                      | !syntax error: missing '}'
${PWD:-                     | !syntax error: missing '}'
${PWD:-'x}                  | !syntax error: missing '}'
${aaa                       | !syntax error: missing '}'
he${hi}                     | he
he${hi}xx                   | hexx
he${PWD}                    | he/home
he${.}                      | !unsupported modifier (.) in substitution
he${XXX:-000}xx             | he000xx
he${PWD:-000}xx             | he/homexx
he${XXX:-$PWD}xx            | he/homexx
he${XXX:-${PWD:-yyy}}xx     | he/homexx
he${XXX:-${YYY:-yyy}}xx     | heyyyxx
he${XXX:YYY}                | !unsupported modifier (:Y) in substitution
he${XXX?}                   | !XXX: is not allowed to be unset
he${XXX:?}                  | !XXX: is not allowed to be unset
he${PWD?}                   | he/home
he${NULL?}                  | he
he${NULL:?}                 | !NULL: is not allowed to be empty
he${NULL:?because $PWD}     | !NULL: because /home
he${XXX?because}            | !XXX: because
he${XXX:+${PWD}}xx          | hexx
he${PWD:+${XXX}}xx          | hexx
he${PWD:+${SHELL}}xx        | hebashxx
he${XXX:+000}xx             | hexx
he${PWD:+000}xx             | he000xx
${NULL:-w}                  | w
${NULL-w}                   |
${NULL:+w}                  |
${NULL+w}                   | w
${XXX-w}                    | w
${XXX+w}                    |
${XXX:-"a b"}               | a b
${XXX:-'$PWD'}              | $PWD
${XXX:-\}}                  | }
"${XXX:-"a b"}"             | a b
${XXX:-${YYY?boom}}         | !YYY: boom
$1$22x                      | x
$@$*$#$?$-$$$!x             | x
$0x                         | x
${@}x                       | x
${#PWD}                     | !unsupported modifier (P) in substitution
${XXX=w}                    | !unsupported modifier (=) in substitution
${XXX:=w}                   | !unsupported modifier (:=) in substitution
${PWD:#x}                   | !unsupported modifier (:#) in substitution
${PWD:%x}                   | !unsupported modifier (:%) in substitution
${PWD^}                     | !unsupported modifier (^) in substitution
${PWD,,}                    | !unsupported modifier (,) in substitution
$KOREAN                     | 한국어
${KOREAN:-x}                | 한국어
안녕$KOREAN                 | 안녕한국어
안녕'하세요'                | 안녕하세요
$Ä1.                        | umlaut.
${FILE#*.}                  | tar.gz
${FILE##*.}                 | gz
${FILE%.*}                  | archive.tar
${FILE%%.*}                 | archive
${FILE%nope}                | archive.tar.gz
${FILE#?r}                  | chive.tar.gz
${FILE#}                    | archive.tar.gz
${FILE##}                   | archive.tar.gz
${FILE%}                    | archive.tar.gz
${FILE#*}                   | archive.tar.gz
${FILE##*}                  |
${FILE%%*}                  |
${FILE#*a*r}                | chive.tar.gz
${FILE%a*}                  | archive.t
${FILE%%a*}                 |
${STARS#a\*}                | b?c
${STARS%\??}                | a*b
${AYY%%\**}                 | a
${AYY%%\**\*}               | a
${ESCAPED#()[]{\}^$.\*\?|\\} | x
${PWD#$XXX}                 | /home
${PWD#"/"}                  | home
${PWD#'/'h}                 | ome
${KOREAN#?}                 | 국어
${KOREAN%?}                 | 한국
${XXX#x}                    |
${FILE#\q}                  | !invalid pattern (\q) in substitution: invalid escape '\q'
${FILE/a/A}                 | Archive.tar.gz
${FILE//a/A}                | Archive.tAr.gz
${FILE/a*r/X}               | X.gz
${FILE//?/x}                | xxxxxxxxxxxxxx
${FILE/./}                  | archivetar.gz
${FILE//./}                 | archivetargz
${FILE/.tar/-$SHELL}        | archive-bash.gz
${FILE//.}                  | !syntax error: missing '/' in ${}
${FILE//}                   | !syntax error: missing '/' in ${}
${FILE/a/                   | !syntax error: missing '}'
${FILE///}                  | archive.tar.gz
${PWD/$XXX/ww}              | ww/home
${PWD/\//x}                 | xhome
${PWD//\//\/}               | \/home
${SLASHES/$TMP/}            | /tmp/bar.txt
${SLASHES//$TMP/}           | /bar.txt
${GLOB/$NEEDLE/.}           | /x.*/*.txt
${GLOB//$NEEDLE/.}          | /x..*.txt
${STARS/\*/-}               | a-b?c
${STARS//\?/-}              | a*b-c
${STARS/[/-}                | a*b?c
${FILE/\q/-}                | !invalid escape '\q'
${XXX/a/b}                  |
${XXX///}                   |
"#;

#[test]
fn words_expand() {
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let (input, expected) = line.split_once(" |").expect("a table");
        let (input, expected) = (input.trim_end(), expected.strip_prefix(' ').unwrap_or(expected));
        match (expand(input, '\\', &env), expected.strip_prefix('!')) {
            (Ok(expanded), None) => assert_eq!(expanded.value, expected, "{input}"),
            (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{input}: {error}"),
            (other, _) => panic!("{input}: {other:?}, expected {expected}"),
        }
    }
}

#[test]
fn the_backtick_escapes() {
    for (input, expected) in [
        (r"c:\dir`$x", r"c:\dir$x"),
        (r"\$PWD", r"\/home"),
        ("\"`\"\"", "\""),
        ("a`b``", "ab`"),
        ("'a`b'", "a`b"),
    ] {
        assert_eq!(expand(input, '`', &env).expect(input).value, expected, "{input}");
    }
}

/// `input | words, separated by commas`
const LISTS: &str = r#"
hello                       | hello
hello ${hi} bye             | hello,bye
hello ${hi:-there} bye      | hello,there,bye
"hello there" bye           | hello there,bye
hel"lo th"ere bye           | hello there,bye
hello\ there bye            | hello there,bye
$LIST b                     | one,two,three,b
x$LIST"$LIST"               | xone,two,threeone two  three
'' a ""                     | a
  a   b                     | a,b
"  "                        |   
$NULL                       |
"#;

#[test]
fn lists_split_after_expansion() {
    for line in LISTS.lines().filter(|line| !line.is_empty()) {
        let (input, expected) = line.split_once(" | ").unwrap_or((line.trim_end_matches('|'), ""));
        let expected: Vec<&str> = expected.split(',').filter(|word| !word.is_empty()).collect();
        assert_eq!(expand_list(input.trim_end(), '\\', &env).expect(input).0, expected, "{input}");
    }
}

#[test]
fn unset_variables_are_told_once_in_order() {
    let expanded = expand("$A ${B} ${C:-$D} $PWD \"$A\" '$E' ${NULL:-$F}", '\\', &env).expect("a good word");
    assert_eq!(expanded.unset, ["A", "B", "D", "C", "F"]);
    assert_eq!(expand_list("$X y", '\\', &env).expect("a good word").1, ["X"]);
}

#[test]
fn heredocs_keep_quotes_and_lose_backslashes() {
    for (body, expected) in [
        ("it's \"$PWD\" \\$PWD \\\\ \\x\n'$PWD'\n", "it's \"/home\" $PWD \\ x\n'/home'\n"),
        ("${XXX}|${XXX:-'d'}\n", "|'d'\n"),
        ("a \\\nb\n", "a \nb\n"),
        ("\ttab\r\n", "\ttab\r\n"),
    ] {
        assert_eq!(expand_heredoc(body, &env).expect(body).value, expected);
    }
    assert_eq!(expand_heredoc("${x", &env), Err(WordError::MissingBrace));
}

#[test]
fn hostile_words_are_refused_in_time() {
    let deep = "${A:-".repeat(100_000);
    assert_eq!(expand(&deep, '\\', &env), Err(WordError::TooDeep));
    let balanced = format!("{}{}", "${A:-".repeat(40), "}".repeat(40));
    assert_eq!(expand(&balanced, '\\', &env).expect("forty levels").value, "");
    let big = |name: &str| (name == "B").then(|| "b".repeat(1 << 20));
    assert_eq!(expand(&"$B".repeat(100), '\\', &big), Err(WordError::TooLarge));
    assert_eq!(expand("${B//b/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb}", '\\', &big), Err(WordError::TooLarge));
    let slow = format!("${{B#{}}}", "*?".repeat(1000));
    assert!(expand(&slow, '\\', &big).is_ok());
    let many: String = (0..50_000).map(|n| format!("$V{n} ")).collect();
    assert_eq!(expand(&many, '\\', &env).expect("unset variables").unset.len(), 50_000);
}
