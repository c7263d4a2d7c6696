//! Prompts, and suggestions for their arguments.

use crate::bindings::completion::{self, Query, Subject, Suggestions};
use crate::bindings::prompts::{self, Argument, Failure, Get, GetOutcome, Message, Messages, Prompt, Role};
use crate::{Conformance, ask, content, now};
use kit::types::Content;
use serde_json::json;

fn prompt(name: &str, arguments: &[&str]) -> Prompt {
    let argument =
        |name: &&str| Argument { name: (*name).to_owned(), title: None, description: Some("A text.".to_owned()), required: true };
    Prompt {
        name: name.to_owned(),
        title: None,
        description: "For the conformance suite.".to_owned(),
        arguments: arguments.iter().map(argument).collect(),
        icons: Vec::new(),
        meta: None,
    }
}

fn says(content: Vec<Content>) -> Result<GetOutcome, Failure> {
    let messages = content.into_iter().map(|content| Message { role: Role::User, content }).collect();
    Ok(GetOutcome::Complete(Messages { description: None, messages, meta: None }))
}

impl prompts::Guest for Conformance {
    fn list_prompts() -> Result<Vec<Prompt>, String> {
        Ok(vec![
            prompt("test_simple_prompt", &[]),
            prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
            prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
            prompt("test_prompt_with_image", &[]),
            prompt("test_input_required_result_prompt", &[]),
            Prompt { description: now(), ..prompt("test_dynamic_prompt", &[]) },
        ])
    }

    fn get_prompt(get: Get) -> Result<GetOutcome, Failure> {
        let argument =
            |name: &str| get.arguments.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).unwrap_or_default();
        match get.name.as_str() {
            "test_simple_prompt" => says(vec![kit::text_content("This is a simple prompt for testing.")]),
            "test_prompt_with_arguments" => {
                says(vec![kit::text_content(format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2")))])
            }
            "test_prompt_with_embedded_resource" => says(vec![
                content::resource(argument("resourceUri"), "text/plain", "Embedded resource content for testing."),
                kit::text_content("Please process the embedded resource above."),
            ]),
            "test_prompt_with_image" => {
                says(vec![Content::Image(content::blob(content::PNG, "image/png")), kit::text_content("Please analyze the image above.")])
            }
            "test_input_required_result_prompt" => match ask::answer(get.resume.as_ref(), "user_context") {
                Some(answer) => says(vec![kit::text_content(format!("With the context {answer}"))]),
                None => {
                    let question = ask::form("What is it about?", &json!({"context": {"type": "string"}}), &["context"]);
                    Ok(GetOutcome::InputRequired(ask::one("user_context", question)))
                }
            },
            "test_dynamic_prompt" => says(vec![kit::text_content(now())]),
            _ => Err(Failure::UnknownName),
        }
    }
}

impl completion::Guest for Conformance {
    fn complete(query: Query) -> Result<Suggestions, Failure> {
        let all: Vec<String> = match query.subject {
            Subject::Prompt(_) => ["paris", "park", "party"].map(ToOwned::to_owned).into(),
            // More than a client may be told at once.
            Subject::ResourceTemplate(_) => (0..150).map(|id: u32| id.to_string()).collect(),
        };
        let values: Vec<_> = all.into_iter().filter(|value| value.starts_with(&query.value)).collect();
        Ok(Suggestions { total: u32::try_from(values.len()).ok(), values, has_more: false })
    }
}
