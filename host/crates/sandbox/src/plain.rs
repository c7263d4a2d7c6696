//! Plain components: those that know nothing of this gateway. Each function that they export becomes a tool, if its types have a JSON form.
//!
//! What a function takes and gives is looked up once, when its component is loaded, and kept as a [`Plan`]: a call converts by it and asks
//! the engine for no type. In reading order: [`shape`], what has a JSON form; [`schema`], which one that is; [`enter`] and [`leave`], from
//! JSON to the engine's values and back; [`docs`], what the author's WIT says about it.

mod docs;
mod enter;
mod leave;
mod schema;
mod shape;

use crate::contract::{Content, Failure, Reply, Text};
use crate::state::State;
use crate::survey::{NAME_BYTES_MAX, Survey, SurveyError, at_most};
use crate::work::{Offer, Outcome};
use docs::{Docs, Named};
use leave::Unwritten;
use shape::{Field, Full, Room, Shape};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::types::{ComponentExtern, ComponentFunc, ComponentInstance, ComponentItem, Type};
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, Val};

/// Of a component's own and in its interfaces.
const FUNCTIONS_MAX: usize = 1_000;
/// What may have a name in all of its interfaces together: functions, types, and fields of types.
const NAMES_MAX: usize = 50_000;
/// Of a name that a component or a client made up, where it is spoken of.
const SHOWN_CHARS_MAX: usize = 128;
/// What is said where a function fails and its type has no words for it.
const FAILED: &str = "The function failed, and does not say why.";

/// A function that can be called with JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// What names it in its component: `name`, or `interface#name`. [`Work::CallTool`](crate::Work::CallTool) takes this.
    pub path: String,
    /// The exported interface that it is of, as it stands in the component; none for one of the component itself.
    pub interface: Option<String>,
    /// In kebab case, as its author wrote it.
    pub name: String,
    /// What its author's WIT says about it.
    pub docs: Option<String>,
    /// JSON Schema text of what it gives, if it gives anything.
    pub output_schema: Option<String>,
    parameters: Arc<[Field]>,
}

impl Function {
    /// Whether it has a parameter of that name.
    pub fn takes(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|field| field.name == parameter)
    }

    /// JSON Schema text of its arguments, an object; with these descriptions of parameters, which WIT has no place for.
    pub fn input_schema(&self, descriptions: &BTreeMap<String, String>) -> String {
        let described = |field: &Field| Field { docs: descriptions.get(&field.name).cloned(), ..field.clone() };
        schema::of_parameters(&self.parameters.iter().map(described).collect::<Vec<_>>())
    }
}

/// A function that cannot be called with JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// As [`Function::path`].
    pub path: String,
    /// In its component.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// How one function is called.
#[derive(Clone)]
struct Plan {
    index: ComponentExportIndex,
    parameters: Arc<[Field]>,
    gives: Gives,
}

/// What a function gives.
#[derive(Debug, Clone)]
enum Gives {
    Nothing,
    Value(Shape),
    /// A result, whose error is the tool's own failure.
    Result(Option<Shape>, Option<Shape>),
}

/// All functions of one component.
#[derive(Clone)]
pub(crate) struct Functions {
    plans: HashMap<String, Plan>,
    offered: Vec<Function>,
    skipped: Vec<Skipped>,
}

/// Only a mistake of the host's leads here.
#[derive(Debug, thiserror::Error)]
#[error("the guest has no function {0}")]
struct NoFunction(String);

/// A result longer than its limit, found before all of it was written.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the result has more than {0} bytes")]
pub(crate) struct TooLong(pub(crate) usize);

/// Whether an export may be a function of the component's own, or an interface of them. Contracts with a host are not: what `wasi:` and
/// `gatehouse:` name is for whoever runs a component.
pub(crate) fn is_own(export: &str) -> bool {
    !export.starts_with("wasi:") && !export.starts_with("gatehouse:")
}

impl Functions {
    /// Looks at the types of everything that a component exports.
    ///
    /// # Errors
    ///
    /// When that is more than a shared host looks at.
    pub(crate) fn of(pre: &InstancePre<State>, survey: &Survey) -> Result<Self, SurveyError> {
        let docs = Docs::read(survey.docs.as_deref());
        let mut reading = Reading {
            component: pre.component(),
            docs: &docs,
            found: Self { plans: HashMap::new(), offered: Vec::new(), skipped: Vec::new() },
            room: Room::of_component(),
            names: 0,
        };
        let component = pre.component().component_type();
        let engine = pre.component().engine();
        let exports = reading.named(component.exports(engine))?;
        // Types that the world uses are imports of the component's own.
        let all = [exports.clone(), reading.named(component.imports(engine))?].concat();
        let named = docs.named(None, &all);
        // Functions of the component itself come first, so that what an interface has of the same name gives way to them.
        for (name, item) in &exports {
            if let ComponentItem::ComponentFunc(function) = item {
                let index = pre.component().get_export_index(None, name);
                reading.function((None, name, index), function, &named)?;
            }
        }
        for (name, item) in &exports {
            if let ComponentItem::ComponentInstance(instance) = item {
                reading.interface(name, instance)?;
            }
        }
        Ok(reading.found)
    }

    /// What can be called, and what cannot.
    pub(crate) fn offer(&self) -> Offer {
        Offer { functions: self.offered.clone(), skipped: self.skipped.clone(), ..Offer::default() }
    }

    /// Why there is nothing to call, where that is so.
    pub(crate) fn none(&self) -> Option<&[Skipped]> {
        self.offered.is_empty().then_some(&self.skipped)
    }

    /// Calls one function. Its arguments may become as many bytes as the guest may hand over itself; its result has at most `result_bytes`.
    pub(crate) async fn call(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        (path, arguments): (&str, &str),
        result_bytes: usize,
    ) -> wasmtime::Result<Result<Outcome, Failure>> {
        let plan = self.plans.get(path).ok_or_else(|| NoFunction(path.to_owned()))?;
        let parameters = match enter::arguments(&plan.parameters, arguments, store.hostcall_fuel()) {
            Ok(parameters) => parameters,
            Err(misfit) => return Ok(Err(Failure::InvalidArguments(misfit))),
        };
        let function = instance.get_func(&mut *store, plan.index).ok_or_else(|| NoFunction(path.to_owned()))?;
        let mut results = match plan.gives {
            Gives::Nothing => Vec::new(),
            Gives::Value(_) | Gives::Result(..) => vec![Val::Bool(false)],
        };
        function.call_async(&mut *store, &parameters, &mut results).await?;
        drop(parameters);
        let reply = plan.gives.reply(results.pop(), result_bytes).map_err(|unwritten| match unwritten {
            Unwritten::TooLong => wasmtime::Error::from(TooLong(result_bytes)),
            Unwritten::Unlike => wasmtime::Error::msg("the engine gave a value of another type"),
        })?;
        Ok(Ok(Outcome::Reply(reply)))
    }
}

impl Gives {
    fn reply(&self, result: Option<Val>, bytes_max: usize) -> Result<Reply, Unwritten> {
        match (self, result) {
            (Self::Nothing, None) => Ok(reply(None, None, false)),
            (Self::Value(shape), Some(value)) => structured(shape, &value, bytes_max),
            (Self::Result(ok, _), Some(Val::Result(Ok(value)))) => match (ok, value) {
                (None, None) => Ok(reply(None, None, false)),
                (Some(shape), Some(value)) => structured(shape, &value, bytes_max),
                _ => Err(Unwritten::Unlike),
            },
            (Self::Result(_, err), Some(Val::Result(Err(value)))) => {
                let text = match (err, value) {
                    (None, None) => FAILED.to_owned(),
                    // Clients compare a structure with the output schema, failure or not; so it is text.
                    (Some(shape), Some(value)) => match *value {
                        Val::String(text) => text,
                        value => leave::json(shape, &value, bytes_max)?,
                    },
                    _ => return Err(Unwritten::Unlike),
                };
                Ok(reply(Some(text), None, true))
            }
            _ => Err(Unwritten::Unlike),
        }
    }
}

/// A value as a structured result. The host adds its text form, except of a text, which is one.
fn structured(shape: &Shape, value: &Val, bytes_max: usize) -> Result<Reply, Unwritten> {
    let json = leave::json(shape, value, bytes_max)?;
    let text = match value {
        Val::String(text) => Some(text.clone()),
        _ => None,
    };
    Ok(reply(text, Some(json), false))
}

fn reply(text: Option<String>, structured: Option<String>, is_error: bool) -> Reply {
    let content = text.map(|text| Content::Text(Text { text, annotations: None }));
    Reply { content: content.into_iter().collect(), structured, is_error, meta: None }
}

/// A component's exports on their way to plans.
struct Reading<'a> {
    component: &'a Component,
    docs: &'a Docs,
    found: Functions,
    room: Room,
    /// Seen so far.
    names: usize,
}

impl Reading<'_> {
    /// What stands in an interface, with its names counted: types are shared where they are written down, and may have any number of names.
    fn named<'t>(
        &mut self,
        items: impl Iterator<Item = (&'t str, ComponentExtern<'t>)>,
    ) -> Result<Vec<(&'t str, ComponentItem)>, SurveyError> {
        let mut all = Vec::new();
        for (name, item) in items {
            self.names += match &item.ty {
                ComponentItem::Type(Type::Record(record)) => 1 + record.fields().len(),
                _ => 1,
            };
            at_most("names in its interfaces", self.names as u64, NAMES_MAX as u64)?;
            all.push((name, item.ty));
        }
        Ok(all)
    }

    fn interface(&mut self, interface: &str, instance: &ComponentInstance) -> Result<(), SurveyError> {
        let outer = self.component.get_export_index(None, interface);
        let items = self.named(instance.exports(self.component.engine()))?;
        let named = self.docs.named(Some(interface), &items);
        for (name, item) in &items {
            if let ComponentItem::ComponentFunc(function) = item {
                let index = outer.as_ref().and_then(|outer| self.component.get_export_index(Some(outer), name));
                self.function((Some(interface), name, index), function, &named)?;
            }
        }
        Ok(())
    }

    fn function(
        &mut self,
        (interface, name, index): (Option<&str>, &str, Option<ComponentExportIndex>),
        function: &ComponentFunc,
        named: &Named<'_>,
    ) -> Result<(), SurveyError> {
        let seen = self.found.offered.len() + self.found.skipped.len();
        at_most("functions in its interfaces", seen as u64 + 1, FUNCTIONS_MAX as u64)?;
        at_most("bytes in the name of a function", name.len() as u64, NAME_BYTES_MAX as u64)?;
        let docs = self.docs.function(interface, name);
        let path = interface.map_or_else(|| name.to_owned(), |interface| format!("{interface}#{name}"));
        let planned = match (index, is_own(interface.unwrap_or(name))) {
            (_, false) => Err("its interface is a contract with whoever runs the component, not a function of its own".to_owned()),
            (None, true) => Err("the engine does not find it".to_owned()),
            (Some(index), true) => plan(index, function, (&mut self.room, docs), named),
        };
        match planned {
            Ok(plan) => {
                self.found.offered.push(Function {
                    path: path.clone(),
                    interface: interface.map(ToOwned::to_owned),
                    name: name.to_owned(),
                    docs: docs.map(ToOwned::to_owned),
                    output_schema: match &plan.gives {
                        Gives::Value(shape) | Gives::Result(Some(shape), _) => Some(schema::of(shape)),
                        Gives::Nothing | Gives::Result(None, _) => None,
                    },
                    parameters: Arc::clone(&plan.parameters),
                });
                self.found.plans.insert(path, plan);
            }
            Err(reason) => self.found.skipped.push(Skipped { path, name: name.to_owned(), reason }),
        }
        Ok(())
    }
}

/// Makes a plan, in the room that all of them have together; the docs of the function have to fit there as well.
fn plan(
    index: ComponentExportIndex,
    function: &ComponentFunc,
    (all, docs): (&mut Room, Option<&str>),
    named: &Named<'_>,
) -> Result<Plan, String> {
    if function.async_() {
        return Err("it is async, which this gateway does not run".to_owned());
    }
    let mut room = Room::of_function();
    let mut parameters = Vec::new();
    for (name, ty) in function.params() {
        let shape = room.part(name).and_then(|()| room.shape(&ty, named, 0));
        let shape = shape.map_err(|reason| format!("its parameter `{}` {reason}", shown(name)))?;
        parameters.push(Field { name: name.to_owned(), docs: None, shape });
    }
    let gives = match function.results().next() {
        None => Gives::Nothing,
        Some(ty) => match room.shape(&ty, named, 0).map_err(|reason| format!("its result {reason}"))? {
            Shape::Result(ok, err) => Gives::Result(ok.map(|shape| *shape), err.map(|shape| *shape)),
            shape => Gives::Value(shape),
        },
    };
    let bytes = room.used().saturating_add(docs.map_or(0, str::len));
    all.take(bytes).map_err(|Full| "the types and docs of all functions together are too large".to_owned())?;
    Ok(Plan { index, parameters: parameters.into(), gives })
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
