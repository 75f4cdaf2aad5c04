//! A flame graph of a run: samples of every thread's stack, drawn by pprof.

use std::{fs::File, path::Path};

use anyhow::Context;
use pprof::ProfilerGuardBuilder;

/// Samples per second of CPU time; no divisor of the kernel's tick.
const SAMPLES_PER_S: i32 = 997;

/// Runs `work` under the profiler and writes the graph to `path`.
pub(super) fn around<T>(path: &Path, work: impl FnOnce() -> T) -> anyhow::Result<T> {
    // Opened first: who cannot write the graph need not wait for it.
    let file = File::create(path)
        .with_context(|| format!("flame graph cannot be written: {}", path.display()))?;
    let profiler = ProfilerGuardBuilder::default().frequency(SAMPLES_PER_S).build();
    let profiler = profiler.context("profiler cannot be started, end the one that runs")?;
    let result = work();
    let profile = profiler.report().build().context("samples cannot be read")?;
    profile.flamegraph(file).context("flame graph cannot be drawn, measure longer")?;
    Ok(result)
}
