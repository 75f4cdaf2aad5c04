//! The documented default file: every key with what it means, what is allowed and its default.
//!
//! It is a flow that runs: the built-in digits and the built-in model.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::{
    VERSION,
    shape::{Kind, Shape},
    show::is_table,
    tree::Node,
};

/// Longest line of a comment.
const COLUMNS_MAX: usize = 96;

const TOP: &str = "\
A flow: run it with `corelane run FILE`, check it with `corelane config check FILE`.

Every key is here with its default; keys that are commented out have none, or go with another \
choice. Settings come from the defaults, /etc/corelane/corelane.toml, \
$XDG_CONFIG_HOME/corelane/corelane.toml, ./corelane.toml, the file that is named, variables like \
CORELANE_TOPOLOGY__WORKERS=3 and options like --set topology.workers=3; what comes later wins. \
`corelane config show --origin` tells where each value came from. Paths begin at the folder in \
which the command runs.";

/// The default file.
pub fn template() -> String {
    let mut text = String::new();
    TOP.split("\n\n").enumerate().for_each(|(index, paragraph)| {
        text.push_str(if index == 0 { "" } else { "#\n" });
        comment(&mut text, paragraph);
    });
    let root = Shape::root();
    let _ = writeln!(text, "version = {VERSION}");
    for key in root.keys() {
        let Some(shape) = root.key(key).filter(|shape| is_table(*shape)) else { continue };
        text.push('\n');
        comment(&mut text, &shape.documentation());
        if shape.kind() == Kind::Table {
            let _ = writeln!(text, "[{key}]");
            keys(&mut text, shape);
        } else {
            let _ = writeln!(text, "[[{key}]]");
            keys(&mut text, shape.element());
        }
    }
    text
}

/// The keys of a table: its defaults, the first of its choices, the rest as comments.
fn keys(text: &mut String, table: Shape<'_>) {
    let choice = table.choice();
    let first = choice.first().map(|(kind, _)| *kind);
    for key in table.keys() {
        let Some(shape) = table.key(key) else { continue };
        let allowed = allowed(shape);
        comment(text, &format!("{}{allowed}", shape.documentation()));
        let value = shape.default().or(shape.example()).map(written).unwrap_or_default();
        let is_said = shape.default().is_some() || table.is_required(key) || first == Some(key);
        let mark = if is_said { "" } else { "# " };
        let _ = writeln!(text, "{mark}{key} = {value}");
    }
}

/// As TOML on one line.
fn written(json: &Json) -> String {
    Node::of_default(json).value.to_toml().to_string()
}

/// What may stand there, where its kind does not say so.
fn allowed(shape: Shape<'_>) -> String {
    match shape.kind() {
        Kind::Names(names) => {
            let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
            format!(" One of {}.", names.join(", "))
        }
        Kind::Integer | Kind::Number => {
            let (least, most) = shape.range();
            format!(" From {least} to {most}.")
        }
        Kind::Size | Kind::Time => {
            let (least, most) = shape.unit_range();
            format!(" From \"{least}\" to \"{most}\".")
        }
        Kind::Table => {
            let keys = shape.keys().into_iter().filter_map(|key| Some((key, shape.key(key)?)));
            let each = keys.map(|(key, shape)| {
                let documentation = shape.documentation();
                format!(" {key}: {}{}", documentation, allowed(shape))
            });
            each.collect()
        }
        Kind::List if matches!(shape.element().kind(), Kind::Names(_)) => {
            allowed(shape.element()).replace(" One of", " Any of")
        }
        _ => String::new(),
    }
}

/// A paragraph as comment lines.
fn comment(text: &mut String, paragraph: &str) {
    let mut line = "#".to_owned();
    for word in paragraph.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS_MAX {
            let _ = writeln!(text, "{line}");
            line = "#".to_owned();
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(text, "{line}");
}
