//! Addresses of electronic mail, in the forms that people have; not all that RFC 5322 allows.

use super::Places;

const LOCAL_CHARACTERS_MAX: usize = 64;
const DOMAIN_CHARACTERS_MAX: usize = 253;

/// Looks around each `@`.
pub(super) fn find(text: &str) -> Places {
    let mut places = Places::new();
    for (at, _) in text.match_indices('@') {
        let (Some(before), Some(after)) = (text.get(..at), text.get(at + 1..)) else { continue };
        let local = before.char_indices().rev().take(LOCAL_CHARACTERS_MAX).take_while(|(_, c)| is_local(*c));
        let Some((start, _)) = local.filter(|(_, c)| *c != '.').last() else { continue };
        let end = after.char_indices().take(DOMAIN_CHARACTERS_MAX).find(|(_, c)| !is_domain(*c)).map_or(after.len(), |(end, _)| end);
        // Behind the address a sentence may end.
        let domain = after.get(..end).unwrap_or_default().trim_end_matches(['.', '-']);
        if is_domain_name(domain) {
            places.push((start, at + 1 + domain.len()));
        }
    }
    places
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-')
}

fn is_domain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-')
}

fn is_domain_name(domain: &str) -> bool {
    let Some((rest, top)) = domain.rsplit_once('.') else { return false };
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let is_top = top.starts_with("xn--") || (top.chars().count() >= 2 && top.chars().all(char::is_alphabetic));
    is_top && rest.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = find(text).into_iter().map(|(start, end)| &text[start..end]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn addresses() {
        check("ada@example.com", &["ada@example.com"]);
        check("Write to <ada.l+x@mail.example.co.uk>.", &["ada.l+x@mail.example.co.uk"]);
        check("mailto:ada@example.com?subject=x", &["ada@example.com"]);
        check("email=ada@example.com&x", &["ada@example.com"]);
        check("a@b.io, c@d.io", &["a@b.io", "c@d.io"]);
        check("jürgen@müller.de", &["jürgen@müller.de"]);
        check("x@xn--mller-kva.xn--p1ai", &["x@xn--mller-kva.xn--p1ai"]);
        check("..ada@example.com..", &["ada@example.com"]);
    }

    #[test]
    fn others() {
        for text in [
            "@",
            "ada@",
            "@example.com",
            "ada@example",
            "ada@example.c",
            "ada@example.1a",
            "a @b.com",
            "ada@.com",
            "ada@-x.com",
            "ada@x..com",
            "5 @ 3.20",
            ".@x.com",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn long_texts() {
        check(&"@".repeat(100_000), &[]);
        check(&"a@".repeat(100_000), &[]);
        let text = format!("{}@example.com", "a".repeat(100_000));
        assert_eq!(find(&text), [(100_000 - 64, text.len())]);
        check(&format!("a@{}", "b.".repeat(100_000)), &[]);
    }
}
