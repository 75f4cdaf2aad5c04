//! The error types of the product: each has `code()`, and the binary knows those it can meet.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use super::Finding;
use super::errors::{is_code, is_product};
use super::source::{RustSource, package_folder};
use super::tree::TextFile;

/// The variant, or the struct, that a code is given to.
#[derive(Debug)]
pub(super) struct CodedVariant {
    pub(super) code: String,
    pub(super) name: String,
}

/// What a file says about errors.
#[derive(Debug, Default)]
struct Errors {
    /// Types that derive `Error`, with their line.
    types: Vec<(String, usize)>,
    /// Types that have `code()`.
    coded: BTreeSet<String>,
    variants: Vec<CodedVariant>,
    /// The type, and within `code()` the variant, that is read.
    current: String,
    is_in_code: bool,
}

impl Errors {
    fn of(source: &RustSource) -> Self {
        let mut errors = Self::default();
        errors.visit_file(&source.syntax);
        errors
    }

    fn note(&mut self, ident: &syn::Ident, attributes: &[syn::Attribute]) {
        if attributes.iter().any(derives_error) {
            self.types.push((ident.to_string(), ident.span().start().line));
        }
    }
}

impl<'ast> Visit<'ast> for Errors {
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.note(&item.ident, &item.attrs);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.note(&item.ident, &item.attrs);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let syn::Type::Path(path) = &*item.self_ty
            && let Some(segment) = path.path.segments.last()
        {
            self.current = segment.ident.to_string();
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if item.sig.ident == "code" && item.sig.inputs.len() == 1 {
            self.coded.insert(self.current.clone());
            self.is_in_code = true;
            visit::visit_impl_item_fn(self, item);
            self.is_in_code = false;
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let path = match &arm.pat {
            syn::Pat::Struct(pattern) => Some(&pattern.path),
            syn::Pat::TupleStruct(pattern) => Some(&pattern.path),
            syn::Pat::Path(pattern) => Some(&pattern.path),
            _ => None,
        };
        let (outer, variant) = (self.current.clone(), path.and_then(|path| path.segments.last()));
        if let Some(variant) = variant {
            self.current = variant.ident.to_string();
        }
        self.visit_expr(&arm.body);
        self.current = outer;
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        if self.is_in_code && is_code(&literal.value()) {
            self.variants.push(CodedVariant { code: literal.value(), name: self.current.clone() });
        }
    }
}

/// Whether this is `#[derive(…)]` with `Error` or `thiserror::Error` in it.
fn derives_error(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let words = list.tokens.to_string();
    list.path.is_ident("derive")
        && words.split(',').any(|word| word.rsplit(':').next().is_some_and(|w| w.trim() == "Error"))
}

/// Every code of the product and what it is given to.
pub(super) fn variants(sources: &[RustSource]) -> Vec<CodedVariant> {
    let product = sources.iter().filter(|source| is_product(&source.path));
    product.flat_map(|source| Errors::of(source).variants).collect()
}

/// Every error type has a code, and those of the crates below the binary are in its list.
pub(super) fn check(files: &[TextFile], sources: &[RustSource], list: &str) -> Vec<Finding> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| &*file.text);
    let manifest = text("crates/corelane-cli/Cargo.toml").unwrap_or_default();
    let listed = text(list).unwrap_or_default();
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| is_product(&source.path)) {
        let errors = Errors::of(source);
        let package = package_folder(&source.path).trim_start_matches("crates/");
        let is_below = manifest.lines().any(|line| {
            line.strip_prefix(package).is_some_and(|rest| rest.starts_with(['.', ' ']))
        });
        let prefix = match package {
            "corelane-cli" => "crate::".to_owned(),
            package => format!("{}::", package.replace('-', "_")),
        };
        for (name, line) in errors.types.iter().filter(|(_, line)| !source.is_test_line(*line)) {
            let mut finding =
                |message: String| findings.push(Finding::new(&source.path, *line, message));
            if !errors.coded.contains(name) {
                finding(format!("`{name}` has no `code()` in its file"));
            }
            let is_listed = listed.lines().any(|line| {
                let line = line.trim();
                line.starts_with(&prefix) && line.ends_with(&format!("::{name},"))
            });
            if (is_below || package == "corelane-cli") && !is_listed {
                finding(format!("`{prefix}…{name}` is not in the list of {list}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "crates/corelane-cli/src/codes.rs";
    const PLAIN: &str = "//! A.\n#[derive(Debug, thiserror::Error)]\npub struct GoneError;\n";
    const CODED: &str = "//! A.\n#[derive(Error, Debug)]\npub struct GoneError;\nimpl GoneError \
        {\n    pub fn code(&self) -> &'static str {\n        \"CL-0801\"\n    }\n}\n";

    fn findings(path: &str, text: &str, list: &str) -> Vec<String> {
        let manifest = "[dependencies]\ncorelane-node.workspace = true\n";
        let files = [
            TextFile::new("crates/corelane-cli/Cargo.toml", manifest),
            TextFile::new(LIST, list),
            TextFile::new(path, text),
        ];
        let (sources, _) = crate::tidy::source::parse_all(&files);
        check(&files, &sources, LIST).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn an_error_without_a_code_is_found() {
        let path = "crates/corelane-ring/src/a.rs";
        let expected = "crates/corelane-ring/src/a.rs:3: `GoneError` has no `code()` in its file";
        assert_eq!(findings(path, PLAIN, ""), [expected]);
        assert_eq!(findings(path, CODED, ""), [""; 0]);
        assert_eq!(findings("crates/corelane-testkit/src/a.rs", PLAIN, ""), [""; 0]);
        assert_eq!(findings("crates/corelane-ring/tests/a.rs", PLAIN, ""), [""; 0]);
        let no_error = PLAIN.replace("thiserror::Error", "Clone");
        assert_eq!(findings(path, &no_error, ""), [""; 0]);
    }

    #[test]
    fn an_error_that_the_binary_does_not_know_is_found() {
        let path = "crates/corelane-node/src/a.rs";
        assert_eq!(findings(path, CODED, "    corelane_node::control::GoneError,\n"), [""; 0]);
        for list in ["", "    corelane_infer::GoneError,\n", "    corelane_node::AGoneError,\n"] {
            let found = findings(path, CODED, list);
            assert!(
                found[0].contains("`corelane_node::…GoneError` is not in the list"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_code_belongs_to_its_variant_or_its_struct() {
        let text = "//! A.\nimpl A {\n    fn code(&self) -> &'static str {\n        match self \
            {\n            Self::B(_) => \"CL-0101\",\n            \
            Self::C { .. } => \"CL-0102\",\n            \
            Self::D => \"CL-0103\",\n            Self::E(cause) => \
            cause.code(),\n        }\n    }\n}\n";
        let (sources, _) = crate::tidy::source::parse_all(&[
            TextFile::new("crates/corelane-topology/src/a.rs", text),
            TextFile::new("crates/corelane-node/src/a.rs", CODED),
        ]);
        let found = variants(&sources);
        let found: Vec<_> = found.iter().map(|v| (v.code.as_str(), v.name.as_str())).collect();
        let expected =
            [("CL-0101", "B"), ("CL-0102", "C"), ("CL-0103", "D"), ("CL-0801", "GoneError")];
        assert_eq!(found, expected);
    }
}
