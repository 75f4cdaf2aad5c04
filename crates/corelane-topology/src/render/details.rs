//! What the drawing leaves out: all caches by size, memory without CPUs, distances of nodes.
//!
//! Draws only.

use super::RenderStyle;
use super::drawing::{node_words, size_words};
use super::line::Page;
use crate::Topology;
use crate::model::{Cache, CacheKind};

/// Draws caches and nodes; nothing where nothing is known of them.
#[must_use]
pub fn draw_details(topology: &Topology, style: &RenderStyle) -> String {
    let mut page = Page::new(style);
    let caches = cache_counts(topology);
    if !caches.is_empty() {
        page.sentence("", "  ", &format!("caches: {}", caches.join(", ")));
    }
    for (index, _) in topology.nodes.iter().enumerate().filter(|(_, node)| node.cpus.is_empty()) {
        let words = node_words(topology, Some(index));
        page.sentence("", "  ", &format!("memory only: {words}"));
    }
    if topology.nodes.len() > 1 {
        for node in topology.nodes.iter().filter(|node| !node.distances.is_empty()) {
            let distances: Vec<String> = node.distances.iter().map(u32::to_string).collect();
            let text = format!("distances from node {}: {}", node.id, distances.join(" "));
            page.sentence("", "  ", &text);
        }
    }
    page.finish()
}

/// A text, broken at spaces so that no line is too long.
#[must_use]
pub fn wrap_words(text: &str, style: &RenderStyle) -> String {
    let mut page = Page::new(style);
    page.sentence("", "", text);
    page.finish()
}

/// "8 L1 data of 48 KiB": caches that are alike, nearest first.
fn cache_counts(topology: &Topology) -> Vec<String> {
    let mut counts: Vec<(&Cache, usize)> = Vec::new();
    for cache in &topology.caches {
        let is_alike = |(other, _): &&mut (&Cache, usize)| {
            (other.level, other.kind, other.size_kib) == (cache.level, cache.kind, cache.size_kib)
        };
        match counts.iter_mut().find(is_alike) {
            Some((_, count)) => *count += 1,
            None => counts.push((cache, 1)),
        }
    }
    let words = |(cache, count): (&Cache, usize)| {
        let kind = match cache.kind {
            CacheKind::Data => " data",
            CacheKind::Instruction => " instructions",
            CacheKind::Unified => "",
        };
        let size = cache.size_kib.map_or(String::new(), |kib| format!(" of {}", size_words(kib)));
        format!("{count} L{}{kind}{size}", cache.level)
    };
    counts.into_iter().map(words).collect()
}
