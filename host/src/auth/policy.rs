//! What a caller may do. The only place that makes permits.

mod arguments;

use super::Caller;
use super::chain::{At, Blame, Filtered, NoAnswer, ResultFilters, Said, Stopped};
use crate::catalog::{Prompt, Readable, Resource, Server, Template, Tool};
use crate::config::ServerId;
use crate::revocation::{Revocations, What};
use crate::trace::Span;
use sandbox::{Action, Authority, FilteredCall, Guest, Permit, Principal, Question, Target, TargetKind, Work};
use std::sync::Arc;

/// Decides, and holds the authority to permit.
#[derive(Debug)]
pub struct Policy {
    authority: Authority,
    revocations: Arc<Revocations>,
}

/// Why there is no permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The caller may not even know of it: it is told that there is no such thing.
    Hidden,
    /// It may know of it, and not use it.
    Forbidden {
        /// The policy that said so; none where no policy allowed it.
        by: Option<Blame>,
        /// Scopes that would do: those that the caller holds, and those that it misses. None where no policy names any that it misses.
        scopes: Vec<Box<str>>,
    },
    /// A policy did not come to an answer.
    NoAnswer,
}

/// Work that may be done.
#[derive(Debug)]
pub struct Authorized {
    /// The right to do it, with the arguments that filters left.
    pub permit: Permit,
    /// Whether a filter changed them.
    pub changed: bool,
    /// Who looks at the result; none where nobody does.
    pub results: Option<ResultFilters>,
}

impl From<NoAnswer> for Denied {
    fn from(_: NoAnswer) -> Self {
        Self::NoAnswer
    }
}

impl Denied {
    /// A client that asks for a token of these scopes may get one of these alone, so that it needs those that it holds as well.
    fn forbidden(caller: &Caller, by: Option<Blame>, missing: Vec<Box<str>>) -> Self {
        let mut scopes: Vec<Box<str>> = Vec::new();
        if !missing.is_empty() {
            let held = caller.principal().scopes.iter().map(|scope| Box::from(&**scope));
            held.chain(missing).for_each(|scope| {
                if !scopes.contains(&scope) {
                    scopes.push(scope)
                }
            });
        }
        Self::Forbidden { by, scopes }
    }

    fn stopped(caller: &Caller, stopped: Stopped) -> Self {
        match stopped {
            Stopped::Denied { by, missing_scopes } => Self::forbidden(caller, Some(by), missing_scopes),
            Stopped::NoAnswer => Self::NoAnswer,
        }
    }
}

/// What a caller wants to know of, or to use.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// A tool.
    Tool(&'a Tool),
    /// A resource that is listed.
    Resource(&'a Resource),
    /// A family of resources, or one of it.
    Template(&'a Template),
    /// A prompt.
    Prompt(&'a Prompt),
}

impl<'a> Item<'a> {
    /// Whoever can read a URI.
    pub fn readable(readable: &'a Readable) -> Self {
        match readable {
            Readable::Listed(resource) => Self::Resource(resource),
            Readable::OfTemplate(template) => Self::Template(template),
        }
    }

    fn guest(self) -> &'a Guest {
        match self {
            Self::Tool(tool) => &tool.guest,
            Self::Resource(resource) => &resource.guest,
            Self::Template(template) => &template.guest,
            Self::Prompt(prompt) => &prompt.guest,
        }
    }

    /// As revocations know it.
    pub fn what(self, server: &'a Server) -> What<'a> {
        let (plugin, tool) = match self {
            Self::Tool(tool) => (&tool.plugin, Some(&*tool.own_name)),
            Self::Resource(resource) => (&resource.plugin, None),
            Self::Template(template) => (&template.plugin, None),
            Self::Prompt(prompt) => (&prompt.plugin, None),
        };
        What { plugin, tool, server: server.id.as_ref().map(ServerId::as_str) }
    }

    /// What it is to know of it.
    fn listing(self) -> Action {
        match self {
            Self::Tool(_) => Action::ListTools,
            Self::Resource(_) | Self::Template(_) => Action::ListResources,
            Self::Prompt(_) => Action::ListPrompts,
        }
    }

    /// As a policy sees it. `name` stands in for the item's own where a client named one of a family.
    fn target(self, server: &Server, name: Option<&str>) -> Target {
        let (kind, own, plugin, hints, scopes) = match self {
            Self::Tool(tool) => {
                let hints = &tool.definition.annotations;
                let hints = (hints.read_only, hints.destructive);
                (TargetKind::Tool, &*tool.own_name, &tool.plugin, hints, tool.scopes.as_slice())
            }
            Self::Resource(resource) => (TargetKind::Resource, &*resource.definition.uri, &resource.plugin, (Some(true), None), &[][..]),
            Self::Template(template) => {
                (TargetKind::ResourceTemplate, &*template.definition.uri_template, &template.plugin, (Some(true), None), &[][..])
            }
            Self::Prompt(prompt) => (TargetKind::Prompt, &*prompt.definition.name, &prompt.plugin, (Some(true), None), &[][..]),
        };
        Target {
            server: server.id.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind,
            name: name.unwrap_or(own).to_owned(),
            plugin: plugin.to_string(),
            read_only: hints.0,
            destructive: hints.1,
            scopes: scopes.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Policy {
    /// Two rules always hold: a tool that demands scopes is there for callers who have all of them, and what is revoked is there for nobody.
    /// What policies say comes after them.
    pub fn new(authority: Authority, revocations: Arc<Revocations>) -> Self {
        Self { authority, revocations }
    }

    /// Which of these items, all of one kind, the caller may know of. Lists and calls ask this one question, so they cannot disagree.
    ///
    /// # Errors
    ///
    /// When a policy does not come to an answer.
    pub async fn shown(&self, caller: &Caller, server: &Server, items: &[Item<'_>], span: &Span) -> Result<Vec<bool>, NoAnswer> {
        let (revoked, tenant) = (self.revocations.now(), caller.tenant().id.as_str());
        let holds = |item: &Item<'_>| holds_scopes(caller, *item) && !revoked.hides(tenant, item.what(server));
        let holds: Vec<bool> = items.iter().map(holds).collect();
        drop(revoked);
        let (policies, at) = (caller.policies(), at(caller, server, span));
        // Of what is not there in any case, nobody is asked.
        let Some(first) = items.first().filter(|_| holds.contains(&true) && !policies.is_silent(at)) else { return Ok(holds) };
        let question = Question {
            who: principal(caller),
            what: first.listing(),
            targets: items.iter().map(|item| item.target(server, None)).collect(),
            arguments: None,
        };
        let said = policies.ask(at, &question).await?;
        Ok(holds.into_iter().zip(said).map(|(holds, said)| holds && said == Said::Allowed).collect())
    }

    /// Permits work, which must be of that very item: policies say whether it may be done, then filters look into it. What they change is not
    /// put to policies again: the operator who attaches a filter trusts it with that.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub async fn authorize(&self, caller: &Caller, server: &Server, item: Item<'_>, work: Work, span: &Span) -> Result<Authorized, Denied> {
        let name = match &work {
            Work::ReadResource { uri } => Some(uri.clone()),
            Work::CallTool { .. } | Work::GetPrompt { .. } | Work::Complete { .. } => None,
        };
        let (what, name) = (arguments::action(&work), name.as_deref());
        self.may(caller, server, item, (what, name, arguments::of(&work)), span).await?;
        let permit = |work| self.authority.permit(item.guest(), work, server.grants(item.what(server).plugin));
        let (policies, at) = (caller.policies(), at(caller, server, span));
        if policies.filters_nothing(at) {
            return Ok(Authorized { permit: permit(work), changed: false, results: None });
        }
        let call = FilteredCall {
            who: principal(caller),
            what,
            target: item.target(server, name),
            arguments: arguments::of(&work).unwrap_or_else(|| "{}".to_owned()),
        };
        let instead = |text: &str| arguments::instead(&work, text, policies.json_limits());
        let filtered = policies.filter(at, call, &|text| instead(text).is_some()).await;
        let Filtered { arguments, results } = filtered.map_err(|stopped| Denied::stopped(caller, stopped))?;
        match arguments {
            None => Ok(Authorized { permit: permit(work), changed: false, results }),
            Some(text) => Ok(Authorized { permit: permit(instead(&text).ok_or(Denied::NoAnswer)?), changed: true, results }),
        }
    }

    /// Whether the caller may watch a resource.
    ///
    /// # Errors
    ///
    /// When it may not.
    pub async fn may_watch(&self, caller: &Caller, server: &Server, readable: &Readable, uri: &str, span: &Span) -> Result<(), Denied> {
        self.may(caller, server, Item::readable(readable), (Action::Subscribe, Some(uri), None), span).await
    }

    async fn may(
        &self,
        caller: &Caller,
        server: &Server,
        item: Item<'_>,
        (what, name, arguments): (Action, Option<&str>, Option<String>),
        span: &Span,
    ) -> Result<(), Denied> {
        // What a list would not show is not there.
        if self.shown(caller, server, &[item], span).await? != [true] {
            return Err(Denied::Hidden);
        }
        let (policies, at) = (caller.policies(), at(caller, server, span));
        if policies.is_silent(at) {
            return Ok(());
        }
        let question = Question { who: principal(caller), what, targets: vec![item.target(server, name)], arguments };
        match policies.ask(at, &question).await?.into_iter().next() {
            Some(Said::Allowed) => Ok(()),
            Some(Said::Denied { by, missing_scopes }) => Err(Denied::forbidden(caller, by, missing_scopes)),
            None => Err(Denied::NoAnswer),
        }
    }
}

fn holds_scopes(caller: &Caller, item: Item<'_>) -> bool {
    match item {
        Item::Tool(tool) => tool.scopes.iter().all(|scope| caller.principal().scopes.iter().any(|held| **held == **scope)),
        // They demand nothing.
        Item::Resource(_) | Item::Template(_) | Item::Prompt(_) => true,
    }
}

fn at<'a>(caller: &'a Caller, server: &'a Server, span: &'a Span) -> At<'a> {
    At { tenant: &caller.tenant().id, server: server.id.as_ref(), span }
}

fn principal(caller: &Caller) -> Principal {
    let principal = caller.principal();
    Principal {
        tenant: caller.tenant().id.as_str().to_owned(),
        issuer: principal.issuer.as_deref().map(ToOwned::to_owned),
        subject: principal.subject.as_deref().map(ToOwned::to_owned),
        scopes: principal.scopes.iter().map(ToString::to_string).collect(),
        claims: caller.claims().map(ToOwned::to_owned),
    }
}
