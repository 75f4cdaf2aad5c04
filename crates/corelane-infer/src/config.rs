//! The settings of this crate and their defaults. It reads no file and no environment variable.

use serde::Deserialize;
use thiserror::Error;

use crate::{DeviceKind, Fallback};

/// The version of the settings that this build reads.
const VERSION: u32 = 1;

/// Settings of dispatch and of the model repository; the defaults are in `config.default.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferConfig {
    /// Version of this structure.
    pub version: u32,
    /// What happens when the device asked for cannot be used.
    pub fallback: Fallback,
    /// Runs that may wait on one device before it is refused.
    pub queued_runs_max: u32,
    /// Cost of a run assumed on a CPU until one was measured.
    pub unmeasured_run_ns_cpu: u64,
    /// Cost of a run assumed on a GPU until one was measured.
    pub unmeasured_run_ns_gpu: u64,
    /// Cost of a run assumed on an NPU until one was measured.
    pub unmeasured_run_ns_npu: u64,
    /// Largest model file that is read.
    pub model_bytes_max: u64,
}

impl Default for InferConfig {
    fn default() -> Self {
        Self {
            version: VERSION,
            fallback: Fallback::Warn,
            queued_runs_max: 64,
            unmeasured_run_ns_cpu: 1_000_000,
            unmeasured_run_ns_gpu: 2_000_000,
            unmeasured_run_ns_npu: 2_000_000,
            model_bytes_max: 1 << 30,
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// They are of another version.
    #[error(
        "settings have an unknown version, use a matching build: found={found} expected={expected}"
    )]
    Version {
        /// The version given.
        found: u32,
        /// The version this build reads.
        expected: u32,
    },
    /// A limit is zero, so that nothing would ever run.
    #[error("setting must be at least 1, correct it: field={field} found=0")]
    Zero {
        /// The setting.
        field: &'static str,
    },
}

impl ConfigError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } => "CL-0751",
            Self::Zero { .. } => "CL-0752",
        }
    }
}

impl InferConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// - `Version`: written for another build.
    /// - `Zero`: a limit that would refuse everything.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.version != VERSION {
            return Err(ConfigError::Version { found: self.version, expected: VERSION });
        }
        let limits = [
            ("queued_runs_max", u64::from(self.queued_runs_max)),
            ("model_bytes_max", self.model_bytes_max),
        ];
        match limits.into_iter().find(|&(_, limit)| limit == 0) {
            Some((field, _)) => Err(ConfigError::Zero { field }),
            None => Ok(()),
        }
    }

    /// The cost of a run assumed on a device of this kind until one was measured.
    pub fn unmeasured_run_ns(&self, kind: DeviceKind) -> u64 {
        match kind {
            DeviceKind::Cpu => self.unmeasured_run_ns_cpu,
            DeviceKind::Gpu => self.unmeasured_run_ns_gpu,
            DeviceKind::Npu => self.unmeasured_run_ns_npu,
        }
    }

    /// The text of the documented default file.
    pub fn default_file() -> String {
        let d = Self::default();
        format!(
            "# Defaults of corelane-infer; a test compares this file with the code.\n\
             version = {}\n\n\
             # When the device asked for cannot be used: \"forbid\" refuses the request, \"warn\"\n\
             # and \"allow\" take another device. All three report it.\n\
             fallback = \"{}\"\n\n\
             # Runs that may wait on one device before it is refused.\n\
             queued_runs_max = {}\n\n\
             # Cost of a run, in nanoseconds, assumed on a device until one was measured there.\n\
             unmeasured_run_ns_cpu = {}\n\
             unmeasured_run_ns_gpu = {}\n\
             unmeasured_run_ns_npu = {}\n\n\
             # Largest model file, in bytes, that is read.\n\
             model_bytes_max = {}\n",
            d.version,
            d.fallback,
            d.queued_runs_max,
            d.unmeasured_run_ns_cpu,
            d.unmeasured_run_ns_gpu,
            d.unmeasured_run_ns_npu,
            d.model_bytes_max,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_default_file_is_the_generated_one_and_parses_to_the_defaults() {
        let committed = include_str!("../config.default.toml");
        assert_eq!(committed, InferConfig::default_file());
        let parsed: InferConfig = toml::from_str(committed).unwrap();
        assert_eq!(parsed, InferConfig::default());
        assert_eq!(parsed.validate(), Ok(()));
    }

    #[test]
    fn bad_settings_are_refused() {
        assert!(toml::from_str::<InferConfig>("fall_back = \"warn\"").is_err());
        let config = InferConfig { version: 2, ..InferConfig::default() };
        assert_eq!(config.validate(), Err(ConfigError::Version { found: 2, expected: 1 }));
        let config = InferConfig { queued_runs_max: 0, ..InferConfig::default() };
        assert_eq!(config.validate(), Err(ConfigError::Zero { field: "queued_runs_max" }));
    }
}
