//! Latencies between all allowed CPUs: measured where that is affordable, derived elsewhere.
//!
//! Up to [`MATRIX_CPUS_FULL_MAX`] CPUs every pair is measured. Above, pairs are classed by
//! relation, kinds and node distance, a few pairs of each class are measured, and the others take
//! the median of their class and say so.

use crate::model::{CpuKind, HardwareThread, Relation};
use crate::{MeasureError, PingPong, PingPongOptions, Topology, measure_pingpong};
use std::{collections::BTreeMap, ops::ControlFlow};

/// Up to this many allowed CPUs every pair is measured.
pub const MATRIX_CPUS_FULL_MAX: usize = 16;

/// What pairs that should be alike have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PairClass {
    /// How near they are.
    pub relation: Relation,
    /// The faster kind of the two.
    pub kind_fast: CpuKind,
    /// The slower kind of the two.
    pub kind_slow: CpuKind,
    /// The kernel's distance between their nodes.
    pub node_distance: Option<u32>,
}

/// Where the number of a cell comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CellOrigin {
    /// This very pair was measured.
    Measured,
    /// The median of measured pairs of its class.
    Derived,
}

/// The latency of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Cell {
    /// Nanoseconds one way.
    pub one_way_ns: f64,
    /// Where the number comes from.
    pub origin: CellOrigin,
}

/// The measured pairs of one class.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ClassSummary {
    /// The class.
    pub class: PairClass,
    /// Pairs of this class that were measured.
    pub pairs_measured: usize,
    /// Fastest pair.
    pub one_way_ns_min: f64,
    /// Median pair.
    pub one_way_ns: f64,
    /// Slowest pair.
    pub one_way_ns_max: f64,
}

/// How far [`measure_matrix`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatrixProgress {
    /// Pairs done, this one included.
    pub done: usize,
    /// Pairs to do.
    pub total: usize,
    /// The pair just measured.
    pub pair: (usize, usize),
}

/// Latencies between CPUs, symmetric.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyMatrix {
    cpus: Vec<usize>,
    pairs: BTreeMap<(usize, usize), PingPong>,
    classes: BTreeMap<PairClass, ClassSummary>,
    threads: BTreeMap<usize, HardwareThread>,
    distances: Vec<Vec<u32>>,
}

/// Measures the allowed CPUs of the live machine; one CPU gives an empty matrix.
///
/// `progress` is called between two measurements, when no measuring thread runs. When it breaks
/// off, pairs that were not measured yet stay unknown.
///
/// # Errors
/// - [`MeasureError::NotLive`] for a recorded topology.
/// - As [`measure_pingpong`], at the first pair that fails.
pub fn measure_matrix(
    topology: &Topology,
    options: &PingPongOptions,
    mut progress: impl FnMut(MatrixProgress) -> ControlFlow<()>,
) -> Result<LatencyMatrix, MeasureError> {
    if !topology.is_live {
        return Err(MeasureError::NotLive);
    }
    let mut matrix = LatencyMatrix::empty(topology);
    let chosen = matrix.pairs_to_measure();
    let total = chosen.len();
    for (index, (a, b)) in chosen.into_iter().enumerate() {
        matrix.pairs.insert((a, b), measure_pingpong(a, b, options)?);
        if progress(MatrixProgress { done: index + 1, total, pair: (a, b) }).is_break() {
            break;
        }
    }
    matrix.summarise();
    Ok(matrix)
}

impl LatencyMatrix {
    /// A matrix from known one-way times, for a recorded or an imagined machine. CPUs that the
    /// topology does not allow are left out.
    #[must_use]
    pub fn from_one_way_ns(
        topology: &Topology,
        pairs: impl IntoIterator<Item = ((usize, usize), f64)>,
    ) -> Self {
        let mut matrix = Self::empty(topology);
        for ((a, b), ns) in pairs {
            let is_known = |cpu| matrix.threads.contains_key(&cpu);
            if a != b && is_known(a) && is_known(b) {
                matrix.pairs.insert(ordered(a, b), PingPong::from_passes(vec![ns], 0));
            }
        }
        matrix.summarise();
        matrix
    }

    /// The CPUs of the matrix, rising.
    #[must_use]
    pub fn cpus(&self) -> &[usize] {
        &self.cpus
    }

    /// The latency of a pair in either order; `None` for a CPU with itself and for the unknown.
    #[must_use]
    pub fn cell(&self, a: usize, b: usize) -> Option<Cell> {
        let (a, b) = ordered(a, b);
        if let Some(measured) = self.measured(a, b) {
            return Some(Cell { one_way_ns: measured.one_way_ns, origin: CellOrigin::Measured });
        }
        let class = self.class(self.threads.get(&a)?, self.threads.get(&b)?);
        let one_way_ns = self.classes.get(&class).filter(|_| a != b)?.one_way_ns;
        Some(Cell { one_way_ns, origin: CellOrigin::Derived })
    }

    /// The measurement of a pair in either order, when that very pair was measured.
    #[must_use]
    pub fn measured(&self, a: usize, b: usize) -> Option<&PingPong> {
        self.pairs.get(&ordered(a, b))
    }

    /// The classes with measured pairs, nearest first.
    pub fn classes(&self) -> impl Iterator<Item = &ClassSummary> + '_ {
        self.classes.values()
    }

    fn empty(topology: &Topology) -> Self {
        let threads: BTreeMap<_, _> = topology.allowed_threads().map(|t| (t.cpu, *t)).collect();
        Self {
            cpus: threads.keys().copied().collect(),
            pairs: BTreeMap::new(),
            classes: BTreeMap::new(),
            threads,
            distances: topology.nodes.iter().map(|node| node.distances.clone()).collect(),
        }
    }

    fn class(&self, a: &HardwareThread, b: &HardwareThread) -> PairClass {
        let distance = |from: usize, to: usize| self.distances.get(from)?.get(to).copied();
        PairClass {
            relation: a.relation(b),
            kind_fast: a.kind.min(b.kind),
            kind_slow: a.kind.max(b.kind),
            node_distance: a.node.zip(b.node).and_then(|(from, to)| distance(from, to)),
        }
    }

    fn pairs_of_all(&self) -> impl Iterator<Item = (&HardwareThread, &HardwareThread)> + '_ {
        let others = |a: usize| self.threads.range(a + 1..).map(|(_, thread)| thread);
        self.threads.values().flat_map(move |a| others(a.cpu).map(move |b| (a, b)))
    }

    /// All pairs of a small machine; the first, middle and last of each class of a large one.
    fn pairs_to_measure(&self) -> Vec<(usize, usize)> {
        if self.cpus.len() <= MATRIX_CPUS_FULL_MAX {
            return self.pairs_of_all().map(|(a, b)| (a.cpu, b.cpu)).collect();
        }
        let mut count_of: BTreeMap<PairClass, usize> = BTreeMap::new();
        for (a, b) in self.pairs_of_all() {
            *count_of.entry(self.class(a, b)).or_default() += 1;
        }
        let mut seen_of: BTreeMap<PairClass, usize> = BTreeMap::new();
        let is_chosen = |(a, b): &(&HardwareThread, &HardwareThread)| {
            let class = self.class(a, b);
            let (count, seen) = (count_of[&class], seen_of.entry(class).or_default());
            *seen += 1;
            [1, count / 2 + 1, count].contains(seen)
        };
        self.pairs_of_all().filter(is_chosen).map(|(a, b)| (a.cpu, b.cpu)).collect()
    }

    fn summarise(&mut self) {
        let mut ns_of: BTreeMap<PairClass, Vec<f64>> = BTreeMap::new();
        for ((a, b), measured) in &self.pairs {
            let class = self.class(&self.threads[a], &self.threads[b]);
            ns_of.entry(class).or_default().push(measured.one_way_ns);
        }
        let summary = |(class, mut ns): (PairClass, Vec<f64>)| {
            ns.sort_by(f64::total_cmp);
            let summary = ClassSummary {
                class,
                pairs_measured: ns.len(),
                one_way_ns_min: ns[0],
                one_way_ns: ns[(ns.len() - 1) / 2],
                one_way_ns_max: ns[ns.len() - 1],
            };
            (class, summary)
        };
        self.classes = ns_of.into_iter().map(summary).collect();
    }
}

fn ordered(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SysRoot;
    use crate::testing::{hybrid, tree, two_packages};

    fn read(text: &str) -> Topology {
        Topology::read(&SysRoot::new(tree(text).path())).unwrap()
    }

    #[test]
    fn derived_cells_take_the_median_of_their_class_only() {
        let topology = read(&two_packages());
        let measured = [((0, 1), 50.0), ((2, 3), 60.0), ((0, 2), 70.0), ((7, 0), 200.0)];
        let matrix = LatencyMatrix::from_one_way_ns(&topology, measured);
        let cell = |a, b| matrix.cell(a, b).map(|c| (c.one_way_ns, c.origin));
        assert_eq!(cell(1, 0), Some((50.0, CellOrigin::Measured)));
        assert_eq!(cell(6, 4), Some((60.0, CellOrigin::Derived)));
        assert_eq!(cell(3, 4), Some((200.0, CellOrigin::Derived)));
        assert_eq!((cell(1, 1), cell(1, 99)), (None, None));
        assert_eq!(matrix.classes().count(), 2);
    }

    #[test]
    fn large_machines_are_sampled_by_class_and_small_ones_in_full() {
        let small = LatencyMatrix::empty(&read(&hybrid())).pairs_to_measure();
        assert_eq!(small.len(), 12 * 11 / 2);
        let mut text = "online=0-31\n".to_owned();
        for cpu in 0..32 {
            let (core, l3) = (format!("{}-{}", cpu & !1, cpu | 1), cpu / 16 * 16);
            text += &format!("cpu={cpu} pkg=0 node=0 core={core} l2={core} l3={l3}-{}\n", l3 + 15);
        }
        let matrix = LatencyMatrix::empty(&read(&text));
        let pairs = matrix.pairs_to_measure();
        // Same core, shared cache, same node: three of each.
        assert_eq!(pairs.len(), 9, "{pairs:?}");
        let count = |relation| {
            let class = |(a, b): &&(usize, usize)| {
                matrix.threads[a].relation(&matrix.threads[b]) == relation
            };
            pairs.iter().filter(class).count()
        };
        let relations = [Relation::SameCore, Relation::SharedCache, Relation::SameNode];
        assert_eq!(relations.map(count), [3, 3, 3]);
    }

    #[test]
    fn a_recorded_machine_is_not_measured() {
        let measured = measure_matrix(&read(&hybrid()), &PingPongOptions::default(), |_| {
            ControlFlow::Continue(())
        });
        assert!(matches!(measured, Err(MeasureError::NotLive)));
    }
}
