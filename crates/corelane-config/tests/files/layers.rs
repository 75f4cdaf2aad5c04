//! Layers: which wins, where a value came from, and what a variable or an option may say.

use std::ffi::OsString;

use corelane_config::{Each, Input, Layers, Lines, Origin, TimeSpan, Work, load, settings};

use crate::{File, flow};

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn flags(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}

/// The text of the mistakes that these variables and options make.
#[track_caller]
fn refused(pairs: &[(&str, &str)], set: &[&str]) -> String {
    let file = File::new(flow(""));
    let layers = Layers { variables: variables(pairs), flags: flags(set), ..file.layers() };
    load(&layers).expect_err("it is wrong").to_string()
}

#[test]
fn later_layers_win_and_every_value_knows_its_origin() {
    let system = File::new(
        "version = 1\n[topology]\nworkers = 5\nrouters = 5\n[limits]\nopen_questions = 5",
    );
    let user = File::new("version = 1\n[topology]\nrouters = 6");
    let file = File::new(flow("[limits]\nask_timeout = \"7s\""));
    let layers = Layers {
        places: vec![system.path.clone(), user.path.clone(), "/nowhere/corelane.toml".into()],
        variables: variables(&[
            ("CORELANE_LIMITS__ASK_TIMEOUT", "8s"),
            ("CORELANE_PLACEMENT__PIN", "false"),
            ("CORELANE_TEST_PLACE", "not ours"),
            ("OTHER__THING", "not ours"),
        ]),
        flags: flags(&["placement.cpus=3", "agents.a.count=9", "placement.cpus = 4 "]),
        ..file.layers()
    };
    let loaded = load(&layers).unwrap_or_else(|error| panic!("{error}"));
    let config = loaded.config;
    assert_eq!((config.topology.workers, config.topology.routers), (5, Some(6)));
    assert_eq!(config.limits.ask_timeout, TimeSpan::from_secs(8));
    assert_eq!((config.agents[0].count, config.placement.pin), (9, false));
    assert_eq!(config.placement.cpus.map(|cpus| cpus.to_string()).as_deref(), Some("4"));

    let origins = loaded.settings.origins();
    let at = |file: &File, line| Origin::File { path: file.path.clone(), line };
    assert_eq!(origins["topology.workers"], at(&system, 3));
    assert_eq!(origins["topology.routers"], at(&user, 3));
    assert_eq!(origins["limits.open_questions"], at(&system, 6));
    assert_eq!(origins["input.lines"], at(&file, 3));
    assert_eq!(origins["agents.a.model"], at(&file, 6));
    let variable = |name: &str| Origin::Variable { name: name.to_owned() };
    assert_eq!(origins["limits.ask_timeout"], variable("CORELANE_LIMITS__ASK_TIMEOUT"));
    let flag = |text: &str| Origin::Flag { text: text.to_owned() };
    assert_eq!(origins["agents.a.count"], flag("--set agents.a.count=9"));
    assert_eq!(origins["placement.cpus"], flag("--set placement.cpus = 4 "));
    assert_eq!(origins["output.format"], Origin::Default);
    assert_eq!(origins.len(), 18, "{origins:?}");
}

#[test]
fn another_kind_of_input_replaces_the_one_below_and_what_belonged_to_it() {
    let below = File::new("version = 1\n[input]\nfollow = \"a.log\"\nduration = \"5s\"");
    let file = File::new(flow(""));
    let layers = Layers { places: vec![below.path.clone()], ..file.layers() };
    assert_eq!(load(&layers).unwrap().config.input, Input::Lines(Lines::Stdin));

    // The same kind leaves what belongs to it.
    let flags = flags(&["input.follow=b.log"]);
    let file =
        File::new(flow("").replace("lines = \"-\"", "follow = \"c.log\"\nduration = \"5s\""));
    let config = load(&Layers { flags, ..file.layers() }).unwrap().config;
    let duration = Some(TimeSpan::from_secs(5));
    assert_eq!(config.input, Input::Follow { file: "b.log".into(), duration });
}

#[test]
fn a_list_of_stages_is_replaced_as_a_whole() {
    let below = File::new(flow("count = 7\n[[agents]]\nname = \"b\"\nmatch = 'x'"));
    let file = File::new(flow(""));
    let layers = Layers { places: vec![below.path.clone()], ..file.layers() };
    let agents = load(&layers).unwrap().config.agents;
    assert_eq!((agents.len(), agents[0].count), (1, 1));
}

#[test]
fn a_file_that_is_a_layer_too_is_read_once() {
    let file = File::new("version = 1\nwrong = 1");
    let same = file.path.parent().unwrap().join("./flow.toml");
    let layers = Layers { places: vec![same], ..file.layers() };
    let error = load(&layers).unwrap_err().to_string();
    assert_eq!(error.matches("wrong").count(), 1, "{error}");
}

#[test]
fn texts_need_no_quotes_and_everything_else_is_toml() {
    let file = File::new(flow(""));
    let set = [
        "output.file=a = b.txt",
        "output.report=\"quoted.html\"",
        "input.telemetry={ rate_hz = 5 }",
        "agents.a.command=[\"cat\"]",
        "limits.record_bytes_max=2KiB",
        "topology.workers = 7 ",
    ];
    let config = load(&Layers { flags: flags(&set), ..file.layers() }).unwrap().config;
    assert_eq!(config.output.file, Some("a = b.txt".into()));
    assert_eq!(config.output.report, Some("quoted.html".into()));
    assert!(matches!(config.input, Input::Telemetry { rate_hz: 5, .. }));
    let argv = vec!["cat".to_owned()];
    assert_eq!(config.agents[0].work, Work::Command { argv, each: Each::Line });
    assert_eq!(config.limits.record_bytes_max.bytes(), 2048);
    assert_eq!(config.topology.workers, 7);
}

#[test]
fn a_variable_names_a_stage_without_regard_to_case() {
    let file = File::new(flow("").replace("\"a\"", "\"My-Stage\""));
    let variables = variables(&[("CORELANE_AGENTS__MY_STAGE__COUNT", "4")]);
    let config = load(&Layers { variables, ..file.layers() }).unwrap().config;
    assert_eq!(config.agents[0].count, 4);
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    let error = refused(&[("CORELANE_TOPOLOGI__WORKERS", "3")], &[]);
    let expected = "CORELANE_TOPOLOGI__WORKERS: there is no key \"topologi\" in the file, \
                    did you mean \"topology\": allowed=version, input,";
    assert!(error.starts_with(expected), "{error}");
    let error = refused(&[("CORELANE_TOPOLOGY__WORKERS", "many")], &[]);
    let expected = "CORELANE_TOPOLOGY__WORKERS: topology.workers must be a whole number, write \
                    one: found=many";
    assert_eq!(error, expected);
    let error = refused(&[("CORELANE_TOPOLOGY__WORKERS", "65")], &[]);
    assert!(error.ends_with("topology.workers must be from 1 to 64: found=65"), "{error}");
    let error = refused(&[("CORELANE_TOPOLOGY_WORKERS", "3")], &[]);
    let expected = "the variable CORELANE_TOPOLOGY_WORKERS has one '_' after the table, write \
                    CORELANE_TOPOLOGY__WORKERS";
    assert_eq!(error, expected);
    assert!(
        refused(&[("CORELANE_LIMITS__", "1")], &[]).contains("there is no key \"\" in [limits]")
    );
    assert!(refused(&[("CORELANE_TOPOLOGY__WORKERS__X", "1")], &[]).contains("a whole number"));
}

#[test]
fn a_variable_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let file = File::new(flow(""));
    let value = OsString::from_vec(vec![b'a', 0xff]);
    let layers =
        Layers { variables: vec![("CORELANE_OUTPUT__FILE".into(), value)], ..file.layers() };
    let error = load(&layers).unwrap_err();
    assert_eq!(error.code(), "CL-1026");
    assert!(error.to_string().contains("CORELANE_OUTPUT__FILE is not UTF-8"), "{error}");
}

#[test]
fn a_wrong_option_is_told_as_it_was_given() {
    for set in ["topology.workers", "=3", "", ".=1", "topology..workers=3"] {
        let file = File::new(flow(""));
        let error = load(&Layers { flags: flags(&[set]), ..file.layers() }).expect_err("no option");
        assert_eq!(error.code(), "CL-1027", "{set}");
        let error = error.to_string();
        assert!(error.starts_with("--set takes a key and a value"), "{set}: {error}");
    }
    let cases = [
        ("topology.workrs=3", "did you mean \"workers\""),
        ("agents.b.count=3", "there is no stage \"b\": stages=a"),
        ("agents.a=3", "must be followed by a key"),
        ("agents=3", "agents must be a list"),
        ("topology=3", "topology must be a table"),
        ("limits.ask_timeout=5", "the unit is missing"),
        ("limits.ask_timeout=", "there is no number before the unit"),
        ("input.lines=", "must not be empty"),
        ("agents.a.match=(", "no regular expression"),
        ("agents.a.alarm={ window = 1, treshold = 2 }", "did you mean \"threshold\""),
    ];
    for (set, expected) in cases {
        let error = refused(&[], &[set]);
        let is_named = error.starts_with(&format!("--set {set}: ")) && error.contains(expected);
        assert!(is_named, "{set}: no {expected:?} in\n{error}");
    }
}

#[test]
fn settings_without_a_flow_lack_nothing() {
    let file = File::new("version = 1\n[topology]\nworkers = 5");
    let settings = settings(&Layers { places: vec![file.path.clone()], ..Layers::default() });
    let json = settings.unwrap().to_json();
    assert_eq!((&json["topology"]["workers"], &json["version"]), (&5.into(), &1.into()));
    assert!(json.get("input").is_none(), "{json}");
}
