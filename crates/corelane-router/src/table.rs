//! The routing table: which client hosts which agent. Lookups are one array access.

use std::{ops::Range, sync::Arc};

use arc_swap::ArcSwap;
use corelane_transport::AgentId;
use thiserror::Error;

use crate::switch::ClientId;

/// Most clients of one node; one router waits for all of them in a single system call.
pub const CLIENTS_MAX: usize = 120;
/// Most agents of one fabric in this version.
const AGENTS_MAX: usize = 1 << 22;

/// The table in force; routers look at it once per turn, so a swap needs no pause.
pub type SharedTable = Arc<ArcSwap<RoutingTable>>;

/// Where every agent lives. Immutable: a change is a new table.
#[derive(Debug, Clone, Default)]
pub struct RoutingTable {
    homes: Vec<Option<ClientId>>,
}

/// Why agents were not entered.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// An agent of the range has a home already.
    #[error("{agent} lives at client={home} already: choose another range of agent ids")]
    Taken {
        /// Which agent.
        agent: AgentId,
        /// Where it lives.
        home: ClientId,
    },
    /// The range lies beyond what a table can hold.
    #[error("agents up to {end} are asked for, a fabric holds {AGENTS_MAX}: use fewer")]
    TooMany {
        /// End of the range.
        end: u32,
    },
}

impl TableError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "CL-0511",
            Self::TooMany { .. } => "CL-0512",
        }
    }
}

impl RoutingTable {
    /// A table in which the agents of `range` live at `home` as well.
    ///
    /// # Errors
    /// - [`TableError`]: the range is taken or too large.
    pub fn with(&self, range: Range<u32>, home: ClientId) -> Result<Self, TableError> {
        if range.end as usize > AGENTS_MAX {
            return Err(TableError::TooMany { end: range.end });
        }
        let mut homes = self.homes.clone();
        homes.resize(homes.len().max(range.end as usize), None);
        for agent in range {
            if let Some(home) = homes[agent as usize].replace(home) {
                return Err(TableError::Taken { agent: AgentId(agent), home });
            }
        }
        Ok(Self { homes })
    }

    /// Where `agent` lives.
    #[inline]
    pub fn home(&self, agent: AgentId) -> Option<ClientId> {
        self.homes.get(agent.0 as usize).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_found_where_they_were_entered() {
        let table = RoutingTable::default();
        let table = table.with(1..4, ClientId(0)).and_then(|t| t.with(6..7, ClientId(1)));
        let table = table.expect("because the ranges are apart");
        let homes = (0..8).map(|agent| table.home(AgentId(agent)).map(|home| home.0));
        let expected = [None, Some(0), Some(0), Some(0), None, None, Some(1), None];
        assert!(homes.eq(expected));
    }

    #[test]
    fn overlap_and_excess_are_refused() {
        let table = RoutingTable::default().with(1..4, ClientId(0)).expect("because it is empty");
        let taken = TableError::Taken { agent: AgentId(3), home: ClientId(0) };
        assert_eq!(table.with(3..5, ClientId(1)).err(), Some(taken));
        let end = AGENTS_MAX as u32 + 1;
        assert_eq!(table.with(0..end, ClientId(1)).err(), Some(TableError::TooMany { end }));
    }
}
