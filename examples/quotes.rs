//! Quotes on a topic, from this process to another one that it starts: `quotes [COUNT]`.
//!
//! With a large COUNT there is time to look on, by
//! `corelane tap --at /tmp/corelane-quotes.sock quotes`.

use std::{env, error::Error, path::Path, process::Command, time::Duration};

use corelane::transport::Participant;
use corelane::transport::schema::{Message, Pod, Zeroable};
use corelane::transport::topic::{PublishOptions, SubscribeOptions};

/// Where the two meet; whoever comes first opens it.
const EXCHANGE: &str = "/tmp/corelane-quotes.sock";
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, Pod, Zeroable, Message)]
#[repr(C)]
#[bytemuck(crate = "corelane::transport::bytemuck")]
#[message(crate = "corelane::transport", name = "quote")]
struct Quote {
    price: f64,
    quantity: u32,
    venue: [u8; 4],
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => publish(5),
        [count] => publish(count.parse()?),
        ["subscribe", count] => subscribe(count.parse()?),
        _ => Err("usage: quotes [COUNT]".into()),
    }
}

fn publish(count: u32) -> Result<(), Box<dyn Error>> {
    let participant = Participant::open(Path::new(EXCHANGE))?;
    let mut quotes = participant.publish::<Quote>("quotes", &PublishOptions::default())?;
    let mut other = Command::new(env::current_exe()?);
    let mut subscriber = other.args(["subscribe", &count.to_string()]).spawn()?;
    for number in 1..=count {
        let quote = Quote { price: 100.0 + f64::from(number) / 4.0, quantity: 3, venue: *b"XETR" };
        quotes.publish_within(&quote, PATIENCE)?;
        std::thread::sleep(Duration::from_millis(100));
    }
    // As long as there is the publisher, who comes late finds what it published before.
    match subscriber.wait()?.success() {
        true => Ok(()),
        false => Err("the subscriber failed".into()),
    }
}

fn subscribe(count: u32) -> Result<(), Box<dyn Error>> {
    let participant = Participant::open(Path::new(EXCHANGE))?;
    let options = SubscribeOptions::RELIABLE.with_history();
    let mut quotes = participant.subscribe::<Quote>("quotes", options)?;
    for _ in 0..count {
        let quote = quotes.receive(PATIENCE)?.ok_or("no quote came")?;
        let venue = String::from_utf8_lossy(&quote.venue);
        println!("{} at {} in {venue}", quote.quantity, quote.price);
    }
    Ok(())
}
