//! Points in time as people write them.

use time::{
    Date, Duration, OffsetDateTime, Time, format_description::well_known::Rfc3339, macros::format_description,
};

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time: write 90s, 15m, 1h, 7d or 2w (ago), today, yesterday, 2026-03-01 or 2026-03-01T02:15:00Z"
)]
pub struct BadTime(String);

/// Reads `90s`, `15m`, `1h`, `7d`, `2w` (that long before `now`), `today`, `yesterday` and dates (their
/// first moment in UTC), and RFC 3339.
///
/// # Errors
/// [`BadTime`].
pub fn parse(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, BadTime> {
    let read = match text {
        "now" => Some(now),
        "today" => Some(midnight(utc_date(now))),
        "yesterday" => utc_date(now).previous_day().map(midnight),
        _ => ago(text, now).or_else(|| date(text)).or_else(|| OffsetDateTime::parse(text, &Rfc3339).ok()),
    };
    read.ok_or_else(|| BadTime(text.chars().take(80).collect()))
}

fn ago(text: &str, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let count = text.strip_suffix(unit)?;
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: i64 = count.parse().ok()?;
    now.checked_sub(Duration::seconds(count.checked_mul(seconds)?))
}

fn date(text: &str) -> Option<OffsetDateTime> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok().map(midnight)
}

fn utc_date(time: OffsetDateTime) -> Date {
    time.to_utc().date()
}

fn midnight(date: Date) -> OffsetDateTime {
    date.with_time(Time::MIDNIGHT).assume_utc()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:30:00 UTC);

    fn check(text: &str, expected: OffsetDateTime) {
        assert_eq!(parse(text, NOW), Ok(expected), "{text}");
    }

    #[test]
    fn reads_what_people_write() {
        check("now", NOW);
        check("90s", datetime!(2026-03-01 12:28:30 UTC));
        check("15m", datetime!(2026-03-01 12:15:00 UTC));
        check("1h", datetime!(2026-03-01 11:30:00 UTC));
        check("7d", datetime!(2026-02-22 12:30:00 UTC));
        check("2w", datetime!(2026-02-15 12:30:00 UTC));
        check("today", datetime!(2026-03-01 00:00:00 UTC));
        check("yesterday", datetime!(2026-02-28 00:00:00 UTC));
        check("2026-01-31", datetime!(2026-01-31 00:00:00 UTC));
        check("2026-03-01T02:15:00Z", datetime!(2026-03-01 02:15:00 UTC));
        check("2026-03-01T02:15:00.5+02:00", datetime!(2026-03-01 00:15:00.5 UTC));
    }

    #[test]
    fn today_is_utc() {
        let late = datetime!(2026-03-01 23:30:00 -05:00);
        assert_eq!(parse("today", late), Ok(datetime!(2026-03-02 00:00:00 UTC)));
    }

    #[test]
    fn refuses_the_rest() {
        for bad in [
            "",
            "h",
            "-1h",
            "+1h",
            "1",
            "1.5h",
            "1 h",
            "1h ",
            "1y",
            "tomorrow",
            "2026-13-01",
            "2026-02-30",
            "02:15",
            "2026-03-01T02:15",
            "99999999999999999999d",
            "9999999999999999h",
            "１h",
        ] {
            assert_eq!(parse(bad, NOW), Err(BadTime(bad.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = parse(&text, NOW);
        }

        #[test]
        fn reads_stored_times(seconds in 0_i64..4_000_000_000) {
            let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            prop_assert_eq!(parse(&crate::record::stamp::stamp(time), NOW), Ok(time));
        }
    }
}
