//! The rivals whose ends lie in different processes, one adapter a file.
//!
//! Each is behind a feature of this package, because some take long to build or need a library.
//! Without it a report says that the rival was not measured, and why.

#[cfg(feature = "aeron")]
mod aeron;
#[cfg(any(
    feature = "aeron",
    feature = "ipc-channel",
    feature = "nats",
    feature = "redis",
    feature = "zenoh",
    feature = "zmq"
))]
#[allow(dead_code, reason = "each rival uses a part of it, and features leave some out")]
mod bytes;
#[cfg(feature = "iceoryx2")]
#[allow(unsafe_code)]
mod iceoryx2;
#[cfg(feature = "ipc-channel")]
mod ipc_channel;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "nats", feature = "redis"))]
#[allow(dead_code, reason = "one of the two needs less of it")]
mod server;
#[cfg(feature = "zenoh")]
mod zenoh;
#[cfg(feature = "zmq")]
mod zmq;

use corelane_bench::process::{self, ProcessCast};

/// Adds a rival, or says that this build has none.
macro_rules! rival {
    ($cast:ident, $feature:literal, $peer:path: $($add:ident),+) => {
        #[cfg(feature = $feature)]
        {
            $($cast.$add::<$peer>();)+
        }
        #[cfg(not(feature = $feature))]
        $cast.add_absent($feature, concat!("built without the feature ", $feature));
    };
}

/// Everybody whose ends lie in different processes: ours, what the kernel has, the rivals.
pub(crate) fn cast() -> ProcessCast {
    let mut cast = ProcessCast::default();
    process::ours::add_all(&mut cast);
    process::standard::add_all(&mut cast);
    rival!(cast, "aeron", aeron::Aeron: add_queue);
    rival!(cast, "iceoryx2", iceoryx2::Iceoryx2: add_queue, add_bulk, add_sleeping);
    rival!(cast, "ipc-channel", ipc_channel::IpcChannel: add_queue, add_sleeping);
    rival!(cast, "nats", nats::Nats: add_queue, add_sleeping);
    rival!(cast, "redis", redis::Redis: add_queue, add_sleeping);
    rival!(cast, "zenoh", zenoh::Zenoh: add_queue, add_bulk, add_sleeping);
    rival!(cast, "zmq", zmq::ZeroMq: add_queue, add_sleeping);
    cast
}
