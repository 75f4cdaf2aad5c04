//! What a backend can run on. It says what a device is, not how busy it is (see `Snapshot`).

use std::fmt;

use serde::Deserialize;

/// The kinds of device, in the order in which equal costs are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DeviceKind {
    /// The host's processor cores.
    Cpu,
    /// A graphics processor.
    Gpu,
    /// A neural accelerator.
    Npu,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Npu => "npu",
        })
    }
}

/// One device as one backend sees it; the same silicon may appear under several backends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    /// What sort of device it is.
    pub kind: DeviceKind,
    /// Its index among the devices of this kind and backend.
    pub index: u16,
    /// The name the runtime or the driver gives it.
    pub name: String,
    /// The backend that reaches it.
    pub backend: &'static str,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.kind, self.index, self.backend)
    }
}
