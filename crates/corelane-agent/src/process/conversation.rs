//! A tool that is kept: a line in, a line out.

use std::time::Instant;

use super::{
    Tool, ToolError,
    child::{Child, Woke},
};

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
    /// After an error the process is gone, but for [`ToolError::LineBreak`].
    ///
    /// # Errors
    /// - [`ToolError`]: a bullet per variant.
    pub fn ask(&mut self, record: &[u8]) -> Result<Vec<u8>, ToolError> {
        if record.contains(&b'\n') {
            return Err(ToolError::LineBreak { program: self.tool.name() });
        }
        let mut child = match self.child.take() {
            Some(child) => child,
            None => Child::start(&self.tool)?,
        };
        let mut line = record.to_vec();
        line.push(b'\n');
        let answer = exchange(&self.tool, &mut child, &line)?;
        self.child = Some(child);
        Ok(answer)
    }
}

fn exchange(tool: &Tool, child: &mut Child, line: &[u8]) -> Result<Vec<u8>, ToolError> {
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
