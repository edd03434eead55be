//! Times in RFC 3339.

use std::collections::BTreeMap;

use super::Takes::{Number as Num, String as Str};
use super::{Fail, Function, fixed};
use crate::bake::value::Value;

pub(super) const TABLE: &[Function] = &[
    fixed("timestamp", &[], |a| Ok(Value::string(Time::from_unix(a.host.now, 0).rfc3339()))),
    fixed("timeadd", &[("timestamp", Str), ("duration", Str)], |a| {
        let time = Time::parse(a.text(0))?;
        let nanos = duration(a.text(1)).ok_or_else(|| format!("time: invalid duration {:?}", a.text(1)))?;
        let moved = i128::from(time.unix()) * 1_000_000_000 + i128::from(time.nanos) + nanos;
        let seconds =
            i64::try_from(moved.div_euclid(1_000_000_000)).map_err(|_| "the time is out of range")?;
        Ok(Value::string(Time::checked(seconds, time.offset)?.rfc3339()))
    }),
    fixed("formatdate", &[("format", Str), ("time", Str)], |a| {
        let time = Time::parse(a.text(1)).map_err(|fail| match fail {
            Fail::Call(why) => Fail::Argument(1, why),
            other => other,
        })?;
        format_date(a.text(0), &time)
    }),
    fixed("formattimestamp", &[("format", Str), ("time", Str)], |a| {
        let time = match a.text(1).parse::<i64>() {
            Ok(seconds) => Time::checked(seconds, 0)?,
            Err(_) => Time::parse(a.text(1))?,
        };
        format_date(a.text(0), &time)
    }),
    fixed("rfc3339parse", &[("timestamp", Str)], |a| Ok(Time::parse(a.text(0))?.object())),
    fixed(
        "unixtimestampparse",
        &[("unix_timestamp", Num)],
        |a| Ok(Time::checked(a.integer(0)?, 0)?.object()),
    ),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Seconds from year 0 to year 9999: what RFC 3339 can say.
const RANGE: std::ops::Range<i64> = -62_167_219_200..253_402_300_800;

/// A time with its offset from UTC in seconds.
struct Time {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
    nanos: u32,
    offset: i64,
}

impl Time {
    fn from_unix(seconds: i64, offset: i64) -> Self {
        let local = seconds + offset;
        let (days, second_of_day) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        // Howard Hinnant's civil_from_days.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        Self { year, month, day: doy - (153 * mp + 2) / 5 + 1, second_of_day, nanos: 0, offset }
    }

    fn checked(seconds: i64, offset: i64) -> Result<Self, Fail> {
        if RANGE.contains(&seconds) {
            Ok(Self::from_unix(seconds, offset))
        } else {
            Err("the time is out of range".into())
        }
    }

    fn days(&self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let (era, yoe) = (year.div_euclid(400), year.rem_euclid(400));
        let doy = (153 * (self.month + if self.month > 2 { -3 } else { 9 }) + 2) / 5 + self.day - 1;
        era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
    }

    fn unix(&self) -> i64 {
        self.days() * 86_400 + self.second_of_day - self.offset
    }

    fn parse(text: &str) -> Result<Self, Fail> {
        let bad = |part: &str, name: &str| {
            Fail::Call(format!("not a valid RFC3339 timestamp: cannot use {part:?} as {name}"))
        };
        let field = |from: usize, to: usize, name: &str, most: i64| -> Result<i64, Fail> {
            let part = text.get(from..to).unwrap_or_else(|| text.get(from..).unwrap_or_default());
            let digits = part.len() == to - from && part.bytes().all(|b| b.is_ascii_digit());
            let number = digits.then(|| part.parse().ok()).flatten().filter(|n| *n <= most);
            number.ok_or_else(|| bad(part, name))
        };
        let mark = |at: usize, marks: &str| -> Result<(), Fail> {
            let found = text.as_bytes().get(at).copied().map(char::from);
            match found {
                Some(c) if marks.contains(c) => Ok(()),
                _ => Err(Fail::Call(format!(
                    "not a valid RFC3339 timestamp: missing required time introducer 'T' or separator in {text:?}"
                ))),
            }
        };
        let year = field(0, 4, "year", 9999)?;
        mark(4, "-")?;
        let month = field(5, 7, "month", 12)?;
        mark(7, "-")?;
        let day = field(8, 10, "day of month", 31)?;
        mark(10, "T")?;
        let hour = field(11, 13, "hour", 23)?;
        mark(13, ":")?;
        let minute = field(14, 16, "minute", 59)?;
        mark(16, ":")?;
        let second = field(17, 19, "second", 59)?;
        let mut rest = text.get(19..).unwrap_or_default();
        let mut nanos = 0;
        if let Some(fraction) = rest.strip_prefix('.') {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            nanos = format!("{:0<9.9}", &fraction[..digits]).parse().unwrap_or(0);
            rest = &fraction[digits..];
        }
        let offset = match rest.as_bytes() {
            b"Z" => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let two = |a: &u8, b: &u8| -> Option<i64> {
                    (a.is_ascii_digit() && b.is_ascii_digit())
                        .then(|| i64::from(a - b'0') * 10 + i64::from(b - b'0'))
                };
                let seconds = two(h1, h2).zip(two(m1, m2)).map(|(h, m)| h * 3600 + m * 60);
                let seconds = seconds.ok_or_else(|| bad(rest, "UTC offset"))?;
                if *sign == b'-' { -seconds } else { seconds }
            }
            _ => return Err(bad(rest, "UTC offset")),
        };
        let time =
            Self { year, month, day, second_of_day: hour * 3600 + minute * 60 + second, nanos, offset };
        if month == 0 || day == 0 || Self::from_unix(time.unix(), offset).day != day {
            return Err(bad(text.get(8..10).unwrap_or_default(), "day of month"));
        }
        Ok(time)
    }

    fn zone(&self, colon: &str) -> String {
        let (sign, offset) = if self.offset < 0 { ('-', -self.offset) } else { ('+', self.offset) };
        format!("{sign}{:02}{colon}{:02}", offset / 3600, offset / 60 % 60)
    }

    fn rfc3339(&self) -> String {
        let zone = if self.offset == 0 { "Z".to_owned() } else { self.zone(":") };
        let (h, m, s) = self.clock();
        format!("{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}{zone}", self.year, self.month, self.day)
    }

    fn clock(&self) -> (i64, i64, i64) {
        (self.second_of_day / 3600, self.second_of_day / 60 % 60, self.second_of_day % 60)
    }

    fn weekday(&self) -> usize {
        usize::try_from((self.days() + 4).rem_euclid(7)).unwrap_or(0)
    }

    fn month_name(&self) -> &'static str {
        MONTHS[usize::try_from(self.month - 1).unwrap_or(0) % 12]
    }

    fn object(&self) -> Value {
        let (hour, minute, second) = self.clock();
        let january = Self { month: 1, day: 1, ..Self::from_unix(self.unix(), self.offset) };
        let year_day = self.days() - january.days() + 1;
        let number = |value: i64| Value::Number(value.into());
        // ISO 8601: the week with the year's first Thursday is its first.
        let iso_weekday = i64::try_from((self.weekday() + 6) % 7).unwrap_or(0) + 1;
        let thursday = Self::from_unix(self.unix() + (4 - iso_weekday) * 86_400, self.offset);
        let new_year = Self { month: 1, day: 1, ..Self::from_unix(thursday.unix(), self.offset) };
        let fields = [
            ("year", number(self.year)),
            ("year_day", number(year_day)),
            ("day", number(self.day)),
            ("month", number(self.month)),
            ("month_name", Value::string(self.month_name())),
            ("weekday", Value::count(self.weekday())),
            ("weekday_name", Value::string(DAYS[self.weekday()])),
            ("hour", number(hour)),
            ("minute", number(minute)),
            ("second", number(second)),
            ("unix", number(self.unix())),
            ("iso_year", number(thursday.year)),
            ("iso_week", number((thursday.days() - new_year.days()) / 7 + 1)),
        ];
        Value::map(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>())
    }
}

/// Nanoseconds of Go's durations, e.g. `-1h30m` or `1.5s`.
fn duration(text: &str) -> Option<i128> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, size) =
            [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)]
                .into_iter()
                .filter(|(unit, _)| rest.starts_with(unit))
                .max_by_key(|(unit, _)| unit.len())?;
        rest = &rest[unit.len()..];
        total += number * size;
    }
    if total > 9.3e18 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
    let nanos = total as i128;
    Some(if negative { -nanos } else { nanos })
}

/// Letters that repeat are a verb, text in single quotes is literal.
fn format_date(format: &str, time: &Time) -> Result<Value, Fail> {
    let mut out = String::new();
    let chars: Vec<char> = format.chars().collect();
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        if c == '\'' {
            i += 1;
            loop {
                match (chars.get(i), chars.get(i + 1)) {
                    (Some('\''), Some('\'')) => {
                        out.push('\'');
                        i += 2;
                    }
                    (Some('\''), _) => break,
                    (Some(other), _) => {
                        out.push(*other);
                        i += 1;
                    }
                    (None, _) => return Err(Fail::Argument(0, "unterminated literal '".to_owned())),
                }
            }
            i += 1;
        } else if c.is_ascii_alphabetic() {
            let count = chars[i..].iter().take_while(|other| **other == c).count();
            let verb: String = chars[i..i + count].iter().collect();
            out.push_str(&date_verb(&verb, time)?);
            i += count;
        } else {
            out.push(c);
            i += 1;
        }
    }
    Ok(Value::string(out))
}

fn date_verb(verb: &str, time: &Time) -> Result<String, Fail> {
    let (hour, minute, second) = time.clock();
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    Ok(match verb {
        "YYYY" => format!("{:04}", time.year),
        "YY" => format!("{:02}", time.year % 100),
        "MMMM" => time.month_name().to_owned(),
        "MMM" => time.month_name()[..3].to_owned(),
        "MM" => format!("{:02}", time.month),
        "M" => time.month.to_string(),
        "DD" => format!("{:02}", time.day),
        "D" => time.day.to_string(),
        "EEEE" => DAYS[time.weekday()].to_owned(),
        "EEE" => DAYS[time.weekday()][..3].to_owned(),
        "hh" => format!("{hour:02}"),
        "h" => hour.to_string(),
        "HH" => format!("{twelve:02}"),
        "H" => twelve.to_string(),
        "AA" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "aa" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        "mm" => format!("{minute:02}"),
        "m" => minute.to_string(),
        "ss" => format!("{second:02}"),
        "s" => second.to_string(),
        "ZZZZZ" => time.zone(":"),
        "ZZZZ" => time.zone(""),
        "ZZZ" if time.offset == 0 => "UTC".to_owned(),
        "ZZZ" => time.zone(""),
        "Z" if time.offset == 0 => "Z".to_owned(),
        "Z" => time.zone(":"),
        _ => return Err(Fail::Argument(0, format!("invalid date format verb {verb:?}"))),
    })
}
