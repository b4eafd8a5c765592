//! Sizes and durations as people read them.

use std::time::Duration;

/// A size in decimal units with two significant digits or more: `999 B`, `1.2 GB`, `702 MB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut unit = 1_000_u64;
    let mut names = UNITS.iter();
    let mut name = names.next().copied().unwrap_or_default();
    // 999,500 of one unit would be shown as 1,000: the next unit says 1.0.
    while bytes >= unit.saturating_mul(1_000) - unit / 2 {
        let Some(next) = names.next() else { break };
        name = next;
        unit *= 1_000;
    }
    let tenths = (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
    if tenths < 100 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        let whole = (u128::from(bytes) + u128::from(unit) / 2) / u128::from(unit);
        format!("{whole} {name}")
    }
}

/// A duration: `0.4 s`, `13 s`, `5 min`, `2 min 5 s`, `3 h 20 min`.
pub fn duration(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    let seconds = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) if tenths < 100 && !tenths.is_multiple_of(10) => {
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// How many of something, with its noun: `1 file`, `2 files`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_and_short() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (65_536, "66 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (9_949_999, "9.9 MB"),
            (9_950_000, "10 MB"),
            (702_000_000, "702 MB"),
            (1_234_567_890, "1.2 GB"),
            (u64::MAX, "18 EB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn durations_are_as_exact_as_they_are_short() {
        let cases = [
            (0, "0 s"),
            (440, "0.4 s"),
            (9_960, "10 s"),
            (13_400, "13 s"),
            (59_600, "1 min"),
            (125_000, "2 min 5 s"),
            (300_000, "5 min"),
            (12_000_000, "3 h 20 min"),
            (3_600_000, "1 h"),
        ];
        for (millis, expected) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), expected, "{millis}");
        }
    }

    #[test]
    fn one_file_is_not_one_files() {
        assert_eq!(
            (count(0, "file"), count(1, "file"), count(2, "file")),
            ("0 files".into(), "1 file".into(), "2 files".into())
        );
    }
}
