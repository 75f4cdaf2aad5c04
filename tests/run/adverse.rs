//! Tools that do not keep to one line, outputs that are full or closed, and users in a hurry.

use super::*;

fn in_shell(place: &Place, script: &str, command: &Command) -> Ended {
    let mut shell = place.command("sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    shell.env("XDG_CONFIG_HOME", place.runtime_folder());
    place.start(shell, Output::Pipes).wait()
}

fn a_tool_that_writes_two_lines_for_one_gives_no_wrong_answer() {
    let (place, folder) = (Place::new(), folder());
    let flow = scripted(folder.path(), "a\nb\nc\nd\n", "stream", "exec sed -u p");
    let ended = run_text(&place, folder.path(), &flow, &["agents.tool.count=1".to_owned()]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("nobody asked for"), "{}", ended.stderr);
    assert!(ended.stderr.contains("CL-0658") && ended.stderr.contains("4 failed"));
    place.assert_empty();
}

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
