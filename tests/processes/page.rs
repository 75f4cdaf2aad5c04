//! The page of a run: written whole where it was asked for, refused before the work where it cannot
//! be, and never over something else.

use std::{fs, path::Path};

use corelane_testkit::process::{Output, Place};
use rustix::process::Signal;

use crate::{corelane, start, wait_for_workers};

/// Parts that a page of the demo has.
const PARTS: [&str; 9] = [
    "Everything held",
    "One-way cache-line latency",
    "who runs where, and why",
    "Messages read and checked by agents",
    "percentile; the rightmost mark",
    "SIGKILL",
    "first answer",
    "Allowed cpus",
    "Not measured:",
];

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_page_without_a_name_is_written_beside_the_document() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let mut command = corelane(&place, "demo --json --load-seconds 0.3 --agents 100 --report");
    command.current_dir(folder.path());
    let ended = place.start(command, Output::Pipes).wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ended.stderr, "corelane: page written to corelane-report.html\n");
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one document");
    assert_eq!(document["schema"], "corelane.demo/1");
    assert_eq!(names(folder.path()), ["corelane-report.html"]);
    let page = fs::read_to_string(folder.path().join("corelane-report.html")).unwrap();
    for part in PARTS {
        assert!(page.contains(part), "no {part:?} in\n{page}");
    }
    assert!(page.len() < 300_000, "{} bytes", page.len());
    // Three steps of 100 ms were counted; the last picture is followed by its table.
    let rate = page.rsplit("<title>Messages read").next().unwrap();
    let row = |second: &str| rate.contains(&format!("<th scope=\"row\" class=\"n\">{second}</th>"));
    assert!(row("0") && row("0.1") && row("0.2") && !row("0.3"), "{rate}");
    place.assert_empty();
}

#[test]
fn a_page_replaces_an_earlier_page_and_the_text_names_it() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    for workers in [1, 2] {
        let arguments = format!(
            "demo --load-seconds 0.1 --floating --workers {workers} --report {}",
            path.display()
        );
        let ended = start(&place, &arguments).wait();
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
        assert!(ended.stdout.ends_with(&format!("page: {}\n", path.display())));
        let page = fs::read_to_string(&path).unwrap();
        assert_eq!(page.contains("1 not judged"), workers == 1, "{page}");
        assert!(page.contains("Nothing is pinned"), "{page}");
    }
    assert_eq!(names(folder.path()), ["page.html"]);
    place.assert_empty();
}

#[test]
fn what_cannot_be_written_is_refused_before_the_work() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let thesis = folder.path().join("thesis.html");
    fs::write(&thesis, "<p>years of work").unwrap();
    let inside = |name: &str| folder.path().join(name).display().to_string();
    let cases = [
        (inside("thesis.html"), "CL-1202", "is no page of corelane: name another file"),
        (inside(""), "CL-1201", "is a folder: name a file in it"),
        (inside("missing/page.html"), "CL-1203", "name a file in a folder that exists"),
    ];
    for (path, code, expected) in cases {
        for command in ["demo --load-seconds 3600", "bench compare --passes 1000"] {
            let ended = start(&place, &format!("{command} --report {path}")).wait();
            assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
            assert!(ended.stderr.contains(code), "no {code} in\n{}", ended.stderr);
            assert!(ended.stderr.contains(expected), "no {expected:?} in\n{}", ended.stderr);
            assert!(ended.stderr.contains(path.trim_end_matches('/')), "{}", ended.stderr);
        }
    }
    let ended = start(&place, "demo --report -").wait();
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert_eq!(names(folder.path()), ["thesis.html"]);
    assert_eq!(fs::read_to_string(thesis).unwrap(), "<p>years of work");
    place.assert_empty();
}

#[test]
fn want_of_room_is_told_before_the_work() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let mut command = place.command("sh");
    let line = "ulimit -f 16; exec \"$0\" demo --load-seconds 3600 --report \"$1\"";
    command.args(["-c", line, env!("CARGO_BIN_EXE_corelane")]);
    command.arg(folder.path().join("page.html"));
    let ended = place.start(command, Output::Pipes).wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    for part in ["error[CL-1204]", "there is no room for 512 KiB", "make room"] {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
    assert_eq!(names(folder.path()), [""; 0]);
    place.assert_empty();
}

#[test]
fn a_run_that_is_ended_leaves_the_earlier_page() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    fs::write(&path, "").unwrap();
    let demo = start(&place, &format!("demo --load-seconds 600 --report {}", path.display()));
    wait_for_workers(&demo, 2);
    demo.signal(Signal::INT);
    assert_eq!(demo.wait().code(), 130);
    assert_eq!(
        (names(folder.path()), fs::read(&path).unwrap()),
        (vec!["page.html".into()], vec![])
    );
    place.assert_empty();
}
