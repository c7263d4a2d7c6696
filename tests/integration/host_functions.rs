//! Case R32 of the catalogue, whole: a guest whose stack is full calls each function that the host offers.
//!
//! Which these are is read from the WIT of the libraries that the gateway links, of the versions that it links, and from its own: a function
//! more there is one more that is called here.

use super::grants::beside;
use super::tenants::NO_RATES;
use crate::harness::{Answer, Gateway, Modern, Setup, component_of, eventually, root};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use wit_parser::abi::{AbiVariant, FlatTypes, WasmType};
use wit_parser::{Function, Handle, InterfaceId, Resolve, Type, TypeDefKind};

const SOON: Duration = Duration::from_secs(60);

/// What components export, and no host offers.
const OF_GUESTS: [&str; 2] = ["wasi:cli/run", "wasi:http/incoming-handler"];

/// Resources of which this guest gets no handle: they come of sockets, which nobody gets, of terminals, answers, other peers and failures. Functions
/// that take one are called with a handle that is not there.
const NEVER_HAD: [&str; 14] = [
    "error",
    "future-incoming-response",
    "future-trailers",
    "incoming-body",
    "incoming-datagram-stream",
    "incoming-request",
    "incoming-response",
    "outgoing-datagram-stream",
    "resolve-address-stream",
    "response-outparam",
    "tcp-socket",
    "terminal-input",
    "terminal-output",
    "udp-socket",
];

/// Functions that end who calls them so.
const FALLING: [&str; 3] = ["wasi:cli/exit#exit", "wasi:cli/exit#exit-with-code", "wasi:io/poll#poll"];

/// Where lists and results of functions are put, and where nothing but zeros is.
const RESULT: u32 = 1_024;
const ZEROS: u32 = 4_096;

/// Gets a handle of each resource that it can have. `$got` falls where one is not there, and so does a result that is an error.
const PREPARE: &str = r#"
  (func $got (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then unreachable))
    (local.get 0))
  (func $well (result i32)
    (if (i32.load8_u (i32.const 1024)) (then unreachable))
    (call $got (i32.load (i32.const 1028))))
  (func $prepare
    (global.set $"input-stream" (call $got (call $"wasi:cli/stdin#get-stdin")))
    (global.set $"output-stream" (call $got (call $"wasi:cli/stdout#get-stdout")))
    (global.set $"pollable" (call $got (call $"wasi:clocks/monotonic-clock#subscribe-duration" (i64.const 0))))
    (global.set $"network" (call $got (call $"wasi:sockets/instance-network#instance-network")))
    (global.set $"fields" (call $got (call $"wasi:http/types#[constructor]fields")))
    (global.set $"request-options" (call $got (call $"wasi:http/types#[constructor]request-options")))
    (global.set $"outgoing-request" (call $got (call $"wasi:http/types#[constructor]outgoing-request"
      (call $"wasi:http/types#[constructor]fields"))))
    (global.set $"outgoing-response" (call $got (call $"wasi:http/types#[constructor]outgoing-response"
      (call $"wasi:http/types#[constructor]fields"))))
    (call $"wasi:http/types#[method]outgoing-request.body" (global.get $"outgoing-request") (i32.const 1024))
    (global.set $"outgoing-body" (call $well))
    (call $"wasi:filesystem/preopens#get-directories" (i32.const 1024))
    (global.set $"descriptor" (call $got (i32.load (i32.load (i32.const 1024)))))
    (call $"wasi:filesystem/types#[method]descriptor.read-directory" (global.get $"descriptor") (i32.const 1024))
    (global.set $"directory-entry-stream" (call $well))
    (call $"wasi:keyvalue/store#open" (i32.const 512) (i32.const 5) (i32.const 1024))
    (global.set $"bucket" (call $well)))
"#;

/// A function of the host, as a core module imports it.
struct Import {
    /// The interface, with its version.
    module: String,
    name: String,
    params: Vec<WasmType>,
    results: Vec<WasmType>,
    /// What it is called with, as text; resources of handles by their names.
    arguments: Vec<String>,
}

impl Import {
    /// `interface#name`, without the version.
    fn path(&self) -> String {
        format!("{}#{}", self.module.split('@').next().expect("a first part"), self.name)
    }
}

/// Folders of packages that the gateway links, where their sources lie.
fn sources() -> BTreeMap<String, PathBuf> {
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    let platform = format!("{}-unknown-linux-{libc}", std::env::consts::ARCH);
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = told["packages"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    packages.map(|package| (text(&package["name"]), PathBuf::from(text(&package["manifest_path"])).with_file_name(""))).collect()
}

/// The WIT of all that is offered, put together in one folder.
fn collected(place: &Path) {
    let sources = sources();
    let deps = place.join("deps");
    fs::create_dir(&deps).expect("made");
    let from = [
        ("wasi", sources["wasmtime-wasi"].join("src/p2/wit/deps"), None),
        ("http", sources["wasmtime-wasi-http"].join("wit/deps"), Some("http.wit")),
        ("config", sources["wasmtime-wasi-config"].join("wit/deps/config"), None),
        ("host", root().join("wit/host"), None),
        ("keyvalue", root().join("wit/keyvalue"), None),
    ];
    for (package, folder, only) in from {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            // Those of `wasi` are a package each.
            let place = if package == "wasi" { deps.join(name.trim_end_matches(".wit")) } else { deps.join(package) };
            if name.ends_with(".wit") && only.is_none_or(|only| only == name) {
                fs::create_dir_all(&place).and_then(|()| fs::copy(entry.path(), place.join(name))).expect("copied");
            }
        }
    }
}

/// Reads it, with a world of this.
fn resolved(place: &Path, world: &str) -> (Resolve, wit_parser::WorldId) {
    fs::write(place.join("world.wit"), format!("package tests:all; world all {{ {world} }}")).expect("written");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(place).unwrap_or_else(|error| panic!("{error:#}"));
    let world = resolve.select_world(&[package], None).expect("there is one");
    (resolve, world)
}

/// The resource of a type that is a handle.
fn resource(resolve: &Resolve, of: &Type) -> Option<String> {
    let Type::Id(id) = of else { return None };
    match &resolve.types[*id].kind {
        TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
            let mut resource = *resource;
            while let TypeDefKind::Type(Type::Id(other)) = &resolve.types[resource].kind {
                resource = *other;
            }
            resolve.types[resource].name.clone()
        }
        TypeDefKind::Type(other) => self::resource(resolve, other),
        _ => None,
    }
}

fn zero(of: WasmType) -> String {
    match of {
        WasmType::I64 | WasmType::PointerOrI64 => "(i64.const 0)",
        WasmType::F32 => "(f32.const 0)",
        WasmType::F64 => "(f64.const 0)",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "(i32.const 0)",
    }
    .to_owned()
}

fn import(resolve: &Resolve, module: &str, function: &Function) -> Import {
    let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
    let mut arguments = Vec::new();
    if signature.indirect_params {
        arguments.push(format!("(i32.const {ZEROS})"));
    } else {
        for param in &function.params {
            if let Some(resource) = resource(resolve, &param.ty) {
                arguments.push(format!("(global.get ${resource:?})"));
                continue;
            }
            let mut storage = [WasmType::I32; 32];
            let mut flat = FlatTypes::new(&mut storage);
            assert!(resolve.push_flat(&param.ty, &mut flat), "{module} {}", function.name);
            arguments.extend(flat.to_vec().into_iter().map(zero));
        }
    }
    if signature.retptr {
        arguments.push(format!("(i32.const {RESULT})"));
    }
    assert_eq!(arguments.len(), signature.params.len(), "{module} {}", function.name);
    Import { module: module.to_owned(), name: function.name.clone(), params: signature.params, results: signature.results, arguments }
}

/// Everything that an interface has to call, the ends of its handles among it.
fn imports(resolve: &Resolve, id: InterfaceId) -> Vec<Import> {
    let (module, interface) = (resolve.id_of(id).expect("it has a name"), &resolve.interfaces[id]);
    let functions = interface.functions.values().map(|function| import(resolve, &module, function));
    let resources = interface.types.iter().filter(|(_, id)| matches!(resolve.types[**id].kind, TypeDefKind::Resource));
    let drops = resources.map(|(name, _)| Import {
        module: module.clone(),
        name: format!("[resource-drop]{name}"),
        params: vec![WasmType::I32],
        results: Vec::new(),
        arguments: vec![format!("(global.get ${name:?})")],
    });
    functions.chain(drops).collect()
}

fn words(kind: &str, types: &[WasmType]) -> String {
    let words = types.iter().map(|of| match of {
        WasmType::I64 | WasmType::PointerOrI64 => " i64",
        WasmType::F32 => " f32",
        WasmType::F64 => " f64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => " i32",
    });
    if types.is_empty() { String::new() } else { format!("({kind}{})", words.collect::<String>()) }
}

/// A module that goes down so many levels and calls there one of them by its number; number 0 is a function of its own that does nothing.
fn module(imports: &[Import]) -> String {
    let (mut head, mut callers, mut numbers) = (String::new(), String::new(), String::new());
    for (number, import) in imports.iter().enumerate() {
        let path = import.path();
        let (params, results) = (words("param", &import.params), words("result", &import.results));
        writeln!(head, "(import {:?} {:?} (func ${path:?} {params} {results}))", import.module, import.name).expect("written");
        let drops = "(drop)".repeat(import.results.len());
        writeln!(callers, "(func $c{number} (call ${path:?} {}) {drops})", import.arguments.join(" ")).expect("written");
        write!(numbers, " $c{number}").expect("written");
    }
    let globals: String = resources(imports).iter().map(|name| format!("(global ${name:?} (mut i32) (i32.const 0))\n")).collect();
    format!(
        r#"(module
  {head}
  (type $none (func))
  (memory (export "memory") 16)
  (data (i32.const 512) "notes")
  (table funcref (elem $nothing{numbers}))
  (global $next (mut i32) (i32.const 65536))
  {globals}
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.get $next)
    (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 15)) (i32.const -16))))
  {PREPARE}
  (func $nothing)
  {callers}
  (func $down (param $levels i32) (param $number i32)
    (if (i32.eqz (local.get $levels))
      (then (call_indirect (type $none) (local.get $number)))
      (else (call $down (i32.sub (local.get $levels) (i32.const 1)) (local.get $number)))))
  (func (export "reach") (param $levels i32) (param $number i32)
    (call $prepare)
    (call $down (local.get $levels) (local.get $number))))"#
    )
}

/// Of which handles are taken.
fn resources(imports: &[Import]) -> BTreeSet<String> {
    let arguments = imports.iter().flat_map(|import| &import.arguments);
    arguments.filter_map(|text| Some(text.strip_prefix("(global.get $\"")?.strip_suffix("\")")?.to_owned())).collect()
}

/// How a call from so many levels down ended: whether for want of stack.
async fn reach(gateway: &Gateway, levels: u32, number: usize) -> (bool, Answer) {
    let answer = gateway.modern(Modern::call("deep_reach", json!({ "levels": levels, "number": number }))).await;
    assert_eq!(answer.status, 200, "{number} from {levels}: {answer:?}");
    (answer.message().get("error").is_some() && answer.kind() == "stack_exhausted", answer)
}

#[tokio::test]
async fn r32_each_function_of_the_host_is_called_from_the_last_frame() {
    let place = tempfile::tempdir().expect("a directory");
    let (wit, data) = (place.path().join("wit"), place.path().join("data"));
    fs::create_dir(&wit).and_then(|()| fs::create_dir(&data)).expect("made");
    collected(&wit);
    let (resolve, _) = resolved(&wit, "");
    let name = |id: InterfaceId| resolve.id_of(id).expect("it has a name");
    let offered = resolve.interfaces.iter().filter(|(id, interface)| {
        let has_something =
            !interface.functions.is_empty() || interface.types.values().any(|id| matches!(resolve.types[*id].kind, TypeDefKind::Resource));
        has_something && !OF_GUESTS.contains(&name(*id).split('@').next().expect("a first part"))
    });
    let offered: Vec<_> = offered.map(|(id, _)| id).collect();
    let imports: Vec<_> = offered.iter().flat_map(|id| imports(&resolve, *id)).collect();
    let had = |resource: &String| PREPARE.contains(&format!("(global.set ${resource:?}"));
    let never_had: Vec<_> = resources(&imports).into_iter().filter(|resource| !had(resource)).collect();
    assert_eq!(never_had, NEVER_HAD, "resources without a handle");

    let all: String = offered.iter().map(|id| format!("import {};\n", name(*id))).collect();
    let (resolve, world) = resolved(&wit, &format!("{all} export reach: func(levels: u32, number: u32);"));
    let module = wat::parse_str(module(&imports)).unwrap_or_else(|error| panic!("{error}"));
    let settings = format!(
        "[grants.x]\nplugin = \"deep\"\n[grants.x.files]\n\"/data\" = {{ directory = {:?}, access = \"read-write\", bytes_max = 1000, files_max = 10 }}\n\
         [grants.x.keyvalue]\nbuckets = [\"notes\"]\n{NO_RATES}[limits]\nbreaker_calls_min = 0\ncall_wall_time_ms = 5000\n",
        data,
    );
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    gateway.drop_in("deep", &component_of(&resolve, world, module));
    beside(&gateway.plugins, "deep", "[asks]\nhttp = []\nconfig = []\nkeyvalue = [\"notes\"]\nfiles_write = [\"/data\"]\n");
    eventually("it is served", SOON, async || gateway.tools().await.contains(&"deep_reach".to_owned()).then_some(())).await;

    // The last level from which it still calls a function of its own.
    let (mut last, mut beyond) = (0, 1_000_000);
    let (_, shallow) = reach(&gateway, last, 0).await;
    assert!(shallow.message().get("error").is_none(), "{shallow:?} {}", gateway.log());
    while beyond - last > 1 {
        let middle = last.midpoint(beyond);
        let (is_full, _) = reach(&gateway, middle, 0).await;
        if is_full { beyond = middle } else { last = middle }
    }
    println!("{} functions, from {last} levels down", imports.len());
    let pid = gateway.pid();
    let (mut never_reached, mut falling) = (Vec::new(), Vec::new());
    for (number, import) in imports.iter().enumerate() {
        // With stack enough, it is a call like any other: what it is called with is right.
        let is_possible = !import.arguments.iter().any(|text| NEVER_HAD.iter().any(|name| *text == format!("(global.get ${name:?})")));
        let (_, answer) = reach(&gateway, 0, number + 1).await;
        if is_possible && answer.message().get("error").is_some() {
            falling.push(import.path());
        }
        // What it needs for itself and for what the host has it do, such as a place for a list, differs: one of these is its last frame.
        let calls = (0..12).map(|back| reach(&gateway, last - back, number + 1));
        let ends: Vec<_> = join_all(calls).await.into_iter().map(|(is_full, _)| is_full).collect();
        if ends.iter().all(|is_full| *is_full) {
            never_reached.push(import.path());
        }
        assert_eq!(gateway.call("echo", json!({ "message": "well" })).await.tool_text(), "well", "after {}", import.path());
    }
    falling.sort();
    assert_eq!(falling, FALLING, "calls that end their guest");
    assert_eq!(never_reached, Vec::<String>::new(), "for these the stack was full before");
    assert_eq!(gateway.pid(), pid);
}
