//! The committed model end to end, from repository to answers, and what is tract's own. The
//! cases that every backend shares are in `conformance.rs`.

use std::num::NonZeroUsize;

use corelane_backend_tract::TractBackend;
use corelane_infer::{
    Backend, Device, DeviceKind, ElementsMut, InferConfig, LoadError, ModelSource, Program,
    Repository, TensorView,
};
use corelane_testkit::backend::models_folder;

const PIXELS: usize = 64;
const CLASSES: usize = 10;

fn ready() -> (TractBackend, Device) {
    let backend = TractBackend::new(&InferConfig::default());
    let device = backend.probe().unwrap().remove(0);
    (backend, device)
}

/// The images as pixels and labels; the format is described in `models/data/README.md`.
fn images(path: &str) -> (Vec<Vec<f32>>, Vec<usize>) {
    let bytes = std::fs::read(models_folder().join(path)).unwrap();
    let (header, records) = bytes.split_at(16);
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((&header[..8], number(8), number(12)), (&b"CLDIGIT1"[..], 1797, PIXELS));
    assert_eq!(records.len(), 1797 * (PIXELS + 1));
    records
        .chunks(PIXELS + 1)
        .map(|r| (r[..PIXELS].iter().map(|&p| f32::from(p)).collect(), usize::from(r[PIXELS])))
        .unzip()
}

#[test]
fn the_committed_model_is_as_good_as_its_manifest_says() {
    let repository = Repository::open(models_folder(), 1 << 20).unwrap();
    let (entry, bytes) = repository.read("digits", None).unwrap();
    let claimed = entry.accuracy.as_ref().unwrap();
    assert_eq!((claimed.first_image, claimed.images), (1200, 597));
    let (pixels, labels) = images(&claimed.data);

    let (mut backend, device) = ready();
    let program = Program::Model { source: ModelSource::Bytes(&bytes), batch: NonZeroUsize::MIN };
    let session = backend.load(&device, &program).unwrap();
    let mut scores = [0.0; CLASSES];
    let mut correct = 0;
    for (pixels, &label) in pixels.iter().zip(&labels).skip(claimed.first_image) {
        let ticket = backend.run(&session, &[TensorView::f32(&[1, PIXELS], pixels)]).unwrap();
        backend.wait(ticket, &mut [ElementsMut::F32(&mut scores)]).unwrap();
        let best = (0..CLASSES).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        correct += usize::from(best == Some(label));
    }
    assert_eq!(correct, claimed.correct);
    assert!(claimed.ratio() >= 0.95, "accuracy={}", claimed.ratio());
}

#[test]
fn it_is_a_cpu_and_takes_no_kernels() {
    let (mut backend, device) = ready();
    assert_eq!((device.kind, device.index, device.backend), (DeviceKind::Cpu, 0, "tract"));
    let outcome = backend.load(&device, &Program::Kernel { name: "fuse" });
    assert!(matches!(outcome, Err(LoadError::ProgramUnsupported { .. })), "{outcome:?}");
}

#[test]
fn limits_are_typed_outcomes() {
    let (mut backend, device) = ready();
    let path = models_folder().join("digits/1/model.onnx");
    let load = |backend: &mut TractBackend, batch| {
        let batch = NonZeroUsize::new(batch).unwrap();
        backend.load(&device, &Program::Model { source: ModelSource::Path(&path), batch })
    };
    for batch in [usize::MAX, 1 << 40] {
        let outcome = load(&mut backend, batch);
        assert!(matches!(outcome, Err(LoadError::Oversized { .. })), "{outcome:?}");
    }
    let config = InferConfig { model_bytes_max: 1000, ..InferConfig::default() };
    let outcome = load(&mut TractBackend::new(&config), 1);
    assert!(matches!(outcome, Err(LoadError::Model(_))), "{outcome:?}");
}
