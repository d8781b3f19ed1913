//! `pathbound`: the one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    pathbound::process::main()
}
