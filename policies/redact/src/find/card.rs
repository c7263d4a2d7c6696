//! Numbers of payment cards: digits, perhaps in groups, that begin as a network's do and whose check digit is right.

use super::{Places, byte};

const DIGITS_MIN: usize = 12;
const DIGITS_MAX: usize = 19;

/// Begins of numbers as ranges of their first digits, and how many digits such numbers have. A range's two ends are equally long.
const NETWORKS: &[(&str, &str, usize, usize)] = &[
    // Visa
    ("4", "4", 13, 13),
    ("4", "4", 16, 16),
    ("4", "4", 19, 19),
    // Mastercard
    ("51", "55", 16, 16),
    ("2221", "2720", 16, 16),
    // American Express
    ("34", "34", 15, 15),
    ("37", "37", 15, 15),
    // Diners Club
    ("300", "305", 14, 19),
    ("36", "36", 14, 19),
    ("38", "39", 14, 19),
    // JCB
    ("3528", "3589", 16, 19),
    // Discover
    ("6011", "6011", 16, 19),
    ("644", "659", 16, 19),
    // UnionPay
    ("62", "62", 16, 19),
    // Maestro
    ("5018", "5018", 12, 19),
    ("5020", "5020", 12, 19),
    ("5038", "5038", 12, 19),
    ("5893", "5893", 12, 19),
    ("6304", "6304", 12, 19),
    ("6759", "6759", 12, 19),
    ("6761", "6763", 12, 19),
];

/// Looks from each digit that begins a group.
pub(super) fn find(text: &str) -> Places {
    let mut places = Places::new();
    let mut at = 0;
    while let Some(first) = text.as_bytes().get(at) {
        let begins = first.is_ascii_digit() && !byte(text, at.checked_sub(1)).is_ascii_digit();
        match begins.then(|| card_from(text, at)).flatten() {
            Some(end) => {
                places.push((at, end));
                at = end;
            }
            None => at += 1,
        }
    }
    places
}

/// Where the longest number that begins here ends. Groups stand apart by one space or hyphen.
fn card_from(text: &str, start: usize) -> Option<usize> {
    let mut digits = [0; DIGITS_MAX];
    let mut count = 0;
    let mut end = None;
    let mut at = start;
    loop {
        let current = byte(text, Some(at));
        if !current.is_ascii_digit() {
            return end;
        }
        // Too many digits: then only what was complete before them counts.
        let Some(digit) = digits.get_mut(count) else { return end };
        *digit = current;
        count += 1;
        at += 1;
        if !byte(text, Some(at)).is_ascii_digit() {
            if digits.get(..count).is_some_and(is_card) {
                end = Some(at);
            }
            if matches!(byte(text, Some(at)), b' ' | b'-') {
                at += 1;
            }
        }
    }
}

/// Whether these digits, without anything between them, are the number of a card.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let of_network = |(low, high, least, most): &(&str, &str, usize, usize)| {
        let begin = digits.get(..low.len()).unwrap_or_default();
        (*least..=*most).contains(&digits.len()) && begin >= low.as_bytes() && begin <= high.as_bytes()
    };
    (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) && NETWORKS.iter().any(of_network) && has_right_check_digit(digits)
}

/// Luhn's sum (ISO/IEC 7812-1): every second digit from the right is doubled, and the sum of all digits ends in zero.
fn has_right_check_digit(digits: &[u8]) -> bool {
    let mut sum = 0;
    for (place, byte) in digits.iter().rev().enumerate() {
        let Some(value) = char::from(*byte).to_digit(10) else { return false };
        let value = if place % 2 == 1 { value * 2 } else { value };
        sum += if value > 9 { value - 9 } else { value };
    }
    sum % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::{find, has_right_check_digit, is_card};

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = find(text).into_iter().map(|(start, end)| &text[start..end]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn check_digits() {
        for right in ["0", "18", "79927398713", "4111111111111111", "0000000000000000"] {
            assert!(has_right_check_digit(right.as_bytes()), "{right}");
        }
        for wrong in ["1", "79927398710", "4111111111111112", "4111111111111a11"] {
            assert!(!has_right_check_digit(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn numbers_that_networks_publish_for_tests() {
        for number in [
            "4111111111111111",
            "4222222222222",
            "4000000000000000006",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "6011111111111117",
            "30569309025904",
            "3530111333300000",
            "6200000000000005",
            "6759649826438453",
        ] {
            assert!(is_card(number.as_bytes()), "{number}");
            check(&format!("x{number}."), &[number]);
        }
    }

    #[test]
    fn groups() {
        check("4111 1111 1111 1111", &["4111 1111 1111 1111"]);
        check("4111-1111-1111-1111", &["4111-1111-1111-1111"]);
        check("3782 822463 10005", &["3782 822463 10005"]);
        check("on 2026 4111 1111 1111 1111 for 12", &["4111 1111 1111 1111"]);
        check("4111111111111111,5555555555554444", &["4111111111111111", "5555555555554444"]);
        check("card:4111 1111 1111 1111 2028", &["4111 1111 1111 1111"]);
    }

    #[test]
    fn other_numbers() {
        for text in [
            "4111111111111112",
            "41111111111111111",
            "14111111111111111",
            "4111  1111  1111  1111",
            "4111.1111.1111.1111",
            "1234567890123456",
            "1700000000000000000",
            "0000000000000000",
            "+49 170 1234567",
            "",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn long_texts() {
        check(&"4".repeat(200_000), &[]);
        check(&"4 ".repeat(100_000), &[]);
        check(&"4-".repeat(100_000), &[]);
    }
}
