//! What a component's WIT says about its functions: the section `package-docs`, in the format of the crate `wit-parser`: a byte for its
//! version, and JSON. Types of the component model carry no words of their own.
//!
//! The section is one package's, and names interfaces and worlds without their package. A component's own package is the only one whose docs
//! a tool has reason to put there.

use super::shape::Field;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use wasmtime::component::ResourceType;
use wasmtime::component::types::{ComponentItem, Type};

/// What is said of the fields of a record, by their names.
type Items = BTreeMap<String, String>;

/// Everything that is read of the section; other members are for others.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Package {
    worlds: BTreeMap<String, World>,
    interfaces: BTreeMap<String, Interface>,
}

/// The same, to be asked.
#[derive(Debug, Default)]
pub(super) struct Docs {
    /// All worlds as one: a component does not say of which it is.
    world: World,
    interfaces: BTreeMap<String, Interface>,
    /// Of records, by their names alone.
    records: BTreeMap<String, Items>,
}

/// Imports and exports share a map, except where both are of one name: then the exports are in one of their own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct World {
    interfaces: BTreeMap<String, Interface>,
    interface_exports: BTreeMap<String, Interface>,
    funcs: BTreeMap<String, Function>,
    func_exports: BTreeMap<String, Function>,
    types: BTreeMap<String, NamedType>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interface {
    funcs: BTreeMap<String, Function>,
    types: BTreeMap<String, NamedType>,
}

/// The first version of the format had the text alone.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Function {
    Text(Option<String>),
    Object {
        #[serde(default)]
        docs: Option<String>,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NamedType {
    items: Items,
}

impl World {
    /// Takes what is not said already.
    fn join(&mut self, other: Self) {
        fn join<T>(all: &mut BTreeMap<String, T>, more: BTreeMap<String, T>) {
            for (name, said) in more {
                all.entry(name).or_insert(said);
            }
        }
        join(&mut self.interfaces, other.interfaces);
        join(&mut self.interface_exports, other.interface_exports);
        join(&mut self.funcs, other.funcs);
        join(&mut self.func_exports, other.func_exports);
        join(&mut self.types, other.types);
    }
}

impl From<Package> for Docs {
    fn from(Package { worlds, interfaces }: Package) -> Self {
        let mut world = World::default();
        let mut records: BTreeMap<String, Items> = BTreeMap::new();
        let types = worlds.values().map(|world| &world.types).chain(interfaces.values().map(|interface| &interface.types));
        for (name, NamedType { items }) in types.flatten().filter(|(_, named)| !named.items.is_empty()) {
            records.entry(name.clone()).or_insert_with(|| items.clone());
        }
        worlds.into_values().for_each(|other| world.join(other));
        Self { world, interfaces, records }
    }
}

impl Docs {
    /// Reads the section. One that cannot be read is none: what nobody has to understand must not keep a component from being served.
    pub(super) fn read(section: Option<&[u8]>) -> Self {
        let Some((version, json)) = section.and_then(<[u8]>::split_first) else { return Self::default() };
        if !matches!(version, 0 | 1) {
            tracing::warn!(version, "the docs of a component are of a version that is not known, and are left out");
            return Self::default();
        }
        serde_json::from_slice::<Package>(json).map(Self::from).unwrap_or_else(|error| {
            tracing::warn!(%error, "the docs of a component cannot be read, and are left out");
            Self::default()
        })
    }

    /// About one function.
    pub(super) fn function(&self, interface: Option<&str>, name: &str) -> Option<&str> {
        let docs = match interface {
            Some(interface) => self.interface(interface)?.funcs.get(name)?,
            None => self.world.func_exports.get(name).or_else(|| self.world.funcs.get(name))?,
        };
        let (Function::Text(docs) | Function::Object { docs }) = docs;
        docs.as_deref().map(str::trim).filter(|docs| !docs.is_empty())
    }

    /// What has a name in an interface, or in the component itself.
    pub(super) fn named<'a>(&'a self, interface: Option<&str>, items: &[(&str, ComponentItem)]) -> Named<'a> {
        let own = interface.and_then(|interface| self.interface(interface));
        let mut named = Named { records: HashMap::new(), resources: Vec::new() };
        for (name, item) in items {
            match item {
                ComponentItem::Resource(resource) => named.resources.push((*resource, (*name).to_owned())),
                ComponentItem::Type(Type::Record(record)) if !self.records.is_empty() => {
                    let fields = record.fields().map(|field| field.name.to_owned()).collect();
                    let docs = self.record(own, name);
                    // Types have no names where they are used. Two records whose fields are named alike cannot be told apart.
                    named.records.entry(fields).and_modify(|known| *known = None).or_insert(docs);
                }
                _ => {}
            }
        }
        named
    }

    /// About the fields of one record, which may be another interface's.
    fn record<'a>(&'a self, own: Option<&'a Interface>, name: &str) -> Option<&'a Items> {
        let own = own.and_then(|interface| interface.types.get(name)).map(|named| &named.items);
        own.filter(|items| !items.is_empty()).or_else(|| self.records.get(name))
    }

    /// `package:name/interface@version` by the interface alone; what has no package is of a world.
    fn interface(&self, path: &str) -> Option<&Interface> {
        match path.split_once('/') {
            Some((_, interface)) => self.interfaces.get(interface.split_once('@').map_or(interface, |(name, _)| name)),
            None => self.world.interface_exports.get(path).or_else(|| self.world.interfaces.get(path)),
        }
    }
}

/// What has a name where a function is.
#[derive(Debug)]
pub(super) struct Named<'a> {
    /// Records by the names of their fields; none where two could be meant, or nothing is said.
    records: HashMap<Vec<String>, Option<&'a Items>>,
    resources: Vec<(ResourceType, String)>,
}

impl Named<'_> {
    /// What is said about the fields of a record.
    pub(super) fn record(&self, fields: &[Field]) -> Option<&Items> {
        if self.records.is_empty() {
            return None;
        }
        let names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
        self.records.get(&names).copied().flatten()
    }

    /// The name of a resource.
    pub(super) fn resource(&self, resource: ResourceType) -> Option<&str> {
        self.resources.iter().find(|(known, _)| *known == resource).map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests;
