//! `corelane bench` as its users meet it: what it prints, keeps, compares and refuses.
//!
//! Speed is not judged here, so noise is allowed wherever it is not the subject.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use corelane_testkit::process::{Ended, Output, Place, Running, Signal};
use serde_json::{Value, json};

/// Few, short passes.
const SHORT: &str = "--quick --passes 2 --pass-ms 3 --allow-noise";

/// Held by every test: each of them uses all cores, and one fills them with noise.
static MACHINE: Mutex<()> = Mutex::new(());

fn machine() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn command(place: &Place, arguments: &str) -> Command {
    let mut command = place.command(env!("CARGO_BIN_EXE_corelane"));
    command.arg("bench").args(arguments.split_whitespace());
    command.env("XDG_STATE_HOME", place.runtime_folder().join("state"));
    command
}

fn start<'place>(place: &'place Place, arguments: &str) -> Running<'place> {
    place.start(command(place, arguments), Output::Pipes)
}

fn run(place: &Place, arguments: &str) -> Ended {
    start(place, arguments).wait()
}

/// The document on stdout of a run that ended with this code.
#[track_caller]
fn document(ended: &Ended, code: i32) -> Value {
    assert_eq!(ended.code(), code, "{}\n{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}\n{}", ended.stdout))
}

fn rows(document: &Value) -> &Vec<Value> {
    document["rows"].as_array().expect("there are rows")
}

#[test]
fn a_quick_run_gives_the_promised_document() {
    let _machine = machine();
    let place = Place::new();
    let ended = run(&place, &format!("throughput --json --payload 8,4K {SHORT}"));
    let document = document(&ended, 0);
    assert_eq!(ended.stderr, "");
    assert_eq!(document["schema"], "corelane.bench/1");
    for field in ["cpu", "cpus", "kernel", "rustc"] {
        let value = document["machine"][field].as_str();
        assert!(value.is_some_and(|value| !value.is_empty()), "{field}: {document}");
    }
    assert!(document["machine"]["load"].is_number(), "{document}");
    for row in rows(&document) {
        for field in ["workload", "peer", "mode", "metric", "unit", "placement", "label", "cpus"] {
            assert!(row[field].is_string(), "{field}: {row}");
        }
        let number = |field: &str| row[field].as_f64().unwrap_or_else(|| panic!("{field}: {row}"));
        assert!(number("low") <= number("median") && number("median") <= number("high"), "{row}");
        assert!(number("median") > 0.0 && number("pingpong_ns") > 0.0, "{row}");
        assert!(number("passes") >= 1.0 && number("threads") >= 2.0, "{row}");
        assert!([8.0, 4096.0].contains(&number("payload_bytes")), "{row}");
    }
    let has = |workload: &str, peer: &str| {
        rows(&document).iter().any(|row| row["workload"] == workload && row["peer"] == peer)
    };
    assert!(has("throughput", "corelane latency") && has("bulk", "bare hand-over"));
    place.assert_empty();
}

#[test]
fn compare_shows_the_ratio_to_the_best_rival() {
    let _machine = machine();
    let place = Place::new();
    let ended = run(&place, &format!("compare --payload 64 --threads 2 {SHORT} --floating"));
    // Ends that share a busy core may find their message without sleeping, which is refused.
    if ended.code() == 4 {
        assert!(ended.stderr.contains("did not sleep"), "{}", ended.stderr);
        return;
    }
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    for part in ["Ours beside the best rival", "floating", "std mpsc", "eventfd", "unix stream"] {
        assert!(ended.stdout.contains(part), "no {part:?} in\n{}", ended.stdout);
    }
}

#[test]
fn rows_across_processes_stand_beside_one_process() {
    let _machine = machine();
    let place = Place::new();
    let ended = run(&place, &format!("processes --json --payload 64 {SHORT}"));
    place.assert_empty();
    // Ends that share a busy core may find their message without sleeping, which is refused.
    if ended.code() == 4 {
        assert!(ended.stderr.contains("did not sleep"), "{}", ended.stderr);
        return;
    }
    let document = document(&ended, 0);
    assert_eq!(ended.stderr, "");
    let has = |workload: &str, peer: &str, processes: u64| {
        let is_it = |row: &&Value| row["workload"] == workload && row["peer"] == peer;
        let mut rows = rows(&document).iter().filter(is_it);
        assert!(rows.any(|row| row["processes"] == processes), "{workload} {peer} {processes}");
    };
    for processes in [1, 2] {
        has("latency", "corelane latency", processes);
        has("throughput", "corelane broadcast", processes);
    }
    has("throughput", "unix seqpacket", 2);
    has("wakeup", "eventfd", 2);
    has("fanout", "corelane broadcast", 11);
    assert!(rows(&document).iter().all(|row| row["processes"].as_u64() > Some(0)), "{document}");
}

#[test]
fn ends_die_with_the_measuring_process() {
    let _machine = machine();
    let place = Place::new();
    let bench = start(&place, "processes --json --payload 64 --passes 1000 --allow-noise");
    bench.wait_until("an end", || {
        bench.descendants().into_iter().find(|process| process.command.contains("bench-end"))
    });
    bench.signal(Signal::KILL);
    // It waits for the ends too, which have the same stderr.
    assert_eq!(bench.wait().code(), 137);
    assert_eq!(place.processes(), []);
}

#[test]
fn the_command_of_an_end_is_for_the_bench_alone() {
    let _machine = machine();
    let place = Place::new();
    let mut command = place.command(env!("CARGO_BIN_EXE_corelane"));
    command.arg("bench-end").stdin(std::process::Stdio::null());
    let ended = place.start(command, Output::Pipes).wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("started by `corelane bench` itself"), "{}", ended.stderr);
}

/// The file of a baseline.
fn kept(place: &Place, name: &str) -> PathBuf {
    place.runtime_folder().join(format!("state/corelane/bench/{name}.json"))
}

/// Changes the kept document of a baseline.
fn edit(place: &Place, name: &str, change: impl FnOnce(&mut Value)) {
    let path = kept(place, name);
    let mut document = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut document);
    fs::write(&path, document.to_string()).unwrap();
}

/// Makes a rate a million times what it was, which no noise reaches, for whatever label the next
/// run will have.
fn far_faster(document: &mut Value) {
    let mut faster = Vec::new();
    for row in rows(document) {
        for label in ["near", "sibling", "far", "mixed"] {
            let mut row = row.clone();
            row["label"] = json!(label);
            for field in ["median", "low", "high"] {
                row[field] = json!(row[field].as_f64().unwrap() * 1e6);
            }
            faster.push(row);
        }
    }
    document["rows"] = json!(faster);
}

#[test]
fn a_planted_regression_is_found() {
    let _machine = machine();
    let place = Place::new();
    let options = format!("throughput --json --payload 64 --threads 2 {SHORT}");
    document(&run(&place, &format!("{options} --save first")), 0);
    edit(&place, "first", far_faster);
    let ended = run(&place, &format!("{options} --baseline first"));
    document(&ended, 3);
    assert!(!ended.stderr.contains(" 0 worse beyond the intervals"), "{}", ended.stderr);
    assert!(ended.stderr.contains("corelane latency: "), "{}", ended.stderr);
    // What became faster passes.
    edit(&place, "first", |document| {
        for row in document["rows"].as_array_mut().unwrap() {
            for field in ["median", "low", "high"] {
                row[field] = json!(row[field].as_f64().unwrap() / 1e12);
            }
        }
    });
    document(&run(&place, &format!("{options} --baseline first")), 0);
}

#[test]
fn a_baseline_that_says_nothing_about_this_run_is_refused() {
    let _machine = machine();
    let place = Place::new();
    let options = format!("throughput --payload 64 --threads 2 {SHORT}");
    let refused = |options: &str, expected: &str| {
        let ended = run(&place, options);
        assert_eq!(ended.code(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "no {expected:?} in\n{}", ended.stderr);
    };
    refused(&format!("{options} --baseline none"), "error[CL-1141]");
    refused(&format!("{options} --baseline none"), "make it with --save none");
    assert_eq!(run(&place, &format!("{options} --save other")).code(), 0);
    refused(&format!("latency --payload 8 {SHORT} --baseline other"), "has no row of this run");
    edit(&place, "other", |document| document["machine"]["cpu"] = json!("abacus"));
    refused(&format!("{options} --baseline other"), "another machine");
    edit(&place, "other", |document| document["schema"] = json!("corelane.bench/9"));
    refused(&format!("{options} --baseline other"), "corelane.bench/9");
    fs::write(kept(&place, "other"), "{").unwrap();
    refused(&format!("{options} --baseline other"), "cannot be read");
}

#[test]
fn bad_arguments_exit_with_2_and_name_what_is_possible() {
    let _machine = machine();
    let place = Place::new();
    let cases = [
        ("", "throughput"),
        ("speed", "--help"),
        ("latency --payload 9", "use 8, 64, 256 or 4096"),
        ("latency --payload 1M", "latency goes by value"),
        ("throughput --payload 2M", "from 4096 to 1048576"),
        ("throughput --payload 8G", "use none, K or M"),
        ("throughput --threads 3", "even number from 2"),
        ("throughput --passes 0", "1 to 1000"),
        ("throughput --pass-ms 0", "1 to 10000"),
        ("throughput --pinned --floating", "cannot be used with"),
        ("throughput --save ../x", "letters, digits"),
        ("wakeup --flamegraph x.svg --save x", "cannot be used with"),
        ("fanout --payload 8", "--help"),
        ("latency --html -", "go to a file"),
    ];
    for (arguments, expected) in cases {
        let ended = run(&place, arguments);
        assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{arguments}\n{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{arguments}: no {expected:?}\n{}", ended.stderr);
    }
    place.assert_empty();
}

#[test]
fn a_busy_machine_is_refused_before_anything_is_measured() {
    let _machine = machine();
    let place = Place::new();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let loops = (0..2 * cpus).map(|_| {
        let mut busy = place.command("sh");
        busy.args(["-c", "while :; do :; done"]);
        place.start(busy, Output::Pipes)
    });
    let loops: Vec<_> = loops.collect();
    let ended = run(&place, "throughput --payload 8 --threads 2 --passes 2 --pass-ms 60");
    assert_eq!((ended.code(), ended.stdout.as_str()), (4, ""), "{}", ended.stderr);
    for part in [
        "error[CL-0922]",
        "too noisy",
        "before the first pass, other processes used",
        "--allow-noise",
    ] {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
    drop(loops);
}

#[test]
fn pages_and_flame_graphs_are_written() {
    let _machine = machine();
    let place = Place::new();
    let folder = place.runtime_folder();
    let (page, graph) = (folder.join("page.html"), folder.join("graph.svg"));
    let files = format!("--html {} --flamegraph {}", page.display(), graph.display());
    let ended = run(&place, &format!("latency --payload 8,64 --quick --allow-noise {files}"));
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    assert!(ended.stdout.contains("a profiler ran beside"), "{}", ended.stdout);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("Percentiles, 64 B") && page.contains("corelane latency"), "{page}");
    assert!(fs::read_to_string(graph).unwrap().contains("</svg>"));
    let nowhere = run(&place, &format!("latency --payload 8 {SHORT} --html /nowhere/page.html"));
    assert_eq!(nowhere.code(), 1, "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("/nowhere/page.html"), "{}", nowhere.stderr);
}

#[test]
fn ctrl_c_ends_it_in_order() {
    let _machine = machine();
    let place = Place::new();
    let bench = start(&place, "throughput --json --payload 64 --passes 1000 --allow-noise");
    bench.wait_until("a measuring thread", || {
        let tasks = fs::read_dir(format!("/proc/{}/task", bench.pid())).ok()?;
        let names =
            tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.into_iter().find(|name| name.starts_with("bench-"))
    });
    bench.signal(Signal::INT);
    let ended = bench.wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (130, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted, nothing was kept"), "{}", ended.stderr);
    place.assert_empty();
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_anything_is_measured() {
    let place = Place::new();
    let ended = run(&place, "compare --html /nonexistent/page.html --passes 1000 --pass-ms 10000");
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("corelane: error[CL-1203]: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("/nonexistent/page.html"), "{}", ended.stderr);
}

/// Both outputs on terminals of this width: no line wraps, and all progress is taken back.
fn assert_fits(columns: u16) {
    let _machine = machine();
    let place = Place::new();
    let command = command(&place, &format!("throughput --payload 8 {SHORT}"));
    let ended = place.start(command, Output::Terminals { columns }).wait();
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    let size = |n| std::num::NonZeroU16::new(n).expect("it is not zero");
    for (text, is_progress) in [(&ended.stdout, false), (&ended.stderr, true)] {
        let mut parser = vt100::Parser::new(size(500), size(columns), 0);
        for character in text.chars() {
            parser.process(character.to_string().as_bytes());
            let (row, _) = parser.screen().cursor_position();
            let is_wrapped = row > 0 && parser.screen().row_wrapped(row - 1);
            assert!(!is_wrapped, "wider than {columns}:\n{}", parser.screen().contents());
        }
        let screen = parser.screen().contents();
        assert!(!screen.contains(['\u{fffd}', '\u{1b}']), "garbage:\n{screen}");
        assert_eq!(screen.trim().is_empty(), is_progress, "{screen}");
    }
}

#[test]
fn eighty_and_forty_columns_are_enough() {
    assert_fits(80);
    assert_fits(40);
}
