//! `corelane tap`: the live messages of a topic or lane, printed without disturbing it.
//!
//! It subscribes to a topic as a lossy subscriber, and taps a lane: neither holds anybody back, and
//! what passed unread is counted. Messages are decoded by the schema that their publisher told;
//! records of a lane are bytes. It sends nothing, and opens no exchange: it listens where there is
//! one.

mod error;
mod line;
mod source;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use corelane_config::TimeSpan;
use corelane_transport::Participant;
use corelane_transport::exchange::{Listed, TypeTag};
use corelane_transport::schema::{Filter, Schema};
use corelane_transport::topic::SubscribeOptions;

pub(crate) use error::TapError;

use crate::error::CliError;
use crate::interrupt::{Interrupt, Interrupted};
use crate::{Exit, terminal};
use line::Lines;
use source::Source;

/// Longest wait between two looks at whether the user wants to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Options of `corelane tap`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TapArgs {
    /// The topic or lane; without it, what there is is listed.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The socket of the exchange: the path that its participants opened.
    #[arg(long, value_name = "SOCKET")]
    at: PathBuf,
    /// Print only messages for which this holds, such as `price > 10.5 && venue[0] == 88`.
    #[arg(long, value_name = "CONDITION", requires = "name")]
    filter: Option<String>,
    /// How messages are printed.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Begin with the oldest message of the topic that is still there.
    #[arg(long, requires = "name")]
    history: bool,
    /// Wait for a lane: a name that is not there yet is taken for that of a topic otherwise.
    #[arg(long, requires = "name")]
    lane: bool,
    /// End after so many messages.
    #[arg(long, value_name = "N", requires = "name")]
    count: Option<u64>,
    /// End after so much time, such as 10s.
    #[arg(long, value_name = "TIME", requires = "name")]
    duration: Option<TimeSpan>,
}

/// How messages are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// `field=value field=value`; bytes as text, or in hexadecimal if they are none.
    Text,
    /// One JSON object a line (schema corelane.tap/1).
    Json,
    /// All bytes in hexadecimal.
    Hex,
}

/// Runs the command.
pub(crate) fn run(args: &TapArgs) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::install().map_err(CliError::Signals)?;
    let participant = Participant::join(&args.at)?;
    let names = participant.list()?;
    let Some(name) = &args.name else {
        terminal::write(&list(&names, args.format))?;
        return Ok(Exit::Ok);
    };
    let listed = names.iter().find(|listed| listed.name == *name);
    if listed.is_none() {
        terminal::tell!("tap: no end of `{name}` is there yet; waiting for one");
    }
    let is_lane = listed.map_or(args.lane, |listed| listed.is_lane);
    let source = if is_lane {
        let name = name.clone();
        if args.history {
            return Err(TapError::NoHistory { name }.into());
        }
        if args.filter.is_some() {
            return Err(TapError::NoFields { name }.into());
        }
        Source::Lane { tap: participant.lane_tap(&name)?, record: Vec::new() }
    } else {
        let mut options = SubscribeOptions { holds: 0, ..SubscribeOptions::LOSSY };
        if args.history {
            options = options.with_history();
        }
        Source::Topic(participant.subscribe_any(name, options)?)
    };
    follow(args, &participant, source, &interrupt)
}

/// The schema that came with a type.
fn schema_of(tag: &TypeTag) -> serde_json::Result<Schema> {
    serde_json::from_value(tag.schema.clone())
}

/// A line for each topic and lane.
fn list(names: &[Listed], form: Form) -> String {
    let mut text = String::new();
    for listed in names {
        if form == Form::Json {
            text += &serde_json::to_string(listed).expect("because a listing has only text keys");
        } else {
            let kind = if listed.is_lane { "lane" } else { "topic" };
            let taps =
                if listed.is_lane { format!("taps={} ", listed.taps) } else { String::new() };
            let schema = listed.tag.as_ref().and_then(|tag| schema_of(tag).ok());
            text += &format!(
                "{kind} {}  sources={} sinks={} {taps}of={}",
                listed.name,
                listed.sources,
                listed.sinks,
                schema.as_ref().map_or("?", Schema::name)
            );
        }
        text.push('\n');
    }
    text
}

fn follow(
    args: &TapArgs,
    participant: &Participant,
    mut source: Source,
    interrupt: &Interrupt,
) -> anyhow::Result<Exit> {
    let filter = args.filter.as_deref().map(str::parse::<Filter>).transpose()?;
    let name = args.name.as_deref().unwrap_or_default();
    let mut lines = Lines::new(args.format, filter, name);
    let mut out = BufWriter::new(io::stdout().lock());
    let end = args.duration.map(|span| Instant::now() + span.duration());
    let mut printed = 0;
    let exit = loop {
        if let Err(interrupted) = interrupt.check() {
            // It goes on for ever otherwise: being stopped is its usual end.
            let Interrupted(signal) = interrupted.downcast()?;
            break Exit::Signal(signal);
        }
        if args.count == Some(printed) || end.is_some_and(|end| Instant::now() >= end) {
            break Exit::Ok;
        }
        if source.has_types() && !lines.has_type() {
            let names = participant.list()?;
            let tag = names.into_iter().find(|listed| listed.name == name).and_then(|l| l.tag);
            lines.learn(tag.as_ref())?;
        }
        match source.receive(LOOK, |bytes, origin| lines.line(bytes, origin))? {
            Some(Some(line)) => {
                writeln!(out, "{line}").map_err(CliError::Stdout)?;
                printed += 1;
            }
            Some(None) => {}
            // Nothing is there: whoever reads along gets what was printed.
            None => out.flush().map_err(CliError::Stdout)?,
        }
    };
    out.flush().map_err(CliError::Stdout)?;
    let (received, missed) = source.counts();
    terminal::tell!("tap: received={received} printed={printed} {missed}");
    Ok(exit)
}
