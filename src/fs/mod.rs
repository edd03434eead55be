//! Access to files below a directory descriptor, and the mounts that show them.
//!
//! Most escapes of this field are one bug: a path checked as a string and used
//! later. So a root is a descriptor, a lookup is `openat2` inside it, and an
//! operation acts on descriptors. No other module opens a path below a root.

pub mod mount;
mod sys;
