//! Image archives: docker archives and OCI layouts, read and written as streams.
