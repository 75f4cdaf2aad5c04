//! How many threads of each sort to place, and a default for a machine.
//!
//! Knows nothing of load: whoever has measured traffic states its own numbers.

use super::Plan;
use crate::Topology;

/// No default asks for more routers than this, however large the machine.
pub const ROUTERS_SUGGESTED_MAX: usize = 16;
const CORES_PER_ROUTER: usize = 8;
const WORKERS_MIN: usize = 2;

/// How many threads of each sort to place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanRequest {
    /// Router threads.
    pub routers: usize,
    /// Worker threads.
    pub workers: usize,
    /// Source and control threads; they may block, and share one place.
    pub control_threads: usize,
}

/// A default request, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuggestedRequest {
    /// The numbers.
    pub request: PlanRequest,
    /// The reason, one sentence.
    pub because: String,
}

impl Plan {
    /// One router up to 7 allowed cores, 2 up to 15, and so on to [`ROUTERS_SUGGESTED_MAX`]; one
    /// control thread; a worker for each other core, two at least.
    #[must_use]
    pub fn default_request(topology: &Topology) -> SuggestedRequest {
        let cores = topology.allowed_cores();
        let routers = (cores / CORES_PER_ROUTER + 1).min(ROUTERS_SUGGESTED_MAX);
        let workers = cores.saturating_sub(routers + 1).max(WORKERS_MIN);
        let fit = match routers + workers < cores {
            true => "each thread has a core",
            false => "there are fewer cores than threads, so some share and yield",
        };
        let because = format!(
            "{cores} allowed cores: one router per {CORES_PER_ROUTER} cores begun, one core for \
             control, the others for workers and at least {WORKERS_MIN} workers; {fit}"
        );
        SuggestedRequest { request: PlanRequest { routers, workers, control_threads: 1 }, because }
    }
}
