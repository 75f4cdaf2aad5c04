//! What is installed beside the binary: completions and manual pages, read by those they are for.
//!
//! The archive and `cargo install` are judged by `ci/dist` and `ci/install`.

use std::{fs, path::PathBuf, process::Command};

use corelane_testkit::process::{Ended, Output, Place};

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

fn run(place: &Place, arguments: &[&str]) -> Ended {
    let mut command = place.command(env!("CARGO_BIN_EXE_corelane"));
    command.args(arguments);
    place.start(command, Output::Pipes).wait()
}

#[track_caller]
fn succeeds(place: &Place, arguments: &[&str]) -> String {
    let ended = run(place, arguments);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{arguments:?}\n{}", ended.stdout);
    ended.stdout
}

fn exists(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// The completions of a shell, in a file.
fn script(place: &Place, shell: &str) -> PathBuf {
    let file = place.runtime_folder().join(shell);
    fs::write(&file, succeeds(place, &["completions", shell])).expect("it is writable");
    file
}

/// What bash offers for the last of these words.
fn completed(place: &Place, words: &[&str]) -> Vec<String> {
    let mut command = place.command("bash");
    // The function reads what bash gives it: the words, the place in them, and three arguments.
    let line = r#"
        source "$1"; shift
        function=$(complete -p corelane | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        "$function" "$1" "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    command.args(["--norc", "-c", line, "bash"]).arg(script(place, "bash")).args(words);
    let ended = place.start(command, Output::Pipes).wait();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{words:?}");
    ended.stdout.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_real_bash_completes_commands_options_and_values() {
    if !exists("bash") {
        return println!("skipped: there is no bash");
    }
    let place = Place::new();
    for (words, expected) in [
        (&["corelane", "be"][..], &["bench"][..]),
        (&["corelane", "bench", "th"], &["throughput"]),
        (&["corelane", "topo", "--pl"], &["--plan"]),
        (&["corelane", "completions", "f"], &["fish"]),
        (&["corelane", "zz"], &[]),
    ] {
        assert_eq!(completed(&place, words), expected, "{words:?}");
    }
    let all = completed(&place, &["corelane", ""]);
    for command in ["demo", "bench", "topo", "completions", "man"] {
        assert!(all.iter().any(|word| word == command), "{command} is missing in {all:?}");
    }
    assert!(!all.iter().any(|word| word == "worker"), "the node's own command shows: {all:?}");
}

#[test]
fn other_shells_take_their_completions() {
    let place = Place::new();
    for (shell, check) in [("zsh", "-n"), ("fish", "--no-execute")] {
        let file = script(&place, shell);
        if !exists(shell) {
            println!("skipped: there is no {shell} to read its completions");
            continue;
        }
        let mut command = place.command(shell);
        command.arg(check).arg(file);
        let ended = place.start(command, Output::Pipes).wait();
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{shell}");
    }
    for shell in SHELLS {
        assert!(succeeds(&place, &["completions", shell]).contains("topo"), "{shell}");
    }
    let unknown = run(&place, &["completions", "cmd"]);
    assert_eq!((unknown.code(), unknown.stdout.as_str()), (2, ""));
    for shell in SHELLS {
        assert!(unknown.stderr.contains(shell), "no {shell} in\n{}", unknown.stderr);
    }
}

/// All manual pages, by name.
fn pages(place: &Place) -> Vec<(String, PathBuf)> {
    let folder = place.runtime_folder().join("share/man/man1");
    let argument = folder.to_str().expect("the folder's name is text");
    assert_eq!(succeeds(place, &["man", "--output", argument]), "");
    let entries = fs::read_dir(&folder).expect("it was made");
    let page = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), entry.path());
    let mut pages: Vec<_> = entries.map(|entry| page(entry.unwrap())).collect();
    pages.sort();
    pages
}

#[test]
fn every_command_has_its_page() {
    let place = Place::new();
    let pages = pages(&place);
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["corelane.1", "corelane-demo.1", "corelane-bench-throughput.1", "corelane-topo.1"]
    {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
    assert!(names.iter().all(|name| !name.contains("worker") && !name.contains("help")));
    let text = |name: &str| {
        let page = pages.iter().find(|(found, _)| found == name).expect("looked at above");
        fs::read_to_string(&page.1).expect("it was written")
    };
    assert_eq!(succeeds(&place, &["man"]), text("corelane.1"));
    // What a page names is there.
    for (name, path) in &pages {
        let page = fs::read_to_string(path).expect("it was written");
        let below = page.lines().filter(|line| line.ends_with("(1)"));
        for line in below {
            let file = line.replace('\\', "").replace("(1)", ".1");
            assert!(names.contains(&file.as_str()), "{name} names {file}, which is not there");
        }
    }
    assert!(text("corelane-topo.1").contains("corelane topo"));
}

#[test]
fn pages_are_read_without_complaint() {
    let place = Place::new();
    let readers: [(&str, &[&str]); 2] =
        [("mandoc", &["-Tlint", "-Werror"]), ("groff", &["-man", "-ww", "-Tutf8", "-z"])];
    for (reader, options) in readers {
        if Command::new(reader).args(["-h"]).output().is_err() {
            println!("skipped: there is no {reader} to read manual pages");
            continue;
        }
        for (name, path) in pages(&place) {
            let mut command = place.command(reader);
            command.args(options).arg(path);
            let ended = place.start(command, Output::Pipes).wait();
            let said = (ended.code(), ended.stdout.as_str(), ended.stderr.as_str());
            assert_eq!(said, (0, "", ""), "{reader}: {name}");
        }
    }
}

#[test]
fn pages_that_cannot_be_written_are_an_error_with_a_remedy() {
    let place = Place::new();
    let file = place.runtime_folder().join("file");
    fs::write(&file, "").expect("it is writable");
    let folder = file.join("man");
    let ended = run(&place, &["man", "--output", folder.to_str().unwrap()]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    for part in
        ["error[CL-1180]: manual cannot be written", "name a folder", folder.to_str().unwrap()]
    {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
}
