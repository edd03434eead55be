//! Text from elsewhere, made harmless for a terminal.

/// Returns a line as text: invalid UTF-8 replaced, what a carriage return overwrote dropped,
/// control characters and escape sequences left out but for colours when they are wanted.
pub fn line(bytes: &[u8], colours: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    let text = text.rsplit('\r').next().unwrap_or(text);
    let mut out = String::with_capacity(text.len());
    let mut coloured = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\t' => out.push('\t'),
            '\x1b' => {
                if let Some(sequence) = escape(&mut chars)
                    && colours
                {
                    coloured = true;
                    out.push_str(&sequence);
                }
            }
            c if c.is_control() => {}
            // Marks that turn the direction of text round can make it read as something else.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c => out.push(c),
        }
    }
    if coloured {
        out.push_str("\x1b[0m");
    }
    out
}

/// Consumes an escape sequence; returns it if it sets colours (CSI ... m).
fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    match chars.next_if(|c| matches!(c, '[' | ']' | 'P' | 'X' | '^' | '_'))? {
        '[' => {
            let mut sequence = String::from("\x1b[");
            for c in chars.by_ref() {
                sequence.push(c);
                if ('\x40'..='\x7e').contains(&c) {
                    return (c == 'm' && sequence.len() < 32).then_some(sequence);
                }
            }
            None
        }
        _ => {
            // A string sequence lasts to its terminator.
            let mut last = ' ';
            for c in chars.by_ref() {
                if c == '\x07' || (last == '\x1b' && c == '\\') {
                    break;
                }
                last = c;
            }
            None
        }
    }
}

/// Returns a step's name on one line.
pub fn name(text: &str) -> String {
    line(text.replace(['\n', '\t'], " ").as_bytes(), false)
}
