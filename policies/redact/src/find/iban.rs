//! Numbers of bank accounts (ISO 13616): a country that has them, as many characters as it uses, and a right remainder.

use super::{Places, byte};

/// Countries in order, and how many characters their numbers have, as registered.
const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22\
    GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28\
    NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

/// Looks from each letter that begins a word.
pub(super) fn find(text: &str) -> Places {
    let mut places = Places::new();
    let mut at = 0;
    while let Some(first) = text.as_bytes().get(at) {
        let begins = first.is_ascii_alphabetic() && !byte(text, at.checked_sub(1)).is_ascii_alphanumeric();
        match begins.then(|| account_from(text, at)).flatten() {
            Some(end) => {
                places.push((at, end));
                at = end;
            }
            None => at += 1,
        }
    }
    places
}

/// Where the number that begins here ends. Groups stand apart by one space.
fn account_from(text: &str, start: usize) -> Option<usize> {
    // Most words go on otherwise, and the table of countries is long.
    if !matches!(byte(text, Some(start + 2)), b'0'..=b'9' | b' ') {
        return None;
    }
    let length = length(byte(text, Some(start)), byte(text, Some(start + 1)))?;
    // The first four characters are counted last, so they wait.
    let (mut head, mut head_weight, mut remainder) = (0_u32, 1_u32, 0_u32);
    let mut at = start;
    for place in 0..length {
        if place > 0 && byte(text, Some(at)) == b' ' {
            at += 1;
        }
        let character = byte(text, Some(at)).to_ascii_uppercase();
        let value = char::from(character).to_digit(36).filter(|_| character.is_ascii_alphanumeric())?;
        if matches!(place, 2 | 3) && value > 9 {
            return None;
        }
        // A letter is two digits, from 10 to 35.
        let weight = if value > 9 { 100 } else { 10 };
        if place < 4 {
            (head, head_weight) = ((head * weight + value) % 97, head_weight * weight % 97);
        } else {
            remainder = (remainder * weight + value) % 97;
        }
        at += 1;
    }
    let ends = !byte(text, Some(at)).is_ascii_alphanumeric();
    (ends && (remainder * head_weight + head) % 97 == 1).then_some(at)
}

fn length(first: u8, second: u8) -> Option<usize> {
    let country = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    let (entries, _) = LENGTHS.as_bytes().as_chunks::<4>();
    let at = entries.binary_search_by_key(&country, |[first, second, ..]| [*first, *second]).ok()?;
    let [_, _, tens, ones] = entries.get(at)?;
    Some(usize::from(tens - b'0') * 10 + usize::from(ones - b'0'))
}

#[cfg(test)]
mod tests {
    use super::{LENGTHS, find, length};

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = find(text).into_iter().map(|(start, end)| &text[start..end]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_table_is_whole() {
        assert_eq!(LENGTHS.len() % 4, 0);
        assert!(LENGTHS.as_bytes().chunks_exact(4).is_sorted());
        for entry in LENGTHS.as_bytes().chunks_exact(4) {
            assert!((15..=34).contains(&length(entry[0], entry[1]).unwrap()), "{entry:?}");
        }
        assert_eq!((length(b'n', b'L'), length(b'Y', b'E'), length(b'X', b'X')), (Some(18), Some(30), None));
    }

    #[test]
    fn numbers_that_banks_publish_as_examples() {
        for number in [
            "DE89370400440532013000",
            "GB29NWBK60161331926819",
            "NL91ABNA0417164300",
            "FR1420041010050500013M02606",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "CH9300762011623852957",
            "BE68539007547034",
            "nl91abna0417164300",
            "DE89 3704 0044 0532 0130 00",
            "GB29 NWBK 6016 1331 9268 19",
        ] {
            check(number, &[number]);
            check(&format!("IBAN: {number}, BIC"), &[number]);
            check(&format!("({number})"), &[number]);
        }
    }

    #[test]
    fn others() {
        for text in [
            "DE88370400440532013000",
            "DE893704004405320130001",
            "DE8937040044053201300",
            "XDE89370400440532013000",
            "DE89  3704 0044 0532 0130 00",
            "DEAA370400440532013000",
            "XX89370400440532013000",
            "DE",
            "",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn long_texts() {
        check(&"DE89 ".repeat(50_000), &[]);
        check(&"d ".repeat(100_000), &[]);
        check(&"D".repeat(200_000), &[]);
    }
}
