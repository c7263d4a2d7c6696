//! URIs that are too unclear to be matched by what they begin with.

/// Whether a server may take the URI for another one than its letters say: it has a segment `.` or `..`, a backslash, or one of
/// the characters of these in percent form. `files://public/../private/x` begins like a public file and may be a private one.
pub fn is_unclear(uri: &str) -> bool {
    let bytes = uri.as_bytes();
    let escaped = bytes.windows(3).any(|window| matches!(window, [b'%', b'2', b'e' | b'E' | b'f' | b'F'] | [b'%', b'5', b'c' | b'C']));
    // A NUL ends a path for much of what reads paths. Twice encoded percent signs are decoded twice by some.
    let worse = bytes.windows(3).any(|window| matches!(window, [b'%', b'0', b'0'] | [b'%', b'2', b'5']));
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    escaped || worse || uri.contains(['\\', '\0']) || path.split('/').any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::is_unclear;

    #[test]
    fn clear_uris() {
        for uri in [
            "crm://customers/7",
            "file:///a/b.c/..d/e..",
            "x:",
            "",
            "handbook:///caf%C3%A9",
            "https://h/a?x=/../y",
            "a:/...",
            "crm://customers/{id}",
            "%",
            "%2",
        ] {
            assert!(!is_unclear(uri), "{uri}");
        }
    }

    #[test]
    fn unclear_uris() {
        for uri in [
            "files://public/../private",
            "files://public/./x",
            "files://public/..",
            "files://public/..?x",
            "files://public/%2e%2E/private",
            "files://public/.%2e/private",
            "files://public%2fx",
            "files://public%2Fx",
            "files://public\\..\\private",
            "files://public/%5c..%5Cprivate",
            "files://public/%252e%252e/private",
            "files://public/x%00",
        ] {
            assert!(is_unclear(uri), "{uri}");
        }
    }
}
