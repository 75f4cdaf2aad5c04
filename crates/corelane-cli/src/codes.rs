//! How an error is printed: with the code of the first cause that has one.
//!
//! The list below names every coded error that can be in a chain; `cargo xtask tidy` compares it
//! with the crates that this one is built on.

use std::error::Error;

/// Asks each of the types whether the error is of it.
macro_rules! first_code {
    ($error:ident: $($coded:ty,)*) => {
        $(if let Some(coded) = $error.downcast_ref::<$coded>() {
            return Some(coded.code());
        })*
    };
}

/// The code of an error itself, not of its causes.
fn code_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    first_code! { error:
        crate::config::init::InitError,
        crate::error::CliError,
        crate::interrupt::Interrupted,
        crate::run::error::RunError,
        crate::shell::ManError,
        crate::tap::TapError,
        crate::topo::TopoError,
        corelane_agent::AskerError,
        corelane_agent::TellError,
        corelane_agent::process::ToolError,
        corelane_agent::WorkerError,
        corelane_agent::ask::AskError,
        corelane_agent::supervisor::Escalation,
        corelane_agent::supervisor::SpecError,
        corelane_bench::CompareError,
        corelane_bench::OptionsError,
        corelane_bench::PassError,
        corelane_bench::ReportError,
        corelane_bench::RunError,
        corelane_bench::SuiteError,
        corelane_config::Fault,
        corelane_config::UnitError,
        corelane_infer::ConfigError,
        corelane_infer::LoadError,
        corelane_infer::ModelError,
        corelane_infer::RunError,
        corelane_infer::Unavailable,
        corelane_node::AttachError,
        corelane_node::NodeError,
        corelane_node::WaitError,
        corelane_node::control::NotAMessage,
        corelane_node::control::Refusal,
        corelane_plugin::ServiceError,
        corelane_report::PageError,
        corelane_router::RouterError,
        corelane_router::TableError,
        corelane_topology::MeasureError,
        corelane_topology::ParseCpuSetError,
        corelane_topology::PinError,
        corelane_topology::TopologyError,
    }
    code_of_transport(error)
}

/// The same for shared memory and what runs over it.
fn code_of_transport(error: &(dyn Error + 'static)) -> Option<&'static str> {
    first_code! { error:
        corelane_shm::SegmentError,
        corelane_shm::WindowError,
        corelane_shm::byte_ring::ByteRingError,
        corelane_shm::fdpass::ChannelError,
        corelane_shm::fdpass::ListenError,
        corelane_shm::futex::FutexError,
        corelane_shm::process::ProcessError,
        corelane_shm::slab::ExtentError,
        corelane_shm::slab::LoanError,
        corelane_shm::slab::ReadError,
        corelane_shm::slab::ShapeError,
        corelane_transport::BellError,
        corelane_transport::LaneShapeError,
        corelane_transport::Malformed,
        corelane_transport::ParticipantError,
        corelane_transport::PortError,
        corelane_transport::ReceiveError,
        corelane_transport::SendError,
        corelane_transport::exchange::ExchangeError,
        corelane_transport::lane::LaneError,
        corelane_transport::lane::LaneReceiveError,
        corelane_transport::lane::LaneSendError,
        corelane_transport::schema::DecodeError,
        corelane_transport::schema::FilterError,
        corelane_transport::schema::SchemaError,
        corelane_transport::topic::PublishError,
        corelane_transport::topic::ReceiveError,
        corelane_transport::topic::TopicError,
    }
    None
}

/// The line that tells a person of an error: its code, what failed, and why.
pub(crate) fn line(error: &anyhow::Error) -> String {
    match error.chain().find_map(code_of) {
        Some(code) => format!("corelane: error[{code}]: {}", in_full(error)),
        None => format!("corelane: error: {}", in_full(error)),
    }
}

/// An error with its causes, less those that the text before them tells already.
fn in_full(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;
    use crate::interrupt::Interrupt;

    #[test]
    fn a_cause_is_told_once() {
        let inner = std::io::Error::other("no room");
        let error = Err::<(), _>(inner).context("write failed: no room").context("demo");
        assert_eq!(line(&error.unwrap_err()), "corelane: error: demo: write failed: no room");
    }

    #[test]
    fn the_first_coded_cause_gives_the_code() {
        let cpus = "zero".parse::<corelane_topology::CpuSet>();
        let error = cpus.context("--cpus").unwrap_err();
        assert!(line(&error).starts_with("corelane: error[CL-0131]: --cpus: "), "{}", line(&error));
        // An error that wraps another has the code of what went wrong inside.
        let error = corelane_node::Client::attach("/nowhere/node.sock".as_ref()).unwrap_err();
        assert_eq!(error.code(), "CL-0333");
        assert!(line(&error.into()).starts_with("corelane: error[CL-0333]: no node to attach to"));
    }

    #[test]
    fn codes_of_causes_that_cannot_be_provoked() {
        let source = std::io::Error::from_raw_os_error(1);
        let refused = corelane_shm::futex::FutexError::Os { call: "futex_waitv", source };
        let error = corelane_agent::WorkerError::Sleep(refused);
        assert!(line(&error.into()).starts_with("corelane: error[CL-0352]: worker cannot sleep"));
    }

    #[test]
    fn an_interruption_has_a_code() {
        let interrupt = Interrupt::install().unwrap();
        interrupt.check().unwrap();
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::HUP).unwrap();
        // The kernel delivers it before the call returns, but perhaps to another thread.
        let error = loop {
            match interrupt.check() {
                Err(error) => break error,
                Ok(()) => std::thread::yield_now(),
            }
        };
        let text = "corelane: error[CL-1104]: interrupted by signal 1";
        assert_eq!(line(&error), text);
    }
}
