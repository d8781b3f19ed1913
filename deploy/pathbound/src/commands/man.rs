//! `pathbound man`: a man page of each command.

use std::{fs, io, path::Path};

use clap::CommandFactory as _;

use crate::{cli::Cli, failure::Failure};

/// Writes `pathbound.1`, `pathbound-tenants-list.1` and so on.
///
/// # Errors
/// If the directory cannot be made, or a page cannot be written.
pub fn run(directory: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::failed(
            format!("could not write man pages into {}", directory.display()),
            error,
        )
    };
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_that_names_it_and_its_options() {
        let directory = std::env::temp_dir().join(format!("pathbound-man-{}", std::process::id()));
        run(&directory).unwrap();
        let page = |name: &str| fs::read_to_string(directory.join(format!("{name}.1"))).unwrap();
        assert!(page("pathbound").contains("pathbound"));
        let list = page("pathbound-tenants-list").replace('\\', "");
        assert!(list.contains("--search"), "{list}");
        let pages = fs::read_dir(&directory).unwrap().count();
        fs::remove_dir_all(&directory).unwrap();
        // The command without a name, those below it, and those below these.
        let commands = |command: &clap::Command| {
            let visible = |command: &&clap::Command| !command.is_hide_set();
            command
                .get_subcommands()
                .filter(visible)
                .cloned()
                .collect::<Vec<_>>()
        };
        let first = commands(&Cli::command());
        let second: usize = first.iter().map(|command| commands(command).len()).sum();
        assert!(pages >= 1 + first.len() + second, "{pages} pages");
    }
}
