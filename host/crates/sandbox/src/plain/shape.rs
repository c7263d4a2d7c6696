//! The types of the component model that have a JSON form, apart from the engine: small trees, whose size was bounded when they were made.
//!
//! Types are shared where they are written down, and trees share nothing: a few dozen declarations can stand for a million parts (L13).

use super::docs::Named;
use super::shown;
use wasmtime::component::types::Type;

/// What the types of one function may take, in bytes; more would not fit the limit of a schema either.
const FUNCTION_BYTES_MAX: usize = 64 << 10;
/// The same of all functions together.
const COMPONENT_BYTES_MAX: usize = 4 << 20;
/// What one part counts, beside its names.
const PART_BYTES: usize = 32;
const DEPTH_MAX: usize = 32;

/// A type that has a JSON form.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Bool,
    Integer(Integer),
    Float32,
    Float64,
    Char,
    String,
    /// `list<u8>`
    Bytes,
    List(Box<Shape>),
    Record(Vec<Field>),
    Tuple(Vec<Shape>),
    Variant(Vec<Case>),
    Enum(Vec<String>),
    Flags(Vec<String>),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
}

/// The integers, by their names in WIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integer {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

/// A field of a record, or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) docs: Option<String>,
    pub(super) shape: Shape,
}

/// A case of a variant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) shape: Option<Shape>,
}

impl Integer {
    /// The least and the largest.
    pub(super) fn bounds(self) -> (i128, i128) {
        match self {
            Self::S8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::S16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::S32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::S64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
        }
    }

    /// Whether JSON numbers of many readers lose its digits, so that it may be a string.
    pub(super) fn is_long(self) -> bool {
        matches!(self, Self::S64 | Self::U64)
    }
}

impl Shape {
    /// Whether its JSON form may be `null`.
    pub(super) fn is_nullable(&self) -> bool {
        matches!(self, Self::Option(_))
    }
}

/// No room for so large a type.
pub(super) struct Full;

/// How much of types there may still be.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    bytes_max: usize,
}

impl Room {
    /// For all functions of a component.
    pub(super) fn of_component() -> Self {
        Self { bytes: 0, bytes_max: COMPONENT_BYTES_MAX }
    }

    /// For one.
    pub(super) fn of_function() -> Self {
        Self { bytes: 0, bytes_max: FUNCTION_BYTES_MAX }
    }

    pub(super) fn used(&self) -> usize {
        self.bytes
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Full> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.bytes_max { Err(Full) } else { Ok(()) }
    }

    /// The tree of a type; why it has none, to be read after what is spoken of.
    pub(super) fn shape(&mut self, ty: &Type, named: &Named<'_>, depth: usize) -> Result<Shape, String> {
        if depth >= DEPTH_MAX {
            return Err(format!("is nested more than {DEPTH_MAX} levels deep"));
        }
        self.part("")?;
        let deeper = depth + 1;
        Ok(match ty {
            Type::Bool => Shape::Bool,
            Type::S8 => Shape::Integer(Integer::S8),
            Type::U8 => Shape::Integer(Integer::U8),
            Type::S16 => Shape::Integer(Integer::S16),
            Type::U16 => Shape::Integer(Integer::U16),
            Type::S32 => Shape::Integer(Integer::S32),
            Type::U32 => Shape::Integer(Integer::U32),
            Type::S64 => Shape::Integer(Integer::S64),
            Type::U64 => Shape::Integer(Integer::U64),
            Type::Float32 => Shape::Float32,
            Type::Float64 => Shape::Float64,
            Type::Char => Shape::Char,
            Type::String => Shape::String,
            Type::List(list) => match list.ty() {
                Type::U8 => Shape::Bytes,
                ty => Shape::List(Box::new(self.shape(&ty, named, deeper)?)),
            },
            Type::Record(record) => {
                let mut fields = Vec::new();
                for field in record.fields() {
                    self.part(field.name)?;
                    let shape = self.shape(&field.ty, named, deeper)?;
                    fields.push(Field { name: field.name.to_owned(), docs: None, shape });
                }
                if let Some(docs) = named.record(&fields) {
                    for field in &mut fields {
                        field.docs = docs.get(&field.name).cloned();
                        self.part(field.docs.as_deref().unwrap_or_default())?;
                    }
                }
                Shape::Record(fields)
            }
            Type::Tuple(tuple) => Shape::Tuple(tuple.types().map(|ty| self.shape(&ty, named, deeper)).collect::<Result<_, _>>()?),
            Type::Variant(variant) => {
                let mut cases = Vec::new();
                for case in variant.cases() {
                    self.part(case.name)?;
                    let shape = case.ty.map(|ty| self.shape(&ty, named, deeper)).transpose()?;
                    cases.push(Case { name: case.name.to_owned(), shape });
                }
                Shape::Variant(cases)
            }
            Type::Enum(labels) => Shape::Enum(self.labels(labels.names())?),
            Type::Flags(labels) => Shape::Flags(self.labels(labels.names())?),
            Type::Option(option) => Shape::Option(Box::new(self.shape(&option.ty(), named, deeper)?)),
            Type::Result(result) => {
                let mut side = |ty: Option<Type>| ty.map(|ty| self.shape(&ty, named, deeper).map(Box::new)).transpose();
                Shape::Result(side(result.ok())?, side(result.err())?)
            }
            Type::Own(resource) | Type::Borrow(resource) => {
                return none(&match named.resource(*resource) {
                    Some(name) => format!("the resource `{}`", shown(name)),
                    None => "a resource".to_owned(),
                });
            }
            Type::Future(_) => return none("a future"),
            Type::Stream(_) => return none("a stream"),
            Type::ErrorContext => return none("an error-context"),
            Type::Map(_) => return none("a map"),
            Type::FixedLengthList(_) => return none("a list of fixed length"),
        })
    }

    fn labels<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Result<Vec<String>, String> {
        let mut labels = Vec::new();
        for name in names {
            self.part(name)?;
            labels.push(name.to_owned());
        }
        Ok(labels)
    }

    /// Counts one part of that name.
    pub(super) fn part(&mut self, name: &str) -> Result<(), String> {
        self.take(PART_BYTES + name.len()).map_err(|Full| "has a type that is too large".to_owned())
    }
}

fn none<T>(what: &str) -> Result<T, String> {
    Err(format!("has {what} in its type, which has no JSON form"))
}
