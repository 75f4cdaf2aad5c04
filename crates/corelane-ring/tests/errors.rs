//! What the ends of a typed ring answer, and under which codes.

use corelane_ring::wait::Spin;
use corelane_ring::{SendError, TryRecvError, TrySendError, spsc};

#[test]
fn a_typed_ring_tells_full_from_closed() {
    let (mut producer, consumer) = spsc::channel(2, Spin).unwrap();
    assert_eq!((producer.try_send(1), producer.try_send(2)), (Ok(()), Ok(())));
    let full = producer.try_send(3).unwrap_err();
    assert_eq!((full, full.code()), (TrySendError::Full(3), "CL-0201"));
    drop(consumer);
    let closed = producer.try_send(4).unwrap_err();
    assert_eq!((closed, closed.code()), (TrySendError::Closed(4), "CL-0202"));
    let gone = producer.send(5).unwrap_err();
    assert_eq!((gone, gone.code()), (SendError(5), "CL-0203"));
}

#[test]
fn a_typed_ring_tells_empty_from_closed() {
    let (producer, mut consumer) = spsc::channel::<u8, _>(2, Spin).unwrap();
    let empty = consumer.try_recv().unwrap_err();
    assert_eq!((empty, empty.code()), (TryRecvError::Empty, "CL-0204"));
    drop(producer);
    let closed = consumer.try_recv().unwrap_err();
    assert_eq!((closed, closed.code()), (TryRecvError::Closed, "CL-0205"));
}

#[test]
fn a_claim_beyond_the_free_room_is_refused() {
    let (mut producer, _consumer) = spsc::channel::<u8, _>(4, Spin).unwrap();
    producer.try_send(1).unwrap();
    let refused = producer.claim(4).map(drop).unwrap_err();
    assert_eq!((refused.asked, refused.free, refused.code()), (4, 3, "CL-0251"));
}
