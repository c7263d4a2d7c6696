//! Lists page by page: nothing twice, nothing left out, and a cursor is good for its own list only.

use super::resources::{REVISIONS, TWIN, reworded};
use crate::harness::{Answer, Gateway, MODERN, Modern, Setup, binary, eventually, fixture, rpc};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::time::Duration;

/// The method of each list, its member of the result, and what its items are named by.
const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("resources/list", "resources", "uri"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
    ("prompts/list", "prompts", "name"),
];

const TOOLS: (&str, &str, &str) = LISTS[0];

async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["conformance-server"], settings: settings.to_owned() }).await
}

/// Two items a page.
async fn in_pages() -> Gateway {
    with("[limits]\nlist_page_items_max = 2\n[servers.all]\ntools = [\"*\"]\nresources = [\"*\"]\nprompts = [\"*\"]\n").await
}

/// Who asks for pages.
#[derive(Clone, Copy)]
enum Client<'a> {
    Modern { path: &'a str },
    Legacy { session: &'a str },
}

const CLIENT: Client<'static> = Client::Modern { path: "/mcp" };

async fn page(gateway: &Gateway, client: Client<'_>, method: &str, cursor: Option<&str>) -> Answer {
    let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
    match client {
        Client::Modern { path } => gateway.modern(Modern::new(method, params).path(path)).await,
        Client::Legacy { session } => gateway.legacy(Some(session), rpc(1, method, params)).await,
    }
}

/// What a page shows, by name, and where the next one begins.
fn shown(answer: &Answer, (_, member, name): (&str, &str, &str)) -> (Vec<String>, Option<String>) {
    let items = answer.result()[member].as_array().expect("a list");
    let names = items.iter().map(|item| item[name].as_str().expect("a name").to_owned()).collect();
    (names, answer.result()["nextCursor"].as_str().map(ToOwned::to_owned))
}

/// All pages from a cursor on.
async fn walk(gateway: &Gateway, client: Client<'_>, list: (&str, &str, &str), mut cursor: Option<String>) -> Vec<Answer> {
    let mut pages = Vec::new();
    loop {
        let answer = page(gateway, client, list.0, cursor.as_deref()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        cursor = shown(&answer, list).1;
        pages.push(answer);
        if cursor.is_none() {
            return pages;
        }
        assert!(pages.len() < 100, "it comes to no end");
    }
}

/// What is left of a list after a cursor, by name.
async fn rest(gateway: &Gateway, list: (&str, &str, &str), cursor: &str) -> Vec<String> {
    let pages = walk(gateway, CLIENT, list, Some(cursor.to_owned())).await;
    pages.iter().flat_map(|page| shown(page, list).0).collect()
}

/// The first pages of a list: their names, and the cursor behind them.
async fn begin(gateway: &Gateway, list: (&str, &str, &str), pages: usize) -> (Vec<String>, String) {
    let (mut names, mut cursor) = (Vec::new(), None);
    for _ in 0..pages {
        let (more, next) = shown(&page(gateway, CLIENT, list.0, cursor.as_deref()).await, list);
        names.extend(more);
        cursor = Some(next.expect("there is more"));
    }
    (names, cursor.expect("at least one page"))
}

async fn names(gateway: &Gateway, list: (&str, &str, &str)) -> Vec<String> {
    let pages = walk(gateway, CLIENT, list, None).await;
    pages.iter().flat_map(|page| shown(page, list).0).collect()
}

#[tokio::test]
async fn all_pages_together_are_the_list() {
    let (gateway, whole) = (in_pages().await, with("").await);
    let mut sessions = Vec::new();
    for revision in REVISIONS {
        sessions.push(gateway.session(revision).await);
    }
    for list in LISTS {
        let [all] = &walk(&whole, CLIENT, list, None).await[..] else { panic!("one page") };
        let (all, _) = shown(all, list);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        let legacy = sessions.iter().map(|session| Client::Legacy { session });
        for client in [CLIENT, Client::Modern { path: "/servers/all/mcp" }].into_iter().chain(legacy) {
            let pages = walk(&gateway, client, list, None).await;
            let sizes: Vec<_> = pages.iter().map(|page| shown(page, list).0.len()).collect();
            let (last, full) = sizes.split_last().expect("a page");
            assert!(full.iter().all(|size| *size == 2) && matches!(last, 1 | 2), "{}: {sizes:?}", list.0);
            assert_eq!(pages.iter().flat_map(|page| shown(page, list).0).collect::<Vec<_>>(), all, "{}", list.0);
            let (scope, ttl) = match client {
                Client::Modern { .. } => (Some(json!("private")), Some(json!(1_000))),
                Client::Legacy { .. } => (None, None),
            };
            for page in &pages {
                let hints = (page.result().get("cacheScope"), page.result().get("ttlMs"));
                assert_eq!(hints, (scope.as_ref(), ttl.as_ref()), "{}: of each page the same", list.0);
            }
        }
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_list_and_for_nothing_else() {
    let gateway = in_pages().await;
    let session = gateway.session("2025-11-25").await;
    let legacy = Client::Legacy { session: &session };
    let elsewhere = Client::Modern { path: "/servers/all/mcp" };
    let refused = async |client: Client<'_>, method: &str, cursor: &str| {
        let answer = page(&gateway, client, method, Some(cursor)).await;
        assert_eq!((answer.status, answer.code()), (200, -32602), "{method} {cursor}: {answer:?}");
        assert_eq!(answer.error()["message"], "params.cursor is not one that this server gave out", "{method} {cursor}");
    };
    for list in LISTS.into_iter().filter(|(_, member, _)| *member != "resourceTemplates") {
        let cursor = begin(&gateway, list, 1).await.1;
        for (other, ..) in LISTS.iter().filter(|other| **other != list) {
            refused(CLIENT, other, &cursor).await;
            refused(legacy, other, &cursor).await;
        }
        refused(elsewhere, list.0, &cursor).await;
        let (_, of_elsewhere) = shown(&page(&gateway, elsewhere, list.0, None).await, list);
        refused(CLIENT, list.0, &of_elsewhere.expect("there is more")).await;
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            refused(if at % 2 == 0 { CLIENT } else { legacy }, list.0, &String::from_utf8(changed).expect("ASCII")).await;
        }
        let (longer, shorter, padded) = (format!("{cursor}A"), &cursor[1..], format!("{cursor}="));
        for garbage in ["", " ", "0", "2", "null", "AAAA", "../../etc/passwd", "é\u{0}", &"A".repeat(10_000), &longer, shorter, &padded] {
            refused(CLIENT, list.0, garbage).await;
            refused(legacy, list.0, garbage).await;
        }
        // It is still good, as often as it is used.
        assert_eq!(rest(&gateway, list, &cursor).await, rest(&gateway, list, &cursor).await);
    }
    for wrong in [json!(7), json!([]), json!({ "a": 1 })] {
        let answer = gateway.modern(Modern::new("tools/list", json!({ "cursor": wrong }))).await;
        assert_eq!((answer.status, answer.code()), (200, -32602), "{answer:?}");
    }
    let first = gateway.modern(Modern::new("tools/list", json!({ "cursor": Value::Null }))).await;
    assert_eq!(shown(&first, TOOLS).0, begin(&gateway, TOOLS, 1).await.0, "none is the first page, in {MODERN} too");
}

/// Two components have a template each: then they have pages as well.
#[tokio::test]
async fn templates_have_pages_of_their_own() {
    let gateway = with("[limits]\nlist_page_items_max = 1\n").await;
    gateway.drop_in("twin", &reworded(&TWIN));
    let (resources, templates) = (LISTS[1], LISTS[2]);
    let both = async || Some(names(&gateway, templates).await).filter(|names| names.len() == 2);
    let all = eventually("both serve", Duration::from_secs(20), both).await;
    assert_eq!(all, ["test://template/{id}/data", "twin://template/{id}/data"]);
    let (first, cursor) = begin(&gateway, templates, 1).await;
    assert_eq!((&first[..], &rest(&gateway, templates, &cursor).await[..]), (&all[..1], &all[1..]));
    let of_resources = begin(&gateway, resources, 1).await.1;
    for (list, cursor) in [(resources, &cursor), (templates, &of_resources), (TOOLS, &cursor)] {
        assert_eq!(page(&gateway, CLIENT, list.0, Some(cursor)).await.code(), -32602, "{}", list.0);
    }
}

/// Plugins come and go between two pages: what is there before and after is shown once.
#[tokio::test]
async fn a_cursor_goes_on_when_plugins_come_and_go() {
    let gateway = in_pages().await;
    let there = async |name: &str, there: bool| {
        let as_wanted = async || (names(&gateway, TOOLS).await.iter().any(|tool| tool == name) == there).then_some(());
        eventually(name, Duration::from_secs(20), as_wanted).await;
    };
    let all = names(&gateway, TOOLS).await;
    let (seen, cursor) = begin(&gateway, TOOLS, 3).await;
    assert_eq!(seen, all[..6]);

    // One comes in between: `mirrored` lies after `conformance-server` and before `text-toolbox`.
    gateway.drop_in("mirrored", &fs::read(fixture("mirrored")).expect("read"));
    there("mirrored", true).await;
    let left = rest(&gateway, TOOLS, &cursor).await;
    let (new, old): (Vec<_>, Vec<_>) = left.into_iter().partition(|name| name == "mirrored");
    assert_eq!((new.len(), &old[..]), (1, &all[6..]));
    // One comes before all that was shown: it is for the next walk.
    gateway.drop_in("a-twin", &reworded(&TWIN));
    there("twin_simple_text", true).await;
    let left: Vec<_> = rest(&gateway, TOOLS, &cursor).await.into_iter().filter(|name| name != "mirrored").collect();
    assert_eq!(left, all[6..]);

    // One that was still to come goes, and then the one that the cursor lies in: what is behind it is left.
    gateway.take_out("text-toolbox");
    there("echo", false).await;
    let conformance: Vec<_> = all.iter().skip(6).filter(|name| name.contains("test_") || name.contains("json_schema")).cloned().collect();
    assert_eq!(rest(&gateway, TOOLS, &cursor).await, [&conformance[..], &["mirrored".to_owned()]].concat());
    gateway.take_out("conformance-server");
    there("test_simple_text", false).await;
    assert_eq!(rest(&gateway, TOOLS, &cursor).await, ["mirrored"]);
    gateway.take_out("mirrored");
    there("mirrored", false).await;
    assert_eq!(rest(&gateway, TOOLS, &cursor).await, [] as [&str; 0], "nothing is left, and that is no error");
    // What comes back is where it was.
    gateway.drop_in("conformance-server", &fs::read(fixture("conformance-server")).expect("read"));
    there("test_simple_text", true).await;
    assert_eq!(rest(&gateway, TOOLS, &cursor).await, conformance);
}

#[tokio::test]
async fn a_cursor_outlives_the_process() {
    let mut gateway = in_pages().await;
    let mut cursors = Vec::new();
    for list in LISTS.into_iter().filter(|(_, member, _)| *member != "resourceTemplates") {
        let all = names(&gateway, list).await;
        let cursor = begin(&gateway, list, 1).await.1;
        cursors.push((list, cursor, all));
    }
    gateway.restart().await;
    for (list, cursor, all) in &cursors {
        assert_eq!(rest(&gateway, *list, cursor).await, all[2..], "{}", list.0);
    }
}

/// `gatehouse call` walks the pages as well.
#[tokio::test]
async fn the_command_line_finds_a_tool_on_the_last_page() {
    let gateway = in_pages().await;
    let mut command = tokio::process::Command::new(binary());
    command.args(["call", "word_stats", "--url", &gateway.url(), "--arg", "text=one two"]).kill_on_drop(true);
    let output = command.output().await.expect("it runs");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("\"words\": 2"), "{output:?}");
}
