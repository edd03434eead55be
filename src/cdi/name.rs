//! Qualified names of devices: `vendor/class=name`.

/// Whether a text is a qualified name.
pub fn is_qualified(text: &str) -> bool {
    split(text).is_some()
}

/// Takes a qualified name apart: kind and device.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let (kind, device) = text.split_once('=')?;
    (is_kind(kind) && is_device(device)).then_some((kind, device))
}

/// Whether a text is `vendor/class`.
pub(super) fn is_kind(text: &str) -> bool {
    text.split_once('/').is_some_and(|(vendor, class)| is_word(vendor, "_-.") && is_word(class, "_-"))
}

/// Whether a text may name a device of a kind.
pub(super) fn is_device(text: &str) -> bool {
    ends_well(text, |c| c.is_ascii_alphanumeric()) && text.chars().all(|c| is_inner(c, "_-.:"))
}

fn is_word(text: &str, others: &str) -> bool {
    ends_well(text, |c| c.is_ascii_alphabetic()) && text.chars().all(|c| is_inner(c, others))
}

fn ends_well(text: &str, first: impl Fn(char) -> bool) -> bool {
    text.starts_with(first) && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_inner(c: char, others: &str) -> bool {
    c.is_ascii_alphanumeric() || others.contains(c)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        for (text, qualified) in [
            ("vendor.com/class=name", true),
            ("a/b=c", true),
            ("nvidia.com/gpu=0", true),
            ("nvidia.com/gpu=GPU-1:2.3_4", true),
            ("vendor.com/class=", false),
            ("vendor.com/class", false),
            ("/dev/fuse", false),
            ("/dev/fuse:/dev/a=b", false),
            ("1vendor/class=name", false),
            ("vendor/cl.ass=name", false),
            ("vendor/class=-x", false),
            ("vendor/class=x-", false),
            ("vendor-/class=x", false),
            ("vendor/class/more=x", false),
            ("vendor/class=a=b", false),
        ] {
            assert_eq!(super::is_qualified(text), qualified, "{text}");
        }
    }
}
