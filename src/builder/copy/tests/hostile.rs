//! Hostile contexts.
