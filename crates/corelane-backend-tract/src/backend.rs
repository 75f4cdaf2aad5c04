//! The six calls. What a model becomes is in `load`, what a run does in `session`.

use std::collections::BTreeMap;

use corelane_infer::{
    Backend, Device, DeviceKind, ElementsMut, InferConfig, LoadError, Program, RunError, Session,
    TensorView, Ticket, Unavailable,
};

use crate::load::prepare;
use crate::session::Loaded;

/// The name under which devices and errors speak of this backend.
pub(crate) const NAME: &str = "tract";
/// Sessions that may be open at once.
const SESSIONS_MAX: usize = 1024;

/// ONNX models on the calling thread.
#[derive(Debug)]
pub struct TractBackend {
    sessions: BTreeMap<u64, Loaded>,
    last_id: u64,
    model_bytes_max: u64,
}

impl TractBackend {
    /// A backend that reads model files up to the size that the settings allow.
    pub fn new(config: &InferConfig) -> Self {
        Self { sessions: BTreeMap::new(), last_id: 0, model_bytes_max: config.model_bytes_max }
    }

    fn session(&mut self, id: u64) -> Result<&mut Loaded, RunError> {
        self.sessions.get_mut(&id).ok_or(RunError::Closed { session: id })
    }
}

fn cpu() -> Device {
    let name = format!("host processor, {}", std::env::consts::ARCH);
    Device { kind: DeviceKind::Cpu, index: 0, name, backend: NAME }
}

impl Backend for TractBackend {
    fn probe(&self) -> Result<Vec<Device>, Unavailable> {
        Ok(vec![cpu()])
    }

    fn load(&mut self, device: &Device, program: &Program<'_>) -> Result<Session, LoadError> {
        if *device != cpu() {
            let device = device.to_string();
            return Err(LoadError::UnknownDevice { device, backend: NAME });
        }
        let (source, batch) = match program {
            Program::Model { source, batch } => (source, batch.get()),
            other => {
                let program = format!("{other:?}");
                return Err(LoadError::ProgramUnsupported { backend: NAME, program });
            }
        };
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(LoadError::SessionLimit { backend: NAME, limit: SESSIONS_MAX });
        }
        let loaded = prepare(&source.read(self.model_bytes_max)?, batch)?;
        self.last_id += 1;
        let session = Session {
            id: self.last_id,
            device: device.clone(),
            inputs: loaded.inputs.clone(),
            outputs: loaded.outputs.clone(),
        };
        self.sessions.insert(session.id, loaded);
        Ok(session)
    }

    fn run(&mut self, session: &Session, inputs: &[TensorView<'_>]) -> Result<Ticket, RunError> {
        let sequence = self.session(session.id)?.run(session.id, inputs)?;
        Ok(Ticket { session: session.id, sequence })
    }

    fn wait(&mut self, ticket: Ticket, outputs: &mut [ElementsMut<'_>]) -> Result<(), RunError> {
        self.session(ticket.session)?.take(ticket, outputs)
    }

    fn memory_in_use(&self) -> u64 {
        self.sessions.values().map(|s| s.bytes).sum()
    }

    fn close(&mut self, session: &Session) -> Result<(), RunError> {
        match self.sessions.remove(&session.id) {
            Some(_) => Ok(()),
            None => Err(RunError::Closed { session: session.id }),
        }
    }
}
