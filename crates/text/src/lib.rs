//! Tokenizers, streaming detokeniser, chat templates and stop strings from GGUF metadata.
