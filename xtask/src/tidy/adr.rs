//! HS-13: every decision in `docs/adr/` is linked from the map or from the list of decisions.

use super::Finding;
use super::links;
use super::tree::TextFile;

const FOLDER: &str = "docs/adr/";
const INDEX: &str = "docs/adr/README.md";
const MAP: &str = "docs/ARCHITECTURE.md";

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let linked: Vec<String> = files
        .iter()
        .filter(|file| file.path == INDEX || file.path == MAP)
        .flat_map(|file| links::targets(file).into_iter().map(|(_, target)| target))
        .collect();
    files
        .iter()
        .filter(|file| file.path.starts_with(FOLDER) && file.path.ends_with(".md"))
        .filter(|file| file.path != INDEX && !linked.contains(&file.path))
        .map(|file| Finding::new(&file.path, 1, format!("linked from neither {MAP} nor {INDEX}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_that_nothing_links_to_is_found() {
        let mut files = vec![
            TextFile::new("docs/ARCHITECTURE.md", "[one](adr/0001-one.md)\n"),
            TextFile::new("docs/adr/README.md", "[two](0002-two.md#context)\n"),
            TextFile::new("docs/adr/0001-one.md", "# One\n"),
            TextFile::new("docs/adr/0002-two.md", "# Two\n"),
        ];
        assert_eq!(check(&files), []);
        files.push(TextFile::new("docs/adr/0003-three.md", "# Three\n"));
        let findings = check(&files);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].path, "docs/adr/0003-three.md");
    }
}
