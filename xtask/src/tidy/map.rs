//! HS-2 and HS-12: the code map `docs/ARCHITECTURE.md` names every crate, in code quotes.

use super::Finding;
use super::layers::Package;
use super::tree::TextFile;

const MAP: &str = "docs/ARCHITECTURE.md";

pub(super) fn check(files: &[TextFile], packages: &[Package]) -> Vec<Finding> {
    let map = match super::required(files, MAP) {
        Ok(map) => map,
        Err(finding) => return vec![finding],
    };
    packages
        .iter()
        .filter(|package| !map.text.contains(&format!("`{}`", package.name)))
        .map(|package| Finding::new(MAP, 1, format!("does not name `{}` (HS-12)", package.name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_the_map_leaves_out_is_found() {
        let files = [TextFile::new(MAP, "`corelane-ring` and `corelane-shm-extra`\n")];
        let named = |name: &str| Package { name: name.to_owned(), ..Package::default() };
        assert_eq!(check(&files, &[named("corelane-ring")]), []);
        let findings = check(&files, &[named("corelane-shm")]);
        assert_eq!(findings[0].message, "does not name `corelane-shm` (HS-12)");
        assert_eq!(check(&[], &[])[0].message, "this file is missing");
    }
}
