//! Files that are kept in the repository and are made by this crate.
//!
//! `corelane config init --output` and `corelane config schema` write them anew.

use std::{collections::BTreeMap, fs, path::PathBuf};

use corelane_config::{Config, Digits, Input, Model, Stage, Work, schema, template};
use serde_json::Value;

use crate::good;

/// Such a file.
fn committed(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_default_file_is_what_the_types_say() {
    assert!(committed("corelane.toml") == template(), "write it anew: corelane config init");
}

#[test]
fn the_schema_is_what_the_types_say() {
    assert!(committed("corelane.schema.json") == schema(), "write it anew: corelane config schema");
}

#[test]
fn the_default_file_says_the_defaults() {
    let Config { version, input, agents, topology, placement, output, limits, supervision } =
        good(&template());
    assert_eq!((version, input), (1, Input::Digits(Digits::All)));
    let work = Work::Model(Model::Digits);
    assert_eq!(agents, [Stage { name: "classify".to_owned(), count: 1, work }]);
    assert_eq!((topology, placement), Default::default());
    assert_eq!((output, limits, supervision), Default::default());
}

/// A key that is commented out can be used as it stands.
#[test]
fn every_key_of_the_default_file_is_right() {
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let text = template();
    let mut count = 0;
    for (index, line) in text.lines().enumerate() {
        let Some(key) = line.strip_prefix("# ").filter(|line| is_key(line)) else { continue };
        let mut lines: Vec<&str> = text.lines().collect();
        lines[index] = key;
        // Beside a choice there is no other, and some keys need theirs.
        let (others, with): (&[&str], _) = match key.split(' ').next().unwrap_or_default() {
            "lines" | "follow" | "telemetry" => (&["digits = "], ""),
            "duration" => (&["digits = "], "follow = \"a\"\n"),
            "command" | "match" | "alarm" => (&["model = "], ""),
            "each" => (&["model = "], "command = [\"cat\"]\n"),
            _ => (&[], ""),
        };
        let mut changed = String::new();
        for (at, line) in lines.iter().enumerate() {
            if at == index {
                changed.push_str(with);
            }
            if !others.iter().any(|other| line.starts_with(other)) {
                changed.push_str(line);
                changed.push('\n');
            }
        }
        good(&changed);
        count += 1;
    }
    assert_eq!(count, 12);
}

/// Keys and defaults of a table of the schema, by dotted path.
fn keys(table: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    for (key, value) in table["properties"].as_object().expect("a table has keys") {
        let key = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match [value, &value["items"]].into_iter().find(|table| table["type"] == "object") {
            Some(table) => keys(table, &key, found),
            None => {
                let default = value.get("default").map(|default| format!("`{default}`"));
                found.insert(key, default.unwrap_or_default().replace("\",\"", "\", \""));
            }
        }
    }
}

#[test]
fn the_specification_names_every_key_and_its_default() {
    let mut expected = BTreeMap::new();
    keys(&serde_json::from_str(&schema()).unwrap(), "", &mut expected);
    let text = committed("SPECIFICATION.md");
    let section = text.split("## The file of a flow\n").nth(1).expect("it has the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let key = cells.next()?.trim_end_matches('`').to_owned();
        let default = cells.last()?.trim_end_matches('|').trim().replace("required", "");
        Some((key, default))
    };
    let found: BTreeMap<String, String> = section.lines().filter_map(row).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_flow_of_the_readme_is_good() {
    let readme = committed("../README.md");
    let flow = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(good(flow.expect("there is a flow in it")).agents[0].count, 1000);
}
