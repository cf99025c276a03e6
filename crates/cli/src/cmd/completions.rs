//! `completions`: a script for the user's shell.

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::error::{Error, exit};
use crate::out::Out;

pub fn run(shell: clap_complete::Shell) -> Result<u8, Error> {
    // Into memory first: the generator panics on a failed write, such as a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wasm-chord", &mut script);
    let mut out = Out::stdout();
    out.bytes(&script)?;
    out.flush()?;
    Ok(exit::OK)
}
