//! `xtask orderings`: weakens each memory order of the rings, one at a time, and runs the loom
//! models. One that no model misses needs its reason in `mutants.toml`.
//!
//! cargo-mutants leaves orders alone, and the tests on x86 cannot tell most of them apart.

mod scan;
mod scratch;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::survivors::{self, Kind};

pub(crate) use scratch::{Scratch, Verdict};

/// Judges the orders of the rings' modules asked for, or of all.
///
/// # Errors
/// When the models cannot be built or fail on the unchanged code.
pub(crate) fn run(root: &Path, asked: &[String]) -> Result<bool> {
    let lists = survivors::chosen(root, asked)?;
    let Some((list, chosen)) = lists.into_iter().find(|(list, _)| list.is_modelled()) else {
        println!("no ring among the modules asked for, so no order to weaken");
        return Ok(true);
    };
    let scratch = Scratch::new(root)?;
    let of = |module: &String| list.models_of(module, scratch.models());
    let mut models: Vec<String> = chosen.iter().flat_map(of).collect();
    models.sort();
    models.dedup();
    let started = Instant::now();
    scratch.check(&models)?;
    let took_s = started.elapsed().as_secs_f64();
    println!("{} models pass on the unchanged code, {took_s:.1} s", models.len());
    let (mut files, mut survived, mut count) = (Vec::new(), Vec::new(), 0);
    for module in &chosen {
        let models = list.models_of(module, scratch.models());
        for file in list.files_of(root, module)? {
            let path = format!("{}/{file}", list.sources());
            let text = std::fs::read_to_string(root.join(&path))
                .with_context(|| format!("cannot read {path}"))?;
            for weakening in scan::weakenings(&file, &text)? {
                let started = Instant::now();
                let verdict = scratch
                    .judge(&path, &weakening.apply(&text), &models)
                    .with_context(|| weakening.change.to_string())?;
                let took_s = started.elapsed().as_secs_f64();
                println!("{verdict:<10?} {took_s:>6.1} s  {}", weakening.change);
                count += 1;
                if verdict != Verdict::Caught {
                    survived.push(weakening.change);
                }
            }
            files.push(file);
        }
    }
    println!("{count} orders weakened");
    Ok(list.judge(Kind::Ordering, &files, &survived))
}
