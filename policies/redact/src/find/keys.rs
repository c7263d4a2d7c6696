//! Keys: those of Amazon's kind, tokens in three parts, and private keys in text form.

use super::{Places, byte};

const AWS_ID_BYTES: usize = 20;
const AWS_SECRET_BYTES: usize = 40;
/// Kinds of ids, by their first four letters. The one for certificates (`ASCA`) is public.
const AWS_ID_KINDS: [&str; 10] = ["AKIA", "ASIA", "AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ANVA", "ABIA", "ACCA"];
/// So far before a secret may stand what tells that it is one.
const HINT_BYTES: usize = 64;
const PEM_LABEL_BYTES_MAX: usize = 64;

/// Ids of access keys, and secrets that are named as such, before them in the text or by the member that holds it.
pub(super) fn find_aws(text: &str, member: &str) -> Places {
    let mut places = Places::new();
    for (start, _) in text.match_indices('A') {
        let Some(id) = text.get(start..start + AWS_ID_BYTES) else { continue };
        let is_id =
            AWS_ID_KINDS.iter().any(|kind| id.starts_with(kind)) && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let end = start + AWS_ID_BYTES;
        if is_id && !byte(text, start.checked_sub(1)).is_ascii_alphanumeric() && !byte(text, Some(end)).is_ascii_alphanumeric() {
            places.push((start, end));
        }
    }
    let named = has_hint(member.as_bytes());
    let mut start = 0;
    for run in text.as_bytes().split(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+'))) {
        let end = start + run.len();
        if run.len() == AWS_SECRET_BYTES && is_mixed(run) && (named || has_hint(before(text, start))) {
            places.push((start, end));
        }
        // Over the byte that split it off.
        start = end + 1;
    }
    places
}

fn before(text: &str, at: usize) -> &[u8] {
    text.as_bytes().get(at.saturating_sub(HINT_BYTES)..at).unwrap_or_default()
}

fn has_hint(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|window| window.eq_ignore_ascii_case(b"secret"))
}

/// A digest in hexadecimal has 40 characters too, and a word none of the digits.
fn is_mixed(run: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| run.iter().any(is);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

/// JSON Web Tokens, signed or encrypted: parts in base64url between dots, of which the first is a JSON object.
pub(super) fn find_jwt(text: &str) -> Places {
    const HEADER_BYTES_MIN: usize = 10;
    let of_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut places = Places::new();
    let mut past = 0;
    // `{"` in base64, which is how every header begins.
    for (start, _) in text.match_indices("eyJ") {
        if start < past || of_part(&byte(text, start.checked_sub(1))) {
            continue;
        }
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| !of_part(byte) && *byte != b'.').unwrap_or(rest.len());
        let token = text.get(start..start + length).unwrap_or_default().trim_end_matches('.');
        let mut parts = token.split('.');
        let header = parts.next().unwrap_or_default();
        let others = parts.count();
        // What was looked at is not looked at again, so that a text full of beginnings is read once.
        past = start + length;
        // A token without a signature ends in a dot, which a sentence may do as well: it has two parts or more.
        if header.len() >= HEADER_BYTES_MIN && others >= 1 && token.len() > header.len() + 1 + HEADER_BYTES_MIN {
            places.push((start, start + token.len()));
        }
    }
    places
}

/// From the line that begins a private key to the one that ends it, or to the end of the text.
pub(super) fn find_private(text: &str) -> Places {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    const DASHES: &str = "-----";
    let mut places = Places::new();
    let mut past = 0;
    for (start, _) in text.match_indices(BEGIN) {
        let body = start + BEGIN.len();
        let label_end = text.as_bytes().get(body..).unwrap_or_default().windows(DASHES.len()).take(PEM_LABEL_BYTES_MAX);
        let Some(label) = label_end.clone().position(|window| window == DASHES.as_bytes()) else { continue };
        let is_private = text.get(body..body + label).is_some_and(|label| label.contains("PRIVATE KEY"));
        if start < past || !is_private {
            continue;
        }
        let end = text.get(body..).and_then(|rest| rest.find(END)).and_then(|end| {
            let closing = body + end + END.len();
            text.get(closing..)?.find(DASHES).map(|dashes| closing + dashes + DASHES.len())
        });
        past = end.unwrap_or(text.len());
        places.push((start, past));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::{Places, find_aws, find_jwt, find_private};

    #[track_caller]
    fn check(find: impl Fn(&str) -> Places, text: &str, expected: &[&str]) {
        let found: Vec<_> = find(text).into_iter().map(|(start, end)| &text[start..end]).collect();
        assert_eq!(found, expected, "{text}");
    }

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    #[test]
    fn ids_of_access_keys() {
        let find = |text: &str| find_aws(text, "");
        check(find, ID, &[ID]);
        check(find, &format!("key={ID}; ä{ID}ä"), &[ID, ID]);
        for text in [&ID[..19], &format!("{ID}X"), &format!("X{ID}"), &ID.to_lowercase(), "AKIAiosfodnn7example"] {
            check(find, text, &[]);
        }
    }

    #[test]
    fn secrets_that_are_named_so() {
        let find = |text: &str| find_aws(text, "");
        check(find, &format!("aws_secret_access_key = {SECRET}"), &[SECRET]);
        check(find, &format!("ä→ Secret: {SECRET}→"), &[SECRET]);
        check(find, SECRET, &[]);
        check(|text| find_aws(text, "SecretAccessKey"), SECRET, &[SECRET]);
        check(find, &format!("secret{}{SECRET}", " ".repeat(70)), &[]);
        check(find, "secret da39a3ee5e6b4b0d3255bfef95601890afd80709", &[]);
        check(find, &format!("secret {SECRET}x"), &[]);
    }

    #[test]
    fn tokens() {
        let signed = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl_-";
        check(find_jwt, signed, &[signed]);
        check(find_jwt, &format!("Bearer {signed}."), &[signed]);
        check(find_jwt, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.", &["eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ"]);
        check(find_jwt, "eyJhbGciOiJkaXIifQ..aXYtaXYtaXY.Y2lwaGVydGV4dA.dGFn", &["eyJhbGciOiJkaXIifQ..aXYtaXYtaXY.Y2lwaGVydGV4dA.dGFn"]);
        for text in ["eyJ", "eyJhbGciOiJIUzI1NiJ9", "eyJ.eyJ.x", "xeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2", "eyJhbGciOiJIUzI1NiJ9...."]
        {
            check(find_jwt, text, &[]);
        }
    }

    #[test]
    fn private_keys() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
        check(find_private, key, &[key]);
        check(find_private, &format!("a {key} b {key} c"), &[key, key]);
        check(find_private, "x -----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", &["-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"]);
        check(
            find_private,
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP",
            &["-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP"],
        );
        for text in ["-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----", "-----BEGIN ", "-----BEGIN PRIVATE KEY", "PRIVATE KEY"]
        {
            check(find_private, text, &[]);
        }
    }

    #[test]
    fn long_texts() {
        check(|text| find_aws(text, "secret"), &"AKIA".repeat(50_000), &[]);
        check(find_jwt, &"eyJ".repeat(70_000), &[]);
        assert_eq!(find_jwt(&"eyJ.".repeat(50_000)).len(), 0);
        let text = "-----BEGIN PRIVATE KEY-----".repeat(10_000);
        assert_eq!(find_private(&text), [(0, text.len())]);
        check(find_private, &"-----BEGIN ".repeat(20_000), &[]);
    }
}
