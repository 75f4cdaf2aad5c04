//! A flame graph of a run: samples of every thread's stack, drawn by pprof.

use std::{fs::File, path::Path};

use pprof::ProfilerGuardBuilder;

use crate::error::CliError;

/// Samples per second of CPU time; no divisor of the kernel's tick.
const SAMPLES_PER_S: i32 = 997;

/// Runs `work` under the profiler and writes the graph to `path`.
pub(super) fn around<T>(path: &Path, work: impl FnOnce() -> T) -> anyhow::Result<T> {
    // Opened first: who cannot write the graph need not wait for it.
    let file = File::create(path)
        .map_err(|source| CliError::FlamegraphFile { path: path.to_path_buf(), source })?;
    let profiler = ProfilerGuardBuilder::default().frequency(SAMPLES_PER_S).build();
    let profiler = profiler.map_err(CliError::Profiler)?;
    let result = work();
    let profile = profiler.report().build().map_err(CliError::Flamegraph)?;
    profile.flamegraph(file).map_err(CliError::Flamegraph)?;
    Ok(result)
}
