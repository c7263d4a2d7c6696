//! Tokens that nobody may accept. All but a few are signed, and by the right key where that is the harder test.

use crate::{Signer, bytes_of, part, with};
use serde_json::{Value, json};

/// One of them.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// What was done to it.
    pub name: String,
    /// What is sent.
    pub token: String,
    /// The word of `token::Refused` that says why it is refused.
    pub word: &'static str,
}

/// Collects them.
struct Ways<'a> {
    signer: &'a Signer,
    claims: &'a Value,
    /// A good token's header and payload, as text.
    header: String,
    payload: String,
    /// The good token, and its parts.
    good: String,
    parts: [String; 3],
    found: Vec<Hostile>,
}

/// Everything that can be done to a token of this signer with these claims, which are good.
///
/// # Panics
///
/// If the claims are no object.
pub fn hostile(signer: &Signer, claims: &Value) -> Vec<Hostile> {
    let good = signer.token(claims);
    let mut split = good.split('.').map(ToOwned::to_owned);
    let parts = std::array::from_fn(|_| split.next().expect("three parts"));
    let (header, payload) = (signer.header().to_string(), claims.to_string());
    let mut ways = Ways { signer, claims, header, payload, good, parts, found: Vec::new() };
    ways.without_a_signature();
    ways.under_another_algorithm();
    ways.by_keys_that_everybody_has();
    ways.with_headers_that_bring_more();
    ways.with_names_of_keys();
    ways.with_headers_that_cannot_be_read();
    ways.with_payloads_that_cannot_be_read();
    ways.in_another_shape();
    ways.in_another_spelling();
    ways.with_other_signatures();
    ways.found
}

/// A token with one bit flipped, at up to 64 places of one of its parts (0 to 2): in the text of the part, and in the bytes that it stands
/// for.
pub fn bits_flipped(token: &str, which: usize) -> Vec<String> {
    let parts: Vec<_> = token.split('.').collect();
    let (Some(text), Some(bytes)) = (parts.get(which), parts.get(which).and_then(|text| bytes_of(text))) else { return Vec::new() };
    let with_part = |changed: String| {
        let parts = parts.iter().enumerate().map(|(at, part)| if at == which { changed.as_str() } else { part });
        parts.collect::<Vec<_>>().join(".")
    };
    let places = |length: usize| (0..length).step_by((length / 64).max(1));
    let flip = |bytes: &[u8], at: usize, bit: u8| {
        let mut flipped = bytes.to_vec();
        flipped.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
        flipped
    };
    let bit_of = |at: usize| u8::try_from(at % 8).unwrap_or(0);
    let in_bytes = places(bytes.len()).map(|at| part(flip(&bytes, at, bit_of(at))));
    // The highest bit would make it something else than text.
    let in_text = places(text.len()).map(|at| String::from_utf8_lossy(&flip(text.as_bytes(), at, bit_of(at) % 7)).into_owned());
    in_bytes.chain(in_text).map(with_part).collect()
}

impl Ways<'_> {
    fn add(&mut self, name: impl Into<String>, token: String, word: &'static str) {
        self.found.push(Hostile { name: name.into(), token, word });
    }

    /// With this header, signed by the right key.
    fn header(&mut self, name: impl Into<String>, header: &str, word: &'static str) {
        let token = self.signer.token_of(header, &self.payload);
        self.add(name, token, word);
    }

    /// With this payload, signed by the right key.
    fn payload(&mut self, name: impl Into<String>, payload: &str, word: &'static str) {
        let token = self.signer.token_of(&self.header, payload);
        self.add(name, token, word);
    }

    fn changed_header(&self, changes: &Value) -> String {
        with(&self.signer.header(), changes).to_string()
    }

    /// T02, and the first of T19.
    fn without_a_signature(&mut self) {
        let [_, payload, signature] = self.parts.clone();
        for alg in ["none", "None", "nOnE", "NONE", "", "null"] {
            let header = part(self.changed_header(&json!({ "alg": alg })));
            self.add(format!("alg {alg:?}, signature kept"), format!("{header}.{payload}.{signature}"), "algorithm");
            self.add(format!("alg {alg:?}, signature empty"), format!("{header}.{payload}."), "parts");
            self.add(format!("alg {alg:?}, signature missing"), format!("{header}.{payload}"), "parts");
            let signed = self.changed_header(&json!({ "alg": alg }));
            self.header(format!("alg {alg:?}, signed"), &signed, "algorithm");
        }
        let [header, payload, _] = self.parts.clone();
        self.add("signature stripped", format!("{header}.{payload}."), "parts");
        self.add("signature and point stripped", format!("{header}.{payload}"), "parts");
    }

    /// The header says another algorithm than the key's; signed under that name, and with the signature of before.
    fn under_another_algorithm(&mut self) {
        let [_, payload, signature] = self.parts.clone();
        let own = self.signer.algorithm();
        let names = [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "HS256", "HS384",
        ];
        let spellings =
            [own.to_ascii_lowercase(), format!("{own} "), format!(" {own}"), format!("{own}\0"), format!("{own},none"), "dir".to_owned()];
        let names = names.into_iter().map(ToOwned::to_owned).chain(spellings).filter(|name| name != own);
        for name in names.collect::<Vec<_>>() {
            let header = self.changed_header(&json!({ "alg": name }));
            self.add(format!("alg {name:?}, signature kept"), format!("{}.{payload}.{signature}", part(&header)), "algorithm");
            self.header(format!("alg {name:?}, signed"), &header, "algorithm");
        }
        if own.starts_with("RS") || own.starts_with("PS") {
            let other = self.signer.with_other_padding();
            let token = other.token(self.claims);
            self.add("the same key under the other padding", token, "algorithm");
            let token = other.token_of(&self.header, &self.payload);
            self.add("the other padding under the name of this one", token, "signature");
        }
    }

    /// T03 and T05: a secret made of what is public, and a key that the token brings along.
    fn by_keys_that_everybody_has(&mut self) {
        let jwk = self.signer.jwk();
        if let (Some(pem), Some(der)) = (self.signer.public_pem(), self.signer.public_der()) {
            let secrets = [
                ("PEM", pem.clone().into_bytes()),
                ("PEM without the last line break", pem.trim_end().as_bytes().to_vec()),
                ("PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
                ("the body of PEM", pem.lines().filter(|line| !line.starts_with('-')).collect::<String>().into_bytes()),
                ("DER", der),
                ("JWK", jwk.to_string().into_bytes()),
                ("kid", jwk.get("kid").and_then(Value::as_str).unwrap_or_default().as_bytes().to_vec()),
                ("nothing", Vec::new()),
            ];
            let header = self.changed_header(&json!({"alg": "HS256"}));
            for (name, secret) in secrets {
                let token = Signer::hs256("x", &secret).token_of(&header, &self.payload);
                self.add(format!("HS256 with the public key as {name}"), token, "algorithm");
            }
        }
        let stranger = Signer::ed25519("stranger", 66);
        let embedded = json!({"alg": "EdDSA", "kid": jwk.get("kid"), "jwk": stranger.jwk()}).to_string();
        let token = stranger.token_of(&embedded, &self.payload);
        self.add("a stranger's jwk in the header, signed by it", token, "header_member");
        let token = stranger.token_of(&self.header, &self.payload);
        self.add("signed by a stranger", token, "signature");
        self.add("signed by a stranger under its own name", stranger.token(self.claims), "kid_unknown");
    }

    /// T05, T06, T23: members that change what is verified, or with what; all of them signed by the right key.
    fn with_headers_that_bring_more(&mut self) {
        let members = [
            json!({"jwk": self.signer.jwk()}),
            json!({"jku": "http://127.0.0.1:9/jwks.json"}),
            json!({"x5u": "http://127.0.0.1:9/key.pem"}),
            json!({"x5c": ["MIIB"]}),
            json!({"crit": ["x"], "x": true}),
            json!({"crit": ["exp"], "exp": 1}),
            json!({"crit": []}),
            json!({"b64": false}),
            json!({"b64": false, "crit": ["b64"]}),
            json!({"zip": "DEF"}),
            json!({"enc": "A128GCM"}),
            json!({"cty": "JWT"}),
            json!({"cty": "application/jwt"}),
            json!({"cty": "at+jwt"}),
        ];
        for changes in members {
            let header = self.changed_header(&changes);
            self.header(format!("header with {changes}"), &header, "header_member");
        }
        for name in ["jwk", "jku", "crit", "b64", "zip"] {
            let header = self.header.replacen('{', &format!("{{\"{name}\":null,"), 1);
            self.header(format!("header with {name}: null"), &header, "header_member");
        }
    }

    /// T07. Signed by the right key.
    fn with_names_of_keys(&mut self) {
        for kid in ["../../../../dev/null", "' OR 1=1--", "$(id)", "|id", "\0", "\u{202e}", "", " ", "%2e%2e", "*", "https://127.0.0.1:9/"]
        {
            let header = self.changed_header(&json!({ "kid": kid }));
            self.header(format!("kid {kid:?}"), &header, "kid_unknown");
        }
        if let Some(kid) = self.signer.header().get("kid").and_then(Value::as_str) {
            for kid in [kid.to_ascii_uppercase(), format!("{kid} "), format!(" {kid}"), format!("{kid}\0"), format!("{kid}/../{kid}")] {
                let header = self.changed_header(&json!({ "kid": kid }));
                self.header(format!("kid {kid:?}"), &header, "kid_unknown");
            }
        }
        let long = self.changed_header(&json!({"kid": "k".repeat(2_000)}));
        self.header("kid of 2,000 bytes", &long, "header");
        let longer = self.changed_header(&json!({"kid": "k".repeat(64 << 10)}));
        self.header("kid of 64 KiB", &longer, "too_long");
    }

    /// Signed by the right key.
    fn with_headers_that_cannot_be_read(&mut self) {
        let own = self.signer.algorithm();
        for changes in [
            json!({"alg": 1}),
            json!({"alg": [own]}),
            json!({"alg": null}),
            json!({"alg": {"alg": own}}),
            json!({"kid": 1}),
            json!({"kid": ["a"]}),
            json!({"typ": 1}),
            json!({"cty": true}),
            json!({"x5t": 1}),
            json!({"x5t#S256": []}),
            json!({"more": "x".repeat(1_024)}),
        ] {
            let header = self.changed_header(&changes);
            self.header(format!("header with {}", changes.to_string().chars().take(40).collect::<String>()), &header, "header");
        }
        let twice = |name: &str, value: &str| self.header.replacen('{', &format!("{{\"{name}\":\"{value}\","), 1);
        let texts = [
            ("alg twice, none first", twice("alg", "none")),
            ("alg twice, the same", twice("alg", own)),
            ("alg twice, escaped", self.header.replacen('{', "{\"\\u0061lg\":\"none\",", 1)),
            ("kid twice", self.header.replacen('{', "{\"kid\":\"a\",\"kid\":\"b\",", 1)),
            ("a key twice inside", self.header.replacen('{', "{\"x\":{\"y\":1,\"y\":2},", 1)),
            ("kid null", self.changed_header(&json!({"kid": null})).replacen('{', "{\"kid\":null,", 1)),
            ("Alg instead of alg", self.header.replace("\"alg\"", "\"Alg\"")),
            ("an array", format!("[{}]", self.header)),
            ("a text", json!(self.header).to_string()),
            ("two objects", format!("{0}{0}", self.header)),
            ("a byte order mark", format!("\u{feff}{}", self.header)),
            ("a comma too many", self.header.replace('}', ",}")),
            ("cut", self.header.replace('}', "")),
            ("no JSON", own.to_owned()),
            ("half a surrogate", self.header.replacen('{', "{\"x\":\"\\ud800\",", 1)),
            ("deep", self.header.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(100), "]".repeat(100)), 1)),
        ];
        for (name, header) in texts {
            self.header(format!("header: {name}"), &header, "header");
        }
        for typ in ["ID", "refresh+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE", "at+jwt ", "", "application/at+jwt;x=y"] {
            let header = self.changed_header(&json!({ "typ": typ }));
            self.header(format!("typ {typ:?}"), &header, "type");
        }
    }

    /// Signed by the right key. What is wrong with a claim is a matter of its own (T11 to T18); here, what is no set of claims at all.
    fn with_payloads_that_cannot_be_read(&mut self) {
        let twice = |name: &str, value: &str| self.payload.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        let texts = [
            ("iss twice", twice("iss", "\"https://other.example\"")),
            ("sub twice", twice("sub", "\"root\"")),
            ("exp twice", twice("exp", "9999999999")),
            ("exp twice, escaped", twice("\\u0065xp", "9999999999")),
            ("a key twice, deep inside", twice("x", "[{\"y\":{\"z\":1,\"z\":2}}]")),
            ("an array", format!("[{}]", self.payload)),
            ("a text", json!(self.payload).to_string()),
            ("two objects", format!("{0} {0}", self.payload)),
            ("another token", self.good.clone()),
            ("a byte order mark", format!("\u{feff}{}", self.payload)),
            ("a number without end", twice("x", "1e999")),
            ("half a surrogate", twice("x", "\"\\udc00\"")),
            ("a line break in a text", twice("x", "\"\n\"")),
            ("deep", twice("x", &format!("{}{}", "[".repeat(100), "]".repeat(100)))),
            ("nothing in it", " ".to_owned()),
        ];
        for (name, payload) in texts {
            self.payload(format!("payload: {name}"), &payload, "payload");
        }
        let raw = [self.payload.as_bytes(), b"\xff"].concat();
        let signed = format!("{}.{}", self.parts.first().map(String::as_str).unwrap_or_default(), part(raw));
        let token = format!("{signed}.{}", part(self.signer.sign(signed.as_bytes())));
        self.add("payload: not UTF-8", token, "payload");
    }

    /// T23 and T24.
    fn in_another_shape(&mut self) {
        let [header, payload, signature] = self.parts.clone();
        let good = self.good.clone();
        let json_form = json!({"payload": payload, "protected": header, "signature": signature}).to_string();
        let shapes = [
            ("no part", String::new(), "parts"),
            ("one part", header.clone(), "parts"),
            ("points only", "..".to_owned(), "parts"),
            ("four parts", format!("{good}.{signature}"), "parts"),
            ("five parts, as a JWE", format!("{good}.{payload}.{signature}"), "parts"),
            ("five parts with 7,000 bytes in the middle", format!("{header}..{}.{payload}.{signature}", "A".repeat(7_000)), "parts"),
            ("a point in front", format!(".{good}"), "parts"),
            ("a point behind", format!("{good}."), "parts"),
            ("header missing", format!(".{payload}.{signature}"), "parts"),
            ("payload missing, as if detached", format!("{header}..{signature}"), "parts"),
            ("JWS in JSON", json_form, "parts"),
            ("header and payload swapped", format!("{payload}.{header}.{signature}"), "header"),
            ("payload and signature swapped", format!("{header}.{signature}.{payload}"), "payload"),
            ("header twice", format!("{header}.{header}.{signature}"), "issuer"),
            ("8,193 bytes", format!("{header}.{}.{signature}", "A".repeat(8_193 - header.len() - signature.len() - 2)), "too_long"),
            ("15 KiB", format!("{good}{}", "A".repeat(15 << 10)), "too_long"),
            ("1 MiB of points", ".".repeat(1 << 20), "too_long"),
        ];
        for (name, token, word) in shapes {
            self.add(name, token, word);
        }
    }

    /// T21: other texts that stand for the same bytes.
    fn in_another_spelling(&mut self) {
        let parts = self.parts.clone();
        for (at, name) in ["header", "payload", "signature"].into_iter().enumerate() {
            let Some(text) = parts.get(at) else { continue };
            let middle = text.len() / 2;
            let (front, back) = text.split_at(middle);
            let spellings = [
                ("padded", format!("{text}=")),
                ("padded twice", format!("{text}==")),
                ("with a blank behind", format!("{text} ")),
                ("with a blank in front", format!(" {text}")),
                ("with a line break inside", format!("{front}\n{back}")),
                ("with CRLF inside", format!("{front}\r\n{back}")),
                ("with a tab inside", format!("{front}\t{back}")),
                ("with NUL behind", format!("{text}\0")),
                ("with a plus", format!("{front}+{}", back.get(1..).unwrap_or_default())),
                ("with a slash", format!("{front}/{}", back.get(1..).unwrap_or_default())),
                ("with percent signs", format!("{front}%41{back}")),
                ("with other letters", format!("{front}\u{ff21}{back}")),
                ("of a length that base64 cannot have", format!("{text}{}", "A".repeat((5 - text.len() % 4) % 4))),
            ];
            for (how, changed) in spellings {
                // What has a length that base64 can have is another text, and fails later; it is among the flipped bits.
                if bytes_of(&changed).is_none() {
                    let token = parts.iter().enumerate().map(|(other, part)| if other == at { &changed } else { part });
                    let token = token.map(String::as_str).collect::<Vec<_>>().join(".");
                    self.add(format!("{name} {how}"), token, "encoding");
                }
            }
            if let Some(loose) = with_loose_bits(text) {
                let token = parts.iter().enumerate().map(|(other, part)| if other == at { &loose } else { part });
                let token = token.map(String::as_str).collect::<Vec<_>>().join(".");
                self.add(format!("{name} with its last bits set"), token, "encoding");
            }
        }
        self.add("a line break behind", format!("{}\n", self.good), "encoding");
        self.add("a scheme in front", format!("Bearer {}", self.good), "encoding");
    }

    /// T19 and T20.
    fn with_other_signatures(&mut self) {
        let [header, payload, signature] = self.parts.clone();
        let bytes = bytes_of(&signature).unwrap_or_default();
        let other = self.signer.token(&with(self.claims, &json!({"jti": "other"})));
        let others = other.rsplit('.').next().unwrap_or_default().to_owned();
        let half = bytes.len() / 2;
        let (r, s) = bytes.split_at(half);
        let zeros = vec![0; half];
        let mut signatures = vec![
            ("of another token", bytes_of(&others).unwrap_or_default()),
            ("cut by a byte", bytes.get(..bytes.len().saturating_sub(1)).unwrap_or_default().to_vec()),
            ("cut in front", bytes.get(1..).unwrap_or_default().to_vec()),
            ("with a byte more", [&bytes, &[0][..]].concat()),
            ("with a zero in front", [&[0], &bytes[..]].concat()),
            ("twice", bytes.repeat(2)),
            ("of one byte", vec![1]),
            ("reversed", bytes.iter().rev().copied().collect()),
            ("all zeros", vec![0; bytes.len()]),
            ("all ones", vec![0xff; bytes.len()]),
            ("with a zero first half", [&zeros, s].concat()),
            ("with a zero second half", [r, &zeros].concat()),
            ("with its halves swapped", [s, r].concat()),
            ("as text", signature.clone().into_bytes()),
        ];
        if self.signer.algorithm() == "ES256" {
            signatures.push(("as DER", der(r, s)));
            signatures.push(("(n, n)", [P256_ORDER, P256_ORDER].concat()));
            signatures.push(("(r, n)", [r, &P256_ORDER].concat()));
            signatures.push(("(1, 1)", [&one()[..], &one()].concat()));
        }
        for (name, changed) in signatures {
            self.add(format!("signature {name}"), format!("{header}.{payload}.{}", part(changed)), "signature");
        }
        let changed = part(with(self.claims, &json!({"sub": "root"})).to_string());
        self.add("another subject under the old signature", format!("{header}.{changed}.{signature}"), "signature");
    }
}

/// The order of P-256 (FIPS 186-5; SP 800-186, 3.2.1.3).
pub const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
    0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn one() -> [u8; 32] {
    let mut number = [0; 32];
    number.iter_mut().last().into_iter().for_each(|byte| *byte = 1);
    number
}

/// An `Ecdsa-Sig-Value` (RFC 3279, 2.2.3).
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let plain: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = plain.first().is_some_and(|first| *first > 0x7f).then_some(0);
        let content: Vec<u8> = sign.into_iter().chain(plain).collect();
        [vec![0x02, u8::try_from(content.len()).unwrap_or(0)], content].concat()
    };
    let both = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap_or(0)], both].concat()
}

/// The same bytes, with bits set behind the last one; none where there are no such bits.
fn with_loose_bits(text: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if text.len().is_multiple_of(4) {
        return None;
    }
    let (front, last) = text.split_at(text.len() - 1);
    let next = ALPHABET.find(last)? + 1;
    Some(format!("{front}{}", ALPHABET.get(next..=next)?))
}
