//! Every refusal of a model or a run, brought about for real and told by its code.

use std::num::NonZeroUsize;

use corelane_backend_tract::TractBackend;
use corelane_infer::{
    Backend, Device, Elements, ElementsMut, InferConfig, LoadError, ModelSource, Program, Session,
    TensorView,
};
use corelane_testkit::backend::models_folder;

/// Element types as ONNX numbers them.
const F32: u64 = 1;
const I64: u64 = 7;
const F64: u64 = 11;

/// An extent of a tensor in a model.
enum Dim {
    Open(&'static str),
    Fixed(u64),
}

use Dim::{Fixed, Open};

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field of a protocol buffer that holds a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field that holds bytes, a text or a message.
fn message(field: u64, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [varint(field << 3 | 2), varint(content.len() as u64), content].concat()
}

/// The description of a graph's input (field 11) or output (field 12).
fn edge(field: u64, name: &str, elements: u64, dims: &[Dim]) -> Vec<u8> {
    let dims = dims.iter().map(|dim| match dim {
        Open(name) => message(1, &[&message(2, &[name.as_bytes()])]),
        Fixed(extent) => message(1, &[&number(1, *extent)]),
    });
    let shape = message(2, &[&dims.collect::<Vec<_>>().concat()]);
    let tensor = message(2, &[&message(1, &[&number(1, elements), &shape])]);
    message(field, &[&message(1, &[name.as_bytes()]), &tensor])
}

/// A model of one operation on its inputs, with the output `y`.
fn model(operation: &str, inputs: &[&str], edges: &[Vec<u8>]) -> Vec<u8> {
    let names = inputs.iter().map(|name| message(1, &[name.as_bytes()]));
    let names = names.collect::<Vec<_>>().concat();
    let node = message(1, &[&names, &message(2, &[b"y"]), &message(4, &[operation.as_bytes()])]);
    let graph = message(7, &[&node, &message(2, &[b"g"]), &edges.concat()]);
    [number(1, 8), message(8, &[&number(2, 13)]), graph].concat()
}

fn ready() -> (TractBackend, Device) {
    let backend = TractBackend::new(&InferConfig::default());
    let device = backend.probe().unwrap().remove(0);
    (backend, device)
}

fn load(bytes: &[u8], batch: usize) -> Result<Session, LoadError> {
    let (mut backend, device) = ready();
    let batch = NonZeroUsize::new(batch).unwrap();
    backend.load(&device, &Program::Model { source: ModelSource::Bytes(bytes), batch })
}

#[track_caller]
fn refused(bytes: &[u8], batch: usize) -> &'static str {
    load(bytes, batch).expect_err("it cannot be loaded").code()
}

fn digits() -> (TractBackend, Session) {
    let (mut backend, device) = ready();
    let path = models_folder().join("digits/1/model.onnx");
    let program = Program::Model { source: ModelSource::Path(&path), batch: NonZeroUsize::MIN };
    let session = backend.load(&device, &program).unwrap();
    (backend, session)
}

#[test]
fn what_is_no_model_is_refused() {
    for bytes in [&b"<html>not found</html>"[..], b"version https://git-lfs.github.com/spec/v1"] {
        assert_eq!(refused(bytes, 1), "CL-0712");
    }
}

#[test]
fn edges_that_no_session_can_have_are_refused() {
    let identity = |elements, dims: fn() -> Vec<Dim>| {
        let edges = [edge(11, "x", elements, &dims()), edge(12, "y", elements, &dims())];
        model("Identity", &["x"], &edges)
    };
    let good = identity(F32, || vec![Open("n"), Fixed(4)]);
    assert_eq!(load(&good, 3).unwrap().inputs[0].shape, [3, 4]);
    assert_eq!(refused(&identity(F32, || vec![Fixed(2), Open("length")]), 2), "CL-0713");
    assert_eq!(refused(&identity(F32, || vec![Fixed(4), Fixed(4)]), 2), "CL-0714");
    assert_eq!(refused(&identity(F64, || vec![Fixed(1), Fixed(4)]), 1), "CL-0715");
}

#[test]
fn a_device_or_a_session_beyond_what_there_is_is_refused() {
    let (mut backend, device) = ready();
    let path = models_folder().join("digits/1/model.onnx");
    let program = Program::Model { source: ModelSource::Path(&path), batch: NonZeroUsize::MIN };
    let other = Device { index: 7, ..device.clone() };
    assert_eq!(backend.load(&other, &program).unwrap_err().code(), "CL-0711");
    let too_many = loop {
        if let Err(error) = backend.load(&device, &program) {
            break error;
        }
    };
    assert_eq!(too_many.code(), "CL-0718", "{too_many}");
}

#[test]
fn runs_out_of_turn_are_refused() {
    let (mut backend, session) = digits();
    let (image, mut scores) = ([0.0; 64], [0.0; 10]);
    let input = [TensorView::f32(&[1, 64], &image)];
    let ticket = backend.run(&session, &input).unwrap();
    assert_eq!(backend.run(&session, &input).unwrap_err().code(), "CL-0722");
    backend.wait(ticket, &mut [ElementsMut::F32(&mut scores)]).unwrap();
    let again = backend.wait(ticket, &mut [ElementsMut::F32(&mut scores)]);
    assert_eq!(again.unwrap_err().code(), "CL-0723");
    backend.close(&session).unwrap();
    assert_eq!(backend.run(&session, &input).unwrap_err().code(), "CL-0721");
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let (mut backend, session) = digits();
    let (image, bytes) = ([0.0; 64], [0_u8; 64]);
    let mut code = |inputs: &[TensorView<'_>]| backend.run(&session, inputs).unwrap_err().code();
    assert_eq!(code(&[]), "CL-0724");
    let wrong_type = TensorView { shape: &[1, 64], elements: Elements::U8(&bytes) };
    assert_eq!(code(&[wrong_type]), "CL-0725");
    assert_eq!(code(&[TensorView::f32(&[64], &image)]), "CL-0726");
    assert_eq!(code(&[TensorView::f32(&[1, 64], &image[1..])]), "CL-0727");
}

#[test]
fn a_run_that_the_runtime_refuses_is_told() {
    let edges = [
        edge(11, "x", F32, &[Fixed(3)]),
        edge(11, "i", I64, &[Fixed(1)]),
        edge(12, "y", F32, &[Fixed(1)]),
    ];
    let (mut backend, device) = ready();
    let bytes = model("Gather", &["x", "i"], &edges);
    let batch = NonZeroUsize::MIN;
    let program = Program::Model { source: ModelSource::Bytes(&bytes), batch };
    let session = backend.load(&device, &program).unwrap();
    let run = |backend: &mut TractBackend, index: i64| {
        let elements = [index];
        let index = TensorView { shape: &[1], elements: Elements::I64(&elements) };
        backend.run(&session, &[TensorView::f32(&[3], &[1.0, 2.0, 3.0]), index])
    };
    assert_eq!(run(&mut backend, 99).unwrap_err().code(), "CL-0728");
    let _untaken = run(&mut backend, 2).expect("the session goes on");
}
