//! A worker whose lanes are full: what it accepted is sent in order, what it cannot take is refused
//! (WK-2).

use std::sync::mpsc;

use corelane_agent::{QUEUED_MAX, TellError};
use corelane_transport::{AgentId, Priority};

use super::{Acts, Call, Running, ask, echo, pair, take, try_take};

const FIRST: AgentId = AgentId(10);
const SLOTS: usize = 1024;

#[test]
fn more_than_the_lanes_hold_is_queued_and_arrives_in_order() {
    const COUNT: u64 = 200;
    let (endpoint, mut port) = pair(4);
    let worker = Running::start(endpoint, FIRST, || {
        vec![Box::new(Acts(|cx: &mut corelane_agent::Context<'_>, _: Call<'_>| {
            for number in 0..COUNT {
                for priority in [Priority::Normal, Priority::Low] {
                    let told = cx.tell(AgentId(1), 0, priority, &number.to_le_bytes());
                    told.expect("because the queue takes that many");
                }
            }
        }))]
    });
    worker.command("go");
    let mut expected = [0; Priority::COUNT];
    for _ in 0..2 * COUNT {
        let received = take(&mut port);
        let expected = &mut expected[received.envelope.priority as usize];
        assert_eq!(received.payload, u64::to_le_bytes(*expected));
        *expected += 1;
        // Nobody rings when there is room again: the worker looks by itself.
        port.flush();
    }
    assert_eq!(expected, [0, COUNT, COUNT]);
    worker.stop();
}

/// What is queued goes first, also when the lane has room again.
#[test]
fn nothing_overtakes_what_is_queued() {
    let (endpoint, mut port) = pair(4);
    let (go, may_go) = mpsc::channel();
    let worker = Running::start(endpoint, FIRST, || {
        vec![Box::new(Acts(move |cx: &mut corelane_agent::Context<'_>, _: Call<'_>| {
            let mut tell = |number: u8| cx.tell(AgentId(1), 0, Priority::Normal, &[number]);
            for number in 0..6 {
                tell(number).expect("because the queue takes it");
            }
            cx.report("queued", serde_json::Value::Null);
            may_go.recv().expect("because the test sends it");
            let told = cx.tell(AgentId(1), 0, Priority::Normal, &[6]);
            told.expect("because the queue takes it");
        }))]
    });
    worker.command("go");
    assert_eq!(worker.report(), "queued");
    for number in 0..4 {
        assert_eq!(try_take(&mut port).map(|told| told.payload), Some(vec![number]));
    }
    assert_eq!(try_take(&mut port), None);
    port.flush();
    go.send(()).expect("because the agent waits for it");
    for number in 4..7 {
        assert_eq!(take(&mut port).payload, [number]);
        port.flush();
    }
    worker.stop();
}

/// The queue has an end; answers are exempt, and a payload that is too long is refused in either
/// state and does not end the worker.
#[test]
fn a_full_queue_refuses_all_but_answers() {
    let (endpoint, mut port) = pair(SLOTS);
    let worker = Running::start(endpoint, FIRST, || {
        let flood = |cx: &mut corelane_agent::Context<'_>, call: Call<'_>| match call {
            Call::Command(_) => {
                let mut tell = |payload: &[u8]| cx.tell(AgentId(1), 0, Priority::Normal, payload);
                let too_long = Err(TellError::TooLong { bytes: 81, max: 80 });
                assert_eq!(tell(&[0; 81]), too_long);
                for number in 0..(SLOTS + QUEUED_MAX) as u64 {
                    assert_eq!(tell(&number.to_le_bytes()), Ok(()));
                }
                assert_eq!(tell(b""), Err(TellError::Full));
                assert_eq!(tell(&[0; 81]), too_long);
                assert_eq!(cx.ask(AgentId(1), 0, b""), Err(TellError::Full));
                // The other priorities have room.
                cx.tell(AgentId(1), 0, Priority::High, b"high").expect("because of its own lane");
                cx.report("full", serde_json::Value::Null);
            }
            Call::Message(_) => {
                cx.reply(b"exempt").expect("because answers are not refused");
                cx.report("answered", serde_json::Value::Null);
            }
        };
        vec![Box::new(Acts(flood)), echo()]
    });
    worker.command("go");
    assert_eq!(worker.report(), "full");
    ask(&mut port, 10, 1, b"");
    assert_eq!(worker.report(), "answered");
    ask(&mut port, 11, 2, b"echo");
    assert_eq!(take(&mut port).payload, b"high");
    for number in 0..(SLOTS + QUEUED_MAX) as u64 {
        assert_eq!(take(&mut port).payload, number.to_le_bytes());
        port.flush();
    }
    assert_eq!(take(&mut port).payload, b"exempt");
    assert_eq!(take(&mut port).payload, b"echo");
    let totals = worker.stop();
    assert_eq!((totals.handled, totals.panicked), (2, 0));
    assert_eq!(try_take(&mut port), None);
}
