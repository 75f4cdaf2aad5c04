//! A tool that is kept: a line in, a line out.
//!
//! Which line answers which record is known by counting alone. Whatever a tool writes without
//! having been asked would be taken for the answer to the next record, so that it ends the
//! conversation. It is looked for before a record is written and after its answer is taken; what
//! comes later is found at the next record.

use std::time::{Duration, Instant};

use super::{
    Tool, ToolError,
    child::{Child, Woke},
};

/// How long the first answer of a process is held back, in case that it was a greeting and the
/// answer follows.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// Characters of an unasked line that are told.
const FOUND_CHARS: usize = 60;

/// One process of a tool that answers line by line. It is started at the first question, and again
/// at the next one after it has ended or had to be killed.
pub struct Conversation {
    tool: Tool,
    child: Option<Child>,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("tool", &self.tool).finish_non_exhaustive()
    }
}

impl Conversation {
    /// A conversation with `tool`, which is not started yet.
    pub fn new(tool: Tool) -> Self {
        Self { tool, child: None }
    }

    /// Writes `record` as a line and returns the next line that the tool writes.
    ///
    /// After an error the process is gone, but for [`ToolError::LineBreak`]. A process that has
    /// ended before it took anything of the record is replaced.
    ///
    /// # Errors
    /// - [`ToolError`]: a bullet per variant.
    pub fn ask(&mut self, record: &[u8]) -> Result<Vec<u8>, ToolError> {
        if record.contains(&b'\n') {
            return Err(ToolError::LineBreak { program: self.tool.name() });
        }
        let mut line = record.to_vec();
        line.push(b'\n');
        if let Some(mut child) = self.child.take() {
            let woke = look(&self.tool, &mut child, Duration::ZERO)?;
            child.is_fed = false;
            if woke == Woke::Moved {
                match exchange(&self.tool, &mut child, &line, Duration::ZERO) {
                    Err(ToolError::Ended { .. }) if !child.is_fed => {}
                    answer => return self.keep(child, answer),
                }
            }
        }
        let mut child = Child::start(&self.tool)?;
        let answer = exchange(&self.tool, &mut child, &line, FIRST_LOOK);
        self.keep(child, answer)
    }

    /// Keeps the process if it answered.
    fn keep(
        &mut self,
        child: Child,
        answer: Result<Vec<u8>, ToolError>,
    ) -> Result<Vec<u8>, ToolError> {
        self.child = answer.is_ok().then_some(child);
        answer
    }
}

/// Looks that long whether the tool writes without being asked.
fn look(tool: &Tool, child: &mut Child, time: Duration) -> Result<Woke, ToolError> {
    let woke = child.look(tool.output_bytes_max, Instant::now() + time);
    let woke = woke.map_err(|source| tool.pipe_error(source))?;
    if child.stdout.is_empty() {
        return Ok(woke);
    }
    let text = String::from_utf8_lossy(&child.stdout);
    let found = text.lines().next().unwrap_or_default().chars().take(FOUND_CHARS).collect();
    Err(ToolError::Unasked { program: tool.name(), found })
}

/// Writes a line and takes the answer; then looks that long whether there is more.
fn exchange(
    tool: &Tool,
    child: &mut Child,
    line: &[u8],
    time: Duration,
) -> Result<Vec<u8>, ToolError> {
    let (mut rest, deadline) = (line, Instant::now() + tool.deadline);
    loop {
        let end = child.stdout.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(child.stdout.len()) > tool.output_bytes_max {
            let (program, max) = (tool.name(), tool.output_bytes_max);
            return Err(ToolError::TooLong { program, max });
        }
        if let Some(end) = end
            && rest.is_empty()
        {
            let mut answer: Vec<u8> = child.stdout.drain(..=end).collect();
            answer.pop();
            look(tool, child, time)?;
            return Ok(answer);
        }
        let has_ended = child.turn(tool, &mut rest, deadline)? == Woke::Ended;
        if has_ended && !child.stdout.contains(&b'\n') {
            let end = child.end().map_err(|source| tool.pipe_error(source))?;
            let (program, stderr) = (tool.name(), child.stderr_text());
            return Err(ToolError::Ended { program, end, stderr });
        }
    }
}
