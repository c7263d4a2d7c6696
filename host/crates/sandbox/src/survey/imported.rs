//! Which imports of a component are interfaces of nothing but types.
//!
//! Functions of an interface that say `use types.{point}` make their component import the interface `types`: names, with nothing to supply.
//! To see that, the types that a component declares are counted as the format counts them, without looking into more than one of them.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType, ComponentTypeRef,
    InstanceTypeDeclaration, Payload, TypeBounds,
};

/// The component's types so far, by their index: whether each is that of an instance that exports only types.
#[derive(Debug, Default)]
pub(super) struct Types(Vec<bool>);

impl Types {
    /// Counts the types of a section of the component: those of its own, and those that it has by another name, exports or imports.
    pub(super) fn see(&mut self, section: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match section {
            Payload::ComponentTypeSection(types) => {
                for declared in types.clone() {
                    self.0.push(match declared? {
                        ComponentType::Instance(declarations) => declarations.iter().all(is_type),
                        ComponentType::Defined(_)
                        | ComponentType::Func(_)
                        | ComponentType::Component(_)
                        | ComponentType::Resource { .. } => false,
                    });
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

/// Neither a function nor anything else that somebody would have to supply; a resource is one.
fn is_type(declaration: &InstanceTypeDeclaration<'_>) -> bool {
    match declaration {
        InstanceTypeDeclaration::Export { ty, .. } => matches!(ty, ComponentTypeRef::Type(TypeBounds::Eq(_))),
        InstanceTypeDeclaration::CoreType(_) | InstanceTypeDeclaration::Type(_) | InstanceTypeDeclaration::Alias(_) => true,
    }
}
