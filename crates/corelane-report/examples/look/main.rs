//! Loads pages in a headless browser, light and dark, wide, narrow and printed, and looks for what
//! a reader would stumble over. Screenshots are for people to look at. `ci/page` runs it:
//! `cargo run -p corelane-report --example look -- FOLDER PAGE.html...`.
//!
//! What is looked for in a page stands in `checks.js`; here stands what the browser reports.

mod browser;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use browser::Browser;

/// What runs in the page and returns a list of findings.
const CHECKS: &str = include_str!("checks.js");
/// Name, width, colour scheme and medium of each look.
const LOOKS: [(&str, u32, &str, &str); 5] = [
    ("wide-light", 1280, "light", "screen"),
    ("wide-dark", 1280, "dark", "screen"),
    ("narrow-light", 390, "light", "screen"),
    ("narrow-dark", 390, "dark", "screen"),
    ("print", 794, "light", "print"),
];
/// Longest screenshot; beyond it a browser cuts by itself.
const HEIGHT_MAX: f64 = 12_000.0;

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = arguments.next().context("name a folder for the screenshots, then the pages")?;
    let files: Vec<PathBuf> = arguments.collect();
    Ok(if run(&files, &out)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks each page and writes its screenshots into `out`; says whether nothing was found.
fn run(files: &[PathBuf], out: &Path) -> Result<bool> {
    ensure!(!files.is_empty(), "no page was named: name one after the folder");
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let Some(program) = browser::find()? else {
        println!("skipped: no browser: install chromium");
        return Ok(true);
    };
    let mut browser = Browser::start(&program, &out.join("profile"))?;
    let mut finding_count = 0;
    for file in files {
        let file = file.canonicalize().with_context(|| format!("no page {}", file.display()))?;
        for look in LOOKS {
            let findings = check(&mut browser, &file, look, out)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            println!("page: {name} {}: {} findings", look.0, findings.len());
            for finding in &findings {
                println!("  {finding}");
            }
            finding_count += findings.len();
        }
    }
    browser.close()?;
    println!("page: {} pages in {} looks, screenshots in {}", files.len(), LOOKS.len(), {
        out.display()
    });
    Ok(finding_count == 0)
}

fn check(
    browser: &mut Browser,
    file: &Path,
    (look, width, scheme, medium): (&str, u32, &str, &str),
    out: &Path,
) -> Result<Vec<String>> {
    let mut tab = browser.tab()?;
    for domain in ["Page", "Runtime", "Log", "Network"] {
        tab.call(&format!("{domain}.enable"), json!({}))?;
    }
    // Not "mobile": that would shrink a page that is too wide until it fits.
    let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    tab.call("Emulation.setDeviceMetricsOverride", size)?;
    let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
    tab.call("Emulation.setEmulatedMedia", json!({"media": medium, "features": scheme}))?;
    let url = format!("file://{}", file.display());
    tab.call("Page.navigate", json!({"url": url}))?;
    tab.wait_for("Page.loadEventFired")?;

    let path = |ending: &str| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        out.join(format!("{name}-{look}{ending}"))
    };
    fs::write(path(".png"), tab.screenshot(HEIGHT_MAX)?)?;
    let checked = tab.call(
        "Runtime.evaluate",
        json!({"expression": CHECKS, "returnByValue": true, "awaitPromise": true}),
    )?;
    ensure!(checked.get("exceptionDetails").is_none(), "the checks failed: {checked}");
    let found = checked["result"]["value"].as_array().context("the checks return no list")?;
    let mut findings: Vec<String> =
        found.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    findings.extend(tab.events().iter().filter_map(|event| complaint(event, &url)));
    tab.close()?;
    Ok(findings)
}

/// What an event of the browser has against the page.
fn complaint(event: &Value, url: &str) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("exception: {}", parameters["exceptionDetails"])),
        "Runtime.consoleAPICalled" => Some(format!("console: {}", parameters["args"])),
        "Log.entryAdded" => Some(format!("log: {}", parameters["entry"]["text"])),
        "Network.requestWillBeSent" => {
            let asked = parameters["request"]["url"].as_str().unwrap_or_default();
            let is_page = asked == url || asked.starts_with("data:");
            (!is_page).then(|| format!("the page asks for {asked}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_what_a_page_should_not_do() {
        let request = |url: &str| {
            let asked = json!({"request": {"url": url}});
            json!({"method": "Network.requestWillBeSent", "params": asked})
        };
        let page = "file:///page.html";
        assert_eq!(complaint(&request(page), page), None);
        assert_eq!(complaint(&request("data:,"), page), None);
        let asked = complaint(&request("https://example.org/font"), page).unwrap();
        assert!(asked.contains("https://example.org/font"), "{asked}");
        for method in ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"] {
            assert!(complaint(&json!({"method": method, "params": {}}), page).is_some());
        }
        assert_eq!(complaint(&json!({"method": "Page.loadEventFired"}), page), None);
    }
}
