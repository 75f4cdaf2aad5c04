//! Puts the pages of `docs/errors/` into the binary, sorted by code. It writes to `OUT_DIR` only.
#![forbid(unsafe_code)]

use std::{env, fs, path::PathBuf};

fn main() {
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let folder = folder.canonicalize().expect("docs/errors lies beside crates/");
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder).expect("docs/errors can be listed") {
        let path = entry.expect("docs/errors can be listed").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with("CL-") && path.extension().is_some_and(|extension| extension == "md") {
            pages.push((name, path));
        }
    }
    pages.sort();
    let mut table = String::from("const PAGES: &[(&str, &str)] = &[\n");
    for (code, path) in &pages {
        table += &format!("    ({code:?}, include_str!({path:?})),\n");
    }
    table += "];\n";
    let out = PathBuf::from(variable("OUT_DIR")).join("pages.rs");
    fs::write(out, table).expect("cargo made OUT_DIR for this");
}

/// A variable that cargo promises to every build script.
fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it for every build script")
}
