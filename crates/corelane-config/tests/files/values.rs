//! What a file says arrives in the types, and what it does not say is the default.

use corelane_agent::supervisor::SupervisorConfig;
use corelane_config::{
    Alarm, ByteSize, Digits, Each, Format, Input, Limits, Lines, Metric, Model, Output, Placement,
    Strategy, Supervision, TimeSpan, Topology, Work,
};

use crate::{flow, good};

#[test]
fn what_is_not_said_is_the_default() {
    let config = good(&flow(""));
    assert_eq!(config.input, Input::Lines(Lines::Stdin));
    assert_eq!(config.agents.len(), 1);
    assert_eq!((config.agents[0].name.as_str(), config.agents[0].count), ("a", 1));
    assert_eq!(config.agents[0].work, Work::Model(Model::Digits));
    assert_eq!(config.topology, Topology { workers: 2, routers: None });
    assert_eq!(config.placement, Placement { pin: true, cpus: None });
    assert_eq!(config.output, Output { file: None, format: Format::Text, report: None });
    let limits = Limits {
        record_bytes_max: ByteSize::new(1024),
        open_questions: 64,
        ask_timeout: TimeSpan::from_secs(5),
    };
    assert_eq!(config.limits, limits);
    assert_eq!(SupervisorConfig::from(&config.supervision), SupervisorConfig::default());
}

#[test]
fn what_is_said_arrives() {
    let rest = "
        [topology]
        workers = 3
        routers = 2
        [placement]
        pin = false
        cpus = \"0-2,5\"
        [output]
        file = \"out.jsonl\"
        format = \"json\"
        report = \"page.html\"
        [limits]
        record_bytes_max = \"4000B\"
        open_questions = 1
        ask_timeout = \"250ms\"
        [supervision]
        strategy = \"rest-for-one\"
        restarts_max = 0
        window = \"2min\"
        backoff_first = \"0ns\"
        backoff_max = \"1h\"
    ";
    let config = good(&flow(rest));
    assert_eq!(config.topology, Topology { workers: 3, routers: Some(2) });
    let cpus = config.placement.cpus.expect("cpus are said");
    assert_eq!((config.placement.pin, cpus.to_string().as_str()), (false, "0-2,5"));
    let output = config.output;
    assert_eq!(output.file.as_deref(), Some("out.jsonl".as_ref()));
    assert_eq!((output.format, output.report), (Format::Json, Some("page.html".into())));
    assert_eq!(config.limits.record_bytes_max.bytes(), 4000);
    assert_eq!(config.limits.open_questions, 1);
    assert_eq!(config.limits.ask_timeout.duration().as_millis(), 250);
    let supervision = Supervision {
        strategy: Strategy::RestForOne,
        restarts_max: 0,
        window: TimeSpan::from_secs(120),
        backoff_first: TimeSpan::from_ns(0),
        backoff_max: TimeSpan::from_secs(3600),
    };
    assert_eq!(config.supervision, supervision);
}

#[test]
fn every_kind_of_input_arrives() {
    let input = |text: &str| good(&flow("").replace("lines = \"-\"", text)).input;
    assert_eq!(input("digits = \"held-out\""), Input::Digits(Digits::HeldOut));
    assert_eq!(input("lines = \"a.txt\""), Input::Lines(Lines::File("a.txt".into())));
    let file = || "/var/log/app.log".into();
    let duration = Some(TimeSpan::from_secs(60));
    assert_eq!(
        input("follow = \"/var/log/app.log\"\nduration = \"60s\""),
        Input::Follow { file: file(), duration }
    );
    assert_eq!(
        input("follow = \"/var/log/app.log\""),
        Input::Follow { file: file(), duration: None }
    );
    assert_eq!(
        input("telemetry = { rate_hz = 10, metrics = [\"load\", \"cpu\"] }"),
        Input::Telemetry { rate_hz: 10, metrics: vec![Metric::Load, Metric::Cpu], duration: None }
    );
    assert_eq!(
        input("duration = \"60s\"\n[input.telemetry]"),
        Input::Telemetry { rate_hz: 100, metrics: vec![Metric::Cpu, Metric::Memory], duration }
    );
}

#[test]
fn every_kind_of_work_arrives() {
    let work =
        |text: &str| good(&flow("").replace("model = \"digits\"", text)).agents.remove(0).work;
    assert_eq!(work("model = \"a.onnx\""), Work::Model(Model::File("a.onnx".into())));
    let argv = || vec!["tr".to_owned(), "".to_owned()];
    let command = Work::Command { argv: argv(), each: Each::Line };
    assert_eq!(work("command = [\"tr\", \"\"]"), command);
    let command = Work::Command { argv: argv(), each: Each::Stream };
    assert_eq!(work("command = [\"tr\", \"\"]\neach = \"stream\""), command);
    assert_eq!(work("match = 'E|W'"), Work::Match("E|W".to_owned()));
    assert_eq!(work("alarm = {}"), Work::Alarm(Alarm { window: 200, threshold: 6.0 }));
    let alarm = Alarm { window: 50, threshold: 3.0 };
    assert_eq!(work("alarm = { window = 50, threshold = 3 }"), Work::Alarm(alarm));
}

#[test]
fn stages_keep_their_order() {
    let config = good(&flow("[[agents]]\nname = \"b\"\nmatch = 'x'\ncount = 100_000"));
    let names: Vec<_> = config.agents.iter().map(|s| (s.name.as_str(), s.count)).collect();
    assert_eq!(names, [("a", 1), ("b", 100_000)]);
}
