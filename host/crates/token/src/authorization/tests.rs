use super::{HeaderFault, authorization};

#[track_caller]
fn check(values: &[&[u8]], expected: Result<Option<&str>, HeaderFault>) {
    let shown = values.iter().map(|value| String::from_utf8_lossy(value)).collect::<Vec<_>>();
    assert_eq!(authorization(values.iter().copied()), expected, "{shown:?}");
}

/// T01, and the row of T25 that is fine.
#[test]
fn no_header_is_no_token_and_one_is_one() {
    check(&[], Ok(None));
    check(&[b"Bearer a.b.c"], Ok(Some("a.b.c")));
    check(&[b"bearer a.b.c"], Ok(Some("a.b.c")));
    check(&[b"BEARER   a-b_c~d+e/f=="], Ok(Some("a-b_c~d+e/f==")));
}

/// T25.
#[test]
fn two_headers_are_one_too_many() {
    check(&[b"Bearer a.b.c", b"Bearer a.b.c"], Err(HeaderFault::Many));
    check(&[b"Bearer a.b.c", b""], Err(HeaderFault::Many));
    check(&[b"Basic x", b"Bearer a.b.c", b"Bearer a.b.c"], Err(HeaderFault::Many));
}

/// T25.
#[test]
fn anything_but_one_token_is_refused() {
    for value in
        ["Basic x", "Basic", "", " ", " Bearer a", "Digest a", "Bearers a", "Bearer,a", "\"Bearer\" a", "Bearer\ta", "a.b.c", "DPoP a.b.c"]
    {
        check(&[value.as_bytes()], Err(HeaderFault::Scheme));
    }
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Bearer a b",
        "Bearer a, Bearer b",
        "Bearer a,b",
        "Bearer a ",
        "Bearer a\t",
        "Bearer \ta",
        "Bearer =",
        "Bearer =a",
        "Bearer a=b",
        "Bearer \"a\"",
        "Bearer a\0",
        "Bearer a\r\nX: y",
        "Bearer \u{e9}",
        "Bearer a%2e",
        "Bearer token=a",
        "Bearer {a}",
    ] {
        check(&[value.as_bytes()], Err(HeaderFault::Shape));
    }
    check(&[b"Bearer \xff"], Err(HeaderFault::Shape));
    check(&[b"\xff"], Err(HeaderFault::Shape));
}
