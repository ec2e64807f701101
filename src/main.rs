//! The `obreia` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    obreia::cli::main()
}
