//! Tools that do not keep to one line, outputs that are full or closed, and users in a hurry.

use super::*;

/// Runs a command through a shell, as `"$@"`, to give it outputs of its own.
fn in_shell(place: &Place, script: &str, command: &Command) -> Ended {
    let mut shell = place.command("sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    shell.env("XDG_CONFIG_HOME", place.runtime_folder());
    place.start(shell, Output::Pipes).wait()
}

/// The number before a word of the summary.
fn counted(stderr: &str, what: &str) -> u64 {
    let words: Vec<&str> = stderr.split([' ', ',', '\n']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|word| *word == what);
    at.map_or(0, |at| words[at - 1].parse().unwrap())
}

#[test]
fn a_tool_that_writes_two_lines_for_one_gives_no_wrong_answer() {
    let (place, folder) = (Place::new(), folder());
    let flow = scripted(folder.path(), "a\nb\nc\nd\n", "stream", "exec sed -u p");
    let ended = run_text(&place, folder.path(), &flow, &["agents.tool.count=1".to_owned()]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("nobody asked for"), "{}", ended.stderr);
    assert!(ended.stderr.contains("CL-0658") && ended.stderr.contains("4 failed"));
    place.assert_empty();
}

#[test]
fn what_tools_and_names_hold_cannot_command_the_terminal() {
    let (place, folder) = (Place::new(), folder());
    let script = r"printf '\033]0;pwn\007oh\n' >&2; exit 3";
    let flow = folder.path().join("a\x1b[31mflow.toml");
    fs::write(&flow, scripted(folder.path(), "1\n", "line", script)).unwrap();
    let ended = start(&place, &flow, &[]).wait();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains(['\x1b', '\x07']), "{:?}", ended.stderr);
    for part in ["(␛]0;pwn␇oh)", "a␛[31mflow.toml: 1 items"] {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
    place.assert_empty();
}

/// What is told on stderr may be lost; items and exit codes are not.
#[test]
fn a_run_goes_on_without_its_stderr() {
    let (place, folder) = (Place::new(), folder());
    let flow = folder.path().join("flow.toml");
    let input: String = (0..20).map(|n| format!("{n}\n")).collect();
    let script = "read n; [ $n != 7 ] && echo $n";
    fs::write(&flow, scripted(folder.path(), &input, "line", script)).unwrap();
    for script in ["exec \"$@\" 2>/dev/full", "{ \"$@\"; } 2>&1 >&3 3>&- | true"] {
        let script = format!("exec 3>&1; {script}");
        let ended = in_shell(&place, &script, &command(&place, &flow, &[]));
        if script.contains("full") {
            assert_eq!(ended.code(), 1);
        }
        assert_eq!(ended.stdout, input.replacen("7\n", "", 1));
        place.assert_empty();
    }
    for arguments in ["config check none.toml", "explain CL-9", "run none.toml"] {
        let mut command = place.command(env!("CARGO_BIN_EXE_corelane"));
        command.args(arguments.split(' '));
        let ended = in_shell(&place, "exec \"$@\" 2>/dev/full", &command);
        assert_eq!(ended.code(), 2, "{arguments}");
    }
    place.assert_empty();
}

#[test]
fn a_signal_says_what_is_still_answered_and_abandons_the_rest() {
    let (place, folder) = (Place::new(), folder());
    let (started, go) = (folder.path().join("started"), folder.path().join("go"));
    let script = format!(
        "read n; mkdir -p {}/$n; until [ -e {} ]; do sleep 0.01; done; echo $n",
        started.display(),
        go.display()
    );
    let input: String = (0..100).map(|n| format!("{n}\n")).collect();
    let flow = folder.path().join("flow.toml");
    fs::write(&flow, scripted(folder.path(), &input, "line", &script)).unwrap();
    let running = start(&place, &flow, &["limits.ask_timeout=60s".to_owned()]);
    let at_work = || fs::read_dir(&started).map_or(0, Iterator::count);
    running.wait_until("four tools", || (at_work() == 4).then_some(()));
    running.signal(Signal::INT);
    let told = "interrupted: 4 items are answered first; another signal (Ctrl-C) ends the run";
    running.wait_until(told, || running.stderr_so_far().contains(told).then_some(()));
    fs::write(&go, "").unwrap();
    let ended = running.wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (130, "0\n1\n2\n3\n"), "{}", ended.stderr);
    let counts = "4 answered, 0 dropped, 0 failed, 96 abandoned\n";
    assert!(ended.stderr.contains(counts), "{}", ended.stderr);
    place.assert_empty();
}

#[test]
fn when_the_reader_of_the_answers_goes_away_the_counts_add_up() {
    let (place, folder) = (Place::new(), folder());
    let input = folder.path().join("lines");
    fs::write(&input, "a line that is long enough to fill a pipe\n".repeat(20_000)).unwrap();
    let text = format!(
        "version = 1\n[input]\nlines = {:?}\n[[agents]]\nname = \"all\"\nmatch = \"\"\n",
        input.display().to_string()
    );
    let flow = folder.path().join("flow.toml");
    fs::write(&flow, text).unwrap();
    let script = "{ \"$@\"; echo code $? >&2; } | head -1";
    let ended = in_shell(&place, script, &command(&place, &flow, &[]));
    assert!(ended.stderr.contains("output: its reader went away"), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("code 0\n"), "{}", ended.stderr);
    let count = |what| counted(&ended.stderr, what);
    let left = count("answered") + count("dropped") + count("failed") + count("abandoned");
    assert_eq!(count("items"), left, "{}", ended.stderr);
    assert!(left > 0 && left < 20_000, "{}", ended.stderr);
    place.assert_empty();
}

#[test]
fn answers_in_json_stay_as_they_are() {
    let (place, folder) = (Place::new(), folder());
    let lines = ["12345678901234567890123", "9007199254740993.0", r#"{"a":1,"a":2}"#];
    let flow = scripted(folder.path(), &(lines.join("\n") + "\nno json\n"), "line", "cat");
    let ended = run_text(&place, folder.path(), &flow, &["output.format=json".to_owned()]);
    let expected: String = lines
        .into_iter()
        .chain([r#""no json""#])
        .enumerate()
        .map(|(item, answer)| format!("{{\"answer\":{answer},\"item\":{item}}}\n"))
        .collect();
    assert_eq!((ended.code(), ended.stdout), (0, expected), "{}", ended.stderr);
    place.assert_empty();
}
