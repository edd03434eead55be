//! Compiled as `#[cfg(test)]`: images are mounted and compared with what unpacking gives.

mod image;
mod property;
mod support;
mod tarball;
