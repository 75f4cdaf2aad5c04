//! HS-3: a file has at most 500 lines of production code, a function at most 70 lines.
//!
//! Lines that are compiled for tests only do not count for the file; functions count everywhere.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;
use super::source::RustSource;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    let mut functions = Functions { path: &source.path, findings: Vec::new() };
    functions.visit_file(&source.syntax);
    let count = source.production_line_count();
    if count > FILE_LINES_MAX {
        let message = format!(
            "the file has {count} lines of production code, at most {FILE_LINES_MAX} (HS-3)"
        );
        functions.findings.push(Finding::new(&source.path, 1, message));
    }
    functions.findings
}

struct Functions<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let start = signature.span().start().line;
        let count = body.span().end().line + 1 - start;
        if count > FUNCTION_LINES_MAX {
            let name = &signature.ident;
            let message =
                format!("`{name}` has {count} lines, at most {FUNCTION_LINES_MAX} (HS-3)");
            self.findings.push(Finding::new(self.path, start, message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.measure(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let source = RustSource::parse("a.rs", text).expect("the sample parses");
        check(&source).iter().map(Finding::to_string).collect()
    }

    fn function(line_count: usize) -> String {
        format!("/// Doc.\n#[inline]\nfn a() {{\n{}}}\n", "    b();\n".repeat(line_count - 2))
    }

    #[test]
    fn the_function_line_after_the_seventieth_is_found() {
        assert_eq!(messages(&function(70)), [""; 0]);
        assert_eq!(messages(&function(71)), ["a.rs:3: `a` has 71 lines, at most 70 (HS-3)"]);
    }

    #[test]
    fn methods_and_trait_bodies_are_measured() {
        let long = function(71);
        assert_eq!(messages(&format!("impl A {{\n{long}}}\n")).len(), 1);
        assert_eq!(messages(&format!("trait A {{\n{long}}}\n")).len(), 1);
    }

    #[test]
    fn only_production_lines_count_for_the_file() {
        let body = "const A: u8 = 0;\n".repeat(500);
        let tests = "#[cfg(test)]\nmod tests {\n    const B: u8 = 0;\n}\n";
        assert_eq!(messages(&format!("{body}{tests}")), [""; 0]);
        assert_eq!(messages(&format!("{body}const C: u8 = 0;\n{tests}")).len(), 1);
    }
}
