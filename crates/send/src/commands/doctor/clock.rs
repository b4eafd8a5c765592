//! This machine's clock beside that of the server.

use std::time::{Duration, SystemTime};

use crate::report::{Check, Fact, Finding};
use crate::units;

/// A difference up to this does no harm: the server tells whole seconds, and takes a moment to.
const TOLERANCE: Duration = Duration::from_secs(30);

/// Compares what the server said with what it is here.
pub(super) fn compare(server: SystemTime, here: SystemTime) -> Finding {
    let (differs, is_ahead) = match here.duration_since(server) {
        Ok(ahead) => (ahead, true),
        Err(behind) => (behind.duration(), false),
    };
    let seconds = i64::try_from(differs.as_secs()).unwrap_or(i64::MAX);
    let finding = if differs <= TOLERANCE {
        Finding::good(Check::Clock, "right", "The clock agrees with the server's.")
    } else {
        let by = units::duration(Duration::from_secs(differs.as_secs()));
        let side = if is_ahead { "ahead of" } else { "behind" };
        let message = format!("The clock is {by} {side} the server's: one of the two is wrong.");
        Finding::warning(Check::Clock, "differs", message)
            .advise("set the clock, best by NTP: certificates are good for a time, and so is what a relay is asked with")
    };
    finding.with("ahead", Fact::Number(if is_ahead { seconds } else { -seconds }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;

    #[test]
    fn a_clock_is_right_within_half_a_minute_either_way() {
        let server = SystemTime::UNIX_EPOCH + Duration::from_hours(400_000);
        let minute = Duration::from_mins(1);
        assert_eq!(compare(server, server + TOLERANCE).verdict, Verdict::Good);
        assert_eq!(compare(server, server - TOLERANCE).verdict, Verdict::Good);
        let ahead = compare(server, server + 5 * minute);
        assert_eq!((ahead.verdict, &ahead.facts[0].1), (Verdict::Warning, &Fact::Number(300)));
        assert!(ahead.message.contains("5 min ahead"), "{}", ahead.message);
        let behind = compare(server, server - 90 * minute);
        assert_eq!(behind.facts[0].1, Fact::Number(-5_400));
        assert!(behind.message.contains("1 h 30 min behind"), "{}", behind.message);
    }
}
