//! Numbers as bake files count: binary floating point with 512 bits, as HCL says.
//!
//! A [`Number`] is `mantissa * 2^exponent`. Every operation rounds to 512 bits, to even; a decimal
//! is printed with as few digits as tell it from its neighbours. So `0.1 + 0.2` is `0.3`, and big
//! integers are exact.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, BigUint, Sign};

/// Bits of a mantissa.
const PRECISION: u64 = 512;

/// Exponents beyond this are no numbers anybody writes; what is longer to print is refused.
const MAX_EXPONENT: i64 = 1 << 16;

/// A number of a bake file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number {
    mantissa: BigInt,
    exponent: i64,
}

impl Number {
    /// Rounds to the precision and drops trailing zero bits, so that equal numbers have one form.
    fn new(mantissa: BigInt, exponent: i64) -> Self {
        let (sign, magnitude) = mantissa.into_parts();
        let mut exponent = exponent;
        let mut magnitude = magnitude;
        let bits = magnitude.bits();
        if bits > PRECISION {
            let extra = bits - PRECISION;
            magnitude = round_shift(&magnitude, extra);
            exponent += extra.cast_signed();
        }
        match magnitude.trailing_zeros() {
            None => Self { mantissa: BigInt::ZERO, exponent: 0 },
            Some(zeros) => {
                magnitude >>= zeros;
                Self {
                    mantissa: BigInt::from_biguint(sign, magnitude),
                    exponent: exponent + zeros.cast_signed(),
                }
            }
        }
    }

    /// Returns the number that a decimal text means, e.g. `-1.5e3`.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (digits, power) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        if power.abs() > 10_000 || digits.len() > 10_000 {
            return None;
        }
        let magnitude = BigUint::parse_bytes(format!("{whole}{fraction}").as_bytes(), 10)?;
        let mantissa = BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, magnitude);
        let scale = power - i64::try_from(fraction.len()).ok()?;
        let ten = |power: i64| BigInt::from(10).pow(u32::try_from(power).expect("bounded above"));
        Some(if scale >= 0 {
            Self::new(mantissa * ten(scale), 0)
        } else {
            quotient(&mantissa, &ten(-scale), 0)
        })
    }

    /// Returns the number that a double is printed as; none for what is not finite.
    pub fn from_f64(value: f64) -> Option<Self> {
        if value.is_finite() { Self::parse(&value.to_string()) } else { None }
    }

    /// Returns the nearest double.
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Returns whether there is no fraction.
    pub fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// Returns the value when it is an integer of 64 bits.
    pub fn to_i64(&self) -> Option<i64> {
        if !self.is_integer() || self.exponent > 64 {
            return None;
        }
        i64::try_from(&self.mantissa << self.exponent.unsigned_abs()).ok()
    }

    /// Returns the integer below or at the number's value.
    #[must_use]
    pub fn floor(&self) -> Self {
        if self.is_integer() {
            return self.clone();
        }
        Self::new(&self.mantissa >> self.exponent.unsigned_abs(), 0)
    }

    /// Returns the number without its fraction.
    #[must_use]
    pub fn truncate(&self) -> Self {
        if self.is_negative() { self.negate().floor().negate() } else { self.floor() }
    }

    /// Returns whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.mantissa.sign() == Sign::Minus
    }

    /// Returns whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.mantissa.sign() == Sign::NoSign
    }

    /// Returns `-self`.
    #[must_use]
    pub fn negate(&self) -> Self {
        Self { mantissa: -&self.mantissa, exponent: self.exponent }
    }

    /// Returns `self + other`.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let low = self.exponent.min(other.exponent);
        // The far smaller of two numbers changes nothing; do not shift by its distance.
        if (self.exponent - other.exponent).abs() > 4 * PRECISION.cast_signed() + MAX_EXPONENT {
            return if self.exponent > other.exponent && !self.is_zero() {
                self.clone()
            } else {
                other.clone()
            };
        }
        let aligned = |n: &Self| &n.mantissa << (n.exponent - low).unsigned_abs();
        Self::new(aligned(self) + aligned(other), low)
    }

    /// Returns `self - other`.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        self.add(&other.negate())
    }

    /// Returns `self * other`; none when it is too big.
    pub fn multiply(&self, other: &Self) -> Option<Self> {
        Self::new(&self.mantissa * &other.mantissa, self.exponent + other.exponent).bounded()
    }

    /// Returns `self / other`; none for a division by zero.
    pub fn divide(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        quotient(&self.mantissa, &other.mantissa, self.exponent - other.exponent).bounded()
    }

    /// Returns what is left of `self / other`, with the sign of `self`; none for a division by zero.
    pub fn modulo(&self, other: &Self) -> Option<Self> {
        let times = self.divide(other)?.truncate();
        Some(self.subtract(&times.multiply(other)?))
    }

    /// Returns the digits of an integer in a base from 2 to 36.
    pub fn to_base(&self, base: u32) -> Option<String> {
        (self.is_integer() && self.exponent <= MAX_EXPONENT)
            .then(|| (&self.mantissa << self.exponent.unsigned_abs()).to_str_radix(base))
    }

    /// Returns the integer that a text means in a base from 2 to 36.
    pub fn from_base(text: &str, base: u32) -> Option<Self> {
        let parsed = BigInt::parse_bytes(text.as_bytes(), base)?;
        (!text.contains('_') && text.len() < 10_000).then(|| Self::new(parsed, 0))
    }

    fn bounded(self) -> Option<Self> {
        (self.exponent.abs() <= MAX_EXPONENT).then_some(self)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::new(BigInt::from(value), 0)
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self::new(BigInt::from(value), 0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.subtract(other).mantissa.sign().cmp(&Sign::NoSign)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        let (digits, point) = shortest(self.mantissa.magnitude(), self.exponent);
        let count = i64::try_from(digits.len()).expect("few digits");
        if self.is_integer() || point >= count {
            let zeros = usize::try_from((point - count).max(0)).expect("bounded exponent");
            return write!(f, "{sign}{digits}{}", "0".repeat(zeros));
        }
        if point <= 0 {
            let zeros = usize::try_from(-point).expect("bounded exponent");
            return write!(f, "{sign}0.{}{digits}", "0".repeat(zeros));
        }
        let (whole, fraction) = digits.split_at(usize::try_from(point).expect("within the digits"));
        write!(f, "{sign}{whole}.{fraction}")
    }
}

/// `magnitude >> bits`, to the nearest, ties to even.
fn round_shift(magnitude: &BigUint, bits: u64) -> BigUint {
    let shifted = magnitude >> bits;
    let half = magnitude.bit(bits - 1);
    let more = magnitude.trailing_zeros().is_some_and(|zeros| zeros < bits - 1);
    if half && (more || shifted.bit(0)) { shifted + 1u32 } else { shifted }
}

/// `a / b * 2^exponent`
fn quotient(a: &BigInt, b: &BigInt, exponent: i64) -> Number {
    let sign = if (a.sign() == Sign::Minus) == (b.sign() == Sign::Minus) { Sign::Plus } else { Sign::Minus };
    let (a, b) = (a.magnitude(), b.magnitude());
    // Enough bits that the quotient has the precision and two to spare; the last one is sticky.
    let shift = (PRECISION + 2 + b.bits()).saturating_sub(a.bits());
    let numerator = a << shift;
    let whole = &numerator / b;
    let exact = &whole * b == numerator;
    let mantissa = (whole << 1u32) + u32::from(!exact);
    Number::new(BigInt::from_biguint(sign, mantissa), exponent - shift.cast_signed() - 1)
}

/// Returns the fewest digits that tell the number from its neighbours, and where the point stands.
fn shortest(mantissa: &BigUint, exponent: i64) -> (String, i64) {
    let length = |text: &str| i64::try_from(text.len()).expect("few digits");
    if mantissa.bits() == 0 {
        return ("0".to_owned(), 1);
    }
    if exponent >= 0 {
        // Integers are printed whole: they fit the precision unless they are huge.
        let text = (mantissa << exponent.unsigned_abs()).to_str_radix(10);
        let point = length(&text);
        return (text, point);
    }
    // mantissa = value * 2^-exponent; half a step of the last bit is the room on both sides.
    let spare = PRECISION - mantissa.bits();
    let down = exponent - spare.cast_signed() - 1;
    let scale = BigUint::from(1u32) << down.unsigned_abs();
    let value = mantissa << (spare + 1);
    // Digits of the whole part stand first.
    let whole = (&value / &scale).to_str_radix(10);
    let (mut digits, mut rest) = (if whole == "0" { String::new() } else { whole }, &value % &scale);
    let mut point = length(&digits);
    let mut room = BigUint::from(1u32);
    loop {
        let ends_low = rest <= room;
        let ends_high = &rest + &room >= scale;
        if ends_low || ends_high {
            if ends_high && (!ends_low || &rest * 2u32 > scale) {
                if digits.is_empty() {
                    return ("1".to_owned(), point + 1);
                }
                point += i64::from(increment(&mut digits));
            }
            let kept = digits.trim_end_matches('0').len();
            if kept > 0 && length(&digits) > point {
                digits.truncate(kept.max(usize::try_from(point.max(0)).unwrap_or(0)));
            }
            return (digits, point);
        }
        rest *= 10u32;
        room *= 10u32;
        let digit = &rest / &scale;
        rest %= &scale;
        if digits.is_empty() && digit.bits() == 0 {
            point -= 1;
        } else {
            digits.push_str(&digit.to_str_radix(10));
        }
    }
}

/// Adds one to the last digit; true when the number of digits grew.
fn increment(digits: &mut String) -> bool {
    let nines = digits.len() - digits.trim_end_matches('9').len();
    let kept = digits.len() - nines;
    let zeros = "0".repeat(nines);
    if kept == 0 {
        *digits = format!("1{zeros}");
        return true;
    }
    let last = digits.as_bytes()[kept - 1] + 1;
    *digits = format!("{}{}{zeros}", &digits[..kept - 1], char::from(last));
    false
}

#[cfg(test)]
mod tests {
    use super::Number;

    fn n(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn prints_what_was_read() {
        for text in [
            "0",
            "1",
            "-1",
            "10",
            "0.1",
            "1.5",
            "-0.001",
            "123456789012345678901234567890",
            "99.99",
            "0.5",
            "100.25",
        ] {
            assert_eq!(n(text).to_string(), text);
        }
        assert_eq!(n("1e3").to_string(), "1000");
        assert_eq!(n("1.50").to_string(), "1.5");
        assert_eq!(n("25e-2").to_string(), "0.25");
        assert!(
            ["", "-", ".", "1e", "0x1", "1_0", "a", "1e99999"].iter().all(|t| Number::parse(t).is_none())
        );
    }

    #[test]
    fn counts() {
        assert_eq!(n("0.1").add(&n("0.2")).to_string(), "0.3");
        assert_eq!(n("7").modulo(&n("3")).unwrap().to_string(), "1");
        assert_eq!(n("-7").modulo(&n("3")).unwrap().to_string(), "-1");
        assert_eq!(n("-1.5").floor().to_string(), "-2");
        assert_eq!(n("-1.5").truncate().to_string(), "-1");
        assert!(n("1").divide(&n("0")).is_none());
        let third = n("1").divide(&n("3")).unwrap().to_string();
        assert_eq!(third, format!("0.{}5", "3".repeat(154)));
        assert_eq!(n("255").to_base(16).unwrap(), "ff");
        assert!(n("2") > n("1.999") && n("-2") < n("-1"));
        assert_eq!(Number::from_f64(0.25).unwrap(), n("0.25"));
    }
}
