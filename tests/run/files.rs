//! The files of a run: what it refuses to write over, what it leaves alone, and what it waits for.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::*;

/// A pipe with a name that nobody has opened.
fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("pipe");
    mkfifoat(CWD, &path, Mode::RWXU).unwrap();
    path
}

#[track_caller]
fn refused(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!((ended.code(), ended.stdout.as_str()), (code, ""), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
}

#[test]
fn what_the_run_uses_is_never_written_over() {
    let (place, folder) = (Place::new(), folder());
    let path = |name: &str| folder.path().join(name);
    let flow = scripted(folder.path(), "kept\n", "line", "cat");
    let flow = format!(
        "{flow}[[agents]]\nname = \"m\"\nmodel = {:?}\n\
         [[agents]]\nname = \"t\"\ncommand = [{:?}]\n",
        path("model.onnx"),
        path("tool")
    );
    let files = [("input", "the input"), ("flow.toml", "the flow")];
    let files = files.into_iter().chain([
        ("model.onnx", "the model of stage m"),
        ("tool", "the tool of stage t"),
        ("corelane/corelane.toml", "a file of settings"),
    ]);
    fs::create_dir(path("corelane")).unwrap();
    for name in ["model.onnx", "tool"] {
        fs::write(path(name), "kept").unwrap();
    }
    fs::write(path("corelane/corelane.toml"), "version = 1\n").unwrap();
    fs::write(path("flow.toml"), flow).unwrap();
    let run = |settings: &[String], page: Option<&Path>| {
        let mut command = command(&place, &path("flow.toml"), settings);
        command.env("XDG_CONFIG_HOME", folder.path());
        command.args(page.map(|page| ["--report".as_ref(), page.as_os_str()]).iter().flatten());
        place.start(command, Output::Pipes).wait()
    };
    for (name, what) in files {
        let (file, hard, soft) = (path(name), path("hard"), path("soft"));
        let before = fs::read(&file).unwrap();
        fs::hard_link(&file, &hard).unwrap();
        symlink(name, &soft).unwrap();
        for name in [&file, &hard, &soft] {
            let text = format!("error[CL-1152]: output.file is {what} itself: {}", name.display());
            refused(&run(&[setting("output.file", name)], None), 2, &[&text]);
            let text = format!("error[CL-1152]: the page is {what} itself: {}", name.display());
            refused(&run(&[], Some(name)), 2, &[&text]);
        }
        assert_eq!(fs::read(&file).unwrap(), before);
        fs::remove_file(hard).and_then(|()| fs::remove_file(soft)).unwrap();
    }
    // Neither is there yet.
    let answers = [setting("output.file", path("new"))];
    refused(&run(&answers, Some(&path("new"))), 2, &["output.file is the page itself"]);
    assert!(!path("new").exists());
    let watcher = fs::read_to_string(example("log-watcher.toml")).unwrap();
    let log = path("app.log");
    let settings = [setting("input.follow", &log), setting("output.file", path("./app.log"))];
    let same = run_text(&place, folder.path(), &watcher, &settings);
    refused(&same, 2, &["output.file is the input itself"]);
    assert!(!log.exists());
    place.assert_empty();
}

#[test]
fn a_run_that_cannot_start_leaves_an_earlier_result_alone() {
    let (place, folder) = (Place::new(), folder());
    let flow = scripted(folder.path(), "a\n", "line", "cat");
    let model = format!("{flow}[[agents]]\nname = \"m\"\nmodel = \"no-such.onnx\"\n");
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    fs::write(&old, "an earlier result, longer than the new one\n").unwrap();
    let none = setting("input.lines", folder.path().join("none"));
    for (flow, setting_, part) in [
        (&flow, Some(none), "error[CL-1151]"),
        (&flow, Some("placement.cpus=\"9999\"".to_owned()), "error[CL-1133]"),
        (&model, None, "error[CL-0731]: model of stage m cannot be read"),
    ] {
        for file in [&old, &new] {
            let settings = setting_.iter().cloned().chain([setting("output.file", file)]);
            let settings: Vec<_> = settings.collect();
            refused(&run_text(&place, folder.path(), flow, &settings), 1, &[part]);
        }
        assert!(fs::read_to_string(&old).unwrap().starts_with("an earlier"));
        assert!(!new.exists());
    }
    for file in [&old, &new] {
        let ended = run_text(&place, folder.path(), &flow, &[setting("output.file", file)]);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert_eq!(fs::read_to_string(file).unwrap(), "a\n");
    }
    place.assert_empty();
}

#[test]
fn the_first_signal_ends_a_run_whose_input_nobody_writes() {
    let (place, folder) = (Place::new(), folder());
    let flow = folder.path().join("flow.toml");
    fs::write(&flow, scripted(folder.path(), "", "line", "cat")).unwrap();
    let running = start(&place, &flow, &[setting("input.lines", pipe(folder.path()))]);
    let tasks = format!("/proc/{}/task", running.pid());
    running.wait_until("the thread of the source", || {
        let tasks = fs::read_dir(&tasks).ok()?.flatten();
        let mut names = tasks.map(|task| fs::read_to_string(task.path().join("comm")));
        names.any(|name| name.is_ok_and(|name| name == "corelane-source\n")).then_some(())
    });
    running.signal(Signal::INT);
    assert_eq!(running.wait().code(), 130);
    place.assert_empty();
}

#[test]
fn a_pipe_is_written_to_once_it_has_a_reader() {
    let (place, folder) = (Place::new(), folder());
    let flow = folder.path().join("flow.toml");
    fs::write(&flow, scripted(folder.path(), "a\n", "line", "cat")).unwrap();
    let pipe = pipe(folder.path());
    let waiting = || {
        let running = start(&place, &flow, &[setting("output.file", &pipe)]);
        let told = "has no reader yet, waiting for one";
        running.wait_until(told, || running.stderr_so_far().contains(told).then_some(()));
        running
    };
    let running = waiting();
    running.signal(Signal::INT);
    assert_eq!(running.wait().code(), 130);
    let running = waiting();
    assert_eq!(fs::read_to_string(&pipe).unwrap(), "a\n");
    assert_eq!(running.wait().code(), 0);
    place.assert_empty();
}

#[test]
fn a_pipe_and_a_folder_cannot_be_followed() {
    let (place, folder) = (Place::new(), folder());
    let flow = fs::read_to_string(example("log-watcher.toml")).unwrap();
    for file in [&pipe(folder.path()), folder.path()] {
        let settings = [setting("input.follow", file), "input.duration=1s".to_owned()];
        let ended = run_text(&place, folder.path(), &flow, &settings);
        refused(&ended, 1, &["error[CL-1151]", "no regular file and cannot be followed"]);
    }
    place.assert_empty();
}

#[test]
fn a_followed_file_that_is_not_there_is_told_once() {
    let (place, folder) = (Place::new(), folder());
    let log = folder.path().join("app.log");
    let settings = [setting("input.follow", &log), "input.duration=300ms".to_owned()];
    let ended = start(&place, &example("log-watcher.toml"), &settings).wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let told = format!("corelane: {} is not there yet, waiting for it\n", log.display());
    assert_eq!(ended.stderr.matches(&told).count(), 1, "{}", ended.stderr);
    place.assert_empty();
}

#[test]
fn a_page_without_a_name_is_refused() {
    let (place, folder) = (Place::new(), folder());
    let flow = folder.path().join("flow.toml");
    fs::write(&flow, scripted(folder.path(), "a\n", "line", "cat")).unwrap();
    let mut command = command(&place, &flow, &[]);
    command.args(["--report", ""]);
    let ended = place.start(command, Output::Pipes).wait();
    refused(&ended, 2, &["a page and a graph need the name of a file"]);
    place.assert_empty();
}

#[test]
fn a_duration_shorter_than_a_period_takes_no_reading() {
    let (place, folder) = (Place::new(), folder());
    let settings = ["input.duration=1ms", "input.telemetry.rate_hz=1"].map(str::to_owned);
    let (document, answers) =
        run_json(&place, folder.path(), &example("telemetry.toml"), &settings);
    assert_eq!((&document["items"], &document["source"]["ticks"]), (&0.into(), &0.into()));
    assert_eq!(answers, "");
    place.assert_empty();
}
