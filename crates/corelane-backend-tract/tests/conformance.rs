//! The suite that every backend passes. What is tract's own is in `digits.rs`.

use corelane_backend_tract::TractBackend;
use corelane_infer::InferConfig;

corelane_testkit::backend_conformance!(|| TractBackend::new(&InferConfig::default()));
