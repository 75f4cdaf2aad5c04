//! `corelane topo`: the machine as text, as JSON and as a drawing, measured and planned on demand.
//!
//! It reads, draws and changes nothing; what is read and chosen is the business of
//! `corelane-topology`.

mod document;
mod error;

use std::{fs, ops::ControlFlow, path::PathBuf};

use clap::Args;
use corelane_topology::{
    LatencyMatrix, PingPongOptions, Plan, PlanRequest, SysRoot, Topology, measure_matrix, plan,
    render::{draw_details, draw_matrix, draw_plan, draw_svg, draw_topology, wrap_words},
};

pub(crate) use error::TopoError;

use crate::{Exit, terminal};

/// Options of `corelane topo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TopoArgs {
    /// Print one JSON document (schema corelane.topo/1) and nothing else on stdout.
    #[arg(long)]
    json: bool,
    /// Measure how long a cache line takes between the allowed cpus; takes seconds, and all cores.
    #[arg(long)]
    measure: bool,
    /// Choose a core for each router, worker and control, and say why.
    #[arg(long)]
    plan: bool,
    /// Routers to place; by default the machine decides.
    #[arg(long, value_name = "N", requires = "plan",
          value_parser = clap::value_parser!(u32).range(0..=1024))]
    routers: Option<u32>,
    /// Workers to place; by default the machine decides.
    #[arg(long, value_name = "N", requires = "plan",
          value_parser = clap::value_parser!(u32).range(0..=1024))]
    workers: Option<u32>,
    /// Draw the machine into this file, which is replaced, with what --plan and --measure say.
    #[arg(long, value_name = "FILE.svg", value_parser = file)]
    svg: Option<PathBuf>,
    /// Read another machine: the folder that holds a copy of its sys, and of proc if there is one.
    #[arg(long, value_name = "ROOT", conflicts_with = "measure")]
    sys: Option<PathBuf>,
}

/// A path that is no `-`, which would become a file of that name.
fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" => Err("a drawing goes to a file; /dev/stdout is one".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

/// A plan with what was asked for.
struct Planned {
    request: PlanRequest,
    because: String,
    plan: Plan,
}

/// Runs the command.
pub(crate) fn run(args: &TopoArgs) -> anyhow::Result<Exit> {
    let root = args.sys.clone().unwrap_or_else(|| PathBuf::from("/"));
    let topology = Topology::read(&SysRoot::new(&root))?;
    if topology.online.is_empty() {
        return Err(TopoError::NoMachine { root }.into());
    }
    let matrix = args.measure.then(|| measured(&topology)).transpose()?;
    let planned = args.plan.then(|| planned(args, &topology, matrix.as_ref()));
    if let Some(path) = &args.svg {
        let drawn = draw_svg(&topology, planned.as_ref().map(|p| &p.plan), matrix.as_ref());
        fs::write(path, drawn)
            .map_err(|source| TopoError::Drawing { path: path.clone(), source })?;
    }
    let text = match args.json {
        true => {
            let document = document::document(&topology, matrix.as_ref(), planned.as_ref());
            format!("{}\n", serde_json::to_string_pretty(&document)?)
        }
        false => text(&topology, matrix.as_ref(), planned.as_ref()),
    };
    terminal::write(&text)?;
    Ok(Exit::Ok)
}

fn measured(topology: &Topology) -> anyhow::Result<LatencyMatrix> {
    let bar = terminal::bar(0, "measuring");
    let matrix = measure_matrix(topology, &PingPongOptions::default(), |step| {
        bar.set_length(step.total as u64);
        bar.set_position(step.done as u64);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    Ok(matrix)
}

fn planned(args: &TopoArgs, topology: &Topology, matrix: Option<&LatencyMatrix>) -> Planned {
    let suggested = Plan::default_request(topology);
    let count = |stated: Option<u32>, default| stated.map_or(default, |stated| stated as usize);
    let request = PlanRequest {
        routers: count(args.routers, suggested.request.routers),
        workers: count(args.workers, suggested.request.workers),
        ..suggested.request
    };
    let because = match args.routers.or(args.workers) {
        Some(_) => "the command line says so".to_owned(),
        None => suggested.because,
    };
    Planned { request, because, plan: plan(topology, matrix, &request) }
}

fn text(topology: &Topology, matrix: Option<&LatencyMatrix>, planned: Option<&Planned>) -> String {
    let style = terminal::style();
    let mut parts = vec![
        draw_topology(topology, planned.map(|planned| &planned.plan), &style),
        draw_details(topology, &style),
    ];
    parts.extend(matrix.map(|matrix| draw_matrix(matrix, &style)));
    if let Some(planned) = planned {
        parts.push(draw_plan(&planned.plan, &style));
        parts.push(wrap_words(&planned.because, &style));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of what a command line ends with.
    fn code(change: impl FnOnce(&mut TopoArgs)) -> &'static str {
        let mut args = TopoArgs {
            json: false,
            measure: false,
            plan: false,
            routers: None,
            workers: None,
            svg: None,
            sys: None,
        };
        change(&mut args);
        run(&args).unwrap_err().downcast::<TopoError>().unwrap().code()
    }

    #[test]
    fn what_cannot_be_shown_has_a_code() {
        assert_eq!(code(|args| args.sys = Some("/nonexistent".into())), "CL-1170");
        assert_eq!(code(|args| args.svg = Some("/nonexistent/a.svg".into())), "CL-1171");
    }
}
