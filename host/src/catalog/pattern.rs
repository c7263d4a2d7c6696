//! URI templates (RFC 6570) read backwards: which URIs one can make. The host only chooses whom to ask by it; what the parts mean is for
//! the guest.

use mcp::resource::{is_scheme, is_uri, is_uri_char};
use regex::{Regex, RegexBuilder};
use std::collections::BTreeSet;

/// The longest template, in bytes, and the most expressions in one.
const TEMPLATE_BYTES_MAX: usize = 1_024;
const EXPRESSIONS_MAX: usize = 16;
/// The longest URI that is compared with templates, in bytes.
const URI_BYTES_MAX: usize = 8_192;
/// Of what one template compiles to, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Which URIs a template can make.
#[derive(Debug)]
pub struct UriPattern {
    /// In time that grows with the URI's length and not faster, whatever the template.
    whole: Regex,
    /// Its variables.
    variables: BTreeSet<Box<str>>,
    /// Bytes outside of expressions: the more, the more it says about its URIs.
    literal_bytes: usize,
}

impl UriPattern {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for its author.
    pub(super) fn parse(template: &str) -> Result<Self, String> {
        if template.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("it has {} bytes; the limit is {TEMPLATE_BYTES_MAX}", template.len()));
        }
        let (mut pattern, mut variables) = ("^".to_owned(), BTreeSet::new());
        let (mut rest, mut literal_bytes, mut expressions) = (template, 0, 0);
        while let Some((literal, after)) = rest.split_once('{') {
            let (expression, next) = after.split_once('}').ok_or("a `{` has no `}`")?;
            literal_bytes += literal.len();
            pattern.push_str(&self::literal(literal)?);
            pattern.push_str(self::expression(expression, &mut variables)?);
            rest = next;
            expressions += 1;
        }
        if expressions == 0 || expressions > EXPRESSIONS_MAX {
            return Err(format!("it has {expressions} expressions such as {{name}}; 1 to {EXPRESSIONS_MAX} are allowed"));
        }
        pattern.push_str(&literal(rest)?);
        pattern.push('$');
        literal_bytes += rest.len();
        if !template.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) {
            return Err("it does not begin with a scheme such as `file:`".to_owned());
        }
        let whole = RegexBuilder::new(&pattern).size_limit(COMPILED_BYTES_MAX).dot_matches_new_line(true).build();
        Ok(Self { whole: whole.map_err(|error| error.to_string())?, variables, literal_bytes })
    }

    /// Whether the template can make this URI.
    pub fn matches(&self, uri: &str) -> bool {
        uri.len() <= URI_BYTES_MAX && self.whole.is_match(uri)
    }

    /// Whether it has a variable of this name.
    pub fn has_variable(&self, name: &str) -> bool {
        self.variables.contains(name)
    }

    /// How much it says about its URIs: of two templates that can make one, the one that says more is asked.
    pub(super) fn literal_bytes(&self) -> usize {
        self.literal_bytes
    }
}

fn literal(text: &str) -> Result<String, String> {
    match text.chars().find(|c| !is_uri_char(*c)) {
        Some(c) => Err(format!("{c:?} cannot stand in a URI; write it as %XX")),
        None => Ok(regex::escape(text)),
    }
}

/// The inside of one `{…}`, as what it can make.
fn expression(text: &str, variables: &mut BTreeSet<Box<str>>) -> Result<&'static str, String> {
    let (pattern, names) = match text.split_at_checked(1) {
        Some(("+", names)) => ("(?:.+)", names),
        Some(("#", names)) => ("(?:#.*)?", names),
        Some((".", names)) => (r"(?:\.[^/?#]*)?", names),
        Some(("/", names)) => ("(?:/[^?#]*)?", names),
        Some((";", names)) => ("(?:;[^/?#]*)?", names),
        Some(("?", names)) => (r"(?:\?[^#]*)?", names),
        Some(("&", names)) => ("(?:&[^#]*)?", names),
        _ => ("(?:[^/?#]+)", text),
    };
    for name in names.split(',') {
        let bare = name.strip_suffix('*').or_else(|| name.split_once(':').map(|(bare, _)| bare)).unwrap_or(name);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'%');
        if bare.is_empty() || !bare.bytes().all(allowed) {
            return Err(format!("`{{{text}}}` is no expression of RFC 6570"));
        }
        variables.insert(bare.into());
    }
    Ok(pattern)
}

/// What is wrong with a URI, for its author.
pub(super) fn check_uri(uri: &str) -> Result<(), String> {
    if uri.len() > TEMPLATE_BYTES_MAX {
        return Err(format!("it has {} bytes; the limit is {TEMPLATE_BYTES_MAX}", uri.len()));
    }
    if !uri.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) {
        return Err("it does not begin with a scheme such as `file:`".to_owned());
    }
    literal(uri)?;
    if is_uri(uri) { Ok(()) } else { Err("a `%` in it has no two hexadecimal digits behind it".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_knows_its_uris() {
        let table = [
            ("test://template/{id}/data", "test://template/123/data", true),
            ("test://template/{id}/data", "test://template/1/2/data", false),
            ("test://template/{id}/data", "test://template//data", false),
            ("test://template/{id}/data", "xtest://template/1/data", false),
            ("file:///{+path}", "file:///a/b/c.txt", true),
            ("file:///{+path}", "file:///", false),
            ("a:b{?q,lang}", "a:b?q=1&lang=de", true),
            ("a:b{?q}", "a:b", true),
            ("a:b{?q}", "a:bc", false),
            ("a:x{/parts*}", "a:x/1/2", true),
            ("a:{name}{.ext}", "a:file.txt", true),
            ("a:b{#part}", "a:b#c", true),
            ("a:{x:3}.(z)", "a:abc.(z)", true),
            ("a:{x}.z", "a:bcz", false),
        ];
        for (template, uri, fits) in table {
            assert_eq!(UriPattern::parse(template).expect(template).matches(uri), fits, "{template} {uri}");
        }
        let pattern = UriPattern::parse("a:{x}/{+y}").expect("a template");
        assert!(pattern.has_variable("x") && pattern.has_variable("y") && !pattern.has_variable("z"));
        assert!(!pattern.matches(&format!("a:b/{}", "c".repeat(URI_BYTES_MAX))));
    }

    #[test]
    fn a_broken_template_is_named() {
        for template in ["a:b", "a:{", "a:{}", "a:{x y}", "a:{x,}", "a:{=x}", "{x}", "no scheme {x}", "a b:{x}", "a:ä{x}", "a:}{x}"] {
            UriPattern::parse(template).expect_err(template);
        }
        UriPattern::parse(&format!("a:{}", "{x}".repeat(EXPRESSIONS_MAX + 1))).expect_err("too many");
        UriPattern::parse(&format!("a:{}{{x}}", "b".repeat(TEMPLATE_BYTES_MAX))).expect_err("too long");
    }

    /// Templates are a plugin's, URIs a client's: whatever both are, the comparison ends, and soon.
    #[test]
    fn no_template_and_no_uri_breaks_anything() {
        let corpus = ["a:{x}/{+y}{?q,r}{&s}\na:b/c?q=1", "file:///{/path*}{.ext}{#part}\nfile:///a/b.c#d", "a:{x:3}{;p}\na:abc;p"];
        let words = ["{", "}", "{+x}", "{?a,b*}", "{x:10000}", "((", ".*", "[^", "\\", "%", "{,}", "a:", "\n"];
        gatehouse_mutator::fuzz("URI templates", gatehouse_mutator::Mutator::new(&corpus, &words), 20_000, |input| {
            let text = String::from_utf8_lossy(input);
            let (template, uri) = text.split_once('\n').unwrap_or((&text, ""));
            match UriPattern::parse(template) {
                Ok(pattern) => format!("{} {}", pattern.matches(uri), pattern.variables.len()),
                Err(error) => error.chars().filter(|c| c.is_ascii_alphabetic()).take(24).collect(),
            }
        });
    }
}
