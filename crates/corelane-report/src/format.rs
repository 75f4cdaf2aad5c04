//! Numbers and times as text, short and with their unit.

use std::time::{Duration, SystemTime};

/// A time in nanoseconds, in the unit that suits it.
pub fn nanoseconds(ns: f64) -> String {
    let steps = [(1e3, "ns"), (1e6, "µs"), (1e9, "ms"), (f64::INFINITY, "s")];
    let mut factor = 1.0;
    for (below, unit) in steps {
        // What would be rounded up to a thousand of a unit belongs to the next.
        if ns < below * 0.9995 {
            return format!("{} {unit}", three_digits(ns / factor));
        }
        factor = below;
    }
    "unknown".to_owned()
}

/// A number with a letter for its thousands: 12.3 M.
pub fn short(value: f64) -> String {
    let steps = [(1e3, ""), (1e6, " k"), (1e9, " M"), (f64::INFINITY, " G")];
    let mut factor = 1.0;
    for (below, unit) in steps {
        if value.abs() < below * 0.9995 {
            return format!("{}{unit}", three_digits(value / factor));
        }
        factor = below;
    }
    "unknown".to_owned()
}

/// A whole number with commas between its thousands.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A date and a time of day, in universal time. Times before 1970 are shown as its begin.
pub fn utc(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (since / 86_400, since % 86_400);
    // Howard Hinnant's `civil_from_days`: years begin in March, so that leap days come last.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// At most three digits that count, without zeros behind the point.
fn three_digits(value: f64) -> String {
    let size = value.abs();
    let places = match size {
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fitting_units() {
        let texts = [0.0, 62.4, 999.7, 41_000.0, 12_345_678.0, 2.5e9].map(nanoseconds);
        assert_eq!(texts, ["0 ns", "62.4 ns", "1 µs", "41 µs", "12.3 ms", "2.5 s"]);
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.25, 999.0, 12_258_313.0, 1e9, -3_000.0].map(short);
        assert_eq!(texts, ["0", "0.25", "999", "12.3 M", "1 G", "-3 k"]);
        assert_eq!([0, 999, 1_000, 39_505_044].map(count), ["0", "999", "1,000", "39,505,044"]);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(at(1_795_264_859), "2026-11-21 12:40 UTC");
        assert_eq!(at(4_107_542_399), "2100-02-28 23:59 UTC");
    }
}
