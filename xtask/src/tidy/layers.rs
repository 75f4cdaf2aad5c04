//! HS-2: dependencies point downward through the layers, and some are deliberately absent.
//!
//! Cargo manifests are read as text, so that the check needs no build. Tests may use the dev
//! crates (test kit, simulator) from any layer; every other edge counts, those of tests too.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::TextFile;

/// Layer of every crate: a crate may use those of its own layer and below.
#[rustfmt::skip]
const LAYERS: &[(&str, u8)] = &[
    ("corelane-topology", 0), ("corelane-telemetry", 0), ("corelane-derive", 0),
    ("corelane-ring", 1), ("corelane-shm", 1), ("corelane-transport", 1), ("corelane-router", 1),
    ("corelane-agent", 2), ("corelane-coord", 2), ("corelane-journal", 2), ("corelane-cluster", 2),
    ("corelane-infer", 3), ("corelane-stream", 3), ("corelane-kafka", 3),
    ("corelane-backend-ort", 3), ("corelane-backend-tract", 3), ("corelane-backend-openvino", 3),
    ("corelane-backend-torch", 3), ("corelane-backend-wgpu", 3), ("corelane-backend-cuda", 3),
    ("corelane-plugin", 4), ("corelane-nas", 4), ("corelane-fusion", 4), ("corelane-twin", 4),
    ("corelane-report", 4),
    ("corelane-config", 5), ("corelane-node", 5), ("corelane-server", 5), ("corelane-capi", 5),
    ("corelane-cli", 5), ("corelane-bench", 5),
    ("corelane", 6),
    ("corelane-testkit", DEV), ("corelane-sim", DEV), ("xtask", DEV),
];

/// Above everything, so that only a dev-dependency can reach it.
const DEV: u8 = 7;

/// Crate, dependency and why the edge must not exist. A `*` at the end stands for any rest.
const ABSENT: &[(&str, &str, &str)] = &[
    ("corelane-ring", "rustix", "it knows no operating system"),
    ("corelane-ring", "libc", "it knows no operating system"),
    ("corelane-ring", "corelane-topology", "it knows no operating system"),
    ("corelane-plugin", "corelane-backend-*", "a plugin names no backend"),
    ("corelane-nas", "corelane-backend-*", "a plugin names no backend"),
    ("corelane-fusion", "corelane-backend-*", "a plugin names no backend"),
    ("corelane-twin", "corelane-backend-*", "a plugin names no backend"),
    ("corelane-infer", "corelane-ring", "it knows no transport"),
    ("corelane-infer", "corelane-shm", "it knows no transport"),
    ("corelane-infer", "corelane-transport", "it knows no transport"),
    ("corelane-infer", "corelane-router", "it knows no transport"),
];

/// What a manifest says about its edges.
#[derive(Debug, Default)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) manifest: String,
    pub(super) dependencies: BTreeSet<String>,
    pub(super) test_dependencies: BTreeSet<String>,
}

/// The packages of the workspace; a manifest that does not parse is a finding.
pub(super) fn packages(files: &[TextFile], findings: &mut Vec<Finding>) -> Vec<Package> {
    let mut packages = Vec::new();
    for file in files.iter().filter(|file| is_manifest(&file.path)) {
        match parse(file) {
            Ok(package) => packages.push(package),
            Err(message) => findings.push(Finding::new(&file.path, 1, message)),
        }
    }
    packages
}

pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(layer) = layer(&package.name) else {
            let message = format!("`{}` is in no layer of xtask/src/tidy/layers.rs", package.name);
            findings.push(Finding::new(&package.manifest, 1, message));
            continue;
        };
        let mut complain = |message| findings.push(Finding::new(&package.manifest, 1, message));
        for (dependency, is_test) in edges(package) {
            if let Some(below) = self::layer(dependency)
                && below > layer
                && !(is_test && below == DEV)
            {
                complain(format!("`{}` points upward to `{dependency}` (HS-2)", package.name));
            }
            if let Some(reason) = absent(&package.name, dependency).filter(|_| !is_test) {
                complain(format!("`{}` must not use `{dependency}`: {reason}", package.name));
            }
        }
        if reaches(packages, &package.name) {
            complain(format!("`{}` depends on itself through its layer (HS-2)", package.name));
        }
    }
    findings
}

fn is_manifest(path: &str) -> bool {
    let is_crate = path.strip_prefix("crates/").is_some_and(|rest| rest.matches('/').count() == 1);
    path == "Cargo.toml" || path == "xtask/Cargo.toml" || is_crate && path.ends_with("/Cargo.toml")
}

fn parse(file: &TextFile) -> Result<Package, String> {
    let table: toml::Table = file.text.parse().map_err(|error| format!("not TOML: {error}"))?;
    let name = table
        .get("package")
        .and_then(|package| package.get("name")?.as_str())
        .ok_or("there is no package name")?;
    let (mut dependencies, mut test_dependencies) = (BTreeSet::new(), BTreeSet::new());
    let platforms = table.get("target").and_then(toml::Value::as_table);
    let platforms = platforms.into_iter().flat_map(toml::Table::values);
    for scope in platforms.filter_map(toml::Value::as_table).chain([&table]) {
        dependencies.extend(names(scope, "dependencies"));
        dependencies.extend(names(scope, "build-dependencies"));
        test_dependencies.extend(names(scope, "dev-dependencies"));
    }
    let (name, manifest) = (name.to_owned(), file.path.clone());
    Ok(Package { name, manifest, dependencies, test_dependencies })
}

/// The packages of one section, by their own names where they are renamed.
fn names(scope: &toml::Table, section: &str) -> Vec<String> {
    let section = scope.get(section).and_then(toml::Value::as_table);
    let name = |(alias, value): (&String, &toml::Value)| {
        value.get("package").and_then(toml::Value::as_str).unwrap_or(alias).to_owned()
    };
    section.into_iter().flatten().map(name).collect()
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

/// Every dependency, and whether only tests have it.
fn edges(package: &Package) -> impl Iterator<Item = (&str, bool)> {
    let production = package.dependencies.iter().map(|name| (name.as_str(), false));
    production.chain(package.test_dependencies.iter().map(|name| (name.as_str(), true)))
}

fn absent(package: &str, dependency: &str) -> Option<&'static str> {
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => dependency.starts_with(start),
        None => dependency == pattern,
    };
    ABSENT
        .iter()
        .find(|(from, to, _)| *from == package && matches(to))
        .map(|(_, _, reason)| *reason)
}

/// Whether `start` can be reached from itself; the dev crates are left out, as in tests.
fn reaches(packages: &[Package], start: &str) -> bool {
    let next = |name: &str| packages.iter().find(|package| package.name == name);
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = vec![start];
    while let Some(package) = open.pop().and_then(next) {
        for (name, _) in edges(package).filter(|(name, _)| layer(name) != Some(DEV)) {
            if name == start {
                return true;
            }
            if next(name).is_some() && seen.insert(name) {
                open.push(name);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(manifests: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<TextFile> = manifests
            .iter()
            .map(|(name, rest)| {
                let text = format!("[package]\nname = \"{name}\"\n{rest}");
                TextFile::new(&format!("crates/{name}/Cargo.toml"), &text)
            })
            .collect();
        let mut findings = Vec::new();
        let packages = packages(&files, &mut findings);
        assert_eq!(packages.len() + findings.len(), manifests.len());
        findings.extend(check(&packages));
        findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn an_upward_edge_is_found_in_every_section() {
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let rest = format!("[{section}]\ncorelane-agent.workspace = true\n");
            let expected = "`corelane-ring` points upward to `corelane-agent` (HS-2)";
            assert_eq!(findings(&[("corelane-ring", &rest)]), [expected], "{section}");
        }
        let rest = "[target.'cfg(unix)'.dependencies]\na = { package = \"corelane-agent\" }\n";
        assert_eq!(findings(&[("corelane-ring", rest)]).len(), 1);
        let rest = "[dependencies]\ncorelane-ring.workspace = true\n";
        assert_eq!(findings(&[("corelane-agent", rest)]), [""; 0]);
    }

    #[test]
    fn the_dev_crates_are_for_tests_only() {
        let test = "[dev-dependencies]\ncorelane-testkit.workspace = true\n";
        assert_eq!(findings(&[("corelane-ring", test)]), [""; 0]);
        let production = "[dependencies]\ncorelane-testkit.workspace = true\n";
        assert_eq!(findings(&[("corelane-ring", production)]).len(), 1);
    }

    #[test]
    fn a_cycle_within_a_layer_is_found() {
        let uses = |name: &str| format!("[dependencies]\n{name}.workspace = true\n");
        let (to_shm, to_ring) = (uses("corelane-shm"), uses("corelane-ring"));
        assert_eq!(findings(&[("corelane-ring", &to_shm), ("corelane-shm", "")]), [""; 0]);
        let text = findings(&[("corelane-ring", &to_shm), ("corelane-shm", &to_ring)]);
        assert_eq!(text.len(), 2, "{text:?}");
        assert!(text[0].contains("depends on itself"), "{text:?}");
    }

    #[test]
    fn an_edge_that_must_be_absent_is_found() {
        let rest = "[dependencies]\ncorelane-backend-tract.workspace = true\n";
        let expected =
            "`corelane-plugin` must not use `corelane-backend-tract`: a plugin names no backend";
        assert_eq!(findings(&[("corelane-plugin", rest)]), [expected]);
        assert_eq!(findings(&[("corelane-ring", "[dependencies]\nlibc = \"0.2\"\n")]).len(), 1);
        assert_eq!(findings(&[("corelane-shm", "[dependencies]\nlibc = \"0.2\"\n")]), [""; 0]);
    }

    #[test]
    fn a_crate_without_a_layer_and_a_broken_manifest_are_found() {
        assert!(findings(&[("corelane-new", "")])[0].contains("is in no layer"));
        assert!(findings(&[("corelane-ring", "[broken\n")])[0].contains("not TOML"));
    }
}
