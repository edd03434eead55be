//! `completion`

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::commands::Cli;
use super::error::CliError;
use super::global::Global;
use super::output;

/// Generate the completion script for a shell
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: ShellName,
}

/// Shells that have completion scripts.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShellName {
    Bash,
    Zsh,
    Fish,
}

/// Runs the command.
pub fn run(args: &CompletionArgs, global: &Global) -> Result<(), CliError> {
    let shell = match args.shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Zsh => Shell::Zsh,
        ShellName::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), &global.program, &mut script);
    output::data(&String::from_utf8_lossy(&script))
}
