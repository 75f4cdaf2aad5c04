//! What the agents of a flow do, on the worker's side: a stage's work as the node tells it, and the
//! agents that do it.
//!
//! An answer is one byte, the verdict, and the record that goes on. Work that may take long is done
//! by a thread of its agent (`command`), for an agent never blocks its worker.

use std::{cell::RefCell, path::PathBuf, rc::Rc, sync::Arc, time::Duration};

use anyhow::Context as _;
use corelane_agent::{
    Agent, Context,
    process::{Leash, Tool},
};
use corelane_config::Each;
use corelane_infer::{InferConfig, ModelSource};
use corelane_plugin::ModelService;
use corelane_topology::CpuSet;
use corelane_transport::{Flags, Message};
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::{
    alarm::{Detector, Judged},
    command::CommandAgent,
    engine::Verdict,
    leash,
    reading::{Reading, raw},
};
use crate::{
    assets,
    worker::{MakeAgents, load_model},
};

/// Verdicts, the first byte of an answer.
pub(super) const DROP: u8 = 0;
pub(super) const PASS: u8 = 1;
/// Dropped without having been judged: the window was not full.
pub(super) const EARLY: u8 = 2;

/// What a worker hosts: for each stage how many agents and their work, in the order of addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WorkerPlan {
    pub(super) stages: Vec<(u32, Work)>,
    pub(super) record_bytes_max: usize,
}

/// What the agents of a stage do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Work {
    Digits,
    Model(PathBuf),
    Command { argv: Vec<String>, each: Each, deadline_ns: u64 },
    Match(String),
    Alarm { window: u32, threshold: f64 },
}

/// Work that is done at once.
pub(super) trait Quick {
    /// Writes the record that goes on to `out`; its verdict, or why it can do nothing with it.
    fn answer(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<u8, String>;
}

/// Reads a verdict and its record; nothing in an answer that is none.
pub(super) fn read_answer(answer: &[u8]) -> Option<(Verdict<'_>, bool)> {
    match answer.split_first()? {
        (&PASS, record) => Some((Verdict::Pass(record), true)),
        (&DROP, []) => Some((Verdict::Drop, true)),
        (&EARLY, []) => Some((Verdict::Drop, false)),
        _ => None,
    }
}

/// The agents of a worker, as `plan` (JSON) says; tools may run on `cpus`.
pub(crate) fn agents(plan: &str, cpus: &CpuSet) -> anyhow::Result<MakeAgents> {
    let plan: WorkerPlan = serde_json::from_str(plan).context("--flow")?;
    let bytes_max = plan.record_bytes_max;
    let has_tools = plan.stages.iter().any(|(_, work)| matches!(work, Work::Command { .. }));
    let leash = has_tools.then(leash::start).transpose()?;
    let mut agents: Vec<Box<dyn Agent>> = Vec::new();
    for (count, work) in plan.stages {
        let mut make = maker(work, bytes_max, leash.as_ref(), cpus)?;
        agents.extend((0..count).map(|_| make()));
    }
    Ok(Box::new(move |_| agents))
}

type Maker = Box<dyn FnMut() -> Box<dyn Agent>>;

fn maker(
    work: Work,
    bytes_max: usize,
    leash: Option<&Arc<Leash>>,
    cpus: &CpuSet,
) -> anyhow::Result<Maker> {
    fn quick(bytes_max: usize, work: impl Quick + 'static) -> Box<dyn Agent> {
        Box::new(QuickAgent { work, bytes_max, answer: Vec::new() })
    }
    Ok(match work {
        Work::Digits => {
            let service = Rc::new(RefCell::new(load_model(assets::model()?)?));
            Box::new(move || quick(bytes_max, ModelWork { service: service.clone(), best: true }))
        }
        Work::Model(file) => {
            let limit = InferConfig::default().model_bytes_max;
            let bytes = ModelSource::Path(&file)
                .read(limit)
                .with_context(|| format!("model cannot be read: {}", file.display()))?;
            let service = load_model(&bytes)
                .with_context(|| format!("model cannot be used: {}", file.display()))?;
            let service = Rc::new(RefCell::new(service));
            Box::new(move || quick(bytes_max, ModelWork { service: service.clone(), best: false }))
        }
        Work::Match(pattern) => {
            let pattern = Regex::new(&pattern).context("match")?;
            Box::new(move || quick(bytes_max, MatchWork(pattern.clone())))
        }
        Work::Alarm { window, threshold } => Box::new(move || {
            let detectors = Vec::new();
            quick(bytes_max, AlarmWork { window: window as usize, threshold, detectors })
        }),
        Work::Command { argv, each, deadline_ns } => {
            let (program, args) = argv.split_first().context("a command has no program")?;
            let tool = Tool {
                program: program.into(),
                args: args.iter().map(Into::into).collect(),
                output_bytes_max: bytes_max,
                deadline: Duration::from_nanos(deadline_ns),
                leash: leash.cloned(),
            };
            let cpus = cpus.clone();
            Box::new(move || Box::new(CommandAgent::new(tool.clone(), each, cpus.clone())))
        }
    })
}

/// An agent whose work is done at once.
struct QuickAgent<W> {
    work: W,
    bytes_max: usize,
    answer: Vec<u8>,
}

impl<W: Quick> Agent for QuickAgent<W> {
    fn on_message(&mut self, cx: &mut Context<'_>, message: &Message) {
        if !message.envelope().flags.contains(Flags::ASK) {
            return;
        }
        self.answer.clear();
        self.answer.push(DROP);
        let verdict = self.work.answer(message.payload(), &mut self.answer);
        let replied = verdict.and_then(|verdict| {
            check_length(self.answer.len() - 1, self.bytes_max)?;
            self.answer[0] = verdict;
            cx.reply(&self.answer).map_err(|error| error.to_string())
        });
        if let Err(reason) = replied {
            // A reply of this length is never refused.
            let _ = cx.reply_error(&reason);
        }
    }
}

pub(super) fn check_length(bytes: usize, max: usize) -> Result<(), String> {
    match bytes > max {
        true => Err(format!("answer has {bytes} bytes: raise limits.record_bytes_max ({max})")),
        false => Ok(()),
    }
}

/// Asks a model. A record is a list of numbers in JSON, nested as one likes, or one byte for each
/// element of the input; the answer is the class with the highest score, or the list of scores.
struct ModelWork {
    service: Rc<RefCell<ModelService>>,
    best: bool,
}

impl Quick for ModelWork {
    fn answer(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<u8, String> {
        let mut service = self.service.borrow_mut();
        let scores = match record.trim_ascii_start().first() {
            Some(b'[') => {
                let mut input = Vec::new();
                let list = serde_json::from_slice(record);
                let list = list.map_err(|error| format!("record is no list in JSON: {error}"))?;
                numbers(&list, &mut input)?;
                service.run(&input).map_err(|error| error.to_string())?;
                service.output()
            }
            _ => {
                service.answer(record).map_err(|error| error.to_string())?;
                service.output()
            }
        };
        let text = match self.best {
            true => best(scores).ok_or("model gave no score")?.to_string(),
            false => serde_json::to_string(scores).map_err(|error| error.to_string())?,
        };
        out.extend_from_slice(text.as_bytes());
        Ok(PASS)
    }
}

/// The class with the highest score.
fn best(scores: &[f32]) -> Option<usize> {
    let best = scores.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    best.map(|(class, _)| class)
}

/// Appends the numbers of a nested list, in order.
fn numbers(list: &serde_json::Value, out: &mut Vec<f32>) -> Result<(), String> {
    match list {
        serde_json::Value::Array(list) => list.iter().try_for_each(|one| numbers(one, out)),
        one => {
            let number = one.as_f64().ok_or_else(|| format!("record has {one}, want numbers"))?;
            out.push(number as f32);
            Ok(())
        }
    }
}

/// Lets through what a pattern matches.
struct MatchWork(Regex);

impl Quick for MatchWork {
    fn answer(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<u8, String> {
        if !self.0.is_match(record) {
            return Ok(DROP);
        }
        out.extend_from_slice(record);
        Ok(PASS)
    }
}

/// Lets through readings that are far from the ones before, a detector for each series.
struct AlarmWork {
    window: usize,
    threshold: f64,
    detectors: Vec<(String, Detector)>,
}

/// Series that one agent keeps a window of; it refuses others.
const SERIES_MAX: usize = 10_000;

impl Quick for AlarmWork {
    fn answer(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<u8, String> {
        let Reading { series, value, mut fields } = Reading::parse(record)?;
        let place = match self.detectors.binary_search_by(|(name, _)| name.cmp(&series)) {
            Ok(place) => place,
            Err(_) if self.detectors.len() >= SERIES_MAX => {
                return Err(format!("{SERIES_MAX} series have a window already: add agents"));
            }
            Err(place) => {
                let detector = Detector::new(self.window, self.threshold);
                self.detectors.insert(place, (series, detector));
                place
            }
        };
        let reading = match self.detectors[place].1.judge(value) {
            Judged::Early => return Ok(EARLY),
            Judged::Calm => return Ok(DROP),
            Judged::Alarm(reading) => reading,
        };
        for (name, value) in
            [("median", reading.median), ("mad", reading.mad), ("score", reading.score)]
        {
            fields.insert(name.to_owned(), raw(value));
        }
        serde_json::to_writer(out, &fields).map_err(|error| error.to_string())?;
        Ok(PASS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;

    fn said(work: &mut impl Quick, record: &[u8]) -> (u8, String) {
        let mut out = Vec::new();
        let verdict = work.answer(record, &mut out).unwrap();
        (verdict, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_model_takes_bytes_and_lists_alike() {
        let service = Rc::new(RefCell::new(load_model(assets::model().unwrap()).unwrap()));
        let mut class = ModelWork { service: service.clone(), best: true };
        let digits = demo::Digits::load().unwrap();
        let image = digits.images()[1200];
        let list = serde_json::to_vec(&image.chunks(8).collect::<Vec<_>>()).unwrap();
        let answer = said(&mut class, image);
        assert_eq!(answer, (PASS, digits.label(1200).to_string()));
        assert_eq!(said(&mut class, &list), answer);
        let mut scores = ModelWork { service, best: false };
        let (_, text) = said(&mut scores, &list);
        let found: Vec<f32> = serde_json::from_str(&text).unwrap();
        assert_eq!((found.len(), best(&found)), (10, Some(digits.label(1200).into())));
        for record in [&b"[1,2,3]"[..], b"[1,\"two\"]", b"[1", b"short", b""] {
            assert!(scores.answer(record, &mut Vec::new()).is_err(), "{record:?}");
        }
    }

    /// It may go away between the look of the node and that of a worker.
    #[test]
    fn a_model_that_is_gone_is_told_with_its_code() {
        let work = Work::Model("/nowhere/model.onnx".into());
        let plan = WorkerPlan { stages: vec![(1, work)], record_bytes_max: 100 };
        let plan = serde_json::to_string(&plan).unwrap();
        let error = agents(&plan, &CpuSet::single(0)).err().expect("there is no such file");
        let line = crate::codes::line(&error);
        let told = "error[CL-0731]: model cannot be read: /nowhere/model.onnx: file is missing";
        assert!(line.contains(told), "{line}");
    }

    #[test]
    fn a_pattern_lets_through_what_it_matches() {
        let mut work = MatchWork(Regex::new("ERROR|WARN").unwrap());
        assert_eq!(said(&mut work, b"an ERROR"), (PASS, "an ERROR".to_owned()));
        assert_eq!(said(&mut work, b"fine"), (DROP, String::new()));
    }

    #[test]
    fn series_have_windows_of_their_own() {
        let mut work = AlarmWork { window: 3, threshold: 6.0, detectors: Vec::new() };
        for record in [&b"a 1"[..], b"b 100", b"a 2", b"b 101", b"a 3", b"b 102"] {
            assert_eq!(said(&mut work, record).0, EARLY);
        }
        assert_eq!(said(&mut work, b"a 2.5").0, DROP);
        let (verdict, text) = said(&mut work, br#"{"series":"a","value":100,"t_ms":5}"#);
        assert_eq!(verdict, PASS);
        let alarm: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&alarm["t_ms"], &alarm["median"]), (&5.into(), &2.5.into()));
        assert!(alarm["score"].as_f64().unwrap() > 6.0);
        assert!(work.answer(b"no reading", &mut Vec::new()).is_err());
    }

    #[test]
    fn answers_are_read_as_they_were_written() {
        assert_eq!(read_answer(b"\x01abc"), Some((Verdict::Pass(b"abc"), true)));
        assert_eq!(read_answer(&[DROP]), Some((Verdict::Drop, true)));
        assert_eq!(read_answer(&[EARLY]), Some((Verdict::Drop, false)));
        for nonsense in [&b""[..], b"\x00abc", b"\x07"] {
            assert_eq!(read_answer(nonsense), None);
        }
    }
}
