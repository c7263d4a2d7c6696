//! Exact comparison of decimal numbers as text, without a detour over floating point.

/// A JSON number in a form that is the same for equal numbers: no zeros at either end of its digits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number as JSON writes it; `None` for other text, or an exponent beyond 64 bits.
    pub(super) fn parse(text: &str) -> Option<Decimal> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || leading_zero || !all_digits {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let trimmed = all.trim_end_matches('0');
        let dropped = i64::try_from(all.len().checked_sub(trimmed.len())?).ok()?;
        let shift = dropped.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let digits = trimmed.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, exponent: 0 });
        }
        Some(Decimal { negative, digits, exponent: exponent.checked_add(shift)? })
    }
}

impl Decimal {
    /// Whether it is within ±(2^53 - 1), where a double holds every integer.
    pub(super) fn is_safe(&self) -> bool {
        let zeros = usize::try_from(self.exponent.max(0)).unwrap_or(usize::MAX);
        if self.digits.len().saturating_add(zeros) > 16 && self.exponent >= 0 {
            return false;
        }
        // What has a fraction is compared as it is: no integer, and far from the limit unless it has more digits than fit.
        let whole = self.digits.len().saturating_sub(usize::try_from(self.exponent.min(0).unsigned_abs()).unwrap_or(usize::MAX));
        let digits = if self.exponent < 0 {
            self.digits.get(..whole).unwrap_or_default().to_owned()
        } else {
            format!("{}{}", self.digits, "0".repeat(zeros))
        };
        digits.is_empty() || digits.parse::<u64>().is_ok_and(|number| number < 1 << 53)
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
