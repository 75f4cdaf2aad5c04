//! One loaded model: its plan, its input buffers, and the outputs of the last run.
//!
//! A run copies the inputs into tensors that live as long as the session and steps a state that
//! is kept too, so that what tract allocates per run is its intermediate results.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use corelane_infer::{Dtype, Elements, ElementsMut, RunError, TensorSpec, TensorView, Ticket};
use tract_onnx::prelude::{
    Datum, IntoTValue, TValue, TVec, Tensor, TractResult, TypedRunnableModel, TypedSimpleState,
};

use crate::load::{cause, panicked};

/// Runs whose outputs may be untaken.
const RUNS_IN_FLIGHT_MAX: usize = 1;

/// A model that can run.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) inputs: Vec<TensorSpec>,
    pub(crate) outputs: Vec<TensorSpec>,
    /// Weights, inputs and outputs; not the intermediate results of a run.
    pub(crate) bytes: u64,
    plan: Arc<TypedRunnableModel>,
    state: TypedSimpleState,
    buffers: Vec<Arc<Tensor>>,
    untaken: Option<TVec<TValue>>,
    sequence: u64,
}

impl Loaded {
    pub(crate) fn new(
        plan: Arc<TypedRunnableModel>,
        inputs: Vec<TensorSpec>,
        outputs: Vec<TensorSpec>,
        weight_bytes: u64,
    ) -> TractResult<Self> {
        let zeros = |s: &TensorSpec| match s.dtype {
            Dtype::U8 => Tensor::zero::<u8>(&s.shape),
            Dtype::I64 => Tensor::zero::<i64>(&s.shape),
            Dtype::F32 => Tensor::zero::<f32>(&s.shape),
        };
        let buffers = inputs.iter().map(|s| zeros(s).map(Arc::new)).collect::<TractResult<_>>()?;
        let edges = inputs.iter().chain(&outputs).map(TensorSpec::bytes).sum::<u64>();
        let state = plan.spawn()?;
        let bytes = weight_bytes + edges;
        Ok(Self { inputs, outputs, bytes, plan, state, buffers, untaken: None, sequence: 0 })
    }

    /// Runs to the end and keeps the outputs; gives the number of the run.
    pub(crate) fn run(&mut self, id: u64, inputs: &[TensorView<'_>]) -> Result<u64, RunError> {
        if self.untaken.is_some() {
            return Err(RunError::Busy { session: id, limit: RUNS_IN_FLIGHT_MAX });
        }
        check_count(inputs.len(), self.inputs.len())?;
        for (spec, input) in self.inputs.iter().zip(inputs) {
            check_elements(
                spec,
                input.elements.dtype(),
                input.elements.count(),
                Some(input.shape),
            )?;
        }
        match self.evaluate(inputs) {
            Ok(outputs) => self.untaken = Some(outputs),
            Err(error) => return Err(RunError::Failed { session: id, cause: cause(error) }),
        }
        self.sequence += 1;
        Ok(self.sequence)
    }

    /// Copies the outputs of the last run out, once.
    pub(crate) fn take(
        &mut self,
        ticket: Ticket,
        outputs: &mut [ElementsMut<'_>],
    ) -> Result<(), RunError> {
        let Ticket { session, sequence } = ticket;
        let values = self
            .untaken
            .as_ref()
            .filter(|_| sequence == self.sequence)
            .ok_or(RunError::NotRunning { session, sequence })?;
        check_count(outputs.len(), self.outputs.len())?;
        for (spec, output) in self.outputs.iter().zip(&*outputs) {
            check_elements(spec, output.dtype(), output.count(), None)?;
        }
        for (value, output) in values.iter().zip(outputs) {
            copy_out(value, output).map_err(|e| RunError::Failed { session, cause: cause(e) })?;
        }
        self.untaken = None;
        Ok(())
    }

    fn evaluate(&mut self, inputs: &[TensorView<'_>]) -> TractResult<TVec<TValue>> {
        for (buffer, input) in self.buffers.iter_mut().zip(inputs) {
            // In place, as nothing else holds the buffer between two runs of most models; one
            // that hands its input through as output makes a copy here.
            let tensor = Arc::make_mut(buffer);
            match input.elements {
                Elements::U8(e) => fill(tensor, e)?,
                Elements::I64(e) => fill(tensor, e)?,
                Elements::F32(e) => fill(tensor, e)?,
            }
        }
        let values = self.buffers.iter().map(|b| b.clone().into_tvalue()).collect();
        // Some operations index by what an input says without asking whether it is in range. The
        // state is all that a panic leaves half-done, and it is made anew below.
        let run = AssertUnwindSafe(|| self.state.run(values));
        let outcome = catch_unwind(run).unwrap_or_else(|panic| Err(panicked(&*panic)));
        if outcome.is_err() {
            // Half-computed values are left in the state.
            self.state = self.plan.spawn()?;
        }
        outcome
    }
}

fn fill<T: Datum + Copy>(tensor: &mut Tensor, elements: &[T]) -> TractResult<()> {
    tensor.try_as_plain_ram_mut()?.as_slice_mut::<T>()?.copy_from_slice(elements);
    Ok(())
}

fn copy_out(value: &Tensor, output: &mut ElementsMut<'_>) -> TractResult<()> {
    let plain = value.try_as_plain_ram()?;
    match output {
        ElementsMut::U8(e) => e.copy_from_slice(plain.as_slice::<u8>()?),
        ElementsMut::I64(e) => e.copy_from_slice(plain.as_slice::<i64>()?),
        ElementsMut::F32(e) => e.copy_from_slice(plain.as_slice::<f32>()?),
    }
    Ok(())
}

fn check_count(found: usize, expected: usize) -> Result<(), RunError> {
    if found == expected { Ok(()) } else { Err(RunError::Count { found, expected }) }
}

fn check_elements(
    spec: &TensorSpec,
    dtype: Dtype,
    count: usize,
    shape: Option<&[usize]>,
) -> Result<(), RunError> {
    if dtype != spec.dtype {
        let tensor = spec.name.clone();
        return Err(RunError::Dtype { tensor, found: dtype, expected: spec.dtype });
    }
    if let Some(found) = shape.filter(|&s| s != spec.shape) {
        return Err(RunError::Shape {
            tensor: spec.name.clone(),
            found: found.to_vec(),
            expected: spec.shape.clone(),
        });
    }
    let expected = spec.count();
    if count != expected {
        return Err(RunError::Length { tensor: spec.name.clone(), found: count, expected });
    }
    Ok(())
}
