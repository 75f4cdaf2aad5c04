//! `corelane tap`: the live messages of a topic, printed without disturbing it.
//!
//! It subscribes as a lossy subscriber, which holds nobody back; what passed unread is counted.
//! Messages are decoded by the schema that their publisher told. It publishes nothing, and opens no
//! exchange: it listens where there is one.

mod error;
mod line;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use corelane_config::TimeSpan;
use corelane_transport::Participant;
use corelane_transport::exchange::{Listed, TypeTag};
use corelane_transport::schema::{Filter, Schema};
use corelane_transport::topic::{BytesSubscriber, ReceiveError, SubscribeOptions};

pub(crate) use error::TapError;

use crate::error::CliError;
use crate::interrupt::{Interrupt, Interrupted};
use crate::{Exit, terminal};
use line::Lines;

/// Longest wait between two looks at whether the user wants to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Options of `corelane tap`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TapArgs {
    /// The topic; without it, what there is is listed.
    #[arg(value_name = "TOPIC")]
    name: Option<String>,
    /// The socket of the exchange: the path that the participants gave, or that of a node.
    #[arg(long, value_name = "SOCKET")]
    at: PathBuf,
    /// Print only messages for which this holds, such as `price > 10.5 && venue[0] == 88`.
    #[arg(long, value_name = "CONDITION", requires = "name")]
    filter: Option<String>,
    /// How messages are printed.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Begin with the oldest message that is still there.
    #[arg(long, requires = "name")]
    history: bool,
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
    match names.iter().find(|listed| listed.name == *name) {
        Some(Listed { is_lane: true, .. }) => {
            return Err(TapError::Lane { name: name.clone() }.into());
        }
        Some(_) => {}
        None => terminal::tell!("tap: no end of `{name}` is there yet; waiting for one"),
    }
    let mut options = SubscribeOptions { holds: 0, ..SubscribeOptions::LOSSY };
    if args.history {
        options = options.with_history();
    }
    let subscriber = participant.subscribe_any(name, options)?;
    follow(args, &participant, subscriber, &interrupt)
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
            let schema = listed.tag.as_ref().and_then(|tag| schema_of(tag).ok());
            text += &format!(
                "{kind} {}  sources={} sinks={} of={}",
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
    mut subscriber: BytesSubscriber,
    interrupt: &Interrupt,
) -> anyhow::Result<Exit> {
    let filter = args.filter.as_deref().map(str::parse::<Filter>).transpose()?;
    let name = args.name.as_deref().unwrap_or_default();
    let mut lines = Lines::new(args.format, filter);
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
        if !lines.has_type() {
            let names = participant.list()?;
            let tag = names.into_iter().find(|listed| listed.name == name).and_then(|l| l.tag);
            lines.learn(tag.as_ref())?;
        }
        match subscriber.receive(LOOK) {
            Ok(Some(sample)) => {
                if let Some(line) = lines.line(&sample)? {
                    writeln!(out, "{line}").map_err(CliError::Stdout)?;
                    printed += 1;
                }
            }
            // Nothing is there: whoever reads along gets what was printed.
            Ok(None) => out.flush().map_err(CliError::Stdout)?,
            Err(ReceiveError::Lagged { .. }) => {}
            Err(error @ ReceiveError::Sleep(_)) => return Err(error.into()),
            Err(error) => terminal::tell!("tap: {error}"),
        }
    };
    out.flush().map_err(CliError::Stdout)?;
    let (received, missed) = (subscriber.received(), subscriber.missed());
    terminal::tell!("tap: received={received} printed={printed} missed={missed}");
    Ok(exit)
}
