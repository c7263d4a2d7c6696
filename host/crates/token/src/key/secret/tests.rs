use super::{PRINTED, SecretFault, check, is_printed};

#[track_caller]
fn refused(secret: impl AsRef<[u8]>, fault: SecretFault) {
    let secret = secret.as_ref();
    assert_eq!(check(secret), Err(fault), "{}", String::from_utf8_lossy(secret));
}

/// X05.
#[test]
fn short_ones() {
    for secret in ["", "secret", "changeme", "0123456789", "nLkZ3Cq8v0Yt5WmRd7XsGbHj1PfUaEo"] {
        refused(secret, SecretFault::TooShort);
    }
    refused([7; 1_025], SecretFault::TooLong);
}

/// X05.
#[test]
fn words_and_what_is_printed() {
    for secret in [
        "secretsecretsecretsecretsecretsecret",
        "CHANGEME-changeme_ChangeMe.change-me!changeme",
        "your-256-bit-secret-your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "reallyreallyreallyreallyverysafe",
        "REALLYREALLYREALLYREALLYVERYSAFE",
        "gatehouse-example-secret-do-not-use-this-one",
        "default admin password, default admin password",
    ] {
        refused(secret, SecretFault::WellKnown);
    }
    for (source, printed) in PRINTED {
        assert_eq!(check(printed.as_bytes()), Err(SecretFault::WellKnown), "{source}");
        assert_eq!(check(printed.to_ascii_lowercase().as_bytes()), Err(SecretFault::WellKnown), "{source}");
    }
    // As bytes: `@NcRfUjXn2r5u8x/A?D(G+KbPdSgVkYp` is what the hexadecimal one says.
    refused("@NcRfUjXn2r5u8x/A?D(G+KbPdSgVkYp", SecretFault::WellKnown);
    assert!(!is_printed(b"x", "09d25e"));
}

#[test]
fn patterns() {
    for secret in [
        [0_u8; 32].to_vec(),
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec(),
        b"abababababababababababababababab".to_vec(),
        b"kQ3vkQ3vkQ3vkQ3vkQ3vkQ3vkQ3vkQ3v".to_vec(),
        b"nLkZ3Cq8v0Yt5WmRnLkZ3Cq8v0Yt5WmR".to_vec(),
        b"abcdefghijklmnopqrstuvwxyz012345".to_vec(),
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".to_vec(),
        b"aaaaaaaaaaaaaaaaaaaaaaaaaabcdefghij".to_vec(),
        (0_u8..64).collect(),
        (0_u8..64).map(|byte| byte.wrapping_mul(3)).collect(),
        b"11211221112122211121121221112122".to_vec(),
    ] {
        refused(secret, SecretFault::NotRandom);
    }
}

/// Nothing that comes out of `openssl rand` or a password manager is refused.
#[test]
fn random_ones_are_taken() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[2]
    };
    for _ in 0..2_000 {
        let raw: Vec<u8> = std::iter::repeat_with(&mut byte).take(32).collect();
        assert_eq!(check(&raw), Ok(()));
        for alphabet in ["0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"] {
            let text: Vec<u8> = raw.iter().map(|byte| alphabet.as_bytes()[usize::from(*byte) % alphabet.len()]).collect();
            assert_eq!(check(&text), Ok(()), "{}", String::from_utf8_lossy(&text));
        }
    }
    // A word in front does no harm.
    assert_eq!(check(b"secret-nLkZ3Cq8v0Yt5WmRd7XsGbHj1PfUaEoz"), Ok(()));
}
