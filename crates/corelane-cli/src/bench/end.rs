//! The process of an end: how `corelane bench` starts it, and the hidden command that it runs.

use std::{
    env, io,
    os::fd::{AsFd, OwnedFd},
};

use anyhow::Context;
use corelane_bench::process::{EndCommand, play_end};
use corelane_shm::fdpass::Channel;

use super::peers;
use crate::{Exit, error::CliError};

/// What starts a process for an end: this program with the hidden command.
pub(super) fn command() -> anyhow::Result<EndCommand> {
    let program = env::current_exe().map_err(CliError::OwnProgram)?;
    Ok(EndCommand::new(program, ["bench-end"]))
}

/// Plays the end that the measuring process asks for over stdin.
pub(crate) fn play() -> anyhow::Result<Exit> {
    let stdin: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    play_end(&peers::across_processes(), &Channel::from(stdin))
        .context("this command is started by `corelane bench` itself")?;
    Ok(Exit::Ok)
}
