//! Finds the memory orders of a file and how each can be weakened. Pure.

use std::ops::Range;

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::survivors::Change;

const STRONG: &[&str] = &["Acquire", "Release", "AcqRel", "SeqCst"];

/// One way to weaken a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weakening {
    pub(super) change: Change,
    range: Range<usize>,
    replacement: &'static str,
}

impl Weakening {
    pub(super) fn apply(&self, text: &str) -> String {
        format!("{}{}{}", &text[..self.range.start], self.replacement, &text[self.range.end..])
    }
}

/// Every order of `text` stronger than relaxed, outside tests and what loom does not compile.
///
/// A relaxed fence does not exist: a sequentially consistent one becomes a weaker one, and any
/// other one goes.
pub(super) fn weakenings(file: &str, text: &str) -> Result<Vec<Weakening>> {
    let syntax = syn::parse_file(text).with_context(|| format!("cannot parse {file}"))?;
    let mut places = Places::default();
    places.visit_file(&syntax);
    let stream: TokenStream = text
        .parse()
        .map_err(|error| anyhow::anyhow!("cannot read the tokens of {file}: {error}"))?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let Some((range, replacement, what)) = weaken(&tokens, at) else { continue };
        let start = range.start;
        if places.left_out.iter().any(|left_out| left_out.contains(&start)) {
            continue;
        }
        let change = Change {
            file: file.to_owned(),
            change: format!("{what} in {}", places.function(start)),
            line: line_at(text, start),
        };
        found.push(Weakening { change, range, replacement });
    }
    Ok(found)
}

/// A token and where it stands.
type Token = (String, Range<usize>);

/// What to replace by what, and how to call it, when an order or an ordered access stands at `at`.
fn weaken(tokens: &[Token], at: usize) -> Option<(Range<usize>, &'static str, String)> {
    let word = |at: usize| tokens.get(at).map_or("", |(text, _)| text.as_str());
    if word(at) == "." && word(at + 2) == "(" {
        let (strong, relaxed) = ACCESSES.iter().find(|(strong, _)| word(at + 1) == *strong)?;
        let range = tokens[at + 1].1.clone();
        return Some((range, relaxed, format!("{strong} to {relaxed}")));
    }
    if [word(at), word(at + 1), word(at + 2)] != PATH || !STRONG.contains(&word(at + 3)) {
        return None;
    }
    let (order, range) = &tokens[at + 3];
    let is_fence = at >= 2 && word(at - 2) == "fence" && word(at - 1) == "(";
    match (is_fence, order.as_str()) {
        (false, _) => Some((range.clone(), "Relaxed", format!("{order} to Relaxed"))),
        (true, "SeqCst") => Some((range.clone(), "AcqRel", "fence SeqCst to AcqRel".to_owned())),
        (true, _) => {
            let end = tokens.get(at + 4)?.1.end;
            Some((tokens[at - 2].1.start..end, "()", format!("fence {order} removed")))
        }
    }
}

/// Accesses of the storage traits that carry an order, and those that carry none.
const ACCESSES: [(&str, &str); 2] =
    [("load_acquire", "load_relaxed"), ("store_release", "store_relaxed")];
const PATH: [&str; 3] = ["Ordering", ":", ":"];

fn line_at(text: &str, at: usize) -> String {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..].lines().next().unwrap_or_default().trim().to_owned()
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push((open.to_owned(), group.span_open().byte_range()));
                flatten(group.stream(), tokens);
                tokens.push((close.to_owned(), group.span_close().byte_range()));
            }
            tree => tokens.push((tree.to_string(), tree.span().byte_range())),
        }
    }
}

/// Where functions stand, and what is left out.
#[derive(Default)]
struct Places {
    owner: String,
    functions: Vec<(Range<usize>, String)>,
    left_out: Vec<Range<usize>>,
}

impl Places {
    /// The innermost function around a byte.
    fn function(&self, at: usize) -> &str {
        let around = self.functions.iter().filter(|(range, _)| range.contains(&at));
        around.min_by_key(|(range, _)| range.len()).map_or("the file", |(_, name)| name)
    }

    fn note(&mut self, name: &syn::Ident, range: Range<usize>) {
        let owner = self.owner.clone();
        let name = if owner.is_empty() { name.to_string() } else { format!("{owner}::{name}") };
        self.functions.push((range, name));
    }

    /// Visits with another owner of the functions below.
    fn within(&mut self, owner: String, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.owner, owner);
        visit(self);
        self.owner = outer;
    }
}

fn is_left_out(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let mut tokens = Vec::new();
            flatten(list.tokens.clone(), &mut tokens);
            let words: Vec<&str> = tokens.iter().map(|(text, _)| text.as_str()).collect();
            words.contains(&"test") || words == ["not", "(", "loom", ")"]
        }
        _ => false,
    })
}

impl<'ast> Visit<'ast> for Places {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if is_left_out(attributes) {
            self.left_out.push(item.span().byte_range());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        self.within(owner.unwrap_or_default(), |places| visit::visit_item_impl(places, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within(item.ident.to_string(), |places| visit::visit_item_trait(places, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.sig.ident, item.span().byte_range());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if is_left_out(&item.attrs) {
            self.left_out.push(item.span().byte_range());
        }
        self.note(&item.sig.ident, item.span().byte_range());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.note(&item.sig.ident, item.span().byte_range());
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let found = weakenings("a.rs", text).expect("the sample parses");
        found.iter().map(|one| (one.change.change.clone(), one.apply(text))).collect()
    }

    fn sample(body: &str) -> String {
        format!("//! Ü.\nimpl<T> Drop for Ring<T> {{\n    fn drop(&mut self) {{ {body} }}\n}}\n")
    }

    #[test]
    fn each_strong_order_is_weakened_alone_and_relaxed_ones_are_left() {
        let text = sample("x.swap(Ordering::AcqRel, Ordering::Relaxed, Ordering::Acquire)");
        let expected = [
            ("AcqRel to Relaxed in Ring::drop", text.replace("AcqRel", "Relaxed")),
            ("Acquire to Relaxed in Ring::drop", text.replace("Acquire", "Relaxed")),
        ];
        assert_eq!(found(&text), expected.map(|(change, text)| (change.to_owned(), text)));
    }

    #[test]
    fn a_fence_becomes_a_weaker_one_or_goes() {
        let text = sample("fence(Ordering::SeqCst); fence(Ordering::Acquire);");
        let expected = [
            ("fence SeqCst to AcqRel in Ring::drop", text.replace("SeqCst", "AcqRel")),
            ("fence Acquire removed in Ring::drop", text.replace("fence(Ordering::Acquire)", "()")),
        ];
        assert_eq!(found(&text), expected.map(|(change, text)| (change.to_owned(), text)));
    }

    #[test]
    fn an_access_to_storage_is_weakened_and_its_definition_is_left() {
        let text = "fn load_acquire(&self) { self.words.load_acquire(0) }\n";
        let expected = text.replace("words.load_acquire", "words.load_relaxed");
        let change = "load_acquire to load_relaxed in load_acquire".to_owned();
        assert_eq!(found(text), [(change, expected)]);
    }

    #[test]
    fn comments_tests_and_what_loom_does_not_compile_are_left_out() {
        let text = "// Ordering::Release\n\
            #[cfg(all(test, not(loom)))]\nmod tests { fn a() { x.store(1, Ordering::Release) } }\n\
            #[cfg(not(loom))]\nfn b() { x.store(1, Ordering::Release) }\n\
            #[cfg(not(feature))]\nfn c() { assert!(x.load(Ordering::Acquire)) }\n";
        let changes: Vec<String> = found(text).into_iter().map(|(change, _)| change).collect();
        assert_eq!(changes, ["Acquire to Relaxed in c"]);
    }

    #[test]
    fn the_line_of_code_stands_in_the_change() {
        let text = "fn a() {\n    x.store(1, Ordering::Release); // ü\n}\n";
        let found = weakenings("a.rs", text).expect("the sample parses");
        assert_eq!(found[0].change.line, "x.store(1, Ordering::Release); // ü");
    }
}
