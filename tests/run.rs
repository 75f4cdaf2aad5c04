//! `corelane run` as its users meet it: the examples run for real, what fails, what a kill leaves.
//!
//! Every test has a place of its own and ends with a search for what was left there.

#[path = "run/adverse.rs"]
mod adverse;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use corelane_testkit::process::{Ended, Output, Place, Running, Signal};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

#[path = "run/files.rs"]
mod files;

const FLOATING: [&str; 2] = ["--set", "placement.pin=false"];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A folder for the inputs and outputs of one test; the place itself has to stay empty.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("the temporary folder is writable")
}

fn command(place: &Place, flow: &Path, settings: &[String]) -> Command {
    let mut command = place.command(env!("CARGO_BIN_EXE_corelane"));
    command.arg("run").arg(flow).args(FLOATING);
    command.env("XDG_CONFIG_HOME", place.runtime_folder());
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}

fn start<'p>(place: &'p Place, flow: &Path, settings: &[String]) -> Running<'p> {
    place.start(command(place, flow, settings), Output::Pipes)
}

/// Runs a flow that is written here.
fn run_text(place: &Place, folder: &Path, flow: &str, settings: &[String]) -> Ended {
    let file = folder.join("flow.toml");
    fs::write(&file, flow).unwrap();
    start(place, &file, settings).wait()
}

/// Runs a flow with `--json` and gives its document and its answers.
fn run_json(place: &Place, folder: &Path, flow: &Path, settings: &[String]) -> (Value, String) {
    let answers = folder.join("answers");
    let mut command = command(place, flow, settings);
    command.args(["--json", "--set", &setting("output.file", &answers)]);
    let ended = place.start(command, Output::Pipes).wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let document = serde_json::from_str(&ended.stdout);
    let document = document.unwrap_or_else(|error| panic!("{error}\n{}", ended.stdout));
    (document, fs::read_to_string(answers).unwrap())
}

fn setting(key: &str, value: impl AsRef<Path>) -> String {
    format!("{key}={}", value.as_ref().display())
}

fn append(path: &Path, text: &str) {
    let file = fs::File::options().append(true).create(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// A pipeline with one stage that runs `script` for each line of `input`.
fn scripted(folder: &Path, input: &str, each: &str, script: &str) -> String {
    let file = folder.join("input");
    fs::write(&file, input).unwrap();
    format!(
        "version = 1\n[input]\nlines = {:?}\n[[agents]]\nname = \"tool\"\ncount = 4\n\
         command = [\"sh\", \"-c\", {script:?}]\neach = {each:?}\n",
        file.display().to_string()
    )
}

#[test]
fn the_digits_are_read_by_the_model() {
    let (place, folder) = (Place::new(), folder());
    let (document, answers) = run_json(&place, folder.path(), &example("digits.toml"), &[]);
    assert_eq!(document["schema"], "corelane.run/1");
    for field in ["items", "answered"] {
        assert_eq!(document[field], 1797, "{document:#}");
    }
    for field in ["failed", "dropped", "abandoned", "redelivered", "answers_suppressed"] {
        assert_eq!(document[field], 0, "{document:#}");
    }
    let stage = &document["stages"][0];
    assert_eq!((&stage["name"], &stage["agents"]), (&"classify".into(), &1000.into()));
    assert!(stage["rtt_ns"]["p50"].as_u64() <= stage["rtt_ns"]["max"].as_u64());
    let steps = document["throughput"]["items"].as_array().unwrap();
    assert_eq!(steps.iter().filter_map(Value::as_u64).sum::<u64>(), 1797);
    // In input order: the labels of the data, but for what the model gets wrong.
    let data = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/data/digits.bin"));
    let labels = data.unwrap()[16..].chunks(65).map(|image| image[64]).collect::<Vec<_>>();
    let answers: Vec<u8> = answers.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(answers.len(), labels.len());
    let right = answers.iter().zip(&labels).filter(|(answer, label)| answer == label).count();
    assert!(right as f64 / labels.len() as f64 > 0.95, "{right}");
    place.assert_empty();
}

#[test]
fn a_pipeline_of_tools_answers_in_input_order() {
    let (place, folder) = (Place::new(), folder());
    let input = folder.path().join("lines");
    let lines: Vec<String> = (0..60).map(|length| "x".repeat(length)).collect();
    fs::write(&input, lines.join("\n") + "\n").unwrap();
    let settings = [setting("input.lines", &input)];
    let ended = start(&place, &example("pipeline.toml"), &settings).wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let expected: String = (0..60).map(|length| format!("{length} bytes\n")).collect();
    assert_eq!(ended.stdout, expected);
    assert!(ended.stderr.contains("60 items"), "{}", ended.stderr);
    place.assert_empty();
}

#[test]
fn a_log_is_watched_through_rotation_and_truncation_until_ctrl_c() {
    let (place, folder) = (Place::new(), folder());
    let log = folder.path().join("app.log");
    let settings = [setting("input.follow", &log)];
    let watcher = start(&place, &example("log-watcher.toml"), &settings);
    let see = |line: &str| {
        watcher.wait_until(line, || watcher.stdout_so_far().contains(line).then_some(()));
    };
    append(&log, "INFO fine\nan ERROR one\nno MIRROR here\n");
    // Until it is seen the file may count as one that was there at the start.
    watcher.wait_until("the first error", || {
        append(&log, "an ERROR again\n");
        watcher.stdout_so_far().contains("an ERROR again").then_some(())
    });
    fs::rename(&log, folder.path().join("app.log.1")).unwrap();
    append(&log, "FATAL two\n");
    see("FATAL two");
    fs::write(&log, "").unwrap();
    append(&log, "ERROR 3\n");
    see("ERROR 3");
    watcher.signal(Signal::INT);
    let ended = watcher.wait();
    assert_eq!(ended.code(), 130, "{}", ended.stderr);
    assert!(!ended.stdout.contains("MIRROR") && !ended.stdout.contains("INFO"), "{}", ended.stdout);
    assert!(ended.stderr.contains("1 rotations, 1 truncations"), "{}", ended.stderr);
    place.assert_empty();
}

#[test]
fn the_machine_is_measured_at_a_steady_rate_and_the_share_of_alarms_is_told() {
    let (place, folder) = (Place::new(), folder());
    let settings = ["input.duration=3s".to_owned()];
    let (document, answers) =
        run_json(&place, folder.path(), &example("telemetry.toml"), &settings);
    let source = &document["source"];
    let (taken, missed) = (source["ticks"].as_u64().unwrap(), source["ticks_missed"].as_u64());
    assert_eq!(taken + missed.unwrap(), 300, "{document:#}");
    let stage = &document["stages"][0];
    let alarm = &stage["alarm"];
    let alarms = answers.lines().count() as u64;
    assert_eq!(alarm["alarms"], alarms);
    let judged = alarm["judged"].as_u64().unwrap();
    // Each series has a window of 200 first.
    let series = stage["answered"].as_u64().unwrap() - judged;
    assert!(series.is_multiple_of(200) || missed > Some(0), "{document:#}");
    let share = alarm["share"].as_f64().unwrap();
    assert!((share - alarms as f64 / judged.max(1) as f64).abs() < 1e-9, "{document:#}");
    let normal = alarm["normal_share"].as_f64().unwrap();
    assert!((normal / 1.973e-9 - 1.0).abs() < 1e-3, "{document:#}");
    for line in answers.lines() {
        let alarm: Value = serde_json::from_str(line).unwrap();
        let is_far = alarm["score"].as_f64().is_none_or(|score| score.abs() > 6.0);
        assert!(is_far && alarm["series"].is_string() && alarm["median"].is_number(), "{line}");
    }
    place.assert_empty();
}

/// The workers of a run.
fn workers(running: &Running<'_>) -> Vec<i32> {
    let processes = running.descendants().into_iter();
    let workers = processes.filter(|process| process.command.contains(" worker "));
    workers.map(|process| process.pid as i32).collect()
}

fn kill(pid: i32) {
    // A worker is a child that its node has not reaped, or the test fails anyway.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

#[test]
fn a_killed_worker_takes_its_tools_with_it_and_every_item_is_answered_once() {
    let (place, folder) = (Place::new(), folder());
    let started = folder.path().join("started");
    // The first process of item 7 never ends, nor does what it forks into a session of its own.
    let script = format!(
        "read n; if [ $n = 7 ] && mkdir {started}; then setsid sleep 1000 & sleep 1000; fi; \
         echo answer $n",
        started = started.display()
    );
    let input: String = (0..40).map(|n| format!("{n}\n")).collect();
    let flow = folder.path().join("flow.toml");
    fs::write(&flow, scripted(folder.path(), &input, "line", &script)).unwrap();
    let answers = folder.path().join("answers");
    let mut command = command(&place, &flow, &["limits.ask_timeout=60s".to_owned()]);
    command.args(["--json", "--set", &setting("output.file", &answers)]);
    let page = folder.path().join("page.html");
    command.arg("--report").arg(&page);
    let running = place.start(command, Output::Pipes);
    running.wait_until("a tool that stays", || started.exists().then_some(()));
    let sleeps = || {
        let processes = running.descendants().into_iter();
        processes.filter(|process| process.command == "sleep 1000").count()
    };
    running.wait_until("both of its processes", || (sleeps() == 2).then_some(()));
    workers(&running).into_iter().for_each(kill);
    running.wait_until("the end of its processes", || (sleeps() == 0).then_some(()));
    let ended = running.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let expected: String = (0..40).map(|n| format!("answer {n}\n")).collect();
    assert_eq!(fs::read_to_string(answers).unwrap(), expected);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&document["answered"], &document["failed"]), (&40.into(), &0.into()));
    assert!(document["redelivered"].as_u64() >= Some(1), "{document:#}");
    let whats: Vec<_> =
        document["events"].as_array().unwrap().iter().map(|event| &event["what"]).collect();
    assert!(whats.contains(&&"down".into()) && whats.contains(&&"up".into()), "{document:#}");
    let page = page_of(&ended, &page);
    for part in ["workers at work", "worker 0 down", "worker 0 up", "Asked again"] {
        assert!(page.contains(part), "no {part:?} in\n{page}");
    }
    place.assert_empty();
}

/// The one page that a run wrote, and what it said of it.
fn page_of(ended: &Ended, path: &Path) -> String {
    let last = format!("corelane: page written to {}\n", path.display());
    assert!(ended.stderr.ends_with(&last), "{}", ended.stderr);
    fs::read_to_string(path).unwrap()
}

/// By the setting or by the option, which wins.
#[test]
fn a_page_shows_what_became_of_the_items() {
    let (place, folder) = (Place::new(), folder());
    let [by_setting, by_option] =
        ["setting.html", "option.html"].map(|name| folder.path().join(name));
    let flow = folder.path().join("flow.toml");
    let script = "read n; [ $n != 2 ] && echo $n";
    fs::write(&flow, scripted(folder.path(), "1\n2\n3\n", "line", script)).unwrap();
    let settings = [setting("output.report", &by_setting)];
    let ended = start(&place, &flow, &settings).wait();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    let page = page_of(&ended, &by_setting);
    // With one core there is no way to measure.
    let latency = match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => "Nothing is pinned",
        _ => "One-way cache-line latency",
    };
    let parts = [
        latency,
        "1 of 2 promises did not hold",
        "no item failed",
        "Round trip of tool",
        "From asking to the answer",
        "Items that left",
        "Nothing is pinned",
        "Allowed cpus",
        "Not measured:",
    ];
    for part in parts {
        assert!(page.contains(part), "no {part:?} in\n{page}");
    }
    assert!(!page.contains("workers at work"), "nothing happened to them");
    fs::remove_file(&by_setting).unwrap();
    fs::write(&flow, scripted(folder.path(), "1\n3\n", "line", script)).unwrap();
    let mut command = command(&place, &flow, &settings);
    command.arg("--report").arg(&by_option);
    let ended = place.start(command, Output::Pipes).wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "1\n3\n"), "{}", ended.stderr);
    assert!(page_of(&ended, &by_option).contains("Everything held: 2 of 2 promises"));
    assert!(!by_setting.exists());
    place.assert_empty();
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_the_work() {
    let (place, folder) = (Place::new(), folder());
    let started = folder.path().join("started");
    let script = format!("touch {}", started.display());
    let flow = scripted(folder.path(), "1\n", "line", &script);
    let ended = run_text(&place, folder.path(), &flow, &[setting("output.report", folder.path())]);
    assert_eq!(ended.code(), 1);
    assert!(ended.stderr.contains("error[CL-1201]: page cannot be written"), "{}", ended.stderr);
    assert!(!started.exists());
    place.assert_empty();
}

#[test]
fn a_killed_run_leaves_no_process() {
    let (place, folder) = (Place::new(), folder());
    let started = folder.path().join("started");
    let script = format!("read n; mkdir -p {}; sleep 1000 & sleep 1000", started.display());
    let flow = folder.path().join("flow.toml");
    fs::write(&flow, scripted(folder.path(), "1\n2\n", "stream", &script)).unwrap();
    let running = start(&place, &flow, &["limits.ask_timeout=60s".to_owned()]);
    running.wait_until("a tool", || started.exists().then_some(()));
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code(), 137);
    // The end of the output says that workers and watchers are gone, and they go last.
    assert_eq!(place.processes(), []);
}

#[test]
fn what_fails_is_told_and_counted_and_the_rest_is_answered() {
    let (place, folder) = (Place::new(), folder());
    let input = folder.path().join("lines");
    fs::write(&input, format!("one\n{}\nbad\ntwo\n", "x".repeat(2000))).unwrap();
    let flow = scripted(folder.path(), "", "line", "grep -v bad");
    let ended = run_text(&place, folder.path(), &flow, &[setting("input.lines", &input)]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, "one\ntwo\n"), "{}", ended.stderr);
    let told =
        "item 1 failed at input: line 2 has 2000 bytes: raise limits.record_bytes_max (1024)";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert!(ended.stderr.contains("item 2 failed at tool: sh: ended with exit code 1"));
    assert!(ended.stderr.contains("4 items") && ended.stderr.contains("2 failed"));
    place.assert_empty();
}

#[test]
fn records_of_4000_bytes_are_carried() {
    let (place, folder) = (Place::new(), folder());
    let line = "x".repeat(4000);
    let flow = scripted(folder.path(), &format!("{line}\n"), "line", "cat");
    let settings = ["limits.record_bytes_max=4000B".to_owned()];
    let ended = run_text(&place, folder.path(), &flow, &settings);
    assert_eq!((ended.code(), ended.stdout.trim_end()), (0, line.as_str()), "{}", ended.stderr);
    place.assert_empty();
}

#[test]
fn another_model_is_asked_with_lists() {
    let (place, folder) = (Place::new(), folder());
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits/1/model.onnx");
    let input = folder.path().join("lists");
    fs::write(&input, format!("[{}]\n[1, 2]\n", vec!["0"; 64].join(","))).unwrap();
    let flow = format!(
        "version = 1\n[input]\nlines = {:?}\n[[agents]]\nname = \"any\"\nmodel = {:?}\n\
         [output]\nformat = \"json\"\n",
        input.display().to_string(),
        model.display().to_string()
    );
    let ended = run_text(&place, folder.path(), &flow, &[]);
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&answer["item"], answer["answer"].as_array().map(Vec::len)), (&0.into(), Some(10)));
    assert!(ended.stderr.contains("question has 2 elements, the model takes 64"));
    place.assert_empty();
}

#[test]
fn a_model_that_cannot_be_read_is_told_once_and_starts_nothing() {
    let (place, folder) = (Place::new(), folder());
    let none = folder.path().join("none.onnx");
    for (model, code) in [(none.as_path(), "CL-0731"), (folder.path(), "CL-0732")] {
        let flow = format!(
            "version = 1\n[input]\ndigits = \"held-out\"\n[[agents]]\nname = \"a\"\nmodel = {:?}\n",
            model.display().to_string()
        );
        let ended = run_text(&place, folder.path(), &flow, &[]);
        assert_eq!(ended.code(), 1, "{}", ended.stderr);
        let told = format!("corelane: error[{code}]: model of stage a cannot be read: ");
        assert!(ended.stderr.starts_with(&told), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("path={}", model.display())), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    place.assert_empty();
}

/// A model is looked at by the worker that hosts it: what is wrong with it reaches the user.
#[test]
fn a_damaged_model_and_one_of_another_shape_are_told() {
    let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits/1/model.onnx"));
    let whole = whole.unwrap();
    // A dimension of 64 becomes one of 63, which the weights do not fit.
    let (dimension, wrong) = ([10, 2, 8, 64], [10, 2, 8, 63]);
    let at = whole.windows(4).position(|bytes| bytes == dimension).expect("the input has it");
    let mut misshapen = whole.clone();
    misshapen[at..at + 4].copy_from_slice(&wrong);
    for bytes in [&whole[..whole.len() / 2], &misshapen] {
        let (place, folder) = (Place::new(), folder());
        let model = folder.path().join("model.onnx");
        fs::write(&model, bytes).unwrap();
        let flow = format!(
            "version = 1\n[input]\ndigits = \"held-out\"\n[[agents]]\nname = \"a\"\n\
             model = {:?}\n[supervision]\nrestarts_max = 1\n",
            model.display().to_string()
        );
        let ended = run_text(&place, folder.path(), &flow, &[]);
        assert_eq!(ended.code(), 1, "{}", ended.stderr);
        let told = format!("error[CL-0712]: model cannot be used: {}", model.display());
        for part in [&told, "restart budget is spent"] {
            assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
        }
        place.assert_empty();
    }
}

#[test]
fn what_cannot_work_is_refused_before_anything_starts() {
    let (place, folder) = (Place::new(), folder());
    let flow = scripted(folder.path(), "kept\n", "line", "cat");
    let input = folder.path().join("input");
    let same = run_text(&place, folder.path(), &flow, &[setting("output.file", &input)]);
    assert_eq!(same.code(), 2, "{}", same.stderr);
    assert!(same.stderr.contains("error[CL-1152]"), "{}", same.stderr);
    assert_eq!(fs::read_to_string(&input).unwrap(), "kept\n");

    let mut json = command(&place, &folder.path().join("flow.toml"), &[]);
    json.arg("--json");
    let json = place.start(json, Output::Pipes).wait();
    assert_eq!((json.code(), json.stdout.as_str()), (2, ""), "{}", json.stderr);
    assert!(json.stderr.contains("error[CL-1153]"), "{}", json.stderr);

    let unknown = run_text(&place, folder.path(), &flow, &["topology.wokers=3".to_owned()]);
    assert_eq!(unknown.code(), 2, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("workers"), "{}", unknown.stderr);

    let mut many = flow.replace("count = 4", "count = 100000");
    many.push_str("[[agents]]\nname = \"b\"\nmatch = \"x\"\n");
    let many = run_text(&place, folder.path(), &many, &[]);
    assert_eq!(many.code(), 2, "{}", many.stderr);
    assert!(many.stderr.contains("error[CL-1154]"), "{}", many.stderr);
    place.assert_empty();
}

#[test]
fn files_that_cannot_be_used_fail_the_run() {
    let (place, folder) = (Place::new(), folder());
    let flow = scripted(folder.path(), "a\n", "line", "cat");
    let full = run_text(&place, folder.path(), &flow, &["output.file=/dev/full".to_owned()]);
    assert_eq!(full.code(), 1, "{}", full.stderr);
    assert!(
        full.stderr.contains("error[CL-1150]: answers cannot be written to /dev/full"),
        "{}",
        full.stderr
    );
    let none = [setting("input.lines", folder.path().join("none"))];
    let none = run_text(&place, folder.path(), &flow, &none);
    assert_eq!(none.code(), 1, "{}", none.stderr);
    assert!(none.stderr.contains("error[CL-1151]: input cannot be read from"), "{}", none.stderr);
    place.assert_empty();
}
