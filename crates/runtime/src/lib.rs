//! Engine, sessions, sampling, the generate loop and trace taps.
