//! Incremental GGUF header reader: bytes in, typed directory out.
