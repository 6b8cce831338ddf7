//! Times as they are stored: RFC 3339 in UTC with exactly six fractional digits, so that the order of
//! the texts is the order of the times.

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// `2026-03-01T02:15:00.000000Z`: always 27 characters. What is below a microsecond is dropped.
pub(super) fn stamp(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        time.year().clamp(0, 9999),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond()
    )
}

/// Reads a stored time.
pub(super) fn unstamp(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn check(time: OffsetDateTime, expected: &str) {
        assert_eq!(stamp(time), expected);
    }

    #[test]
    fn has_a_fixed_width_and_is_utc() {
        check(datetime!(2026-03-01 02:15:00 UTC), "2026-03-01T02:15:00.000000Z");
        check(datetime!(2026-03-01 02:15:00.000_001_999 UTC), "2026-03-01T02:15:00.000001Z");
        check(datetime!(2026-03-01 01:15:00.5 +02:00), "2026-02-28T23:15:00.500000Z");
    }

    proptest! {
        #[test]
        fn orders_as_time_does(a in 0_i64..4_000_000_000_000_000, b in 0_i64..4_000_000_000_000_000) {
            let at = |us: i64| OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1000).unwrap();
            prop_assert_eq!(stamp(at(a)).cmp(&stamp(at(b))), a.cmp(&b));
            prop_assert_eq!(unstamp(&stamp(at(a))), Some(at(a)));
        }
    }
}
