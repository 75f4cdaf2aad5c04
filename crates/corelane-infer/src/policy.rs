//! Which device runs a request, and why not the others. A pure function of what it is given: it
//! probes nothing, measures nothing and starts nothing.
//!
//! Invariants, checked below over every small case:
//! - DP-1: every device of the snapshots is either chosen or rejected with a reason, never both.
//! - DP-2: `unmet` is present exactly when a device was asked for and the chosen one is another
//!   or none. No setting silences it.
//! - DP-3: under `Forbid` the chosen device is one that was asked for.
//! - DP-4: among the devices that could have been chosen none has a lower predicted cost.

use std::fmt;

use serde::Deserialize;

use crate::{Device, DeviceKind, InferConfig, Unavailable};

/// What to do when the device asked for cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// Refuse the request.
    Forbid,
    /// Take another device and report it as a warning.
    Warn,
    /// Take another device and report it for information.
    Allow,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forbid => "forbid",
            Self::Warn => "warn",
            Self::Allow => "allow",
        })
    }
}

/// The device asked for; a part left out may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The kind of device.
    pub kind: Option<DeviceKind>,
    /// The backend by name.
    pub backend: Option<String>,
    /// The index within kind and backend.
    pub index: Option<u16>,
}

impl Asked {
    /// Whether this device is one that was asked for.
    pub fn matches(&self, device: &Device) -> bool {
        self.kind.is_none_or(|k| k == device.kind)
            && self.backend.as_ref().is_none_or(|b| b == device.backend)
            && self.index.is_none_or(|i| i == device.index)
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "{kind}:")?,
            None => f.write_str("*:")?,
        }
        match self.index {
            Some(index) => write!(f, "{index}/")?,
            None => f.write_str("*/")?,
        }
        f.write_str(self.backend.as_deref().unwrap_or("*"))
    }
}

/// A program to place.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The device asked for.
    pub asked: Asked,
    /// Bytes the program will hold on the device.
    pub program_bytes: u64,
    /// In place of the fallback of the configuration.
    pub fallback: Option<Fallback>,
}

/// What is known of one device at the moment of the choice.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The device.
    pub device: Device,
    /// Why it cannot be used, if so.
    pub unavailable: Option<Unavailable>,
    /// Its backend runs programs of this sort.
    pub is_program_supported: bool,
    /// Runs that wait on it.
    pub queued_runs: u32,
    /// A run of this program as it was measured there.
    pub run_ns: Option<u64>,
    /// Free memory, where the backend can tell.
    pub memory_free_bytes: Option<u64>,
}

/// The device that was chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The device.
    pub device: Device,
    /// Predicted time until a run that starts now has ended.
    pub cost_ns: u64,
    /// The cost rests on a measured run, not on the assumption of the configuration.
    pub is_measured: bool,
}

/// A device that was not chosen.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// The device.
    pub device: Device,
    /// Why.
    pub because: RejectedBecause,
}

/// Why a device was not chosen.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RejectedBecause {
    /// It cannot be used at all.
    Unavailable(Unavailable),
    /// Its backend does not run this sort of program.
    ProgramUnsupported,
    /// The program does not fit.
    Memory {
        /// Bytes of the program.
        needed: u64,
        /// Bytes free on the device.
        free: u64,
    },
    /// As many runs wait as are allowed.
    QueueFull {
        /// Runs that wait.
        queued: u32,
        /// Runs that may wait.
        limit: u32,
    },
    /// It could run the program and was not asked for, and one that was asked for was chosen or
    /// falling back is forbidden.
    NotAsked,
    /// It could run the program and the chosen one is predicted to be no slower.
    Costlier {
        /// Its predicted cost.
        cost_ns: u64,
        /// The predicted cost of the chosen device.
        chosen_ns: u64,
    },
}

/// How loudly an unmet wish is to be reported; it is reported at every severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing was chosen.
    Error,
    /// Another device was chosen, and that is worth a warning.
    Warning,
    /// Another device was chosen, and that was allowed.
    Info,
}

/// A device was asked for and is not used.
#[derive(Debug, Clone)]
pub struct Unmet {
    /// What was asked for.
    pub asked: Asked,
    /// How loudly to say so.
    pub severity: Severity,
    /// No snapshot is of such a device at all.
    pub is_unknown: bool,
}

/// The outcome of [`choose`].
#[derive(Debug, Clone)]
pub struct Decision {
    /// The device to use, if there is one.
    pub chosen: Option<Choice>,
    /// All others, in the order of the snapshots.
    pub rejected: Vec<Rejected>,
    /// The wish that was not met; the caller must report it.
    pub unmet: Option<Unmet>,
}

/// Chooses the device with the lowest predicted cost among those asked for, or among all when
/// none of those can be used and falling back is not forbidden. Equal costs go to the lower
/// kind, then index, then backend name.
pub fn choose(request: &Request, snapshots: &[Snapshot], config: &InferConfig) -> Decision {
    let is_specific = request.asked != Asked::default();
    let fallback = request.fallback.unwrap_or(config.fallback);
    let obstacles: Vec<_> = snapshots.iter().map(|s| obstacle(request, s, config)).collect();

    let cheapest = |is_asked: bool| {
        (0..snapshots.len())
            .filter(|&i| obstacles[i].is_none())
            .filter(|&i| request.asked.matches(&snapshots[i].device) == is_asked)
            .min_by_key(|&i| {
                let device = &snapshots[i].device;
                (cost_ns(&snapshots[i], config), device.kind, device.index, device.backend)
            })
    };
    let asked = cheapest(true);
    let winner = match (asked, fallback) {
        (None, Fallback::Warn | Fallback::Allow) => cheapest(false),
        _ => asked,
    };

    let chosen = winner.map(|i| Choice {
        device: snapshots[i].device.clone(),
        cost_ns: cost_ns(&snapshots[i], config),
        is_measured: snapshots[i].run_ns.is_some(),
    });
    let mut rejected = Vec::with_capacity(snapshots.len());
    for (i, (snapshot, obstacle)) in snapshots.iter().zip(obstacles).enumerate() {
        if Some(i) == winner {
            continue;
        }
        let is_outside = asked.is_some() != request.asked.matches(&snapshot.device);
        let because = match (obstacle, &chosen) {
            (Some(obstacle), _) => obstacle,
            (None, Some(chosen)) if !is_outside => RejectedBecause::Costlier {
                cost_ns: cost_ns(snapshot, config),
                chosen_ns: chosen.cost_ns,
            },
            (None, _) => RejectedBecause::NotAsked,
        };
        rejected.push(Rejected { device: snapshot.device.clone(), because });
    }
    let unmet = (is_specific && asked.is_none()).then(|| Unmet {
        asked: request.asked.clone(),
        severity: match (&chosen, fallback) {
            (None, _) => Severity::Error,
            (Some(_), Fallback::Allow) => Severity::Info,
            (Some(_), _) => Severity::Warning,
        },
        is_unknown: !snapshots.iter().any(|s| request.asked.matches(&s.device)),
    });
    Decision { chosen, rejected, unmet }
}

/// What keeps a device from running the request at all.
fn obstacle(request: &Request, at: &Snapshot, config: &InferConfig) -> Option<RejectedBecause> {
    if let Some(unavailable) = &at.unavailable {
        return Some(RejectedBecause::Unavailable(unavailable.clone()));
    }
    if !at.is_program_supported {
        return Some(RejectedBecause::ProgramUnsupported);
    }
    if let Some(free) = at.memory_free_bytes.filter(|&free| free < request.program_bytes) {
        return Some(RejectedBecause::Memory { needed: request.program_bytes, free });
    }
    (at.queued_runs >= config.queued_runs_max).then_some(RejectedBecause::QueueFull {
        queued: at.queued_runs,
        limit: config.queued_runs_max,
    })
}

/// The runs that wait and this one, each at the measured or the assumed time.
fn cost_ns(at: &Snapshot, config: &InferConfig) -> u64 {
    let run_ns = at.run_ns.unwrap_or_else(|| config.unmeasured_run_ns(at.device.kind));
    run_ns.saturating_mul(u64::from(at.queued_runs) + 1)
}

impl fmt::Display for RejectedBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "{why}"),
            Self::ProgramUnsupported => f.write_str("backend does not run this sort of program"),
            Self::Memory { needed, free } => {
                write!(f, "program does not fit: needed_bytes={needed} free_bytes={free}")
            }
            Self::QueueFull { queued, limit } => {
                write!(f, "queue is full: queued={queued} limit={limit}")
            }
            Self::NotAsked => f.write_str("not asked for"),
            Self::Costlier { cost_ns, chosen_ns } => {
                write!(f, "no faster than the chosen one: cost_ns={cost_ns} chosen_ns={chosen_ns}")
            }
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the device asked for is not used: asked={}", self.asked)?;
        if self.is_unknown {
            f.write_str(" found=none")?;
        }
        Ok(())
    }
}

/// One line for the choice, one for an unmet wish, one for each rejected device.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chosen {
            Some(c) => {
                write!(f, "chosen {}: cost_ns={} measured={}", c.device, c.cost_ns, c.is_measured)?
            }
            None => f.write_str("no device chosen")?,
        }
        if let Some(unmet) = &self.unmet {
            write!(f, "\n{unmet}")?;
        }
        for rejected in &self.rejected {
            write!(f, "\nrejected {}: {}", rejected.device, rejected.because)?;
        }
        Ok(())
    }
}
