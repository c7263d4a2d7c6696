//! Two pages that clients may read, a prompt about them, and suggestions for its argument: the example of the author's guide.

wit_bindgen::generate!({
    path: "../../wit/tool",
    inline: "
        package example:handbook;
        world handbook {
            export gatehouse:tool/resources@0.1.0;
            export gatehouse:tool/prompts@0.1.0;
            export gatehouse:tool/completion@0.1.0;
        }
    ",
    world: "example:handbook/handbook",
    generate_all,
});

use exports::gatehouse::tool::completion::{self, Query, Suggestions};
use exports::gatehouse::tool::prompts::{self, Argument, Get, GetOutcome, Message, Messages, Prompt, Role};
use exports::gatehouse::tool::resources::{self, Descriptor, Read, ReadOutcome, Reading, Template};
use gatehouse::tool::tool_types::{Body, Content, Contents, Failure, Text};

const PAGES: [(&str, &str); 2] = [("leave", "Ask a week before."), ("welcome", "We begin at nine.")];

struct Handbook;

fn page(name: &str) -> Option<Contents> {
    let (_, text) = PAGES.iter().find(|(page, _)| *page == name)?;
    let (uri, body) = (format!("handbook:///{name}"), Body::Text((*text).into()));
    Some(Contents { uri, mime_type: Some("text/plain".into()), body, meta: None })
}

impl resources::Guest for Handbook {
    fn list_resources() -> Result<Vec<Descriptor>, String> {
        Ok(vec![Descriptor {
            uri: "handbook:///welcome".into(),
            name: "welcome".into(),
            title: Some("The first day".into()),
            description: None,
            mime_type: Some("text/plain".into()),
            size_bytes: None,
            icons: vec![],
            annotations: None,
            meta: None,
        }])
    }

    fn list_templates() -> Result<Vec<Template>, String> {
        Ok(vec![Template {
            uri_template: "handbook:///{page}".into(),
            name: "page".into(),
            title: None,
            description: Some("One page of the handbook.".into()),
            mime_type: Some("text/plain".into()),
            icons: vec![],
            annotations: None,
            meta: None,
        }])
    }

    fn read_resource(read: Read) -> Result<ReadOutcome, Failure> {
        let contents = read.uri.strip_prefix("handbook:///").and_then(page).ok_or(Failure::UnknownName)?;
        Ok(ReadOutcome::Complete(Reading { contents: vec![contents], keep_ms: Some(60_000), meta: None }))
    }
}

impl prompts::Guest for Handbook {
    fn list_prompts() -> Result<Vec<Prompt>, String> {
        let page = Argument { name: "page".into(), title: None, description: Some("Which page.".into()), required: true };
        Ok(vec![Prompt {
            name: "explain".into(),
            title: Some("Explain a page".into()),
            description: "Asks for a page of the handbook in simple words.".into(),
            arguments: vec![page],
            icons: vec![],
            meta: None,
        }])
    }

    fn get_prompt(get: Get) -> Result<GetOutcome, Failure> {
        // The host has checked the name and the arguments: it is this prompt, and there is one.
        let name = get.arguments.into_iter().map(|(_, value)| value).next().unwrap_or_default();
        let contents = page(&name).ok_or_else(|| Failure::InvalidArguments(format!("There is no page {name}")))?;
        let request = Text { text: "Explain this page in simple words.".into(), annotations: None };
        let content = [Content::Text(request), Content::Embedded(contents)];
        let messages = content.into_iter().map(|content| Message { role: Role::User, content }).collect();
        Ok(GetOutcome::Complete(Messages { description: None, messages, meta: None }))
    }
}

impl completion::Guest for Handbook {
    fn complete(query: Query) -> Result<Suggestions, Failure> {
        let names = PAGES.iter().map(|(name, _)| (*name).to_owned());
        let values = names.filter(|name| name.starts_with(&query.value)).collect();
        Ok(Suggestions { values, total: None, has_more: false })
    }
}

export!(Handbook);
