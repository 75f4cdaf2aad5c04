//! What a service refuses before it asks the backend anything.

use std::num::NonZeroUsize;

use corelane_infer::{
    Backend, Device, DeviceKind, Dtype, ElementsMut, LoadError, ModelSource, Program, RunError,
    Session, TensorSpec, TensorView, Ticket, Unavailable,
};
use corelane_plugin::{ModelService, ServiceError};

/// A backend whose one model has the inputs that a test gives it.
struct Fixed {
    inputs: Vec<TensorSpec>,
}

fn tensor(dtype: Dtype) -> TensorSpec {
    TensorSpec { name: "x".into(), dtype, shape: vec![1, 4] }
}

fn device() -> Device {
    Device { kind: DeviceKind::Cpu, index: 0, name: "fixed".into(), backend: "fixed" }
}

impl Backend for Fixed {
    fn probe(&self) -> Result<Vec<Device>, Unavailable> {
        Ok(vec![device()])
    }

    fn load(&mut self, device: &Device, _program: &Program<'_>) -> Result<Session, LoadError> {
        let (inputs, outputs) = (self.inputs.clone(), vec![tensor(Dtype::F32)]);
        Ok(Session { id: 1, device: device.clone(), inputs, outputs })
    }

    fn run(&mut self, session: &Session, _: &[TensorView<'_>]) -> Result<Ticket, RunError> {
        Ok(Ticket { session: session.id, sequence: 1 })
    }

    fn wait(&mut self, _: Ticket, _: &mut [ElementsMut<'_>]) -> Result<(), RunError> {
        Ok(())
    }

    fn memory_in_use(&self) -> u64 {
        0
    }

    fn close(&mut self, _: &Session) -> Result<(), RunError> {
        Ok(())
    }
}

fn load(inputs: Vec<TensorSpec>) -> Result<ModelService, ServiceError> {
    let program = Program::Model { source: ModelSource::Bytes(b""), batch: NonZeroUsize::MIN };
    ModelService::load(Box::new(Fixed { inputs }), &device(), &program)
}

#[test]
fn a_model_of_another_signature_is_not_served() {
    for inputs in [vec![], vec![tensor(Dtype::F32); 2], vec![tensor(Dtype::I64)]] {
        let refused = load(inputs).err().expect("it has another signature");
        assert_eq!(refused.code(), "CL-0761", "{refused}");
    }
}

#[test]
fn a_question_of_another_length_is_refused() {
    let mut service = load(vec![tensor(Dtype::F32)]).unwrap();
    assert_eq!(service.answer(b"abcd").unwrap().len(), 16);
    let refused = service.answer(b"abc").unwrap_err();
    assert!(matches!(refused, ServiceError::Length { found: 3, expected: 4 }), "{refused}");
    assert_eq!(refused.code(), "CL-0762");
}
