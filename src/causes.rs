//! Errors in words.

use std::error::Error;

/// Returns an error's text with the texts of its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        // Transparent wrappers say the same twice.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Example {
        #[error("no room left")]
        Room,
        #[error(transparent)]
        Same(#[from] Box<Example>),
        #[error("the layer can't be written")]
        Layer(#[source] Box<Example>),
    }

    #[test]
    fn causes_follow_and_wrappers_are_silent() {
        let wrapped = Example::Same(Box::new(Example::Room));
        assert_eq!(chain(&Example::Layer(Box::new(wrapped))), "the layer can't be written: no room left");
    }
}
