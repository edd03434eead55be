//! A layer as a stream and as a directory: pack, unpack, index, diff, compress.
