//! Why the engine refuses a component that is well-formed: which of its functions have a type of a proposal that is off.
//!
//! The engine checks types before it knows what they are of, so its own words name a byte of the file. And it has no way to leave a function out:
//! whoever wants the others has to leave it out when the component is built. Those who cannot are told which it is.

use std::collections::HashSet;
use wasmparser::component_types::{
    ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncType, ComponentFuncTypeId, ComponentItem,
    ComponentValType,
};
use wasmparser::types::Types;
use wasmparser::{Parser, Payload, PrimitiveValType, ValidPayload, Validator, WasmFeatures};

/// So many functions are named.
const NAMED_MAX: usize = 8;
/// So much of a name is said.
const NAME_CHARS_MAX: usize = 128;
/// Levels of a type that are looked at.
const DEPTH_MAX: usize = 100;

/// Names the functions that keep a component from being compiled; none where it is something else that does. No code is looked at.
pub(super) fn explain(component: &[u8]) -> Option<String> {
    let (mut validator, mut exports, mut last) = (Validator::new_with_features(WasmFeatures::all()), Vec::new(), None);
    let mut inside = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.ok()?;
        match &payload {
            Payload::Version { .. } => inside += 1,
            Payload::ComponentExportSection(section) if inside == 1 => {
                for export in section.clone() {
                    exports.push(export.ok()?.name.name.to_owned());
                }
            }
            Payload::End(_) => inside = inside.saturating_sub(1),
            _ => {}
        }
        if let ValidPayload::End(types) = validator.payload(&payload).ok()? {
            last = Some(types);
        }
    }
    let types = last?;
    let mut found = Vec::new();
    for export in &exports {
        let Some(item) = types.as_ref().component_item_for_export(export) else { continue };
        match item.ty {
            ComponentEntityType::Func(id) => found.extend(unsupported(&types, export.clone(), id)),
            ComponentEntityType::Instance(id) => {
                let of_interface = |(name, item): (&String, &ComponentItem)| match item.ty {
                    ComponentEntityType::Func(id) => unsupported(&types, format!("{export}#{name}"), id),
                    _ => None,
                };
                found.extend(types[id].exports.iter().filter_map(of_interface));
            }
            _ => {}
        }
    }
    (!found.is_empty()).then(|| told(&found))
}

fn told(found: &[String]) -> String {
    let more = match found.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let named: Vec<_> = found.iter().take(NAMED_MAX).map(String::as_str).collect();
    format!(
        "{}{more}; the engine takes no component with such a function, not even for its others: build it without them, or give them a component of their own",
        named.join("; ")
    )
}

/// What of a function's type the engine does not have.
fn unsupported(types: &Types, path: String, id: ComponentFuncTypeId) -> Option<String> {
    let function: &ComponentFuncType = &types[id];
    let path: String = path.chars().take(NAME_CHARS_MAX).collect();
    if function.async_ {
        return Some(format!("`{path}` is async"));
    }
    let mut seen = HashSet::new();
    for (name, ty) in &function.params {
        if let Some(what) = in_type(types, *ty, &mut seen, 0) {
            let name: String = name.chars().take(NAME_CHARS_MAX).collect();
            return Some(format!("`{path}`: its parameter `{name}` has {what} in its type"));
        }
    }
    let what = in_type(types, function.result?, &mut seen, 0)?;
    Some(format!("`{path}`: its result has {what} in its type"))
}

/// Each type is looked at once: they are shared, and a few dozen can stand for a million parts.
fn in_type(types: &Types, ty: ComponentValType, seen: &mut HashSet<ComponentDefinedTypeId>, depth: usize) -> Option<&'static str> {
    let id = match ty {
        ComponentValType::Primitive(PrimitiveValType::ErrorContext) => return Some("an error-context"),
        ComponentValType::Primitive(_) => return None,
        ComponentValType::Type(id) => id,
    };
    if depth >= DEPTH_MAX || !seen.insert(id) {
        return None;
    }
    let mut inner = |ty: ComponentValType| in_type(types, ty, seen, depth + 1);
    match &types[id] {
        ComponentDefinedType::Future { .. } => Some("a future"),
        ComponentDefinedType::Stream { .. } => Some("a stream"),
        ComponentDefinedType::Map { .. } => Some("a map"),
        ComponentDefinedType::FixedLengthList { .. } => Some("a list of fixed length"),
        ComponentDefinedType::Primitive(of) => inner(ComponentValType::Primitive(*of)),
        ComponentDefinedType::Record(record) => record.fields.values().find_map(|ty| inner(*ty)),
        ComponentDefinedType::Variant(variant) => variant.cases.values().filter_map(|case| case.ty).find_map(inner),
        ComponentDefinedType::List { element, .. } => inner(*element),
        ComponentDefinedType::Tuple(tuple) => tuple.types.iter().find_map(|ty| inner(*ty)),
        ComponentDefinedType::Option { ty, .. } => inner(*ty),
        ComponentDefinedType::Result { ok, err, .. } => [*ok, *err].into_iter().flatten().find_map(inner),
        ComponentDefinedType::Flags(_) | ComponentDefinedType::Enum(_) | ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => {
            None
        }
    }
}
