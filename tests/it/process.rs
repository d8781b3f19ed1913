//! The product's binary, as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    pathbound::process::main()
}
