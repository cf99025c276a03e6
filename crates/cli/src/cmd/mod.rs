//! One module per subcommand.

mod adapters;
mod answer;
mod bench;
mod completions;
mod engine;
mod eval;
mod figures;
mod fit;
mod inspect;
mod perplexity;
mod recovery;
mod repl;
mod run;
mod template;
mod terminal;
mod tokenize;
mod tokens_file;
mod trace;
mod trace_files;
mod verdicts;

use std::time::Instant;

use crate::args::Command;
use crate::error::Error;

/// Runs a subcommand of the process that `started` then; its exit code where it went through.
pub fn dispatch(command: Command, started: Instant) -> Result<u8, Error> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Tokenize(args) => tokenize::tokenize(&args),
        Command::Detokenize(args) => tokenize::detokenize(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Bench(args) => bench::run(&args, started),
        Command::Adapters(args) => adapters::run(&args),
        Command::Completions { shell } => completions::run(shell),
    }
}
