//! Heredoc openers: `[fd]<<[-]WORD`.

/// Whether a command consists of heredoc openers and blanks alone.
pub fn is_only_openers(command: &str) -> bool {
    command
        .split_ascii_whitespace()
        .all(|word| word.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with("<<"))
}
