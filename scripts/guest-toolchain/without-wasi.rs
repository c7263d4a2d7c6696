//! A linker for policies that need Rust's standard library: it links as `rust-lld` does, and then takes out what is imported from WASI.
//!
//! The standard library of `wasm32-wasip2` imports WASI for what a policy never does on purpose: it prints a panic's message, looks whether
//! a backtrace is wanted, exits. A policy has to import nothing, so that its verdict can depend on nothing but what it is asked. Each such
//! import becomes a function of the module's own:
//!
//!   wasi:random/*   gives zeros. Hash tables ask for their seed there. In a policy it may be the same every time, and should be.
//!   all others      trap. They are reached where the instance was about to end anyway.
//!
//! `wasm-component-ld` calls this instead of `wasm-ld` (its option `--wasm-ld-path`), before it makes a component of the module.
//! policies.sh compiles it, with the path of the real linker in RUST_LLD.

use std::process::{Command, ExitCode};
use std::{env, fs};

/// How a core module begins: its magic number, and the version.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

const SECTION_TYPE: u8 = 1;
const SECTION_IMPORT: u8 = 2;
const SECTION_FUNCTION: u8 = 3;
const SECTION_CODE: u8 = 10;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match Command::new(env!("RUST_LLD")).args(["-flavor", "wasm"]).args(&arguments).status() {
        Ok(status) if status.success() => {}
        Ok(_) => return ExitCode::FAILURE,
        Err(error) => return fail(&format!("{}: {error}", env!("RUST_LLD"))),
    }
    let Some(output) = arguments.iter().skip_while(|argument| *argument != "-o").nth(1) else {
        return fail("no -o among the arguments");
    };
    let rewritten = fs::read(output).map_err(|error| error.to_string()).and_then(|module| without_wasi(&module));
    match rewritten.and_then(|module| fs::write(output, module).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => fail(&format!("{}: {what}", output.display())),
    }
}

fn fail(what: &str) -> ExitCode {
    eprintln!("without-wasi: {what}");
    ExitCode::FAILURE
}

/// An import of a function that is taken out.
struct Import {
    /// Index of its type.
    kind: u32,
    gives_zeros: bool,
}

fn without_wasi(module: &[u8]) -> Result<Vec<u8>, String> {
    let Some(mut rest) = module.strip_prefix(MODULE) else { return Err("not a core module".into()) };
    let mut sections = Vec::new();
    while let Some((id, after)) = rest.split_first() {
        rest = after;
        let length = number(&mut rest)? as usize;
        sections.push((*id, take(&mut rest, length)?));
    }
    let find = |wanted: u8| sections.iter().find(|(id, _)| *id == wanted).map(|(_, body)| *body);
    let Some(imports) = find(SECTION_IMPORT) else { return Ok(module.to_vec()) };
    let imports = read_imports(imports)?;
    let results = read_results(find(SECTION_TYPE).unwrap_or(&[0]))?;

    let mut rewritten = MODULE.to_vec();
    for (id, body) in &sections {
        let replaced = match *id {
            SECTION_IMPORT => continue,
            // Imported functions are numbered first, so their stand-ins are the first of the module's own, and no number changes.
            SECTION_FUNCTION => with_first(body, imports.len(), &imports.iter().flat_map(|import| leb(import.kind)).collect::<Vec<_>>())?,
            SECTION_CODE => {
                let bodies: Result<Vec<_>, _> = imports.iter().map(|import| stand_in(import, &results)).collect();
                with_first(body, imports.len(), &bodies?.concat())?
            }
            _ => body.to_vec(),
        };
        rewritten.push(*id);
        rewritten.extend(leb(replaced.len() as u32));
        rewritten.extend(replaced);
    }
    Ok(rewritten)
}

fn read_imports(mut body: &[u8]) -> Result<Vec<Import>, String> {
    let mut imports = Vec::new();
    for _ in 0..number(&mut body)? {
        let (module, name) = (name(&mut body)?, name(&mut body)?);
        let wasi = module.starts_with("wasi:") || module == "wasi_snapshot_preview1";
        if !wasi || take(&mut body, 1)? != [0] {
            return Err(format!("imports {name} of {module}, which is no function of WASI: only those are taken out"));
        }
        let gives_zeros = module.starts_with("wasi:random/") || name == "random_get";
        imports.push(Import { kind: number(&mut body)?, gives_zeros });
    }
    Ok(imports)
}

/// For each type of a function, the types of its results.
fn read_results(mut body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut results = Vec::new();
    for _ in 0..number(&mut body)? {
        if take(&mut body, 1)? != [0x60] {
            return Err("has a type that is not a function's".into());
        }
        let parameters = number(&mut body)? as usize;
        take(&mut body, parameters)?;
        let count = number(&mut body)? as usize;
        results.push(take(&mut body, count)?.to_vec());
    }
    Ok(results)
}

/// The body of a function, with its length in front.
fn stand_in(import: &Import, results: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    const NO_LOCALS: u8 = 0;
    const UNREACHABLE: u8 = 0x00;
    const END: u8 = 0x0b;
    let mut code = vec![NO_LOCALS];
    if import.gives_zeros {
        // What is returned by way of memory stays as it is, which in a fresh instance is the same every time.
        for result in results.get(import.kind as usize).ok_or("has an import without a type")? {
            match result {
                0x7f => code.extend([0x41, 0]),
                0x7e => code.extend([0x42, 0]),
                _ => return Err("has an import of WASI's random that returns neither i32 nor i64".into()),
            }
        }
    } else {
        code.push(UNREACHABLE);
    }
    code.push(END);
    Ok([leb(code.len() as u32), code].concat())
}

/// A vector with `count` more entries in front.
fn with_first(mut vector: &[u8], count: usize, entries: &[u8]) -> Result<Vec<u8>, String> {
    let before = number(&mut vector)?;
    Ok([&leb(before + count as u32), entries, vector].concat())
}

fn name<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, String> {
    let length = number(bytes)? as usize;
    std::str::from_utf8(take(bytes, length)?).map_err(|error| error.to_string())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or("ends too early")?;
    *bytes = rest;
    Ok(taken)
}

/// An unsigned number in LEB128.
fn number(bytes: &mut &[u8]) -> Result<u32, String> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or("ends too early")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return u32::try_from(value).map_err(|error| error.to_string());
        }
    }
    Err("has a number of more than 32 bits".into())
}

fn leb(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
