//! The machine's wall clock jumps by years while a demo runs: nothing of it measures by that clock.

use std::{fs, path::Path};

use corelane_testkit::process::{Output, Place};

use crate::{corelane, report::Report, wait_for_workers};

/// Where Debian's package `faketime` puts what intercepts the C library's clocks.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    if !Path::new(FAKETIME).exists() {
        println!("skipped: there is no {FAKETIME}: install the package faketime");
        return;
    }
    let place = Place::new();
    let offset = place.runtime_folder().join("offset");
    let jump = |by: &str| {
        // Renamed into its place, so that nobody reads half of it.
        let next = offset.with_extension("next");
        fs::write(&next, by).expect("the place is writable");
        fs::rename(&next, &offset).expect("the place is writable");
    };
    let faked = |mut command: std::process::Command| {
        command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_NO_CACHE", "1");
        command.env("FAKETIME_TIMESTAMP_FILE", &offset);
        // A jump of the wall clock leaves the monotonic one alone, on every system.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    };
    jump("+20y");
    // The proof that the clock is faked at all.
    let mut date = place.command("date");
    date.arg("+%Y");
    let year = place.start(faked(date), Output::Pipes).wait().stdout;
    assert!(year.trim().parse::<u32>().is_ok_and(|year| year >= 2045), "{year}");

    let demo = corelane(&place, "demo --json --load-seconds 0.5");
    let demo = place.start(faked(demo), Output::Pipes);
    wait_for_workers(&demo, 2);
    for by in ["-30y", "+400d", "-1", "+0"].iter().cycle() {
        jump(by);
        if !demo.runs_for(std::time::Duration::from_millis(50)) {
            break;
        }
    }
    let report = Report::of(&demo.wait());
    report.assert_held();
    assert!(report.elapsed_s < 3600.0, "{report:?}");
    fs::remove_file(&offset).expect("it was written");
    place.assert_empty();
}
