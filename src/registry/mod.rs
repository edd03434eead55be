//! Moving images to and from registries (OCI distribution spec).
