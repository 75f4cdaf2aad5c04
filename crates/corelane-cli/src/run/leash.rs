//! The leash of this process's tools, and the hidden command that is its watcher.

use std::{env, io, process::Command, sync::Arc};

use anyhow::Context;
use clap::Args;
use corelane_agent::process::{Leash, MARK, kill_marked};
use corelane_transport::monotonic_ns;

use crate::Exit;

/// Options of the hidden command that a worker starts beside its tools.
#[derive(Debug, Clone, Args)]
pub(crate) struct LeashArgs {
    /// What the tools carry in their environment.
    mark: String,
}

/// Waits until the worker is gone, then kills what is left of its tools.
pub(crate) fn hold(args: &LeashArgs) -> Exit {
    kill_marked(io::stdin(), &args.mark);
    Exit::Ok
}

/// Starts a watcher for this process.
pub(super) fn start() -> anyhow::Result<Arc<Leash>> {
    let own = format!("{}-{}", std::process::id(), monotonic_ns());
    // Of a tool that is a fabric itself: whoever watches it watches its tools too.
    let outer = env::var(MARK).ok().filter(|outer| !outer.is_empty());
    let marks = outer.map_or(own.clone(), |outer| format!("{outer}:{own}"));
    let mut command = Command::new(env::current_exe().context("this program cannot find itself")?);
    command.arg("leash").arg(&own);
    Ok(Arc::new(Leash::start(command, marks).context("watcher of the tools cannot be started")?))
}
