//! One loaded model with its buffers, used by the agents of one worker.

use corelane_infer::{
    Backend, Device, Dtype, ElementsMut, LoadError, Program, RunError, Session, TensorView,
};
use thiserror::Error;

/// Why a model cannot be served, or a question not be answered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The backend refused the model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The model does not take one f32 tensor and give one.
    #[error("model has {found}, an agent serves one f32 input and one f32 output: adapt it")]
    Signature {
        /// What it has.
        found: String,
    },
    /// The question has another size than the model's input.
    #[error("question has {found} bytes, the model takes {expected}, one for each element")]
    Length {
        /// Bytes of the question.
        found: usize,
        /// Elements of the input.
        expected: usize,
    },
    /// The run failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl ServiceError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Load(cause) => cause.code(),
            Self::Signature { .. } => "CL-0761",
            Self::Length { .. } => "CL-0762",
            Self::Run(cause) => cause.code(),
        }
    }
}

/// A session that answers one question at a time. Questions are bytes, each an unsigned 8-bit
/// element; answers are little-endian f32.
///
/// # Shapes
/// Input `[1, n]`, f32, contiguous; output `[1, m]`, f32, contiguous.
pub struct ModelService {
    backend: Box<dyn Backend>,
    session: Session,
    input: Vec<f32>,
    output: Vec<f32>,
    answer: Vec<u8>,
}

impl ModelService {
    /// Loads `program` on `device`.
    ///
    /// # Errors
    /// - [`ServiceError::Load`]: the backend refused.
    /// - [`ServiceError::Signature`]: the model has another signature.
    pub fn load(
        mut backend: Box<dyn Backend>,
        device: &Device,
        program: &Program<'_>,
    ) -> Result<Self, ServiceError> {
        let session = backend.load(device, program)?;
        let (inputs, outputs) = (&session.inputs, &session.outputs);
        let ([input], [output]) = (&inputs[..], &outputs[..]) else {
            let found = format!("{} inputs and {} outputs", inputs.len(), outputs.len());
            return Err(ServiceError::Signature { found });
        };
        if (input.dtype, output.dtype) != (Dtype::F32, Dtype::F32) {
            let found = format!("{:?} in and {:?} out", input.dtype, output.dtype);
            return Err(ServiceError::Signature { found });
        }
        let (input, output) = (vec![0.0; input.count()], vec![0.0; output.count()]);
        Ok(Self { backend, session, input, output, answer: Vec::new() })
    }

    /// Answers one question.
    ///
    /// # Errors
    /// - [`ServiceError::Length`]: the question has the wrong size.
    /// - [`ServiceError::Run`]: the runtime refused.
    pub fn answer(&mut self, question: &[u8]) -> Result<&[u8], ServiceError> {
        if question.len() != self.input.len() {
            let (found, expected) = (question.len(), self.input.len());
            return Err(ServiceError::Length { found, expected });
        }
        for (element, &byte) in self.input.iter_mut().zip(question) {
            *element = f32::from(byte);
        }
        let input = TensorView::f32(&self.session.inputs[0].shape, &self.input);
        let ticket = self.backend.run(&self.session, &[input])?;
        self.backend.wait(ticket, &mut [ElementsMut::F32(&mut self.output)])?;
        self.answer.clear();
        self.answer.extend(self.output.iter().flat_map(|score| score.to_le_bytes()));
        Ok(&self.answer)
    }
}
