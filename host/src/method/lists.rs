//! `tools/list`, `resources/list`, `resources/templates/list` and `prompts/list`: from the catalog, without entering a component, page by
//! page.
//!
//! A cursor names the last item that was shown, sealed for its caller, server and list: the next page begins behind it, in the catalog of
//! then.

use super::{CACHE, Context, Rooms};
use crate::auth::Item;
use crate::catalog::Written;
use crate::failure::Failure;
use crate::keys::{About, Seal};
use crate::outbox::End;
use mcp::params::{ListParams, Params};
use mcp::result::{List, ListResult};

/// How lists are cut.
#[derive(Debug)]
pub struct Pages {
    seal: Seal,
    items_max: usize,
}

impl Pages {
    /// With a key that survives a restart if cursors are to.
    pub fn new(key: &[u8; 32], items_max: usize) -> Self {
        Self { seal: Seal::new(key), items_max }
    }
}

/// One item of any list.
struct Listed<'a> {
    item: Item<'a>,
    plugin: &'a str,
    name: &'a str,
    written: &'a Written,
}

fn listed<'a>(context: &'a Context, list: List) -> Vec<Listed<'a>> {
    let server = &context.server;
    match list {
        List::Tools => {
            let tools = server.tools().iter();
            tools.map(|tool| Listed::of(Item::Tool(tool), &tool.plugin, &tool.definition.name, &tool.written)).collect()
        }
        List::Resources => {
            let resources = server.resources().iter();
            resources
                .map(|resource| Listed::of(Item::Resource(resource), &resource.plugin, &resource.definition.uri, &resource.written))
                .collect()
        }
        List::ResourceTemplates => {
            let templates = server.templates().iter();
            templates
                .map(|template| {
                    Listed::of(Item::Template(template), &template.plugin, &template.definition.uri_template, &template.written)
                })
                .collect()
        }
        List::Prompts => {
            let prompts = server.prompts().iter();
            prompts.map(|prompt| Listed::of(Item::Prompt(prompt), &prompt.plugin, &prompt.definition.name, &prompt.written)).collect()
        }
    }
}

impl<'a> Listed<'a> {
    fn of(item: Item<'a>, plugin: &'a str, name: &'a str, written: &'a Written) -> Self {
        Self { item, plugin, name, written }
    }
}

pub(super) async fn list(rooms: &Rooms, context: &Context, list: List, params: &Params<'_>) -> End {
    let params = ListParams::read(params)?;
    let (principal, server) = (context.caller.principal(), context.server.id.as_ref().map(ToString::to_string));
    let about = About::of([
        Some(context.caller.tenant().id.as_str()),
        principal.issuer.as_deref(),
        principal.subject.as_deref(),
        server.as_deref(),
        Some(list.member()),
    ]);
    let all = listed(context, list);
    let begin = match &params.cursor {
        None => 0,
        Some(cursor) => {
            let plain = rooms.pages.seal.open(cursor, &about).ok_or(Failure::BadCursor)?;
            let (plugin, name): (Box<str>, Box<str>) = serde_json::from_slice(&plain).map_err(|_| Failure::BadCursor)?;
            let shown = all.iter().position(|item| *item.plugin == *plugin && *item.name == *name);
            // Where it is gone, its plugin's items are shown again: better twice than not at all.
            let again = || all.iter().position(|item| *item.plugin >= *plugin);
            shown.map_or_else(|| again().unwrap_or(all.len()), |at| at + 1)
        }
    };
    // All at once: a policy is asked once for a list, and what it hides leaves no hole in a page.
    let rest: Vec<&Listed<'_>> = all.iter().skip(begin).collect();
    let items: Vec<Item<'_>> = rest.iter().map(|listed| listed.item).collect();
    let shown =
        rooms.policy.shown(&context.caller, &context.server, &items, &context.span).await.map_err(|_| Failure::PolicyUnavailable)?;
    let mut shown = rest.into_iter().zip(shown).filter_map(|(listed, shown)| shown.then_some(listed));
    let page: Vec<&Listed<'_>> = shown.by_ref().take(rooms.pages.items_max).collect();
    let next_cursor = match page.last().filter(|_| shown.next().is_some()) {
        None => None,
        Some(last) => {
            let plain = serde_json::to_vec(&(last.plugin, last.name)).map_err(|_| Failure::Internal)?;
            Some(rooms.pages.seal.seal(&plain, &about).ok_or(Failure::Internal)?)
        }
    };
    let items: Vec<_> = page.iter().filter_map(|item| item.written.at(context.revision)).collect();
    let result = ListResult { list, items: &items, next_cursor: next_cursor.as_deref(), cache: CACHE };
    Ok(result.write(context.revision, &rooms.implementation))
}
