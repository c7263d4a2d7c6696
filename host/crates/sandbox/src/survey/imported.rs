//! Which imports of a component are interfaces of nothing but types.
//!
//! Functions of an interface that say `use types.{point}` make their component import the interface `types`: names, with nothing to supply.
//! To see that, the types that a component declares are counted as the format counts them, without looking into more than one of them.

use super::{NESTING_MAX, SurveyError, at_most};
use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternalKind, ComponentImport, ComponentOuterAliasKind, ComponentType, ComponentTypeRef,
    InstanceTypeDeclaration, Payload, TypeBounds,
};

// As they stand before what they announce.
const COMPONENT_TYPE: u8 = 0x41;
const INSTANCE_TYPE: u8 = 0x42;
const DECLARES_TYPE: u8 = 0x01;
const DECLARES_IMPORT: u8 = 0x03;

/// The component's types so far, by their index: whether each is that of an instance that exports only types.
#[derive(Debug, Default)]
pub(super) struct Types(Vec<bool>);

impl Types {
    /// Counts the types of a section of the component: those of its own, and those that it has by another name, exports or imports. `file`
    /// is what the section is of.
    pub(super) fn see(&mut self, section: &Payload<'_>, file: &[u8]) -> Result<(), SurveyError> {
        match section {
            Payload::ComponentTypeSection(types) => {
                let rest = file.get(types.original_position()..types.range().end).unwrap_or_default();
                let mut reader = BinaryReader::new(rest, types.original_position());
                for _ in 0..types.count() {
                    self.0.push(is_instance_of_types(&mut reader, 1)?);
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    self.other(match alias? {
                        ComponentAlias::InstanceExport { kind, .. } => kind == ComponentExternalKind::Type,
                        ComponentAlias::Outer { kind, .. } => kind == ComponentOuterAliasKind::Type,
                        ComponentAlias::CoreInstanceExport { .. } => false,
                    });
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    self.other(export?.kind == ComponentExternalKind::Type);
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    self.other(matches!(import?.ty, ComponentTypeRef::Type(_)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// If it is a type, it counts; whether of an instance is not looked at.
    fn other(&mut self, is_type: bool) {
        if is_type {
            self.0.push(false);
        }
    }

    /// Whether there is nothing to supply. What is not understood is not that.
    pub(super) fn has_only_types(&self, import: &ComponentTypeRef) -> bool {
        match import {
            ComponentTypeRef::Instance(index) => usize::try_from(*index).ok().and_then(|index| self.0.get(index)).is_some_and(|only| *only),
            ComponentTypeRef::Type(bounds) => matches!(bounds, TypeBounds::Eq(_)),
            ComponentTypeRef::Module(_) | ComponentTypeRef::Func(_) | ComponentTypeRef::Value(_) | ComponentTypeRef::Component(_) => false,
        }
    }
}

/// Steps over a type, and says whether it is that of an instance that exports only types.
///
/// The parser's own reading goes as deep into types of types as the file does, which may be deeper than the stack is.
fn is_instance_of_types(reader: &mut BinaryReader<'_>, level: usize) -> Result<bool, SurveyError> {
    let first = reader.clone().read_u8()?;
    if !matches!(first, COMPONENT_TYPE | INSTANCE_TYPE) {
        reader.read::<ComponentType<'_>>()?;
        return Ok(false);
    }
    at_most("levels of nesting in a type", level as u64, NESTING_MAX as u64)?;
    reader.read_u8()?;
    let mut only_types = first == INSTANCE_TYPE;
    for _ in 0..reader.read_var_u32()? {
        only_types &= is_type(reader, level)?;
    }
    Ok(only_types)
}

/// Steps over a declaration inside of a type. Neither a function nor anything else that somebody would have to supply is a type; a resource is
/// such a thing.
fn is_type(reader: &mut BinaryReader<'_>, level: usize) -> Result<bool, SurveyError> {
    match reader.clone().read_u8()? {
        DECLARES_TYPE => {
            reader.read_u8()?;
            is_instance_of_types(reader, level + 1)?;
            Ok(true)
        }
        DECLARES_IMPORT => {
            reader.read_u8()?;
            reader.read::<ComponentImport<'_>>()?;
            Ok(false)
        }
        _ => Ok(match reader.read()? {
            InstanceTypeDeclaration::Export { ty, .. } => matches!(ty, ComponentTypeRef::Type(TypeBounds::Eq(_))),
            InstanceTypeDeclaration::CoreType(_) | InstanceTypeDeclaration::Type(_) | InstanceTypeDeclaration::Alias(_) => true,
        }),
    }
}
