//! Whatever a file holds, it is read or refused; what is read can be written and read again.

use proptest::{prelude::*, sample::Index};

use crate::File;

/// Loads it. If it is good, what is shown of it must be the same flow.
fn survives(content: &[u8]) -> Result<(), TestCaseError> {
    let Ok(loaded) = File::new(content).load() else { return Ok(()) };
    for with_origins in [false, true] {
        let shown = loaded.settings.to_toml(with_origins);
        let again = File::new(&shown).load();
        let again = again.map_err(|error| TestCaseError::fail(format!("{error}\n{shown}")))?;
        prop_assert_eq!(&again.config, &loaded.config, "{}", shown);
        prop_assert_eq!(again.settings.to_json(), loaded.settings.to_json());
    }
    Ok(())
}

/// Words that a file is made of, and some that it is not.
const WORDS: &[&str] = &[
    "version = 1\n",
    "[input]\n",
    "[[agents]]\n",
    "[agents]\n",
    "[topology]\n",
    "[limits]\n",
    "[supervision]\n",
    "[[topology]]\n",
    "[[input]]\n",
    "[output]\n",
    "[placement]\n",
    "[input.telemetry]\n",
    "[agents.alarm]\n",
    "digits = \"all\"\n",
    "lines = \"-\"\n",
    "follow = \"f\"\n",
    "telemetry = {}\n",
    "duration = \"1s\"\n",
    "name = \"a\"\n",
    "name = \"b\"\n",
    "count = 3\n",
    "model = \"digits\"\n",
    "command = [\"a\", \"\"]\n",
    "command = [\"\"]\n",
    "each = \"line\"\n",
    "match = 'x'\n",
    "alarm = { window = 5 }\n",
    "workers = 3\n",
    "routers = 99\n",
    "pin = false\n",
    "cpus = \"0-3\"\n",
    "file = \"\\u0000\"\n",
    "file = \"a\\nb\"\n",
    "report = \"\"\n",
    "format = \"json\"\n",
    "record_bytes_max = \"1.5KiB\"\n",
    "ask_timeout = \"1e3s\"\n",
    "window = \"1h\"\n",
    "backoff_first = \"9s\"\n",
    "backoff_max = \"1s\"\n",
    "window = 5\n",
    "threshold = 1e300\n",
    "threshold = nan\n",
    "threshold = 7\n",
    "metrics = []\n",
    "metrics = [\"cpu\", \"cpu\"]\n",
    "rate_hz = 1_0\n",
    "= ",
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    "\n",
    "#",
    "é",
    "1979-05-27",
    "inf",
    "-1",
    "0x",
    "true",
];

/// Texts made of such words.
fn text_of_words() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(WORDS), 0..30).prop_map(|w| w.concat())
}

/// One of the lines of a table, each once at most and in any order.
fn some(lines: &'static [&'static str]) -> impl Strategy<Value = String> {
    let all = proptest::sample::subsequence(lines, 0..=lines.len()).prop_shuffle();
    all.prop_map(|lines| lines.concat())
}

/// Flows that are good.
fn flow() -> impl Strategy<Value = String> {
    let input = proptest::sample::select(vec![
        "digits = \"held-out\"\n",
        "lines = 'a \"b\".txt'\n",
        "follow = \"C:\\\\f\\u0001\"\nduration = \"1.5h\"\n",
        "telemetry = { metrics = [\"load\", \"network\"] }\nduration = \"3ms\"\n",
    ]);
    let work = proptest::sample::select(vec![
        "model = \"m.onnx\"\n",
        "command = [\"sh\", \"-c\", \"echo '$1'\\n\"]\neach = \"stream\"\n",
        "match = '\\d+\"x'\n",
        "alarm = { threshold = 0.1 }\n",
        "[agents.alarm]\nwindow = 3\n",
    ]);
    let counts = proptest::collection::vec((1..100_000_u32, work), 1..5);
    let tables = (
        some(&["workers = 64\n", "routers = 0x1\n"]),
        some(&["pin = false\n", "cpus = \"1,3-4\"\n"]),
        some(&["file = \"ä\\t\"\n", "format = \"json\"\n", "report = 'r'\n"]),
        some(&[
            "record_bytes_max = \"2.5 KiB\"\n",
            "open_questions = 1\n",
            "ask_timeout = \"9us\"\n",
        ])
        .prop_map(|text| text.replace("9us", "9000us")),
        some(&["strategy = \"one-for-all\"\n", "window = \"1.5s\"\n", "backoff_max = \"1min\"\n"]),
    );
    (input, counts, tables).prop_map(|(input, stages, tables)| {
        let mut text = format!("version = 1\n[input]\n{input}");
        for (index, (count, work)) in stages.iter().enumerate() {
            text += &format!("[[agents]]\nname = \"s{index}\"\ncount = {count}\n{work}");
        }
        let (topology, placement, output, limits, supervision) = tables;
        text + &format!(
            "[topology]\n{topology}[placement]\n{placement}[output]\n{output}\
             [limits]\n{limits}[supervision]\n{supervision}"
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_bytes_are_read_or_refused(content: Vec<u8>) {
        survives(&content)?;
    }

    #[test]
    fn any_text_is_read_or_refused(content in ".*") {
        survives(content.as_bytes())?;
    }

    #[test]
    fn any_text_of_words_is_read_or_refused(content in text_of_words()) {
        survives(content.as_bytes())?;
        let whole = crate::flow(&content);
        survives(whole.as_bytes())?;
    }

    #[test]
    fn a_damaged_default_file_is_read_or_refused(
        from: Index, length in 0..40_usize, patch in proptest::sample::select(WORDS),
    ) {
        let mut content = corelane_config::template().into_bytes();
        let from = from.index(content.len());
        let to = content.len().min(from + length);
        content.splice(from..to, patch.bytes());
        survives(&content)?;
    }

    #[test]
    fn what_is_shown_is_the_same_flow(text in flow()) {
        let loaded = File::new(&text).load();
        prop_assert!(loaded.is_ok(), "{}\n{}", loaded.unwrap_err(), text);
        survives(text.as_bytes())?;
    }

    #[test]
    fn any_option_and_any_variable_is_read_or_refused(
        key in "[a-z_.]{0,20}", value in ".*", word in proptest::sample::select(WORDS),
    ) {
        let file = File::new(crate::flow(""));
        let options = [
            format!("{key}={value}"), format!("agents.a.{word}"), format!("input.{word}"),
            format!("limits.{word}"), value.clone(),
        ];
        for option in options {
            let name = format!("CORELANE_{}", key.replace('.', "__").to_uppercase());
            let variables = vec![(name.into(), value.clone().into())];
            let layers = corelane_config::Layers { flags: vec![option], ..file.layers() };
            let _ = corelane_config::load(&layers);
            let _ = corelane_config::load(&corelane_config::Layers { variables, ..file.layers() });
        }
    }
}
