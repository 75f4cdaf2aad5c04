//! `corelane completions` and `corelane man`: what a shell and a reader of manuals need, made from
//! the same definition that parses the command line.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{Cli, Exit, terminal};

/// The commands belong to users; the section of the manual for those is the first.
const SECTION: &str = "1";

/// Options of `corelane completions`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionArgs {
    /// The shell that will read them.
    shell: ShellName,
}

/// A shell that is known here.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShellName {
    /// Bash 4.4 or newer, with or without the package bash-completion.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
    /// PowerShell.
    #[value(name = "powershell")]
    PowerShell,
    /// Elvish.
    Elvish,
}

/// Options of `corelane man`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder, which is made if it is not there.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Why the pages were not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManError {
    /// The folder or a page in it could not be written.
    #[error("manual cannot be written, name a folder that you may write to: {path}: {source}",
            path = path.display())]
    Write {
        /// The folder or the page.
        path: PathBuf,
        /// The answer of the system.
        source: io::Error,
    },
}

impl ManError {
    /// Its number in the catalogue under `docs/errors`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Write { .. } => "CL-1180",
        }
    }
}

/// The command line as its users see it: what the node starts is not theirs.
fn public() -> Command {
    let whole = Cli::command().version(env!("CARGO_PKG_VERSION"));
    let shown: Vec<Command> =
        whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    // A command cannot take a subcommand back, so the top is made again around those shown.
    let mut top = Command::new("corelane").version(env!("CARGO_PKG_VERSION"));
    if let Some(about) = whole.get_about() {
        top = top.about(about.clone());
    }
    top.subcommand_required(true).subcommands(shown)
}

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionArgs) -> anyhow::Result<Exit> {
    let shell = match args.shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Zsh => Shell::Zsh,
        ShellName::Fish => Shell::Fish,
        ShellName::PowerShell => Shell::PowerShell,
        ShellName::Elvish => Shell::Elvish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut public(), "corelane", &mut script);
    terminal::write(&String::from_utf8(script)?)?;
    Ok(Exit::Ok)
}

/// Prints the page of `corelane`, or writes all of them.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    match &args.output {
        None => {
            let mut page = Vec::new();
            render(public(), "corelane", &mut page)?;
            terminal::write(&String::from_utf8(page)?)?;
        }
        Some(folder) => {
            make(folder, fs::create_dir_all(folder))?;
            write_pages(public(), "corelane", folder)?;
        }
    }
    Ok(Exit::Ok)
}

fn make(path: &Path, done: io::Result<()>) -> Result<(), ManError> {
    done.map_err(|source| ManError::Write { path: path.to_owned(), source })
}

/// A page for a command, named by its whole path, and for each command below it.
fn write_pages(command: Command, name: &str, folder: &Path) -> anyhow::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below.clone(), &format!("{name}-{}", below.get_name()), folder)?;
    }
    let mut page = Vec::new();
    render(command, name, &mut page)?;
    let path = folder.join(format!("{name}.{SECTION}"));
    make(&path, fs::write(&path, page))?;
    Ok(())
}

/// One page. `name` is the command's path joined by hyphens, as manuals name them.
fn render(command: Command, name: &str, page: &mut impl Write) -> io::Result<()> {
    let usage = name.replace('-', " ");
    let command =
        command.bin_name(usage).display_name(name.to_owned()).disable_help_subcommand(true);
    let source = format!("corelane {}", env!("CARGO_PKG_VERSION"));
    let mut text = Vec::new();
    let man = Man::new(command).section(SECTION).source(source.clone()).manual("Corelane");
    man.render(&mut text)?;
    // The library leaves an empty date out, and what follows would take its place.
    let text = String::from_utf8_lossy(&text);
    let (without, with) =
        (format!(" {SECTION}  \"{source}"), format!(" {SECTION} \"\" \"{source}"));
    page.write_all(text.replacen(&without, &with, 1).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command with its path, hidden ones too.
    fn commands(command: &Command, path: &str, out: &mut Vec<(String, Command)>) {
        out.push((path.to_owned(), command.clone()));
        for below in command.get_subcommands() {
            commands(below, &format!("{path} {}", below.get_name()), out);
        }
    }

    #[test]
    fn every_command_and_every_option_has_its_help() {
        let mut all = Vec::new();
        commands(&Cli::command(), "corelane", &mut all);
        assert!(all.len() > 8, "{all:?}");
        for (path, command) in all {
            assert!(command.get_about().is_some(), "{path} has no text");
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.len() > 10, "{path}: {} has no text", argument.get_id());
            }
        }
    }

    #[test]
    fn pages_that_cannot_be_written_have_a_code() {
        // A file is no folder.
        let args = ManArgs { output: Some("/dev/null/man".into()) };
        let error = man(&args).unwrap_err().downcast::<ManError>().unwrap();
        assert_eq!(error.code(), "CL-1180");
    }

    #[test]
    fn what_the_node_starts_is_not_offered() {
        let mut script = Vec::new();
        clap_complete::generate(Shell::Bash, &mut public(), "corelane", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("bench") && !script.contains("worker)"), "{script}");
    }
}
