//! GGUF block formats: scalar decoding (the truth) and repacking into GPU streams.
