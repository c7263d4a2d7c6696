//! The official Rust SDK as a client, in both eras, with everything that is no plain call: the series of `clients_offers`.
#![expect(deprecated, reason = "sampling, roots, logging and subscriptions are on their way out, and served as long as they are there")]

use super::clients_offers::{Era, expected, gateway, judge, swap};
use super::rust_sdk::{text, transport};
use crate::harness::{Gateway, eventually};
use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ElicitationAction, ErrorData, GetPromptRequestParams, Implementation, JsonObject, ListRootsResult, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
    ResourceUpdatedNotificationParam, Root, SamplingMessage, ServerNotification, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, RequestContext, RoleClient, RunningService, ServiceError, ServiceExt,
    Subscription,
};
use serde_json::{Map, Value, json};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

const WATCHED: &str = "test://watched-resource";

/// Longer than any wait of a test.
const LIMIT: Duration = Duration::from_secs(20);

/// A client that answers questions, and remembers what it was told.
#[derive(Clone, Default)]
struct Person {
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    asked: [u32; 3],
    progress: Vec<[u32; 2]>,
    logs: Vec<String>,
    updated: Vec<String>,
    changed: Vec<&'static str>,
}

impl Person {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("not poisoned")
    }

    async fn wait<T>(&self, what: &str, look: impl Fn(&Heard) -> Option<T>) -> T {
        eventually(what, LIMIT, async || look(&self.heard())).await
    }
}

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        // The SDK's builder of them is a part of its server.
        let capabilities = serde_json::from_value(json!({ "elicitation": {}, "sampling": {}, "roots": {} }));
        ClientConfig::new(capabilities.expect("capabilities"), Implementation::new("gatehouse-test", "1.0.0"))
    }

    async fn create_elicitation(&self, params: ElicitRequestParams, _: RequestContext<RoleClient>) -> Result<ElicitResult, ErrorData> {
        self.heard().asked[0] += 1;
        match params {
            ElicitRequestParams::FormElicitationParams { message, requested_schema, .. } if !message.contains("decline") => {
                let fields = requested_schema.properties.keys().map(|name| (name.clone(), json!(format!("my {name}"))));
                Ok(ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(fields.collect())))
            }
            _ => Ok(ElicitResult::new(ElicitationAction::Decline)),
        }
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.heard().asked[1] += 1;
        let asked = json!(params.messages)[0]["content"]["text"].as_str().expect("a text").to_owned();
        Ok(CreateMessageResult::new(SamplingMessage::assistant_text(format!("To \"{asked}\": yes")), "none".to_owned()))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        self.heard().asked[2] += 1;
        Ok(ListRootsResult::new(vec![Root::new("file:///srv/project").with_name("project")]))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.heard().progress.push([params.progress as u32, params.total.unwrap_or_default() as u32]);
    }

    async fn on_logging_message(&self, params: LoggingMessageNotificationParam, _: NotificationContext<RoleClient>) {
        let level = json!(params.level);
        let line = format!("{}: {}", level.as_str().expect("a level"), params.data.as_str().expect("a text"));
        self.heard().logs.push(line);
    }

    async fn on_resource_updated(&self, params: ResourceUpdatedNotificationParam, _: NotificationContext<RoleClient>) {
        self.heard().updated.push(params.uri);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard().changed.push("tools");
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard().changed.push("prompts");
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard().changed.push("resources");
    }
}

type Client = RunningService<RoleClient, Person>;

fn object(value: Value) -> JsonObject {
    let Value::Object(object) = value else { panic!("arguments are an object") };
    object
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Result<CallToolResult, ServiceError> {
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(object(arguments))).await
}

async fn says(client: &Client, tool: &'static str, arguments: Value) -> String {
    text(&call(client, tool, arguments).await.expect("a result")).to_owned()
}

/// The code of the error that must come in place of an answer.
async fn refusal<T: std::fmt::Debug>(answer: impl Future<Output = Result<T, ServiceError>>) -> i32 {
    match answer.await {
        Err(ServiceError::McpError(error)) => error.code.0,
        other => panic!("an error of the protocol: {other:?}"),
    }
}

async fn resources(client: &Client, report: &mut Map<String, Value>) {
    let read = async |uri: &str| client.read_resource(ReadResourceRequestParams::new(uri)).await;
    let content = async |uri: &str, member: &str| json!(read(uri).await.expect("a resource").contents)[0][member].clone();
    let list = client.list_all_resources().await.expect("a list");
    let templates = client.list_all_resource_templates().await.expect("a list");
    report.extend(object(json!({
        "resources": list.iter().map(|resource| &resource.uri).collect::<Vec<_>>(),
        "templates": templates.iter().map(|template| &template.uri_template).collect::<Vec<_>>(),
        "resource": content("test://static-text", "text").await,
        "binary": content("test://static-binary", "blob").await,
        "from_template": content("test://template/7/data", "text").await,
        "no_resource": refusal(read("test://template/long/data")).await,
        "resource_asks": content("test://asks", "text").await,
    })));
}

async fn prompts(client: &Client, report: &mut Map<String, Value>) {
    let get =
        async |name: &str, arguments: Value| client.get_prompt(GetPromptRequestParams::new(name).with_arguments(object(arguments))).await;
    let content = async |name: &str, arguments: Value| json!(get(name, arguments).await.expect("a prompt").messages)[0]["content"].clone();
    let image = content("test_prompt_with_image", json!({})).await;
    let word = |member: &str| image[member].as_str().expect("a text");
    let list = client.list_all_prompts().await.expect("a list");
    let many = client.complete_resource_argument("test://template/{id}/data", "id", "", None).await.expect("suggestions");
    report.extend(object(json!({
        "prompts": list.iter().map(|prompt| &prompt.name).collect::<Vec<_>>(),
        "prompt": content("test_prompt_with_arguments", json!({ "arg1": "one", "arg2": "two" })).await["text"],
        "prompt_image": format!("{} {} {}", word("type"), word("mimeType"), word("data")),
        "no_prompt": refusal(get("no_such_prompt", json!({}))).await,
        "prompt_asks": content("test_input_required_result_prompt", json!({})).await["text"],
        "completion": client.complete_prompt_simple("test_prompt_with_arguments", "arg1", "par").await.expect("suggestions"),
        "completion_many": { "count": many.values.len(), "total": many.total, "has_more": many.has_more },
    })));
}

/// Tools that ask: by requests of the server's in one era, by answers that are no end in the other.
async fn questions(client: &Client, report: &mut Map<String, Value>) {
    report.extend(object(json!({
        "elicitation": says(client, "test_elicitation", json!({ "message": "Who are you?" })).await,
        "declined": says(client, "test_elicitation", json!({ "message": "Please decline" })).await,
        "elicitation_again": says(client, "test_input_required_result_elicitation", json!({})).await,
        "two_rounds": says(client, "test_input_required_result_multi_round", json!({})).await,
        "sampling": says(client, "test_sampling", json!({ "prompt": "Is it?" })).await,
        "sampling_again": says(client, "test_input_required_result_sampling", json!({})).await,
        "roots": says(client, "test_input_required_result_list_roots", json!({})).await,
        "three_kinds": says(client, "test_input_required_result_multiple_inputs", json!({})).await,
    })));
    let [elicitation, sampling, roots] = client.service().heard().asked;
    report.insert("asked".to_owned(), json!({ "elicitation": elicitation, "sampling": sampling, "roots": roots }));
}

async fn notifications(client: &Client, era: Era, report: &mut Map<String, Value>) {
    let person = client.service();
    // It asks for progress of every call.
    person.heard().progress.clear();
    says(client, "test_tool_with_progress", json!({})).await;
    // The SDK hands notifications on in tasks of their own.
    let progress = person.wait("progress", |heard| (heard.progress.len() >= 3).then(|| heard.progress.clone())).await;

    // A level is the session's in one era and the call's in the other.
    let mut logged = CallToolRequestParams::new("test_tool_with_logging");
    match era {
        Era::Legacy => client.set_level(SetLevelRequestParams::new(LoggingLevel::Info)).await.expect("a level"),
        Era::Modern => logged.meta.get_or_insert_default().set_log_level(LoggingLevel::Info),
    }
    client.call_tool(logged).await.expect("a result");
    let logs = person.wait("log lines", |heard| (heard.logs.len() >= 3).then(|| heard.logs.clone())).await;
    report.extend(object(json!({ "progress": progress, "logs": logs })));
}

/// The gateway has one slot: while a call holds it, another one is refused, and afterwards is not.
async fn cancellation(client: &Client, report: &mut Map<String, Value>) {
    let free = async || match call(client, "test_simple_text", json!({})).await {
        Ok(_) => true,
        Err(error) if format!("{error:?}").contains("-31004") => false,
        Err(error) => panic!("{error:?}"),
    };
    let peer = client.peer().clone();
    let spinning = tokio::spawn(async move { peer.call_tool(CallToolRequestParams::new("spin")).await });
    eventually("the slot is taken", LIMIT, async || (!free().await).then_some(())).await;
    // Who does not wait for the answer any more has cancelled the call.
    spinning.abort();
    let outcome = if spinning.await.is_ok() { "answered" } else { "rejected" };
    eventually("the slot is free again", LIMIT, async || free().await.then_some(())).await;
    report.insert("cancelled".to_owned(), json!(outcome));
}

/// Listens as its era has it: what a subscription yields is told to the client as the other era tells it.
async fn listen(client: &Client, era: Era) -> Option<tokio::task::JoinHandle<()>> {
    if era == Era::Legacy {
        client.subscribe(SubscribeRequestParams::new(WATCHED)).await.expect("a subscription");
        return None;
    }
    let filter = SubscriptionFilter::builder().tools_list_changed().prompts_list_changed().resources_list_changed();
    let mut subscription: Subscription = client.listen(filter.resource_subscription(WATCHED).build()).await.expect("a subscription");
    let person = client.service().clone();
    Some(tokio::spawn(async move {
        while let Some(notification) = subscription.next().await.expect("it goes on") {
            let mut heard = person.heard();
            match notification {
                ServerNotification::ResourceUpdatedNotification(updated) => heard.updated.push(updated.params.uri),
                ServerNotification::ToolListChangedNotification(_) => heard.changed.push("tools"),
                ServerNotification::PromptListChangedNotification(_) => heard.changed.push("prompts"),
                ServerNotification::ResourceListChangedNotification(_) => heard.changed.push("resources"),
                other => panic!("not what was asked for: {other:?}"),
            }
        }
    }))
}

async fn changes(gateway: &Gateway, client: &Client, era: Era, report: &mut Map<String, Value>) {
    let person = client.service();
    let listening = listen(client, era).await;
    says(client, "test_touch_resource", json!({ "uri": WATCHED })).await;
    let updated = person.wait("an update", |heard| heard.updated.first().cloned()).await;

    let before = client.list_all_tools().await.expect("a list").len();
    swap(gateway);
    person.wait("a change of the tools", |heard| heard.changed.contains(&"tools").then_some(())).await;
    let tools = client.list_all_tools().await.expect("a list");
    let swapped = std::mem::take(&mut person.heard().changed);

    // Each list is another one each time that it is asked for, which is when the component says so.
    for changing in ["test_trigger_tool_change", "test_trigger_prompt_change", "test_trigger_resource_change"] {
        says(client, changing, json!({})).await;
    }
    let every = |heard: &Heard| (heard.changed.len() >= 3).then(|| heard.changed.clone());
    let mut triggered = person.wait("a change of every list", every).await;
    triggered.sort_unstable();
    report.extend(object(json!({
        "updated": [updated],
        "swapped": swapped,
        "added": tools.iter().skip(before).map(|tool| &tool.name).collect::<Vec<_>>(),
        "triggered": triggered,
    })));
    if let Some(listening) = listening {
        listening.abort();
    }
}

async fn check(gateway: Gateway, client: Client, era: Era) {
    let mut report = object(json!({
        "client": "rmcp 3.11",
        "mode": if era == Era::Legacy { "serve" } else { "discover" },
        "era": if era == Era::Legacy { "legacy" } else { "modern" },
        "ended": null,
    }));
    resources(&client, &mut report).await;
    prompts(&client, &mut report).await;
    questions(&client, &mut report).await;
    notifications(&client, era, &mut report).await;
    cancellation(&client, &mut report).await;
    changes(&gateway, &client, era, &mut report).await;
    client.cancel().await.expect("it ends");
    let mut expected = expected(era);
    // How its end was answered it keeps for itself.
    expected["ended"] = Value::Null;
    judge(&Value::Object(report), &expected);
}

#[tokio::test]
async fn rust_sdk_legacy_is_served_everything() {
    let gateway = gateway().await;
    let client = Person::default().serve(transport(&gateway)).await.expect("a handshake");
    check(gateway, client, Era::Legacy).await;
}

#[tokio::test]
async fn rust_sdk_discover_is_served_everything() {
    let gateway = gateway().await;
    let mode = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    let client = Person::default().serve_with_lifecycle(transport(&gateway), mode).await.expect("discovery");
    check(gateway, client, Era::Modern).await;
}
