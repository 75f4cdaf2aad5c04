//! Pages that no machine gives: the largest and the smallest, and names that want to do harm.

use std::time::Duration;

use corelane_report::{
    Bar, Bars, CoreTile, Curves, Event, Facts, Figure, Layout, Matrix, MatrixCell, Outcome, Page,
    Percentiles, PlacedRole, Rate, Section, Summary, Table, Timeline, Verdict, nanoseconds, short,
};

/// A name that would run as a script wherever it is not escaped.
pub(crate) const SCRIPT: &str = "<script>document.title='taken'</script>";
/// A name that would leave an attribute, and one that would leave the style.
pub(crate) const QUOTES: &str = "\"' onload=\"document.title='taken'\" x='";
pub(crate) const STYLE_END: &str = "</style></title></svg><img src=x onerror=alert(1)>";
/// A name without a place to break it.
const LONG: &str = "a_name_that_somebody_thought_about_for_a_long_time_and_never_broke_anywhere";
const CPUS: usize = 128;

/// Two packages, four nodes, 64 cores with two threads each, and every part there is.
pub(crate) fn large() -> Page {
    Page::new("corelane report")
        .subtitle(format!("Imagined CPU {SCRIPT}, 2026-11-21 12:40 UTC"))
        .section(Section::new("Summary").part(summary()))
        .section(Section::new("Machine").text(LONG).part(layout()).part(matrix()))
        .section(Section::new("Small matrix").part(small_matrix()))
        .section(Section::new("Load").part(rate()).part(percentiles()))
        .section(Section::new("Failure").part(timeline()))
        .section(Section::new("Peers").part(bars()).part(curves()))
        .section(Section::new(format!("Title {QUOTES}")).part(facts()).part(table()))
        .remark("The clock was not looked at.")
        .remark(STYLE_END)
        .foot("corelane 0.0.0")
}

/// Nothing was measured, on one core.
pub(crate) fn empty() -> Page {
    Page::new("corelane report")
        .section(Section::new("Summary").part(Summary::default()))
        .section(
            Section::new("Machine").part(Layout::default()).part(Matrix::new(vec![0], |_, _| None)),
        )
        .section(
            Section::new("Load")
                .part(Rate::new("messages", "messages", Duration::from_millis(100)))
                .part(Percentiles::new("round trip", "ns").curve("none", 0, |_| 0.0))
                .part(Percentiles::new("round trip", "ns").curve("one", 1, |_| 7.0)),
        )
        .section(Section::new("Failure").part(Timeline::new("nothing", "the kill")))
        .section(Section::new("Bars").part(Bars::new("rate", "M/s")))
        .section(Section::new("Curves").part(curves_without_points()))
}

fn summary() -> Summary {
    Summary::default()
        .verdict(Verdict::held("every question is answered"))
        .verdict(Verdict::broken(format!("no name such as {SCRIPT} does harm")))
        .verdict(Verdict::new(Outcome::NotJudged, "half of the load crosses processes"))
        .verdict(Verdict::held("answers are the same with and without a kill"))
        .figure(Figure::new("Routed messages", "12.3 M/s").note("64 bytes, 50 % across"))
        .figure(Figure::new("Round trip, 99 %", "700 µs").note("under full load"))
        .figure(Figure::new("Recovery", "8.2 ms").note("from the kill to the first answer"))
        .figure(Figure::new("Lost", "0").note(LONG))
}

fn layout() -> Layout {
    let core = |index: usize| CoreTile {
        inside: [
            format!("package {}", index / 32),
            format!("node {}, 256 GiB", index / 16),
            format!("L3 32 MiB shared by cpus {}-{}", index / 8 * 8, index / 8 * 8 + 7),
        ],
        kind: if index.is_multiple_of(3) { "E-core".into() } else { String::new() },
        cpus: vec![index, index + 64],
        is_allowed: index < 56,
    };
    let layout = (0..64).fold(Layout::default(), |layout, index| layout.core(core(index)));
    let role = |short: String, name: String, cpu: usize| PlacedRole {
        short,
        name,
        cpus: vec![cpu],
        sharing: "alone".into(),
        because: "next nearest core, on the routers' node: 62 ns measured to the router".into(),
    };
    let layout = (0..4).fold(layout, |layout, index| {
        layout.role(role(format!("R{index}"), format!("router {index}"), index * 16))
    });
    let layout = (0..12).fold(layout, |layout, index| {
        layout.role(role(format!("W{index}"), format!("worker {index}"), index * 4 + 1))
    });
    layout
        .role(role("ctl".into(), format!("control {SCRIPT}"), 1))
        .rejected("cpus 5", "as router: as good as cpu 0, which comes first")
        .note("Not known: cpu frequencies.")
}

/// Measured for a few pairs, derived for the others.
fn matrix() -> Matrix {
    let latency = |a: usize, b: usize| {
        let (a, b) = (a % 64, b % 64);
        match (a == b, a / 8 == b / 8, a / 16 == b / 16, a / 32 == b / 32) {
            (true, ..) => 18.0,
            (_, true, ..) => 32.0,
            (_, _, true, _) => 71.5,
            (_, _, _, true) => 118.0,
            _ => 240.0,
        }
    };
    let cell = |a, b| Some(MatrixCell { one_way_ns: latency(a, b), is_derived: a + b > 9 });
    Matrix::new((0..CPUS).collect(), cell)
}

fn small_matrix() -> Matrix {
    let cell = |a: usize, b: usize| {
        let one_way_ns = if a / 4 == b / 4 { 31.0 } else { 140.0 };
        (a + b != 7).then_some(MatrixCell { one_way_ns, is_derived: a + b == 6 })
    };
    Matrix::new((0..8).collect(), cell)
}

fn rate() -> Rate {
    let counts = |phase: u64| (0..60).map(move |step| 1_200_000 + (step * phase * 7919) % 90_000);
    Rate::new("Messages read by agents", "messages", Duration::from_millis(100))
        .counts("worker 0", counts(1))
        .counts(SCRIPT, counts(3))
}

/// From a round trip to a stall, over six decades.
fn percentiles() -> Percentiles {
    let value = |factor: f64| move |at: f64| factor * (1.0 - at).max(1e-6).powf(-0.7);
    Percentiles::new("Question and answer", "ns")
        .curve("loaded", 3_000_000, value(41_000.0))
        .curve("alone", 200_000, value(2_300.0))
        .curve(QUOTES, 1_000, value(60.0))
        .points("points", [(0.5, 900.0), (0.99, 2_000.0), (1.0, 90_000.0)])
}

fn timeline() -> Timeline {
    let open = (0..400).map(|step| {
        let open = if (120..210).contains(&step) { 33 + step % 32 } else { 64 - step % 3 };
        (f64::from(step) / 10.0 - 12.0, open as u64)
    });
    Timeline::new("A worker is killed", "the kill")
        .event(Event::new(0.0, "SIGKILL").note("worker 1, pid 853"))
        .event(Event::new(0.4, "down").note("31 messages may not have reached it"))
        .event(Event::new(8.1, "next generation attached").note(SCRIPT))
        .event(Event::new(8.3, "first answer"))
        .counts("open questions", open)
}

fn bars() -> Bars {
    let names = ["latency", "std::sync::mpsc::sync_channel", SCRIPT, QUOTES, LONG, "", "ß", "中"];
    let bars = Bars::new("throughput 1:1 single pinned, rate", "M/s");
    names.iter().enumerate().fold(bars, |bars, (index, name)| {
        let median = 110.0 / (index + 1) as f64;
        bars.bar(Bar::new(*name, [median * 0.8, median, median * 1.1]))
    })
}

fn curves_without_points() -> Curves {
    Curves::new("p50", ("payload", short), ("ns", nanoseconds))
}

fn curves() -> Curves {
    let mut curves = curves_without_points();
    for (index, name) in
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", SCRIPT, STYLE_END].iter().enumerate()
    {
        for payload in [8.0, 64.0, 256.0, 4096.0] {
            curves = curves.point(name, payload, (index + 1) as f64 * 30.0 + payload / 9.0);
        }
    }
    curves
}

fn facts() -> Facts {
    Facts::default()
        .fact("CPU", SCRIPT)
        .fact("Allowed cpus", "0-55,64-119")
        .fact(LONG, LONG)
        .fact("Kernel", QUOTES)
}

fn table() -> Table {
    let head = ["stage", "answers", "median", "slowest", "remark", "another column"];
    Table::new("stages", head)
        .row(["classify", "12,000", "41 µs", "14.4 ms", LONG, STYLE_END])
        .row(["–", "0", "0 ns", "0 ns", "", ""])
}
