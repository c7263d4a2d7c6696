//! Components of core modules that no toolchain made.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// A component of a module that imports and exports what a world says.
pub fn component_of(resolve: &Resolve, world: WorldId, mut module: Vec<u8>) -> Vec<u8> {
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).expect("the world is described");
    let encoder = ComponentEncoder::default().validate(true).module(&module).unwrap_or_else(|error| panic!("{error:#}"));
    let mut encoder = encoder;
    encoder.encode().unwrap_or_else(|error| panic!("{error:#}"))
}

/// A component with one function, `f`, which takes nothing and gives nothing: that of a module.
pub fn component_with_f(module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("f.wit", "package tests:all; world w { export f: func(); }").expect("it is WIT");
    let world = resolve.select_world(&[package], None).expect("there is one");
    component_of(&resolve, world, module)
}
