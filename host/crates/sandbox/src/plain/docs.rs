//! What a component's WIT says about its functions: the section `package-docs`, in the format of the crate `wit-parser`: a byte for its
//! version, and JSON. Types of the component model carry no words of their own.
//!
//! The section is one package's, and names interfaces and worlds without their package. A component's own package is the only one whose docs
//! a tool has reason to put there.

use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use wasmtime::component::types::{ComponentItem, Record, Type};

/// Everything that is read of the section; other members are for others.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Docs {
    worlds: BTreeMap<String, World>,
    interfaces: BTreeMap<String, Interface>,
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
    items: BTreeMap<String, String>,
}

impl Docs {
    /// Reads the section. One that cannot be read is none: what nobody has to understand must not keep a component from being served.
    pub(super) fn read(section: Option<&[u8]>) -> Self {
        let Some((version, json)) = section.and_then(<[u8]>::split_first) else { return Self::default() };
        if !matches!(version, 0 | 1) {
            tracing::warn!(version, "the docs of a component are of a version that is not known, and are left out");
            return Self::default();
        }
        serde_json::from_slice(json).unwrap_or_else(|error| {
            tracing::warn!(%error, "the docs of a component cannot be read, and are left out");
            Self::default()
        })
    }

    /// About one function.
    pub(super) fn function(&self, interface: Option<&str>, name: &str) -> Option<&str> {
        let docs = match interface {
            Some(interface) => self.interface(interface)?.funcs.get(name)?,
            None => self.worlds.values().find_map(|world| world.func_exports.get(name).or_else(|| world.funcs.get(name)))?,
        };
        let (Function::Text(docs) | Function::Object { docs }) = docs;
        docs.as_deref().map(str::trim).filter(|docs| !docs.is_empty())
    }

    /// About the records that have a name in an interface, or in the component itself.
    pub(super) fn named<'a>(&'a self, interface: Option<&str>, items: impl Iterator<Item = (&'a str, ComponentItem)>) -> Named<'a> {
        let own = interface.and_then(|interface| self.interface(interface));
        let mut named = Named(HashMap::new());
        if self.worlds.is_empty() && self.interfaces.is_empty() {
            return named;
        }
        for (name, item) in items {
            if let ComponentItem::Type(Type::Record(record)) = item {
                let fields = record.fields().map(|field| field.name.to_owned()).collect();
                let docs = self.record(own, name);
                // Types have no names where they are used. Two records whose fields are named alike cannot be told apart.
                named.0.entry(fields).and_modify(|known| *known = None).or_insert(docs);
            }
        }
        named
    }

    /// About the fields of one record, which may be another interface's.
    fn record<'a>(&'a self, own: Option<&'a Interface>, name: &str) -> Option<&'a BTreeMap<String, String>> {
        let worlds = self.worlds.values().map(|world| &world.types);
        let interfaces = self.interfaces.values().map(|interface| &interface.types);
        let all = own.map(|interface| &interface.types).into_iter().chain(worlds).chain(interfaces);
        all.filter_map(|types| types.get(name)).map(|named| &named.items).find(|items| !items.is_empty())
    }

    /// `package:name/interface@version` by the interface alone; what has no package is of a world.
    fn interface(&self, path: &str) -> Option<&Interface> {
        match path.split_once('/') {
            Some((_, interface)) => self.interfaces.get(interface.split_once('@').map_or(interface, |(name, _)| name)),
            None => {
                let mut worlds = self.worlds.values();
                worlds.find_map(|world| world.interface_exports.get(path).or_else(|| world.interfaces.get(path)))
            }
        }
    }
}

/// Records by the names of their fields; none where two could be meant, or nothing is said.
#[derive(Debug)]
pub(super) struct Named<'a>(HashMap<Vec<String>, Option<&'a BTreeMap<String, String>>>);

impl Named<'_> {
    /// What is said about the fields of a record.
    pub(super) fn record(&self, record: &Record) -> Option<&BTreeMap<String, String>> {
        if self.0.is_empty() {
            return None;
        }
        let fields: Vec<_> = record.fields().map(|field| field.name.to_owned()).collect();
        self.0.get(&fields).copied().flatten()
    }
}

#[cfg(test)]
mod tests;
