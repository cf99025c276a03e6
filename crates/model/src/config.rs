//! Model facts read from a GGUF directory.
