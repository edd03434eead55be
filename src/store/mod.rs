//! What is kept: blobs, layers, references, cache records, leases, garbage collection.
