//! Values that are a line of CSV: `key=value,"key=a,b"`.

/// Splits a line of CSV (RFC 4180): a field in quotes may hold commas, and quotes doubled.
///
/// # Errors
/// Quotes are not balanced; the text is Go's.
pub fn csv(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, more) =
                rest.split_once(',').map_or((rest, None), |(field, more)| (field, Some(more)));
            if field.contains('"') {
                return Err("bare \" in non-quoted field".to_owned());
            }
            fields.push(field.to_owned());
            match more {
                Some(more) => rest = more,
                None => return Ok(fields),
            }
            continue;
        };
        let mut field = String::new();
        let mut chars = quoted.char_indices().peekable();
        let end = loop {
            match chars.next() {
                Some((_, '"')) if chars.next_if(|(_, c)| *c == '"').is_some() => field.push('"'),
                Some((at, '"')) => break at + 1,
                Some((_, c)) => field.push(c),
                None => return Err("extraneous or missing \" in quoted-field".to_owned()),
            }
        };
        fields.push(field);
        match quoted[end..].strip_prefix(',') {
            Some(more) => rest = more,
            None if quoted[end..].is_empty() => return Ok(fields),
            None => return Err("extraneous or missing \" in quoted-field".to_owned()),
        }
    }
}
