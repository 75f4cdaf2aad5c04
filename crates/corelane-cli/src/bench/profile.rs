//! A flame graph of a run: samples of every thread's stack, drawn by pprof.

use std::{fs::File, io::Write, path::Path};

use pprof::ProfilerGuardBuilder;

use crate::error::CliError;

/// Samples per second of CPU time; no divisor of the kernel's tick.
const SAMPLES_PER_S: i32 = 997;

/// Runs `work` under the profiler and writes the graph to `path`.
pub(super) fn around<T>(path: &Path, work: impl FnOnce() -> T) -> anyhow::Result<T> {
    // Opened first: who cannot write the graph need not wait for it.
    let mut file = File::create(path)
        .map_err(|source| CliError::FlamegraphFile { path: path.to_path_buf(), source })?;
    let profiler = ProfilerGuardBuilder::default().frequency(SAMPLES_PER_S).build();
    let profiler = profiler.map_err(CliError::Profiler)?;
    let result = work();
    let profile = profiler.report().build().map_err(CliError::Flamegraph)?;
    // Drawn first and written then: a disk that is full must not go unnoticed in a buffer.
    let mut graph = Vec::new();
    profile.flamegraph(&mut graph).map_err(CliError::Flamegraph)?;
    file.write_all(&graph).map_err(|source| CliError::Flamegraph(source.into()))?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// One test, since a process has one profiler.
    #[test]
    fn graphs_that_cannot_be_had_are_errors() {
        let code = |error: anyhow::Error| error.downcast::<CliError>().map(|error| error.code());
        let path = std::env::temp_dir().join(format!("corelane-{}.svg", std::process::id()));
        let other = ProfilerGuardBuilder::default().frequency(SAMPLES_PER_S).build().unwrap();
        let refused = around(&path, || ()).unwrap_err();
        assert_eq!(code(refused).unwrap(), "CL-1146");
        drop(other);
        let work = || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(100) {
                std::hint::spin_loop();
            }
        };
        let unwritten = around(Path::new("/dev/full"), work).unwrap_err();
        assert_eq!(code(unwritten).unwrap(), "CL-1147");
        std::fs::remove_file(path).unwrap();
    }
}
