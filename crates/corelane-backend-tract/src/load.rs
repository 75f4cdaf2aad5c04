//! From the bytes of a model to a plan with known extents. It runs nothing.

use std::{any::Any, sync::Arc};

use corelane_infer::{Cause, Dtype, LoadError, TensorSpec};
use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable, OutletId,
    TractError, TypedModel,
};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use crate::backend::NAME;
use crate::session::Loaded;

/// Bytes that one input or output may have.
const TENSOR_BYTES_MAX: u64 = 1 << 30;

pub(crate) fn cause(error: TractError) -> Cause {
    Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(error))
}

/// What a panic of the runtime said.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> TractError {
    let said = match panic.downcast_ref::<String>() {
        Some(text) => text,
        None => panic.downcast_ref::<&str>().copied().unwrap_or("no message"),
    };
    TractError::msg(format!("runtime panicked: {said}"))
}

/// Parses a model, gives its open leading axes the extent `batch`, and plans it.
///
/// tract looks names of the file up without asking whether they are there, and so panics on some
/// damaged models. Nothing outlives such a panic: all that it could leave half-done is local.
pub(crate) fn prepare(bytes: &[u8], batch: usize) -> Result<Loaded, LoadError> {
    std::panic::catch_unwind(|| plan(bytes, batch)).unwrap_or_else(|panic| {
        let cause = cause(panicked(&*panic));
        Err(LoadError::NotAModel { backend: NAME, bytes: bytes.len() as u64, cause })
    })
}

fn plan(bytes: &[u8], batch: usize) -> Result<Loaded, LoadError> {
    let refused = |error: TractError| LoadError::NotAModel {
        backend: NAME,
        bytes: bytes.len() as u64,
        cause: cause(error),
    };
    let mut model = tract_onnx::onnx().model_for_read(&mut &bytes[..]).map_err(refused)?;
    let names: Vec<_> = model.outputs.iter().map(|&outlet| name_of(&model, outlet)).collect();
    let inputs = close_batch(&model, batch)?;
    for (position, spec) in inputs.iter().enumerate() {
        let fact = InferenceFact::dt_shape(datum_type(spec.dtype), &spec.shape);
        model.set_input_fact(position, fact).map_err(refused)?;
    }
    let model = model.into_typed().and_then(TypedModel::into_decluttered).map_err(refused)?;
    let mut outputs = Vec::with_capacity(names.len());
    for (position, name) in names.into_iter().enumerate() {
        let fact = model.output_fact(position).map_err(refused)?;
        let dtype = dtype(&name, fact.datum_type)?;
        let shape = fact.shape.as_concrete().ok_or_else(|| LoadError::OpenDimension {
            tensor: name.clone(),
            shape: format!("{:?}", fact.shape),
        })?;
        outputs.push(within_limit(TensorSpec { name, dtype, shape: shape.to_vec() })?);
    }
    let weights = constant_bytes(&model);
    let plan = model.into_optimized().and_then(IntoRunnable::into_runnable).map_err(refused)?;
    Loaded::new(plan, inputs, outputs, weights).map_err(refused)
}

/// The inputs with every extent known.
fn close_batch(model: &InferenceModel, batch: usize) -> Result<Vec<TensorSpec>, LoadError> {
    let mut specs = Vec::with_capacity(model.inputs.len());
    let mut is_batch_used = model.inputs.is_empty();
    for &outlet in &model.inputs {
        let name = name_of(model, outlet);
        let fact = &model.nodes[outlet.node].outputs[outlet.slot].fact;
        let found = fact.datum_type.concretize().ok_or_else(|| LoadError::Dtype {
            tensor: name.clone(),
            found: "unknown".to_owned(),
        })?;
        let open = || LoadError::OpenDimension {
            tensor: name.clone(),
            shape: format!("{:?}", fact.shape),
        };
        if fact.shape.is_open() {
            return Err(open());
        }
        let mut shape = Vec::new();
        for (axis, dim) in fact.shape.dims().enumerate() {
            let known = dim.concretize().and_then(|d| d.to_usize().ok());
            shape.push(match known {
                Some(extent) => extent,
                None if axis == 0 => batch,
                None => return Err(open()),
            });
        }
        is_batch_used |= shape.first().is_none_or(|&leading| leading == batch);
        let dtype = dtype(&name, found)?;
        specs.push(within_limit(TensorSpec { name, dtype, shape })?);
    }
    match specs.first() {
        Some(first) if !is_batch_used => Err(LoadError::FixedBatch {
            tensor: first.name.clone(),
            found: first.shape[0],
            asked: batch,
        }),
        _ => Ok(specs),
    }
}

fn name_of(model: &InferenceModel, outlet: OutletId) -> String {
    model.outlet_label(outlet).unwrap_or(&model.nodes[outlet.node].name).to_owned()
}

fn within_limit(spec: TensorSpec) -> Result<TensorSpec, LoadError> {
    let bytes =
        spec.shape.iter().try_fold(spec.dtype.bytes(), |bytes, &extent| bytes.checked_mul(extent));
    match bytes {
        Some(bytes) if bytes as u64 <= TENSOR_BYTES_MAX => Ok(spec),
        _ => Err(LoadError::Oversized {
            tensor: spec.name,
            shape: spec.shape,
            limit: TENSOR_BYTES_MAX,
        }),
    }
}

/// What the weights take before tract packs them for its kernels.
fn constant_bytes(model: &TypedModel) -> u64 {
    let of = |constant: &Const| {
        let tensor = constant.val();
        (tensor.len() * tensor.datum_type().size_of()) as u64
    };
    model.nodes.iter().filter_map(|node| node.op_as::<Const>()).map(of).sum()
}

fn datum_type(dtype: Dtype) -> DatumType {
    match dtype {
        Dtype::U8 => DatumType::U8,
        Dtype::I64 => DatumType::I64,
        Dtype::F32 => DatumType::F32,
    }
}

fn dtype(tensor: &str, found: DatumType) -> Result<Dtype, LoadError> {
    match found {
        DatumType::F32 => Ok(Dtype::F32),
        DatumType::U8 => Ok(Dtype::U8),
        DatumType::I64 => Ok(Dtype::I64),
        _ => Err(LoadError::Dtype { tensor: tensor.to_owned(), found: format!("{found:?}") }),
    }
}
