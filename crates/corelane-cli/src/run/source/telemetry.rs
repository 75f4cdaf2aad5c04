//! The machine's own quantities, read from `/proc` at a steady rate.
//!
//! A reading is a record `{"series":"cpu","value":0.25,"t_ms":1230}`, one for each series and tick.
//! Rates are per second, over the time since the last reading. The kernel counts CPU time in steps
//! of 10 ms: shares of it are taken over the last second, or they would be 0 or 1 at 100 Hz.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use corelane_config::Metric;

use super::{Entry, Outlet, schedule::Schedule};
use crate::run::error::RunError;

/// Time over which the share of busy CPUs is taken.
const CPU_SPAN: Duration = Duration::from_secs(1);
/// Bytes of a sector of `/proc/diskstats`, whatever the disk has.
const SECTOR: f64 = 512.0;

/// Reads `metrics` at `rate_hz`, `ticks` times or until the flow ends.
pub(super) fn measure(
    rate_hz: u32,
    metrics: &[Metric],
    ticks: Option<u64>,
    outlet: &Outlet,
) -> Result<(), RunError> {
    if ticks == Some(0) {
        // It would end before the first is due.
        return Ok(());
    }
    let mut probes =
        metrics.iter().map(|metric| Probe::open(*metric)).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    for probe in &mut probes {
        probe.read(start, &mut Vec::new())?;
    }
    let mut schedule = Schedule::new(start, rate_hz);
    loop {
        let left = schedule.left(Instant::now());
        if !left.is_zero() && !outlet.wait(left) {
            return Ok(());
        }
        let now = Instant::now();
        let Some((tick, missed)) = schedule.take(now) else { continue };
        let mut readings = Vec::new();
        for probe in &mut probes {
            probe.read(now, &mut readings)?;
        }
        let t_ms = (now - start).as_millis();
        let record = |(series, value): (String, f64)| {
            let text = format!("{{\"series\":\"{series}\",\"value\":{value},\"t_ms\":{t_ms}}}");
            Entry::Record(text.into_bytes())
        };
        let is_sent = outlet.try_send(readings.into_iter().map(record).collect());
        outlet.counts.ticks.fetch_add(u64::from(is_sent), Ordering::Relaxed);
        let missed = missed + u64::from(!is_sent);
        outlet.counts.ticks_missed.fetch_add(missed, Ordering::Relaxed);
        if ticks.is_some_and(|ticks| tick >= ticks) {
            return Ok(());
        }
    }
}

/// One metric and what it needs to be read again.
struct Probe {
    metric: Metric,
    path: &'static str,
    file: File,
    text: Vec<u8>,
    /// Counters of the last reading.
    last: Option<(Instant, f64)>,
    /// CPU times of the last second, of all and of each.
    spans: VecDeque<(Instant, Vec<CpuTime>)>,
    /// Names of whole disks.
    disks: Vec<String>,
}

/// Time of one CPU, or of all, in the kernel's steps.
#[derive(Debug, Clone, PartialEq)]
struct CpuTime {
    name: String,
    busy: f64,
    total: f64,
}

impl Probe {
    fn open(metric: Metric) -> Result<Self, RunError> {
        let path = match metric {
            Metric::Cpu | Metric::ContextSwitches | Metric::Interrupts => "/proc/stat",
            Metric::Memory => "/proc/meminfo",
            Metric::Disk => "/proc/diskstats",
            Metric::Network => "/proc/net/dev",
            Metric::Load => "/proc/loadavg",
        };
        let file = File::open(path).map_err(|source| refused(path, source))?;
        let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
        let disks = disks.filter_map(|entry| entry.file_name().into_string().ok());
        let disks = disks.filter(|name| !name.starts_with("loop") && !name.starts_with("ram"));
        let (text, spans) = (Vec::new(), VecDeque::new());
        Ok(Self { metric, path, file, text, last: None, spans, disks: disks.collect() })
    }

    /// Appends the readings of its series.
    fn read(&mut self, now: Instant, out: &mut Vec<(String, f64)>) -> Result<(), RunError> {
        let length = self.fill().map_err(|source| refused(self.path, source))?;
        let text = String::from_utf8_lossy(&self.text[..length]).into_owned();
        let value = match self.metric {
            Metric::Cpu => {
                self.cpu(now, cpu_times(&text), out);
                return Ok(());
            }
            Metric::Memory => memory(&text),
            Metric::Load => field(&text, 0),
            Metric::ContextSwitches => self.rate(now, after(&text, "ctxt")),
            Metric::Interrupts => self.rate(now, after(&text, "intr")),
            Metric::Disk => self.rate(now, Some(disk_bytes(&text, &self.disks))),
            Metric::Network => self.rate(now, Some(network_bytes(&text))),
        };
        out.extend(value.map(|value| (name(self.metric).to_owned(), value)));
        Ok(())
    }

    /// Reads the file from its beginning.
    fn fill(&mut self) -> io::Result<usize> {
        let mut length = 0;
        loop {
            if self.text.len() < length + 4096 {
                self.text.resize(length + 16_384, 0);
            }
            match self.file.read_at(&mut self.text[length..], length as u64)? {
                0 => return Ok(length),
                count => length += count,
            }
        }
    }

    fn rate(&mut self, now: Instant, count: Option<f64>) -> Option<f64> {
        let count = count?;
        let (before, last) = self.last.replace((now, count))?;
        let seconds = now.saturating_duration_since(before).as_secs_f64();
        (seconds > 0.0).then(|| (count - last).max(0.0) / seconds)
    }

    fn cpu(&mut self, now: Instant, times: Vec<CpuTime>, out: &mut Vec<(String, f64)>) {
        while self
            .spans
            .get(1)
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) >= CPU_SPAN)
        {
            self.spans.pop_front();
        }
        if let Some((_, first)) = self.spans.front() {
            for (now, then) in times.iter().zip(first) {
                let total = now.total - then.total;
                if now.name == then.name && total > 0.0 {
                    out.push((now.name.clone(), ((now.busy - then.busy) / total).clamp(0.0, 1.0)));
                }
            }
        }
        self.spans.push_back((now, times));
    }
}

fn refused(path: &str, source: io::Error) -> RunError {
    RunError::Input { place: path.to_owned(), source }
}

fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::Cpu => "cpu",
        Metric::Memory => "memory",
        Metric::ContextSwitches => "context-switches",
        Metric::Interrupts => "interrupts",
        Metric::Disk => "disk",
        Metric::Network => "network",
        Metric::Load => "load",
    }
}

fn field(text: &str, index: usize) -> Option<f64> {
    text.split_whitespace().nth(index)?.parse().ok()
}

/// The first number of the line that begins with this word.
fn after(text: &str, word: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(word))?;
    field(line, 1)
}

/// The lines `cpu`, `cpu0`, … of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq and
/// steal.
fn cpu_times(text: &str) -> Vec<CpuTime> {
    let lines = text.lines().take_while(|line| line.starts_with("cpu"));
    let time = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let steps: Vec<f64> = words.take(8).filter_map(|word| word.parse().ok()).collect();
        let idle = steps.get(3)? + steps.get(4).unwrap_or(&0.0);
        let total: f64 = steps.iter().sum();
        Some(CpuTime { name, busy: total - idle, total })
    };
    lines.filter_map(time).collect()
}

fn memory(text: &str) -> Option<f64> {
    let (total, available) = (after(text, "MemTotal:")?, after(text, "MemAvailable:")?);
    (total > 0.0).then(|| (1.0 - available / total).clamp(0.0, 1.0))
}

/// Fields of `/proc/diskstats`: 2 is the name, 5 and 9 are sectors read and written.
fn disk_bytes(text: &str, disks: &[String]) -> f64 {
    let is_disk = |line: &&str| {
        line.split_whitespace().nth(2).is_some_and(|name| disks.iter().any(|disk| disk == name))
    };
    let sectors = |line: &str| field(line, 5).unwrap_or(0.0) + field(line, 9).unwrap_or(0.0);
    text.lines().filter(is_disk).map(sectors).sum::<f64>() * SECTOR
}

/// Of `/proc/net/dev` the bytes received and sent by every interface but the loopback.
fn network_bytes(text: &str) -> f64 {
    let interfaces = text.lines().filter_map(|line| line.split_once(':'));
    let real = interfaces.filter(|(name, _)| name.trim() != "lo");
    let bytes = |counts: &str| field(counts, 0).unwrap_or(0.0) + field(counts, 8).unwrap_or(0.0);
    real.map(|(_, counts)| bytes(counts)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let stat =
            "cpu  10 1 5 80 4 0 0 0 7 0\ncpu0 10 1 5 80 4 0 0 0 7 0\nintr 99 1 2\nctxt 1234\n";
        let times = cpu_times(stat);
        assert_eq!(times.len(), 2);
        assert_eq!(times[1], CpuTime { name: "cpu0".to_owned(), busy: 16.0, total: 100.0 });
        assert_eq!((after(stat, "ctxt"), after(stat, "intr")), (Some(1234.0), Some(99.0)));
        let meminfo = "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n";
        assert_eq!(memory(meminfo), Some(0.75));
        let disks = "8 0 sda 1 2 30 4 5 6 70 8 9\n8 1 sda1 1 2 30 4 5 6 70 8 9\n";
        assert_eq!(disk_bytes(disks, &["sda".to_owned()]), 100.0 * SECTOR);
        let net = "Inter-| Receive\n face |bytes\n  lo: 5 0 0 0 0 0 0 0 5 0\n\
                   eth0: 100 1 0 0 0 0 0 0 20 1\n";
        assert_eq!(network_bytes(net), 120.0);
        assert_eq!(field("0.25 0.5 1.0 1/99 7", 0), Some(0.25));
    }

    #[test]
    fn shares_of_cpus_are_taken_over_the_last_second() {
        let mut probe = Probe::open(Metric::Cpu).unwrap();
        let start = Instant::now();
        let mut shares = Vec::new();
        for tick in 0..=300_u64 {
            // Busy in the second second only.
            let busy = tick.saturating_sub(100).min(100) as f64;
            let times = vec![CpuTime { name: "cpu".to_owned(), busy, total: tick as f64 }];
            let mut out = Vec::new();
            probe.cpu(start + Duration::from_millis(10 * tick), times, &mut out);
            shares.extend(out.pop().map(|(_, share)| share));
        }
        assert_eq!((shares[99], shares[149], shares[199], shares[299]), (0.0, 0.5, 1.0, 0.0));
    }

    #[test]
    fn this_machine_has_every_metric() {
        let now = Instant::now();
        for metric in [
            Metric::Cpu,
            Metric::Memory,
            Metric::ContextSwitches,
            Metric::Interrupts,
            Metric::Disk,
            Metric::Network,
            Metric::Load,
        ] {
            let mut probe = Probe::open(metric).unwrap();
            probe.read(now, &mut Vec::new()).unwrap();
            let mut out = Vec::new();
            // Rates need time to pass, shares need steps of the kernel's clock.
            let deadline = now + Duration::from_secs(3600);
            while out.is_empty() {
                probe.read(deadline, &mut out).unwrap();
            }
            assert!(out.iter().all(|(_, value)| value.is_finite() && *value >= 0.0), "{out:?}");
        }
    }
}
