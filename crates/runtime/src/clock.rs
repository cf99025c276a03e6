//! The date for templates that ask for it, in UTC: the standard library knows no time zones.

use web_time::{SystemTime, UNIX_EPOCH};

use chord_text::CivilTime;

/// Days of a Gregorian cycle of 400 years.
const CYCLE_DAYS: u64 = 146_097;

/// `time` as date and time of day. Before 1970 it is 1970, after 9999 nobody asks.
pub(crate) fn utc(time: SystemTime) -> CivilTime {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that begin on 1 March put the leap day at their end; 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days.saturating_add(719_468);
    let (cycle, day) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
    let year_of_cycle = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = cycle.saturating_mul(400) + year_of_cycle + u64::from(month <= 2);
    let small = |n: u64| u8::try_from(n).unwrap_or(0);
    CivilTime {
        year: i32::try_from(year).unwrap_or(9999),
        month: small(month),
        day: small(day),
        hour: small(rest / 3_600),
        minute: small(rest / 60 % 60),
        second: small(rest % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_as_gnu_date_prints_them() {
        for (seconds, want) in [
            (0, (1970, 1, 1, 0, 0, 0)),
            (951_782_399, (2000, 2, 28, 23, 59, 59)),
            (951_782_400, (2000, 2, 29, 0, 0, 0)),
            (951_868_800, (2000, 3, 1, 0, 0, 0)),
            (1_795_259_720, (2026, 11, 21, 11, 15, 20)),
            (4_107_542_400, (2100, 3, 1, 0, 0, 0)),
        ] {
            let t = utc(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(
                (t.year, t.month, t.day, t.hour, t.minute, t.second),
                want,
                "{seconds}"
            );
        }
    }
}
