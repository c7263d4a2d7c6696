//! One server: a selection of what the plugins offer, under one address.

use super::grants::Granted;
use super::{Plugins, Prompt, Resource, Template, Tool};
use crate::config::{QuotaConfig, ServerConfig, ServerId};
use mcp::result::List;
use sandbox::{Grants, Guest};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What is shown under one address. In each list by plugin, then in the plugin's own order: the same list every time.
#[derive(Debug, Default)]
pub struct Server {
    /// Its id; none for the default server at `/mcp`.
    pub id: Option<ServerId>,
    /// What it says of itself to models.
    pub instructions: Option<String>,
    /// What each tenant may use here.
    pub quota: QuotaConfig,
    /// What its tenant's plugins may reach.
    granted: Arc<Granted>,
    /// Which kinds it can ever show: a selection that names none of a kind never does.
    offers: Offers,
    tools: Shown<Tool>,
    resources: Shown<Resource>,
    templates: Shown<Template>,
    prompts: Shown<Prompt>,
    /// Places in `templates`, those that say most about their URIs first.
    by_detail: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Offers {
    tools: bool,
    resources: bool,
    prompts: bool,
}

impl Default for Offers {
    fn default() -> Self {
        Self { tools: true, resources: true, prompts: true }
    }
}

/// A list, and its items by name.
#[derive(Debug)]
struct Shown<T> {
    items: Vec<Arc<T>>,
    by_name: HashMap<Box<str>, usize>,
}

impl<T> Default for Shown<T> {
    fn default() -> Self {
        Self { items: Vec::new(), by_name: HashMap::new() }
    }
}

impl<T> Shown<T> {
    fn of(items: impl Iterator<Item = Arc<T>>, name: impl Fn(&T) -> &str) -> Self {
        let items: Vec<_> = items.collect();
        let by_name = items.iter().enumerate().map(|(at, item)| (name(item).into(), at)).collect();
        Self { items, by_name }
    }

    fn get(&self, name: &str) -> Option<&Arc<T>> {
        self.items.get(*self.by_name.get(name)?)
    }
}

/// Who can read a URI.
#[derive(Debug, Clone)]
pub enum Readable {
    /// It stands in a list.
    Listed(Arc<Resource>),
    /// A template can make it.
    OfTemplate(Arc<Template>),
}

impl Readable {
    /// The component to ask.
    pub fn guest(&self) -> &Guest {
        match self {
            Self::Listed(resource) => &resource.guest,
            Self::OfTemplate(template) => &template.guest,
        }
    }

    /// Its plugin.
    pub fn plugin(&self) -> &Arc<str> {
        match self {
            Self::Listed(resource) => &resource.plugin,
            Self::OfTemplate(template) => &template.plugin,
        }
    }

    /// As it stands in its list: the URI, or the template.
    pub fn listed(&self) -> &str {
        match self {
            Self::Listed(resource) => &resource.definition.uri,
            Self::OfTemplate(template) => &template.definition.uri_template,
        }
    }
}

impl Server {
    /// Everything.
    pub(super) fn whole(plugins: (&Plugins, &Arc<Granted>), instructions: Option<String>, quota: QuotaConfig) -> Arc<Self> {
        let all = |_: &str| true;
        Arc::new(Self::of(None, (instructions, quota), Offers::default(), plugins, (&all, &all, &all), &BTreeMap::new()))
    }

    /// What its patterns cover, and nothing else.
    pub(super) fn selected(plugins: (&Plugins, &Arc<Granted>), config: &ServerConfig) -> Arc<Self> {
        let offers =
            Offers { tools: !config.tools.is_empty(), resources: !config.resources.is_empty(), prompts: !config.prompts.is_empty() };
        let tools = |name: &str| config.tools.iter().any(|pattern| pattern.matches(name));
        let resources = |uri: &str| config.resources.iter().any(|pattern| pattern.matches(uri));
        let prompts = |name: &str| config.prompts.iter().any(|pattern| pattern.matches(name));
        let selection: Selection<'_> = (&tools, &resources, &prompts);
        Arc::new(Self::of(Some(config.id.clone()), (config.instructions.clone(), config.quota), offers, plugins, selection, &config.rename))
    }

    fn of(
        id: Option<ServerId>,
        (instructions, quota): (Option<String>, QuotaConfig),
        offers: Offers,
        (plugins, granted): (&Plugins, &Arc<Granted>),
        selection: Selection<'_>,
        rename: &BTreeMap<Box<str>, Box<str>>,
    ) -> Self {
        let (tool, resource, prompt) = selection;
        let tools = plugins.values().flat_map(|plugin| &plugin.tools).filter(|shown| tool(&shown.own_name));
        let tools = renamed(tools.cloned().collect(), rename);
        let resources = plugins.values().flat_map(|plugin| &plugin.resources).filter(|shown| resource(&shown.definition.uri));
        let templates = plugins.values().flat_map(|plugin| &plugin.templates).filter(|shown| resource(&shown.definition.uri_template));
        let prompts = plugins.values().flat_map(|plugin| &plugin.prompts).filter(|shown| prompt(&shown.definition.name));
        let templates = Shown::of(templates.cloned(), |template| &template.definition.uri_template);
        let mut by_detail: Vec<(usize, usize)> =
            templates.items.iter().enumerate().map(|(at, template)| (template.pattern.literal_bytes(), at)).collect();
        by_detail.sort_by_key(|(bytes, at)| (usize::MAX - bytes, *at));
        Self {
            id,
            instructions,
            quota,
            granted: Arc::clone(granted),
            offers,
            tools: Shown::of(tools.into_iter(), |tool| &tool.definition.name),
            resources: Shown::of(resources.cloned(), |resource| &resource.definition.uri),
            templates,
            prompts: Shown::of(prompts.cloned(), |prompt| &prompt.definition.name),
            by_detail: by_detail.into_iter().map(|(_, at)| at).collect(),
        }
    }

    /// What a run of that plugin gets here.
    pub fn grants(&self, plugin: &str) -> Grants {
        self.granted.of_plugin(plugin)
    }

    /// Whether a list can ever hold anything: its methods exist, and are announced.
    pub fn offers(&self, list: List) -> bool {
        match list {
            List::Tools => self.offers.tools,
            List::Resources | List::ResourceTemplates => self.offers.resources,
            List::Prompts => self.offers.prompts,
        }
    }

    /// How much it shows, in words.
    pub fn counts(&self) -> String {
        counts([self.tools.items.len(), self.resources.items.len(), self.templates.items.len(), self.prompts.items.len()])
    }

    /// Whether it shows nothing at all.
    pub fn is_empty(&self) -> bool {
        self.tools.items.is_empty() && self.resources.items.is_empty() && self.templates.items.is_empty() && self.prompts.items.is_empty()
    }

    /// All its tools.
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools.items
    }

    /// One tool.
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.get(name)
    }

    /// All resources that are listed.
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources.items
    }

    /// All families of resources.
    pub fn templates(&self) -> &[Arc<Template>] {
        &self.templates.items
    }

    /// One family, by its template.
    pub fn template(&self, uri_template: &str) -> Option<&Arc<Template>> {
        self.templates.get(uri_template)
    }

    /// Who can read a URI: whoever lists it, else the family that says most about it.
    pub fn readable(&self, uri: &str) -> Option<Readable> {
        if let Some(resource) = self.resources.get(uri) {
            return Some(Readable::Listed(Arc::clone(resource)));
        }
        // No template can make what is no URI, whatever its pattern says.
        if !mcp::resource::is_uri(uri) {
            return None;
        }
        let families = self.by_detail.iter().filter_map(|at| self.templates.items.get(*at));
        families.into_iter().find(|template| template.pattern.matches(uri)).map(|template| Readable::OfTemplate(Arc::clone(template)))
    }

    /// All prompts.
    pub fn prompts(&self) -> &[Arc<Prompt>] {
        &self.prompts.items
    }

    /// One prompt.
    pub fn prompt(&self, name: &str) -> Option<&Arc<Prompt>> {
        self.prompts.get(name)
    }
}

/// Tools under the names of a server. A new name is the renamed tool's, whoever had it before.
fn renamed(tools: Vec<Arc<Tool>>, rename: &BTreeMap<Box<str>, Box<str>>) -> Vec<Arc<Tool>> {
    let taken: HashSet<&str> = tools.iter().filter_map(|tool| rename.get(&tool.own_name)).map(|name| &**name).collect();
    let shown = tools.iter().filter_map(|tool| match rename.get(&tool.own_name) {
        Some(name) => Some(Arc::new(tool.renamed(name))),
        None => Some(Arc::clone(tool)).filter(|tool| !taken.contains(&*tool.own_name)),
    });
    shown.collect()
}

/// Which names of tools, URIs of resources and names of prompts are shown.
type Selection<'a> = (&'a dyn Fn(&str) -> bool, &'a dyn Fn(&str) -> bool, &'a dyn Fn(&str) -> bool);

/// Numbers of tools, resources, templates and prompts in words; those that are none are left out.
pub(super) fn counts(numbers: [usize; 4]) -> String {
    let kinds = [("tool", "tools"), ("resource", "resources"), ("resource template", "resource templates"), ("prompt", "prompts")];
    let said = numbers.iter().zip(kinds).filter(|(number, _)| **number > 0);
    let said: Vec<_> = said.map(|(number, (one, many))| format!("{number} {}", if *number == 1 { one } else { many })).collect();
    if said.is_empty() { "nothing".to_owned() } else { said.join(", ") }
}
