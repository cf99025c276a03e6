//! The `wasm-chord` command.

mod args;
mod cmd;
mod error;
mod interrupt;
mod model_file;
mod npy;
mod out;
mod thinking;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use args::Cli;
use error::{Error, exit};
use out::Out;

fn main() -> ExitCode {
    ExitCode::from(real_main())
}

fn real_main() -> u8 {
    let started = Instant::now();
    quiet_drivers();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    interrupt::install();
    log(cli.verbose);
    let json = cli.command.json();
    match cmd::dispatch(cli.command, started) {
        Ok(code) => code,
        Err(e) => {
            match &e {
                // Nobody is there to read it, or the user knows.
                Error::ClosedPipe | Error::Interrupted => {}
                e => {
                    if json {
                        // Without a reader the exit code still says it.
                        let _ = Out::stdout().json(&e.to_json());
                    }
                    out::report(e);
                }
            }
            e.exit_code()
        }
    }
}

/// Mesa's device selection layer prints errors of its own where no desktop session runs, on every start. We rank
/// adapters ourselves and do without it there.
#[cfg(target_os = "linux")]
fn quiet_drivers() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none()
        && std::env::var_os("NODEVICE_SELECT").is_none()
    {
        // SAFETY: the first thing in main; no other thread runs that could read the environment.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

#[cfg(not(target_os = "linux"))]
fn quiet_drivers() {}

/// Prints help or a usage error as clap words it, and as JSON where that was asked for.
fn usage(e: &clap::Error) -> u8 {
    // A closed pipe behind `--help` is no failure.
    let _ = e.print();
    if !e.use_stderr() {
        return exit::OK;
    }
    if std::env::args_os().any(|a| a == "--json") {
        let text = e.render().to_string();
        let what = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        let error = Error::usage(what, "see wasm-chord --help");
        let _ = Out::stdout().json(&error.to_json());
    }
    exit::USAGE
}

/// The libraries' log goes to standard error; `RUST_LOG` chooses finer than `-v`.
fn log(verbose: u8) {
    let level = match verbose {
        0 => "off",
        1 => "info,wgpu_core=warn,wgpu_hal=error,naga=warn",
        2 => "debug,wgpu_core=info,wgpu_hal=warn,naga=info",
        _ => "trace",
    };
    let filter = match std::env::var("RUST_LOG") {
        Ok(own) if !own.is_empty() => tracing_subscriber::EnvFilter::new(own),
        _ => tracing_subscriber::EnvFilter::new(level),
    };
    // Fails only when a subscriber is there already.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // What cannot be written would be told on the same closed pipe, by a panic.
        .log_internal_errors(false)
        .with_ansi(out::stderr_colour())
        .without_time()
        .try_init();
}
