//! `corelane config` as its users meet it: what it prints, writes and refuses, and how it ends.
//!
//! What is right and wrong in a file is tested in `corelane-config`.

use std::{fs, path::PathBuf, process::Command};

use corelane_testkit::process::{Ended, Output, Place};
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::Value;

/// A folder for files, and a place whose runs begin there and know no settings of this user.
struct Desk {
    place: Place,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        Self { place: Place::new(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("writable");
        fs::write(path, content).expect("the temporary folder is writable");
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.place.command(env!("CARGO_BIN_EXE_corelane"));
        command.arg("config").args(arguments.split_whitespace());
        command.current_dir(self.folder.path()).env("XDG_CONFIG_HOME", self.path("user"));
        command
    }

    fn run(&self, command: Command) -> Ended {
        let ended = self.place.start(command, Output::Pipes).wait();
        self.place.assert_empty();
        ended
    }

    /// Stdout of a command that ends well and says nothing else.
    #[track_caller]
    fn good(&self, arguments: &str) -> String {
        let ended = self.run(self.command(arguments));
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
        ended.stdout
    }

    /// Stderr of a command that ends with this code and prints nothing.
    #[track_caller]
    fn bad(&self, arguments: &str, code: i32) -> String {
        let ended = self.run(self.command(arguments));
        assert_eq!((ended.code(), ended.stdout.as_str()), (code, ""), "{}", ended.stderr);
        ended.stderr
    }
}

const FLOW: &str = r#"version = 1
[input]
lines = "-"
[[agents]]
name = "upper"
count = 20
command = ["tr", "a-z", "A-Z"]
[[agents]]
name = "warn"
match = 'W'
"#;

#[test]
fn the_default_file_is_written_once_and_is_good() {
    let desk = Desk::new();
    let ended = desk.run(desk.command("init --output flow.toml"));
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, ""));
    assert!(ended.stderr.contains("corelane config check flow.toml"), "{}", ended.stderr);
    let text = fs::read_to_string(desk.path("flow.toml")).expect("it was written");
    assert_eq!(desk.good("init"), text);
    assert_eq!(desk.good("check flow.toml"), "flow.toml: good: 1 stage, 1 agent, 2 workers\n");

    desk.write("flow.toml", "mine");
    let error = desk.bad("init --output flow.toml", 1);
    let text = "corelane: error[CL-1190]: the file is there already, name another or remove it: \
                path=flow.toml\n";
    assert_eq!(error, text);
    assert_eq!(fs::read_to_string(desk.path("flow.toml")).unwrap(), "mine");
    let error = desk.bad("init --output no/flow.toml", 1);
    assert!(error.starts_with("corelane: error[CL-1191]: the file cannot be written"), "{error}");
}

#[test]
fn a_good_flow_is_counted() {
    let desk = Desk::new();
    desk.write("flow.toml", FLOW);
    let text = "flow.toml: good: 2 stages, 21 agents, 2 workers\n";
    assert_eq!(desk.good("check flow.toml"), text);
    let text = "flow.toml: good: 2 stages, 6 agents, 1 worker\n";
    let set = "check flow.toml --set agents.upper.count=5 --set topology.workers=1";
    assert_eq!(desk.good(set), text);
}

/// Wherever it is named; what a program hands over is read.
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let desk = Desk::new();
    let pipe = |name| mkfifoat(CWD, desk.path(name), Mode::RWXU).unwrap();
    pipe("flow.toml");
    let text = "corelane: error[CL-1031]: it is no regular file";
    assert!(desk.bad("check flow.toml", 2).starts_with(text));
    fs::remove_file(desk.path("flow.toml")).unwrap();
    desk.write("flow.toml", FLOW);
    let mut shell = desk.place.command("sh");
    let script = "cat flow.toml | \"$0\" config check /dev/stdin";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_corelane")]);
    shell.current_dir(desk.folder.path()).env("XDG_CONFIG_HOME", desk.path("user"));
    let ended = desk.run(shell);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.starts_with("/dev/stdin: good: 2 stages"), "{}", ended.stdout);
    pipe("corelane.toml");
    assert!(desk.bad("check flow.toml", 2).starts_with(text));
}

#[test]
fn every_mistake_is_drawn_where_it_is() {
    let desk = Desk::new();
    desk.write("flow.toml", format!("{FLOW}[topology]\nworkrs = 2\nrouters = \"two\"\n"));
    let expected = "\
corelane: error[CL-1011]: there is no key \"workrs\" in [topology], did you mean \"workers\": \
allowed=workers, routers
  --> flow.toml:12:1
   |
12 | workrs = 2
   | ^^^^^^
corelane: error[CL-1013]: topology.routers must be a whole number, write one: found=\"two\", a text
  --> flow.toml:13:11
   |
13 | routers = \"two\"
   |           ^^^^^
";
    assert_eq!(desk.bad("check flow.toml", 2), expected);
    let error = desk.bad("check flow.toml --set limits.ask_timeout=5", 2);
    for part in
        ["CL-1011", "CL-1028", "| --set limits.ask_timeout=5\n |                          ^\n"]
    {
        assert!(error.contains(part), "no {part:?} in\n{error}");
    }
}

#[test]
fn colours_are_for_terminals() {
    let desk = Desk::new();
    desk.write("flow.toml", "version = 2\n");
    let mut command = desk.command("check flow.toml");
    command.env("CLICOLOR_FORCE", "1");
    let ended = desk.run(command);
    assert!(ended.stderr.contains("\u{1b}["), "{}", ended.stderr);
    let plain = desk.bad("check flow.toml", 2);
    assert!(!plain.contains('\u{1b}') && plain.contains("CL-1010"), "{plain}");
}

/// Nothing that a file holds reaches a terminal as a command to it.
#[test]
fn what_a_file_holds_cannot_command_the_terminal() {
    let desk = Desk::new();
    desk.write("flow.toml", "version = 1\n\"\\u001b[31m\" = 1\n# \u{7}\nx\u{1b}]0;y\u{7} = 1\n");
    let mut command = desk.command("check flow.toml");
    command.env("CLICOLOR_FORCE", "1");
    let ended = desk.run(command);
    assert_eq!(ended.code(), 2);
    assert!(!ended.stderr.contains("\u{1b}]") && !ended.stderr.contains('\u{7}'), "{ended:?}");
    assert!(!desk.bad("check flow.toml", 2).contains('\u{1b}'));
}

#[test]
fn a_path_without_a_flow_is_refused() {
    let desk = Desk::new();
    desk.write("flow.toml", FLOW);
    desk.write("empty.toml", "");
    let cases = [
        ("flw.toml", "CL-1001", "did you mean \"flow.toml\""),
        (".", "CL-1002", "name a file in it"),
        ("empty.toml", "CL-1006", "corelane config init"),
    ];
    for (path, code, part) in cases {
        let error = desk.bad(&format!("check {path}"), 2);
        let is_told = error.contains(&format!("corelane: error[{code}]: ")) && error.contains(part);
        assert!(is_told, "{path}: {error}");
    }
}

#[test]
fn show_tells_where_every_value_came_from() {
    let desk = Desk::new();
    desk.write("flow.toml", FLOW);
    desk.write(
        "user/corelane/corelane.toml",
        "version = 1\n[topology]\nworkers = 3\nrouters = 3\n",
    );
    desk.write("corelane.toml", "version = 1\n[topology]\nrouters = 4\n");
    let mut command = desk.command("show flow.toml --origin --set limits.ask_timeout=9s");
    command.env("CORELANE_PLACEMENT__PIN", "false");
    let ended = desk.run(command);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let origin = |line: &str| {
        let found =
            ended.stdout.lines().find_map(|shown| shown.strip_prefix(line)?.split_once("# "));
        let found = found.unwrap_or_else(|| panic!("no {line:?} in\n{}", ended.stdout));
        found.1.to_owned()
    };
    let user = desk.path("user/corelane/corelane.toml");
    assert_eq!(origin("workers = 3"), format!("{}:3", user.display()));
    assert_eq!(origin("routers = 4"), "corelane.toml:3");
    assert_eq!(origin("count = 20"), "flow.toml:6");
    assert_eq!(origin("pin = false"), "CORELANE_PLACEMENT__PIN");
    assert_eq!(origin("ask_timeout = \"9s\""), "--set limits.ask_timeout=9s");
    assert_eq!(origin("open_questions = 64"), "default");

    // What is shown is a flow again.
    desk.write("again/shown.toml", &ended.stdout);
    let text = "again/shown.toml: good: 2 stages, 21 agents, 3 workers\n";
    assert_eq!(desk.good("check again/shown.toml"), text);
}

#[test]
fn show_json_is_one_document() {
    let desk = Desk::new();
    desk.write("flow.toml", FLOW);
    let document: Value = serde_json::from_str(&desk.good("show flow.toml --json")).unwrap();
    assert_eq!(document["schema"], "corelane.config/1");
    assert_eq!(document["settings"]["agents"][0]["count"], 20);
    assert_eq!(document["settings"]["limits"]["ask_timeout"], "5s");
    let origin = &document["origins"]["agents.upper.count"];
    assert_eq!((&origin["kind"], &origin["path"]), (&"file".into(), &"flow.toml".into()));
    assert_eq!(origin["line"], 6);
    assert_eq!(document["origins"]["output.format"]["kind"], "default");
}

#[test]
fn show_without_a_flow_lacks_nothing() {
    let desk = Desk::new();
    let shown = desk.good("show");
    assert!(shown.starts_with("version = 1\n\n[topology]\nworkers = 2\n"), "{shown}");
    desk.write("corelane.toml", "version = 1\n[topologie]\n");
    assert!(desk.bad("show", 2).contains("did you mean \"topology\""));
}

#[test]
fn the_schema_is_json() {
    let desk = Desk::new();
    let schema: Value = serde_json::from_str(&desk.good("schema")).unwrap();
    assert_eq!(schema["properties"]["topology"]["properties"]["workers"]["maximum"], 64);
}

#[test]
fn the_settings_that_every_flow_gets_are_checked_without_one() {
    let desk = Desk::new();
    let good = "settings: good: name a flow to check that too\n";
    assert_eq!(desk.good("check"), good);
    desk.write("corelane.toml", "version = 1\n[topology]\nworkers = 3\n");
    assert_eq!(desk.good("check"), good);
    desk.write("user/corelane/corelane.toml", "version = 1\n[topology]\nwokers = 3\n");
    let told = desk.bad("check", 2);
    assert!(told.contains("error[CL-1011]") && told.contains("did you mean \"workers\""), "{told}");
    assert!(told.contains("user/corelane/corelane.toml:3:1"), "{told}");
    assert!(!told.contains("CL-1020"), "nobody asked for a flow: {told}");
}
