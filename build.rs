//! Hands build information to `src/build_info.rs`. It uses no network and starts only rustc.
#![forbid(unsafe_code)]

#[path = "build/commit.rs"]
mod commit;

use std::env;
use std::path::PathBuf;
use std::process::Command;

const UNKNOWN: &str = "unknown";

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let checkout = commit::read(&root);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    for path in &checkout.watched {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    hand_over("CORELANE_COMMIT", checkout.commit.as_deref().unwrap_or(UNKNOWN));
    hand_over("CORELANE_TARGET", &variable("TARGET"));
    hand_over("CORELANE_PROFILE", &variable("PROFILE"));
    hand_over("CORELANE_RUSTC", &rustc_version());
}

fn hand_over(name: &str, value: &str) {
    println!("cargo::rustc-env={name}={value}");
}

/// A variable that cargo promises to every build script.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| UNKNOWN.to_owned())
}

/// The compiler's own line about itself; cargo runs this script again when it changes.
fn rustc_version() -> String {
    Command::new(variable("RUSTC"))
        .arg("--version")
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| UNKNOWN.to_owned(), |line| line.trim().to_owned())
}
