//! Reads a web page and gives it as Markdown: a plugin that asks for requests to other servers.
//!
//! Where it may go is the operator's to say: `web-page.toml` asks, the settings grant, and the gateway sends. [`markdown`] makes of HTML what a model
//! can read.

mod link;
mod markdown;

/// What `wit-bindgen` makes of the contract.
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/tool",
        inline: "
            package example:web-page;
            world web-page {
                import gatehouse:host/http@0.1.0;
                export gatehouse:tool/tools@0.1.0;
            }
        ",
        world: "example:web-page/web-page",
        generate_all,
    });
}

use bindings::exports::gatehouse::tool::tools::{Call, Failure, Guest, Outcome, Tool};
use bindings::gatehouse::host::http::{self, Header, Request, Response, fetch};
use bindings::gatehouse::tool::tool_types::{Annotations, Content, Reply, Text};
use link::Address;
use serde::Deserialize;

const NAME: &str = "read_web_page";
const DESCRIPTION: &str = "Fetches a web page and returns its text as Markdown, with absolute links and without menus, scripts and \
    styles. Works for the sites that this gateway grants. A long page comes in parts: its last line says how to get the next one.";
const TAKES: &str = r#"{
    "type": "object",
    "properties": {
        "url": { "type": "string", "pattern": "^https?://", "maxLength": 2048, "description": "The page's address." },
        "from": { "type": "integer", "minimum": 0, "default": 0, "description": "How many characters of its Markdown to leave out." },
        "characters_max": {
            "type": "integer", "minimum": 1000, "maximum": 200000, "default": 20000, "description": "How many characters to return."
        }
    },
    "required": ["url"],
    "additionalProperties": false
}"#;

/// A site that sends its visitors on more often than this does not know where it wants them.
const REDIRECTS_MAX: usize = 5;

#[derive(Deserialize)]
struct Arguments {
    url: String,
    #[serde(default)]
    from: usize,
    #[serde(default = "characters_max")]
    characters_max: usize,
}

fn characters_max() -> usize {
    20_000
}

struct WebPage;

impl Guest for WebPage {
    fn list_tools() -> Result<Vec<Tool>, String> {
        Ok(vec![Tool {
            name: NAME.into(),
            title: Some("Read a web page".into()),
            description: DESCRIPTION.into(),
            input_schema: TAKES.into(),
            output_schema: None,
            annotations: Annotations {
                title: None,
                read_only: Some(true),
                destructive: None,
                idempotent: Some(true),
                open_world: Some(true),
            },
            icons: Vec::new(),
            scopes: Vec::new(),
            meta: None,
        }])
    }

    fn call_tool(call: Call) -> Result<Outcome, Failure> {
        if call.tool != NAME {
            return Err(Failure::UnknownName);
        }
        let arguments: Arguments = serde_json::from_str(&call.arguments).map_err(|error| Failure::InvalidArguments(error.to_string()))?;
        // What went wrong on the way is for the model: it may know another page.
        let (text, is_error) = match read(&arguments) {
            Ok(text) => (text, false),
            Err(problem) => (problem, true),
        };
        let content = vec![Content::Text(Text { text, annotations: None })];
        Ok(Outcome::Complete(Reply { content, structured: None, is_error, meta: None }))
    }
}

fn read(arguments: &Arguments) -> Result<String, String> {
    let address = Address::parse(&arguments.url).ok_or_else(|| format!("{} is no address of a web page.", arguments.url))?;
    let (address, response) = page(address)?;
    part(&text_of(&address, response)?, arguments.from, arguments.characters_max)
}

/// Asks for a page, and goes where it has moved to. Each step is granted or not like the first one.
fn page(mut address: Address) -> Result<(Address, Response), String> {
    for _ in 0..=REDIRECTS_MAX {
        let accept = Header { name: "accept".into(), value: "text/html, application/xhtml+xml, text/*;q=0.8".into() };
        let request =
            Request { method: "GET".into(), url: address.as_str().into(), headers: vec![accept], body: Vec::new(), timeout_ms: None };
        let response = fetch(&request).map_err(|failure| told(&address, failure))?;
        match (response.status, field(&response, "location")) {
            (200..=299, _) => return Ok((address, response)),
            (301 | 302 | 303 | 307 | 308, Some(location)) => {
                address = address.join(location).ok_or_else(|| format!("{address} has moved to what is no address: {location}"))?;
            }
            (status, _) => return Err(format!("{address} answered with the status {status}.")),
        }
    }
    Err(format!("It was sent on more than {REDIRECTS_MAX} times, in the end to {address}."))
}

/// Why there is no response, in words that say what can be done.
fn told(address: &Address, failure: http::Failure) -> String {
    match failure {
        http::Failure::Denied(word) => format!(
            "{address} is not granted to this tool ({word}). The operator of the gateway grants sites, in its settings and in web-page.toml."
        ),
        http::Failure::InvalidRequest(what) => format!("{address} cannot be asked for: {what}"),
        http::Failure::TimedOut => format!("{address} did not answer in time."),
        http::Failure::TooLarge(bytes) => format!("{address} is larger than {bytes} bytes."),
        http::Failure::Unreachable(why) => format!("{address} cannot be reached: {why}"),
    }
}

fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_str())
}

/// What a response says, as Markdown if it is a page, as it is if it is another text.
fn text_of(address: &Address, response: Response) -> Result<String, String> {
    if let Some(coding) = field(&response, "content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(format!("{address} came packed ({coding}), although nobody asked for that."));
    }
    let kind = field(&response, "content-type").unwrap_or("text/html").to_ascii_lowercase();
    let (essence, parameters) = kind.split_once(';').unwrap_or((&kind, ""));
    let text =
        decoded(response.body, parameters).map_err(|charset| format!("{address} is written in {charset}, which is not known here."))?;
    match essence.trim() {
        "text/html" | "application/xhtml+xml" => {
            let page = markdown::of_html(&text, address);
            if page.is_empty() { Err(format!("{address} has no text: it may make it with a script.")) } else { Ok(page) }
        }
        other if other.starts_with("text/") || other == "application/json" => Ok(text),
        other => Err(format!("{address} is no page but {other}.")),
    }
}

/// Text of the bytes, or the name of an unknown character set.
fn decoded(bytes: Vec<u8>, parameters: &str) -> Result<String, String> {
    let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
    match charset.map(|charset| charset.trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // Each byte is a character; those that some take for typographic quotes are rare, and no reason to refuse a page.
        Some("iso-8859-1" | "latin1" | "windows-1252") => Ok(bytes.into_iter().map(char::from).collect()),
        Some(other) => Err(other.into()),
    }
}

/// A part of a text, with a last line that says how to get more.
fn part(text: &str, from: usize, characters_max: usize) -> Result<String, String> {
    let begin = at(text, from).filter(|begin| from == 0 || *begin < text.len());
    let begin = begin.ok_or_else(|| format!("The page has {} characters, so there is nothing from {from}.", text.chars().count()))?;
    let rest = &text[begin..];
    let Some(end) = at(rest, characters_max).filter(|end| *end < rest.len()) else { return Ok(rest.into()) };
    let more = rest[end..].chars().count();
    Ok(format!("{}\n\n… {more} more characters: call again with `from` = {}", &rest[..end], from + characters_max))
}

/// Where the character of that number begins; the end of the text is a place too.
fn at(text: &str, characters: usize) -> Option<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(characters)
}

bindings::export!(WebPage with_types_in bindings);
