//! Every mistake: its code, its place, and what is told about it.

use std::{fs, path::PathBuf};

use corelane_config::{ConfigError, FILE_BYTES_MAX, Fault, Layers, load};

use crate::{File, flow};

fn refused(content: impl AsRef<[u8]>) -> (File, ConfigError) {
    let file = File::new(&content);
    match file.load() {
        Err(error) => (file, error),
        Ok(_) => panic!("it was taken:\n{}", String::from_utf8_lossy(content.as_ref())),
    }
}

/// The file holds one mistake: at this place, with this code and this text.
#[track_caller]
fn one(content: &str, place: &str, code: &str, text: &str) {
    let (file, error) = refused(content);
    let place = match place {
        "" => String::new(),
        place => format!("{}:{place}: ", file.path.display()),
    };
    assert_eq!(error.to_string(), format!("{place}{text}"), "{content}");
    assert_eq!(error.code(), code);
}

/// The same for a file that is a flow but for these lines, which begin at line 7.
#[track_caller]
fn one_of(rest: &str, place: &str, code: &str, text: &str) {
    one(&flow(rest), place, code, text);
}

/// What a path that holds no flow is told.
#[track_caller]
fn path(path: PathBuf, code: &str, part: &str) {
    let error = load(&Layers::of_file(&path)).expect_err("it is no flow");
    let text = error.to_string();
    assert_eq!(error.code(), code, "{text}");
    assert!(text.contains(part) && text.contains(&format!("path={}", path.display())), "{text}");
}

#[test]
fn a_path_that_is_not_there_is_told_with_its_neighbour() {
    let file = File::new(flow(""));
    let folder = file.path.parent().unwrap();
    let neighbour = format!("did you mean {:?}", file.path.display().to_string());
    path(folder.join("flw.toml"), "CL-1001", &neighbour);
    path(folder.join("other.toml"), "CL-1001", "there is no such file, name one that exists: path");
    path(file.path.join("flow.toml"), "CL-1001", "there is no such file");
    path(folder.join("no/flow.toml"), "CL-1001", "there is no such file");
}

#[test]
fn a_folder_is_not_a_file() {
    let folder = tempfile::tempdir().unwrap();
    path(folder.path().to_owned(), "CL-1002", "it is a folder, name a file in it");
    // Where a file is only looked for, a folder is as wrong.
    let places = vec![folder.path().to_owned()];
    let error = load(&Layers { places, ..File::new(flow("")).layers() }).unwrap_err();
    assert_eq!(error.code(), "CL-1002");
}

#[test]
fn what_the_system_does_not_give_is_told_with_its_reason() {
    path(PathBuf::from("n".repeat(300)), "CL-1003", "File name too long");
}

#[test]
fn a_file_of_100_megabytes_is_refused_and_not_read() {
    let file = File::new("");
    fs::File::options().write(true).open(&file.path).unwrap().set_len(100_000_000).unwrap();
    path(file.path.clone(), "CL-1004", "longer than 1048576 bytes");
    let text = flow("") + &"#".repeat(FILE_BYTES_MAX as usize - flow("").len());
    File::new(&text).load().expect("the longest file is read");
    assert_eq!(refused(text + "#").1.code(), "CL-1004");
}

#[test]
fn what_is_not_utf8_is_told_by_line_and_byte() {
    let (_, error) = refused(b"version = 1\n# \xc3\xa4\nname = \"\xff\"\n");
    assert_eq!(error.code(), "CL-1005");
    assert!(error.to_string().ends_with("line=3 byte=0xff"), "{error}");
}

#[test]
fn an_empty_file_is_refused() {
    for content in ["", "\n \t\n", "\u{feff}"] {
        let (_, error) = refused(content);
        assert_eq!(error.code(), "CL-1006");
        assert!(error.to_string().contains("begin with `corelane config init`"), "{error}");
    }
    // A comment is not nothing, but says no version.
    assert_eq!(refused("# to do\n").1.code(), "CL-1009");
}

#[test]
fn what_is_not_toml_is_told_by_place() {
    let text = "this is not TOML, correct it: a text stands in quotes, unlike true and false";
    one_of("[topology]\nworkers = two\n", "8:11", "CL-1007", text);
    let (_, error) = refused(flow("[topology\n[limits]\nask_timeout = \n"));
    let lines: Vec<_> = error.mistakes().iter().map(|m| m.place.as_ref().unwrap().line()).collect();
    assert_eq!(lines, [7, 9], "{error}");
}

#[test]
fn nesting_has_a_limit() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
    ] {
        assert_eq!(refused(text).1.code(), "CL-1007");
    }
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    one_of("name = \"b\"\n", "7:1", "CL-1008", "name is there twice, keep one of them");
    let text = "limits is there twice, keep one of them";
    one_of("[limits]\n[limits]\n", "8:2", "CL-1008", text);
}

#[test]
fn a_file_says_its_version() {
    let (file, error) = refused(flow("").replace("version = 1\n", ""));
    let text = "the file does not say its version, write `version = 1` at its top: path=";
    assert_eq!(error.to_string(), format!("{text}{}", file.path.display()));
    assert_eq!(error.code(), "CL-1009");
}

#[test]
fn another_version_is_refused() {
    for version in ["2", "0", "-1", "99999999999999999999"] {
        let content = flow("").replace("version = 1", &format!("version = {version}"));
        let text = "this build reads version 1 only, use a build that reads it: found=";
        one(&content, "1:11", "CL-1010", &format!("{text}{version}"));
    }
}

#[test]
fn a_key_that_there_is_not_is_told_with_the_nearest() {
    let text = "there is no key \"workrs\" in [topology], did you mean \"workers\": \
                allowed=workers, routers";
    one_of("[topology]\nworkrs = 3\n", "8:1", "CL-1011", text);
    let text = "there is no key \"topologi\" in the file, did you mean \"topology\": \
                allowed=version, input, agents, topology, placement, output, limits, supervision";
    one_of("[topologi]\nworkrs = 3\n", "7:2", "CL-1011", text);
    let text = "there is no key \"zzz\" in [[agents]]: \
                allowed=name, count, model, command, each, match, alarm";
    one_of("zzz = 3\n", "7:1", "CL-1011", text);
    let text = "there is no key \"rate\" in [input.telemetry], did you mean \"rate_hz\": \
                allowed=rate_hz, metrics";
    let content = flow("").replace("lines = \"-\"", "telemetry = { rate = 3 }");
    one(&content, "3:15", "CL-1011", text);
}

/// A word that is misspelt is one mistake, and what it stood for is not missing.
#[test]
fn a_misspelt_key_is_not_missing_as_well() {
    for (right, wrong) in [
        ("[input]", "[imput]"),
        ("[[agents]]", "[[agent]]"),
        ("name", "nam"),
        ("model", "modell"),
        ("lines", "line"),
    ] {
        let (_, error) = refused(flow("").replace(right, wrong));
        assert_eq!(error.mistakes().len(), 1, "{error}");
        assert!(matches!(error.mistakes()[0].fault, Fault::UnknownKey { .. }), "{error}");
    }
}

#[test]
fn a_stage_that_there_is_not_is_told_with_the_nearest() {
    let file = File::new(flow("").replace("\"a\"", "\"classify\""));
    let layers = Layers { flags: vec!["agents.clasify.count=3".to_owned()], ..file.layers() };
    let error = load(&layers).unwrap_err();
    let text = "--set agents.clasify.count=3: there is no stage \"clasify\", did you mean \
                \"classify\": stages=classify";
    assert_eq!((error.to_string().as_str(), error.code()), (text, "CL-1012"));
}

#[test]
fn a_value_of_another_kind_is_told_with_what_it_is() {
    let cases = [
        ("count = \"3\"", "7:9", "agents.a.count", "a whole number", "\"3\", a text"),
        ("count = 1.5", "7:9", "agents.a.count", "a whole number", "1.5, a number with a fraction"),
        ("[[topology]]", "7:1", "topology", "a table", "[[topology]], a list"),
    ];
    for (rest, place, key, expected, found) in cases {
        let text = format!("{key} must be {expected}, write one: found={found}");
        one_of(rest, place, "CL-1013", &text);
    }
    let whole = "a whole number";
    let cpus = "a list of cpus in quotes, like \"0-3,8\"";
    let time = "a time with its unit in quotes, like \"250ms\"";
    let size = "a size with its unit in quotes, like \"64KiB\"";
    let cases = [
        ("topology", "workers", "true", whole, "true, true or false"),
        ("placement", "pin", "\"yes\"", "true or false", "\"yes\", a text"),
        ("placement", "cpus", "3", cpus, "3, an integer"),
        ("output", "format", "1979-05-27", "one of text, json in quotes", "1979-05-27, a date"),
        ("output", "file", "{}", "a text in quotes", "a table"),
        ("limits", "ask_timeout", "5", time, "5, an integer"),
        ("limits", "record_bytes_max", "5", size, "5, an integer"),
    ];
    for (table, key, value, expected, found) in cases {
        let text = format!("{table}.{key} must be {expected}, write one: found={found}");
        let place = format!("8:{}", key.len() + 4);
        one_of(&format!("[{table}]\n{key} = {value}\n"), &place, "CL-1013", &text);
    }
}

#[test]
fn a_list_and_what_is_in_it_have_kinds() {
    let list = "a list, like [\"a\", \"b\"], write one";
    let command =
        |value: &str| flow("").replace("model = \"digits\"", &format!("command = {value}"));
    let text = format!("agents.a.command must be {list}: found=\"cat\", a text");
    one(&command("\"cat\""), "6:11", "CL-1013", &text);
    let text = "agents.a.command must be a text in quotes, write one: found=1, an integer";
    one(&command("[1]"), "6:12", "CL-1013", text);
    let text = "agents.name must be a name in quotes, write one: found=3, an integer";
    one(&flow("").replace("\"a\"", "3"), "5:8", "CL-1013", text);
    let content = "version = 1\nagents = 3\n[input]\nlines = \"-\"\n";
    let text = format!("agents must be {list}: found=3, an integer");
    one(content, "2:10", "CL-1013", &text);
}

#[test]
fn a_number_out_of_range_is_told_with_the_range() {
    let cases = [
        ("count = -3\n", "7:9", "agents.a.count must be from 1 to 100000: found=-3"),
        ("count = 0\n", "7:9", "agents.a.count must be from 1 to 100000: found=0"),
        ("[topology]\nworkers = 65\n", "8:11", "topology.workers must be from 1 to 64: found=65"),
        (
            "[supervision]\nrestarts_max = -1\n",
            "8:16",
            "supervision.restarts_max must be from 0 to 1000: found=-1",
        ),
        (
            "[limits]\nopen_questions = 1000000000000\n",
            "8:18",
            "limits.open_questions must be from 1 to 4096: found=1000000000000",
        ),
        (
            "[limits]\nrecord_bytes_max = \"4001B\"\n",
            "8:20",
            "limits.record_bytes_max must be from 1B to 4000B: found=4001B",
        ),
        (
            "[limits]\nrecord_bytes_max = \"0B\"\n",
            "8:20",
            "limits.record_bytes_max must be from 1B to 4000B: found=0B",
        ),
        (
            "[limits]\nask_timeout = \"2h\"\n",
            "8:15",
            "limits.ask_timeout must be from 1ms to 1h: found=2h",
        ),
    ];
    for (rest, place, text) in cases {
        one_of(rest, place, "CL-1014", text);
    }
    let alarm = |threshold: &str| {
        flow("").replace("model = \"digits\"", &format!("alarm = {{ threshold = {threshold} }}"))
    };
    for threshold in ["0", "-inf", "1e7"] {
        assert_eq!(refused(alarm(threshold)).1.code(), "CL-1014", "{threshold}");
    }
    let text = "agents.a.alarm.threshold must be from 0.1 to 1000000: found=NaN";
    one(&alarm("nan"), "6:23", "CL-1014", text);
    let content = flow("").replace("model = \"digits\"", "command = []");
    let text = "agents.a.command must be from 1 to 256 elements: found=0 elements";
    one(&content, "6:11", "CL-1014", text);
}

#[test]
fn a_name_that_there_is_not_is_told_with_the_nearest() {
    let text = "output.format cannot be \"jsn\", did you mean \"json\": allowed=text, json";
    one_of("[output]\nformat = \"jsn\"\n", "8:10", "CL-1015", text);
    let content = flow("").replace("lines = \"-\"", "telemetry = { metrics = [\"cpus\"] }");
    let text = "input.telemetry.metrics cannot be \"cpus\", did you mean \"cpu\": allowed=cpu, \
                memory, context-switches, interrupts, disk, network, load";
    one(&content, "3:26", "CL-1015", text);
}

#[test]
fn a_wrong_unit_is_told_with_the_units() {
    let sizes = "B, KiB, MiB, GiB, kB, MB, GB";
    let text = format!(
        "limits.record_bytes_max: there is no unit \"K\", write one of {sizes}: found=\"1K\""
    );
    one_of("[limits]\nrecord_bytes_max = \"1K\"\n", "8:20", "CL-1029", &text);
    let text = "limits.ask_timeout: the unit is missing, write one of ns, us, ms, s, min, h: \
                found=\"5\"";
    one_of("[limits]\nask_timeout = \"5\"\n", "8:15", "CL-1028", text);
    let text = "limits.ask_timeout: there is no number before the unit, write it like \"250ms\": \
                found=\"-5s\"";
    one_of("[limits]\nask_timeout = \"-5s\"\n", "8:15", "CL-1016", text);
    let text = "supervision.window: the number is too large or too fine, it must be whole in ns: \
                found=\"0.5ns\"";
    one_of("[supervision]\nwindow = \"0.5ns\"\n", "8:10", "CL-1030", text);
}

#[test]
fn a_text_that_cannot_be_meant_is_refused() {
    let name = |name: &str| flow("").replace("\"a\"", name);
    let text = "agents.name must be 1 to 64 letters, digits, '-' and '_', choose another name: ";
    one(&name("\"a b\""), "5:8", "CL-1017", &format!("{text}found=\"a b\""));
    for wrong in ["\"\"", "\"ä\"", "\"a.b\""] {
        assert_eq!(refused(name(wrong)).1.code(), "CL-1017", "{wrong}");
    }
    assert_eq!(refused(name(&format!("\"{}\"", "n".repeat(65)))).1.code(), "CL-1017");
    let text = "output.file must not be empty, write one or leave the key out: found=\"\"";
    one_of("[output]\nfile = \"\"\n", "8:8", "CL-1017", text);
    let text = "output.file must not hold a NUL, remove it: found=\"a\\0\"";
    one_of("[output]\nfile = \"a\\u0000\"\n", "8:8", "CL-1017", text);
    let content = flow("").replace("model = \"digits\"", "command = [\"\", \"x\"]");
    let text = "agents.command must begin with the name of a tool, write it first: found=\"\"";
    one(&content, "6:12", "CL-1017", text);
}

#[test]
fn a_pattern_that_does_not_compile_is_refused() {
    let pattern = |pattern: &str| flow("").replace("model = \"digits\"", pattern);
    let text = "agents.a.match is no regular expression, correct it: unclosed group";
    one(&pattern("match = '(a'"), "6:9", "CL-1018", text);
    assert_eq!(refused(pattern("match = 'a{1000}{1000}{1000}'")).1.code(), "CL-1018");
}

#[test]
fn a_wrong_list_of_cpus_is_refused() {
    let text = "placement.cpus is no list of cpus, write it like \"0-3,8\": it names no cpu";
    one_of("[placement]\ncpus = \"\"\n", "8:8", "CL-1019", text);
    for cpus in ["3-1", "a", "0,,1", "-1"] {
        let (_, error) = refused(flow(&format!("[placement]\ncpus = \"{cpus}\"\n")));
        assert_eq!(error.code(), "CL-1019", "{cpus}");
    }
}

#[test]
fn what_is_missing_is_told_with_how_to_write_it() {
    let (_, error) = refused("version = 1\n");
    let text = "the flow has no input, add it, like `[input]`\n\
                the flow has no agents, add it, like `[[agents]]`";
    assert_eq!((error.to_string().as_str(), error.code()), (text, "CL-1020"));
    let text = "[[agents]] has no name, add it, like `name = \"classify\"`";
    one(&flow("").replace("name = \"a\"\n", ""), "4:1", "CL-1020", text);
}

#[test]
fn exactly_one_kind_of_input_and_of_work_is_chosen() {
    let text = "[[agents]] needs exactly one of model, command, match, alarm and has none";
    one(&flow("").replace("model = \"digits\"\n", ""), "4:1", "CL-1021", text);
    let text = "[input] needs exactly one of digits, lines, follow, telemetry and has none";
    one(&flow("").replace("lines = \"-\"\n", ""), "2:1", "CL-1021", text);
    let text = "[[agents]] needs exactly one of model, command, match, alarm and has match and \
                model, keep one";
    one_of("match = 'x'\n", "7:1", "CL-1022", text);
    let text = "[input] needs exactly one of digits, lines, follow, telemetry and has digits and \
                lines, keep one";
    let content = flow("").replace("lines = \"-\"", "digits = \"all\"\nlines = \"-\"");
    one(&content, "4:1", "CL-1022", text);
}

#[test]
fn a_key_without_effect_is_refused() {
    let text = "input.duration has no effect here, remove it: it goes with follow and telemetry";
    let content = flow("").replace("lines = \"-\"", "lines = \"-\"\nduration = \"5s\"");
    one(&content, "4:1", "CL-1023", text);
    let text = "agents.a.each has no effect here, remove it: it goes with command";
    one_of("each = \"line\"\n", "7:1", "CL-1023", text);
}

#[test]
fn what_is_repeated_is_refused() {
    let text = "the flow has \"A\" already, use another";
    one_of("[[agents]]\nname = \"A\"\nmatch = 'x'\n", "8:8", "CL-1024", text);
    let content = flow("").replace("lines = \"-\"", "telemetry = { metrics = [\"cpu\", \"cpu\"] }");
    let text = "input.telemetry.metrics has \"cpu\" already, use another";
    one(&content, "3:33", "CL-1024", text);
}

#[test]
fn limits_that_cross_are_refused() {
    let text = "supervision.backoff_first must not be more than supervision.backoff_max, change \
                one of them: 3s > 2s";
    one_of("[supervision]\nbackoff_first = \"3s\"\n", "8:17", "CL-1025", text);
    let text = text.replace("3s > 2s", "50ms > 1ms");
    one_of("[supervision]\nbackoff_max = \"1ms\"\n", "8:15", "CL-1025", &text);
}

#[test]
fn all_mistakes_are_told_at_once_and_in_order() {
    let (_, error) = refused(
        "[input]\nlnes = 1\n[[agents]]\nname = \"a\"\nmodel = 3\ncount = 0\n[[agents]]\n\
         name = \"a\"\n[limits]\nask_timeout = \"1\"\n[limits]\n",
    );
    let codes: Vec<_> = error.mistakes().iter().map(|mistake| mistake.fault.code()).collect();
    let expected =
        ["CL-1011", "CL-1013", "CL-1014", "CL-1028", "CL-1008", "CL-1009", "CL-1021", "CL-1024"];
    assert_eq!(codes, expected, "{error}");
}

#[test]
fn of_very_many_mistakes_the_first_are_told() {
    let keys: String = (0..1000).map(|index| format!("key{index} = 1\n")).collect();
    let (_, error) = refused(format!("{keys}{}", flow("")));
    assert_eq!((error.mistakes().len(), error.left_out()), (50, 950));
    assert!(error.to_string().ends_with("and 950 more, correct these first"), "{error}");
}

/// Long values are quoted in part, and one line stays one line.
#[test]
fn an_error_is_short_whatever_the_file_holds() {
    let long = "x".repeat(100_000);
    for content in [
        format!("{long} = 1\n"),
        flow(&format!("[output]\nformat = \"{long}\"\n")),
        flow(&format!("[limits]\nask_timeout = \"{long}\"\n")),
        flow(&format!("[limits]\nask_timeout = \"5{long}\"\n")),
        flow(&format!("[placement]\ncpus = \"{long}\"\n")),
        flow(&format!("[placement]\npin = \"{long}\"\n")),
        flow("").replace("\"a\"", &format!("\"{long}\"")),
        flow("").replace("model = \"digits\"", &format!("match = '({long}'")),
    ] {
        let (_, error) = refused(content);
        for mistake in error.mistakes() {
            let text = mistake.fault.to_string();
            assert!(text.len() < 500 && !text.contains('\n'), "{} bytes: {text}", text.len());
        }
    }
}
