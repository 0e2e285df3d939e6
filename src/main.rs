//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;
use egressd::cli;

fn main() -> ExitCode {
    let code = match cli::Arguments::try_parse() {
        Ok(arguments) => cli::main(arguments),
        Err(error) => {
            let wrong = error.use_stderr();
            // Nobody is left to be told where the output is gone.
            let (Ok(()) | Err(_)) = error.print();
            if wrong { cli::usage_code() } else { cli::OK }
        }
    };
    ExitCode::from(code)
}
