//! The conformance suite of `corelane_infer::Backend`: one set of cases for every runtime.
//!
//! A backend crate adds one line to its tests, `corelane_testkit::backend_conformance!(make)`,
//! where `make` builds a fresh backend. The reference is independent of all runtimes: the script
//! that trained the digits model evaluated its formula in 64-bit floats and wrote the answers to
//! `golden.json`. Where the library or the device is absent, a case prints why it is skipped;
//! one that is present and fails is a failure. Speed is not judged here.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use corelane_infer::{
    Backend, Device, ElementsMut, InferConfig, LoadError, ModelError, ModelSource, Program,
    Repository, RunError, Session, TensorView, Unavailable,
};
use serde::Deserialize;

/// Makes a module with one test for each case.
#[macro_export]
macro_rules! backend_conformance {
    ($make:expr) => {
        $crate::backend_conformance!(@cases $make;
            probe_names_each_device_once,
            answers_agree_with_the_reference,
            a_batch_gives_the_answers_of_its_rows,
            two_sessions_do_not_mix,
            a_model_loads_from_its_file,
            wrong_inputs_are_refused_and_the_session_goes_on,
            wrong_outputs_are_refused_and_the_answer_is_kept,
            a_second_run_waits_for_the_first,
            damaged_models_are_refused,
            a_flipped_bit_never_panics,
            a_missing_file_is_named,
            an_unknown_device_is_refused,
            a_closed_session_stays_closed,
            memory_grows_with_sessions_and_falls_with_them,
        );
    };
    (@cases $make:expr; $($case:ident),+ $(,)?) => {
        mod backend_conformance {
            #[allow(unused_imports, reason = "what the expression names is the caller's")]
            use super::*;

            $(#[test]
            fn $case() {
                $crate::backend::$case(&mut $make());
            })+
        }
    };
}

/// Images of the digits model with the scores that the formula gives for them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// Largest difference of a score, absolute.
    tolerance: f32,
    cases: Vec<GoldenCase>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenCase {
    image: usize,
    pixels: Vec<f32>,
    scores: Vec<f32>,
}

const PIXELS: usize = 64;
const CLASSES: usize = 10;

/// The folder of committed models.
pub fn models_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

fn repository() -> Repository {
    Repository::open(models_folder(), InferConfig::default().model_bytes_max)
        .expect("the repository of models is committed")
}

fn digits() -> Vec<u8> {
    repository().read("digits", Some(1)).expect("the digits model is committed").1
}

fn golden() -> Golden {
    let path = models_folder().join("digits/1/golden.json");
    let text = std::fs::read_to_string(path).expect("golden.json is committed beside the model");
    let golden: Golden = serde_json::from_str(&text).expect("golden.json has the known form");
    assert!(!golden.cases.is_empty(), "a reference without cases proves nothing");
    golden
}

fn model(source: ModelSource<'_>, batch: usize) -> Program<'_> {
    Program::Model { source, batch: NonZeroUsize::new(batch).expect("the suite asks for some") }
}

/// The first device, or a printed reason why there is none.
fn first_device(backend: &dyn Backend) -> Option<Device> {
    match backend.probe() {
        Ok(devices) => Some(devices.into_iter().next().expect("probe gives a device or says why")),
        Err(absent @ (Unavailable::NotCompiledIn { .. } | Unavailable::NotPresent { .. })) => {
            println!("skipped: {absent}");
            None
        }
        Err(error) => panic!("probe failed: {error}"),
    }
}

fn load_digits(backend: &mut dyn Backend, device: &Device, batch: usize) -> Session {
    backend.load(device, &model(ModelSource::Bytes(&digits()), batch)).expect("a good model loads")
}

fn scores(backend: &mut dyn Backend, session: &Session, pixels: &[f32]) -> Vec<f32> {
    let shape = [pixels.len() / PIXELS, PIXELS];
    let ticket = backend.run(session, &[TensorView::f32(&shape, pixels)]).expect("a good run");
    let mut scores = vec![f32::NAN; shape[0] * CLASSES];
    backend.wait(ticket, &mut [ElementsMut::F32(&mut scores)]).expect("a good run ends");
    scores
}

fn assert_agrees(found: &[f32], case: &GoldenCase, tolerance: f32) {
    assert_eq!(found.len(), case.scores.len());
    for (class, (found, expected)) in found.iter().zip(&case.scores).enumerate() {
        let image = case.image;
        assert!(
            (found - expected).abs() <= tolerance,
            "image={image} class={class} found={found} expected={expected}"
        );
    }
}

/// Devices are told apart by kind and index, and carry one backend's name.
pub fn probe_names_each_device_once(backend: &mut dyn Backend) {
    let Some(first) = first_device(backend) else { return };
    let devices = backend.probe().expect("it just gave a device");
    for (position, device) in devices.iter().enumerate() {
        assert_eq!(device.backend, first.backend);
        assert!(!device.name.is_empty());
        let is_again = |d: &Device| (d.kind, d.index) == (device.kind, device.index);
        assert!(!devices[..position].iter().any(is_again), "{device} is listed twice");
    }
}

/// Each image gives its scores, and in any order the same ones again.
pub fn answers_agree_with_the_reference(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let golden = golden();
    let session = load_digits(backend, &device, 1);
    let repository = repository();
    let entry = repository.manifest().find("digits", Some(1)).expect("digits is listed");
    assert_eq!(session.device, device);
    assert_eq!(session.inputs, entry.inputs_at(1));
    assert_eq!(session.outputs, entry.outputs_at(1));
    for case in golden.cases.iter().chain(golden.cases.iter().rev()) {
        let found = scores(backend, &session, &case.pixels);
        assert_agrees(&found, case, golden.tolerance);
    }
}

/// The leading axis takes the extent that was asked for, and rows do not mix.
pub fn a_batch_gives_the_answers_of_its_rows(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let golden = golden();
    let session = load_digits(backend, &device, golden.cases.len());
    assert_eq!(session.inputs[0].shape, [golden.cases.len(), PIXELS]);
    assert_eq!(session.outputs[0].shape, [golden.cases.len(), CLASSES]);
    let pixels: Vec<f32> = golden.cases.iter().flat_map(|c| c.pixels.clone()).collect();
    let found = scores(backend, &session, &pixels);
    for (row, case) in found.chunks(CLASSES).zip(&golden.cases) {
        assert_agrees(row, case, golden.tolerance);
    }
}

/// Two sessions of one model keep their own answers while both are untaken.
pub fn two_sessions_do_not_mix(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let golden = golden();
    let sessions = [load_digits(backend, &device, 1), load_digits(backend, &device, 1)];
    assert_ne!(sessions[0].id, sessions[1].id);
    let cases = [&golden.cases[0], &golden.cases[golden.cases.len() - 1]];
    let tickets = [0, 1].map(|i| {
        let input = TensorView::f32(&[1, PIXELS], &cases[i].pixels);
        backend.run(&sessions[i], &[input]).expect("a good run")
    });
    for i in [1, 0] {
        let mut found = [f32::NAN; CLASSES];
        backend.wait(tickets[i], &mut [ElementsMut::F32(&mut found)]).expect("it ends");
        assert_agrees(&found, cases[i], golden.tolerance);
    }
}

/// A path does what the bytes do.
pub fn a_model_loads_from_its_file(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let golden = golden();
    let path = models_folder().join("digits/1/model.onnx");
    let session = backend.load(&device, &model(ModelSource::Path(&path), 1)).expect("it loads");
    let found = scores(backend, &session, &golden.cases[0].pixels);
    assert_agrees(&found, &golden.cases[0], golden.tolerance);
}

/// Each wrong input has its error, with what was found and expected; a good one works after it.
pub fn wrong_inputs_are_refused_and_the_session_goes_on(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let golden = golden();
    let session = load_digits(backend, &device, 1);
    let long = [0.0; 2 * PIXELS];
    let image = TensorView::f32(&[1, PIXELS], &long[..PIXELS]);
    for (shape, elements) in [
        (&[2, PIXELS][..], &long[..]),
        (&[PIXELS], &long[..PIXELS]),
        (&[1, PIXELS - 1], &long[..PIXELS - 1]),
        (&[PIXELS, 1], &long[..PIXELS]),
    ] {
        match backend.run(&session, &[TensorView::f32(shape, elements)]) {
            Err(RunError::Shape { found, expected, .. }) => {
                assert_eq!((&found[..], &expected[..]), (shape, &[1, PIXELS][..]));
            }
            other => panic!("a wrong shape gave {other:?}"),
        }
    }
    for count in [PIXELS - 1, PIXELS + 1] {
        let outcome = backend.run(&session, &[TensorView::f32(&[1, PIXELS], &long[..count])]);
        let Err(RunError::Length { found, expected: PIXELS, .. }) = outcome else {
            panic!("a wrong length gave {outcome:?}");
        };
        assert_eq!(found, count);
    }
    let bytes = [0_u8; PIXELS];
    let elements = corelane_infer::Elements::U8(&bytes);
    let outcome = backend.run(&session, &[TensorView { shape: &[1, PIXELS], elements }]);
    assert!(matches!(outcome, Err(RunError::Dtype { .. })), "{outcome:?}");
    let outcome = backend.run(&session, &[image, image]);
    assert!(matches!(outcome, Err(RunError::Count { found: 2, expected: 1 })), "{outcome:?}");
    let outcome = backend.run(&session, &[]);
    assert!(matches!(outcome, Err(RunError::Count { found: 0, expected: 1 })), "{outcome:?}");

    let found = scores(backend, &session, &golden.cases[0].pixels);
    assert_agrees(&found, &golden.cases[0], golden.tolerance);
}

/// A buffer that does not fit costs nothing; an answer is taken once.
pub fn wrong_outputs_are_refused_and_the_answer_is_kept(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let golden = golden();
    let case = &golden.cases[0];
    let session = load_digits(backend, &device, 1);
    let input = TensorView::f32(&[1, PIXELS], &case.pixels);
    let ticket = backend.run(&session, &[input]).expect("a good run");

    let mut short = [0.0; CLASSES - 1];
    let outcome = backend.wait(ticket, &mut [ElementsMut::F32(&mut short)]);
    assert!(matches!(outcome, Err(RunError::Length { expected: CLASSES, .. })), "{outcome:?}");
    let mut integers = [0; CLASSES];
    let outcome = backend.wait(ticket, &mut [ElementsMut::I64(&mut integers)]);
    assert!(matches!(outcome, Err(RunError::Dtype { .. })), "{outcome:?}");
    let outcome = backend.wait(ticket, &mut []);
    assert!(matches!(outcome, Err(RunError::Count { found: 0, expected: 1 })), "{outcome:?}");

    let mut found = [f32::NAN; CLASSES];
    backend.wait(ticket, &mut [ElementsMut::F32(&mut found)]).expect("it is still there");
    assert_agrees(&found, case, golden.tolerance);
    let outcome = backend.wait(ticket, &mut [ElementsMut::F32(&mut found)]);
    assert!(matches!(outcome, Err(RunError::NotRunning { .. })), "{outcome:?}");
}

/// A session never drops an answer for a newer one: it takes runs up to its limit, then refuses.
pub fn a_second_run_waits_for_the_first(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let golden = golden();
    let session = load_digits(backend, &device, 1);
    let input = |i: usize| TensorView::f32(&[1, PIXELS], &golden.cases[i].pixels);
    let first = backend.run(&session, &[input(0)]).expect("a good run");
    match backend.run(&session, &[input(1)]) {
        Err(RunError::Busy { limit: 1, .. }) => {}
        // A runtime that queues has to answer the first one all the same.
        Ok(_) => {}
        other => panic!("a second run gave {other:?}"),
    }
    let mut found = [f32::NAN; CLASSES];
    backend.wait(first, &mut [ElementsMut::F32(&mut found)]).expect("the first ends");
    assert_agrees(&found, &golden.cases[0], golden.tolerance);
}

/// Cut off anywhere, or no model at all: an error that says how many bytes it had, never a panic.
pub fn damaged_models_are_refused(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let whole = digits();
    let before = backend.memory_in_use();
    // The start densely, as the graph's nodes are there; the weights in 97 steps.
    let cuts = (1..64).chain((64..whole.len()).step_by(whole.len() / 97));
    let cut_models = cuts.chain([whole.len() - 1]).map(|end| whole[..end].to_vec());
    let garbage = [vec![0xff; 4096], vec![0; 64], b"not a model".to_vec(), Vec::new()];
    for bytes in cut_models.chain(garbage) {
        match backend.load(&device, &model(ModelSource::Bytes(&bytes), 1)) {
            Err(LoadError::NotAModel { bytes: found, .. }) => {
                assert_eq!(found, bytes.len() as u64);
            }
            other => panic!("{} bytes of {} gave {other:?}", bytes.len(), whole.len()),
        }
    }
    assert_eq!(backend.memory_in_use(), before, "a refused model holds nothing");
    load_digits(backend, &device, 1);
}

/// With one bit flipped in its nodes, its inputs or its outputs a model loads or is refused, and
/// the backend goes on.
pub fn a_flipped_bit_never_panics(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let whole = digits();
    let (nodes, edges) = (0..400, whole.len() - 200..whole.len());
    let mut refused = 0;
    for position in nodes.chain(edges) {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        match backend.load(&device, &model(ModelSource::Bytes(&bytes), 1)) {
            Ok(session) => backend.close(&session).expect("it is open"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "no flip was noticed");
    load_digits(backend, &device, 1);
}

/// A file that is not there is `Missing`, by its path.
pub fn a_missing_file_is_named(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let absent = models_folder().join("no-such-model.onnx");
    match backend.load(&device, &model(ModelSource::Path(&absent), 1)) {
        Err(LoadError::Model(ModelError::Missing { path })) => assert_eq!(path, absent),
        other => panic!("a missing file gave {other:?}"),
    }
}

/// A device that probe does not list is not replaced by one that it does.
pub fn an_unknown_device_is_refused(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let other = Device { index: u16::MAX, ..device };
    let outcome = backend.load(&other, &model(ModelSource::Bytes(&digits()), 1));
    assert!(matches!(outcome, Err(LoadError::UnknownDevice { .. })), "{outcome:?}");
}

/// After `close` every call on the session is refused, also when a new one was opened.
pub fn a_closed_session_stays_closed(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let closed = load_digits(backend, &device, 1);
    let image = [0.0; PIXELS];
    let input = TensorView::f32(&[1, PIXELS], &image);
    let ticket = backend.run(&closed, &[input]).expect("a good run");
    backend.close(&closed).expect("an open session closes, also with a run untaken");
    let open = load_digits(backend, &device, 1);

    let is_closed =
        |e: &RunError| matches!(e, RunError::Closed { session } if *session == closed.id);
    assert!(backend.run(&closed, &[input]).is_err_and(|e| is_closed(&e)));
    let mut found = [0.0; CLASSES];
    let outcome = backend.wait(ticket, &mut [ElementsMut::F32(&mut found)]);
    assert!(outcome.is_err_and(|e| is_closed(&e)));
    assert!(backend.close(&closed).is_err_and(|e| is_closed(&e)));
    scores(backend, &open, &image);
}

/// Loading adds at least the weights, a larger batch adds more, closing gives all of it back.
pub fn memory_grows_with_sessions_and_falls_with_them(backend: &mut dyn Backend) {
    let Some(device) = first_device(backend) else { return };
    let empty = backend.memory_in_use();
    let small = load_digits(backend, &device, 1);
    let one = backend.memory_in_use();
    assert!(one - empty >= digits().len() as u64 / 2, "empty={empty} one={one}");
    let large = load_digits(backend, &device, 64);
    let both = backend.memory_in_use();
    assert!(both - one > one - empty, "empty={empty} one={one} both={both}");
    backend.close(&small).expect("it is open");
    assert_eq!(backend.memory_in_use(), empty + (both - one));
    backend.close(&large).expect("it is open");
    assert_eq!(backend.memory_in_use(), empty);
}
