//! URLs as errors and notices may show them.

use url::Url;

/// Returns the URL without user, password, query and fragment.
pub(crate) fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

/// The same for a text that may be no URL.
pub(crate) fn redacted_text(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => redacted(&url),
        _ if text.contains(['@', '?']) => "(not shown: it may hold a secret)".to_owned(),
        _ => text.to_owned(),
    }
}
