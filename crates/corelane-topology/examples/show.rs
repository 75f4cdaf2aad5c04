//! Prints drawing, latencies and plan of this machine: `show [COLUMNS [ROOT]]`.
//!
//! With a root directory a recorded machine is shown, which cannot be measured.

use corelane_topology::render::{RenderStyle, draw_matrix, draw_plan, draw_topology};
use corelane_topology::{
    PingPongOptions, Plan, SysRoot, Topology, measure_matrix, measure_pingpong_floating, plan,
};
use std::error::Error;
use std::io::{IsTerminal, stdout};
use std::ops::ControlFlow;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let columns = arguments.next().map_or(Ok(80), |columns| columns.parse())?;
    let root = arguments.next().map_or_else(SysRoot::default, SysRoot::new);
    let style = RenderStyle { columns, has_color: stdout().is_terminal(), has_unicode: true };

    let topology = Topology::read(&root)?;
    let options = PingPongOptions::default();
    let matrix = match topology.is_live {
        true => Some(measure_matrix(&topology, &options, |step| {
            eprintln!("measured {} of {}: cpus {:?}", step.done, step.total, step.pair);
            ControlFlow::Continue(())
        })?),
        false => None,
    };
    let suggested = Plan::default_request(&topology);
    let plan = plan(&topology, matrix.as_ref(), &suggested.request);
    println!("{}", draw_topology(&topology, Some(&plan), &style));
    if let Some(matrix) = &matrix {
        println!("{}", draw_matrix(matrix, &style));
        let floating = measure_pingpong_floating(&options)?;
        println!("unpinned: {:.0} ns one way, {} yields\n", floating.one_way_ns, floating.yields);
    }
    println!("{}", draw_plan(&plan, &style));
    println!("request: {}", suggested.because);
    Ok(())
}
