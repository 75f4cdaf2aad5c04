//! Chromium without a window, spoken to over two pipes in its DevTools protocol: messages are
//! JSON, each ended by a zero byte.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// The browser wants its pipes as descriptors 3 and 4. `timeout` ends one that hangs, and with it
/// every read here.
const LAUNCH: &str = "exec timeout -k 5 300 \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
/// No sandbox: it needs what containers lack, and only our own pages are opened.
const OPTIONS: [&str; 10] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
];

/// The first browser on the path.
pub(super) fn find() -> Result<Option<PathBuf>> {
    for name in NAMES {
        let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", name]).output()?;
        if found.status.success() {
            return Ok(Some(PathBuf::from(String::from_utf8(found.stdout)?.trim_end())));
        }
    }
    Ok(None)
}

/// A running browser.
pub(super) struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next_id: u64,
    events: Vec<Value>,
}

/// A page in it.
pub(super) struct Tab<'b> {
    browser: &'b mut Browser,
    target: String,
    session: String,
}

impl Browser {
    pub(super) fn start(program: &Path, profile: &Path) -> Result<Self> {
        let mut folder = OsString::from("--user-data-dir=");
        folder.push(profile);
        let mut child = Command::new("sh")
            .args(["-c", LAUNCH, "sh"])
            .arg(program)
            .args(OPTIONS)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the browser cannot be started")?;
        let input = child.stdin.take().context("because it was asked for")?;
        let output = BufReader::new(child.stdout.take().context("because it was asked for")?);
        Ok(Self { child, input, output, next_id: 0, events: Vec::new() })
    }

    /// A new empty page.
    pub(super) fn tab(&mut self) -> Result<Tab<'_>> {
        self.events.clear();
        let made = self.call(None, "Target.createTarget", json!({"url": "about:blank"}))?;
        let target = text(&made, "targetId")?;
        let attach = json!({"targetId": target, "flatten": true});
        let session = text(&self.call(None, "Target.attachToTarget", attach)?, "sessionId")?;
        Ok(Tab { browser: self, target, session })
    }

    pub(super) fn close(mut self) -> Result<()> {
        self.call(None, "Browser.close", json!({}))?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks for something and waits for the answer; events that come before it are kept.
    fn call(&mut self, session: Option<&str>, method: &str, parameters: Value) -> Result<Value> {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).with_context(|| format!("{method} cannot be asked"))?;
        loop {
            let mut answer = self.read().with_context(|| format!("no answer to {method}"))?;
            if answer["id"] != id {
                self.events.push(answer);
                continue;
            }
            ensure!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
            return Ok(answer["result"].take());
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes)?;
        if bytes.pop() != Some(0) {
            bail!("the browser ended, or was ended because it hung");
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It is gone already after a good run; else this ends the wait of `timeout`, and the end
        // of the pipes ends the browser.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tab<'_> {
    pub(super) fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.browser.call(Some(&self.session), method, parameters)
    }

    /// Reads until this event was seen.
    pub(super) fn wait_for(&mut self, method: &str) -> Result<()> {
        while !self.browser.events.iter().any(|event| event["method"] == method) {
            let event = self.browser.read().with_context(|| format!("no {method}"))?;
            self.browser.events.push(event);
        }
        Ok(())
    }

    /// The whole page as PNG.
    pub(super) fn screenshot(&mut self, height_max: f64) -> Result<Vec<u8>> {
        let metrics = self.call("Page.getLayoutMetrics", json!({}))?;
        let side = |name: &str| metrics["cssContentSize"][name].as_f64().unwrap_or(0.0);
        let (width, height) = (side("width"), side("height").min(height_max));
        ensure!(width > 0.0 && height > 0.0, "the page has no size: {metrics}");
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let data = text(&self.call("Page.captureScreenshot", wanted)?, "data")?;
        Ok(base64::engine::general_purpose::STANDARD.decode(data)?)
    }

    /// All events so far.
    pub(super) fn events(&self) -> &[Value] {
        &self.browser.events
    }

    pub(super) fn close(self) -> Result<()> {
        self.browser.call(None, "Target.closeTarget", json!({"targetId": self.target}))?;
        Ok(())
    }
}

fn text(value: &Value, name: &str) -> Result<String> {
    let found = value[name].as_str().with_context(|| format!("no {name} in {value}"))?;
    Ok(found.to_owned())
}
