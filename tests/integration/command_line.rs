//! Every command of the command line: what it prints, and with which exit code it ends.

use super::command::{Place, Ran};
use crate::harness::{fixture, plugin};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Runs `gatehouse call` with a component file.
fn local(place: &Place, component: &Path, arguments: &[&str]) -> Ran {
    place.run(&[&["call", "--plugin", text(component)], arguments].concat())
}

fn check(ran: &Ran, code: i32, out: &str, err: &str) {
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (code, out, err));
}

#[test]
fn help_names_every_command_and_flag() {
    let place = Place::new();
    let settings = ["--config", "--plugins", "--data"];
    let commands: [(&str, &[&str]); 5] = [
        ("serve", &["--listen"]),
        ("inspect", &["<FILE>", "--json"]),
        ("check", &["--json"]),
        ("limits", &["--json"]),
        ("call", &["<TOOL>", "--arg", "--args-json", "--json", "--url", "--plugin "]),
    ];
    let whole = place.run(&["--help"]);
    for (command, flags) in commands {
        assert!(whole.out.contains(&format!("\n  {command} ")), "{whole:?}");
        let help = place.run(&[command, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (0, ""));
        for flag in flags.iter().chain(&settings) {
            assert!(help.out.contains(flag), "{command} {flag}: {help:?}");
        }
    }
    assert!(!whole.out.contains("compile-worker"), "{whole:?}");
    let version = place.run(&["--version"]);
    assert!(version.code == 0 && version.out.starts_with("gatehouse 0."), "{version:?}");
    for wrong in [&["nonsense"][..], &["serve", "--nonsense"], &[], &["call"], &["serve", "--listen", "here"]] {
        let ran = place.run(wrong);
        assert!(ran.code == 2 && !ran.err.is_empty(), "{wrong:?}: {ran:?}");
    }
}

#[test]
fn inspect_tells_what_a_plugin_is() {
    let place = Place::new();
    let toolbox = plugin("text-toolbox");
    let ran = place.run(&["inspect", text(&toolbox), "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let report = ran.json();
    let sum = Command::new("sha256sum").arg(&toolbox).output().expect("it runs").stdout;
    let digest = format!("sha256:{}", String::from_utf8_lossy(&sum).split(' ').next().expect("a sum"));
    assert_eq!(report["digest"], digest);
    assert_eq!(report["bytes"], fs::metadata(&toolbox).expect("it is there").len());
    assert_eq!((&report["world"], &report["problem"]), (&json!("gatehouse:tool/tool-plugin"), &Value::Null));
    let tools = report["tools"].as_array().expect("a list");
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["echo", "slow_count", "word_stats", "unified_diff", "regex_extract", "json_query", "hash", "base64"]);
    assert_eq!(tools[0]["inputSchema"]["required"], json!(["message"]));
    assert!(tools[2]["outputSchema"].is_object(), "{}", tools[2]);
    let imports = report["imports"].as_array().expect("a list");
    assert!(imports.iter().any(|import| import["name"] == "gatehouse:host/progress@0.1.0" && import["grant"].is_null()), "{imports:?}");

    let ran = place.run(&["inspect", text(&toolbox)]);
    assert_eq!(ran.code, 0);
    for part in [digest.as_str(), "gatehouse:tool/tool-plugin", "gatehouse:host/progress@0.1.0", "\n    unified_diff\n", "takes {"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
}

/// Resources and prompts are told like tools, by `inspect` and by `check`.
#[test]
fn what_is_no_tool_is_told_as_well() {
    let place = Place::new();
    let server = fixture("conformance-server");
    let report = place.run(&["inspect", text(&server), "--json"]).json();
    assert_eq!(report["world"], "gatehouse:tool/full-plugin");
    let first = |list: &str, member: &str| report[list][0][member].as_str().expect(list).to_owned();
    assert_eq!(first("resources", "uri"), "test://static-text");
    assert_eq!(first("resourceTemplates", "uriTemplate"), "test://template/{id}/data");
    assert_eq!(first("prompts", "name"), "test_simple_prompt");
    let ran = place.run(&["inspect", text(&server)]);
    for part in ["\n  resources\n    test://static-text\n", "\n  resource templates\n", "\n  prompts\n    test_simple_prompt\n"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    fs::copy(&server, place.plugins().join("conformance-server.wasm")).expect("copied");
    let settings = "[servers.read]\nresources = [\"test://static-*\"]\n[servers.none]\nprompts = [\"nothing\"]\n";
    fs::write(place.path().join("gatehouse.toml"), settings).expect("written");
    let checked = place.run(&["check", "--config", "gatehouse.toml", "--plugins", text(&place.plugins())]);
    assert!(checked.out.contains(" 6 resources, 1 resource template, 6 prompts, sha256:"), "{checked:?}");
    let empty = "server     none: nothing that it names is offered by any plugin\n";
    assert!(checked.code == 1 && checked.out.contains(empty) && !checked.out.contains("server     read"), "{checked:?}");
}

/// Most languages' runtimes import what they do not use: what it could reach is told, and nothing of it is granted.
#[test]
fn inspect_tells_what_a_plugin_could_reach() {
    let place = Place::new();
    let report = place.run(&["inspect", text(&fixture("misbehave")), "--json"]).json();
    // rustup's standard library knows sockets, the one that is built with Debian's libc does not.
    let imports = report["imports"].as_array().expect("a list");
    let sockets = imports.iter().any(|import| import["name"].as_str().is_some_and(|name| name.starts_with("wasi:sockets/")));
    let mut grants = vec!["environment", "files"];
    if sockets {
        grants.push("sockets, which are never granted");
    }
    assert_eq!(report["grants"], json!(grants));
    // A link that is named is followed.
    std::os::unix::fs::symlink(fixture("misbehave"), place.path().join("link.wasm")).expect("a link");
    assert_eq!(place.run(&["inspect", "link.wasm", "--json"]).json(), report);
}

#[test]
fn inspect_says_what_is_wrong_with_a_file() {
    let place = Place::new();
    let whole = fs::read(fixture("mirrored")).expect("the fixture");
    let files: [(&str, &[u8], &str); 5] = [
        (
            "core.wasm",
            b"\0asm\x01\0\0\0",
            "this is a core module, not a component: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`",
        ),
        ("text.wasm", b"hello", "this is not WebAssembly: it begins with 68 65 6c 6c"),
        ("empty.wasm", b"", "the file is empty"),
        ("elf.wasm", b"\x7fELF\x02", "this is not WebAssembly: it begins with an ELF header"),
        ("cut.wasm", &whole[..1000], "the component is broken or cut short at byte 11: unexpected end-of-file"),
    ];
    for (name, bytes, reason) in files {
        fs::write(place.path().join(name), bytes).expect("written");
        check(&place.run(&["inspect", name]), 1, "", &format!("gatehouse: {name}: {reason}\n"));
    }
    let missing = place.run(&["inspect", "missing.wasm"]);
    check(&missing, 1, "", "gatehouse: missing.wasm: No such file or directory (os error 2)\n");
    // A component, and no plugin: what it is is told, and why it is not served.
    fs::write(place.path().join("bare.wasm"), b"\0asm\x0d\0\x01\0").expect("written");
    let bare = place.run(&["inspect", "bare.wasm"]);
    assert_eq!(bare.code, 1, "{bare:?}");
    assert!(
        bare.out.contains(
            "cannot be served: it exports no `gatehouse:tool/tools@0.1.0`, nor `resources` or `prompts` of that package, and no function of its own; it exports nothing"
        ),
        "{bare:?}"
    );
    let refused = place.run(&["inspect", text(&fixture("broken-list")), "--json"]);
    assert_eq!((refused.code, &refused.json()["problem"]), (1, &json!("its list-tools refused: told to refuse")));
}

#[test]
fn check_tells_every_mistake_of_the_settings_at_once() {
    let place = Place::new();
    place.settings("[gateway]\nlisten = 1\nlistne = \"x\"\n[limits]\ncall_wall_time_ms = 0\n[nonsense]\nx = 1\n");
    let expected = "gatehouse: gatehouse.toml has 4 mistakes:\n  \
        line 2: gateway.listen: must be a string\n  \
        line 3: gateway.listne: there is no such setting; did you mean `listen`?\n  \
        line 5: limits.call_wall_time_ms: must be a whole number from 1 to 300000\n  \
        line 6: nonsense: there is no such setting; here belong `admin`, `auth`, `gateway`, `grants`, `http`, `journal`, `legacy`, `limits`, `log`, `plugins`, `policies`, `process`, `quotas`, `servers`, `store`, `tenants`, `traces`\n";
    for command in [&["check"][..], &["check", "--json"], &["serve"], &["inspect", text(&plugin("text-toolbox"))]] {
        check(&place.run(command), 78, "", expected);
    }
    place.settings("[gateway\n");
    let broken = place.run(&["check"]);
    assert!(broken.code == 78 && broken.err.starts_with("gatehouse: gatehouse.toml has a mistake:\n  line 1: "), "{broken:?}");
    let missing = place.run(&["check", "--config", "other.toml"]);
    check(&missing, 78, "", "gatehouse: the settings file other.toml cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn check_looks_at_every_plugin() {
    let place = Place::new();
    check(
        &place.run(&["check"]),
        0,
        "settings   ok\nstore      none yet; it is made when the gateway starts\nplugins    none in plugins\n",
        "",
    );
    assert!(!place.path().join("gatehouse-data").exists(), "to look is not to keep");
    fs::copy(fixture("mirrored"), place.plugins().join("mirrored.wasm")).expect("copied");
    let good = place.run(&["check"]);
    assert!(good.code == 0 && good.out.contains("plugin     mirrored: ok, 1 tool, sha256:"), "{good:?}");

    fs::copy(fixture("mirrored"), place.plugins().join("newcomer.wasm")).expect("copied");
    fs::write(place.plugins().join("broken.wasm"), b"\0asm").expect("written");
    place.settings("[servers.empty]\ntools = [\"no_such_tool\"]\n");
    let bad = place.run(&["check"]);
    assert_eq!(bad.code, 1, "{bad:?}");
    for line in [
        "plugin     broken: the component is broken or cut short at byte 4: ",
        "plugin     newcomer: its tool `mirrored` has the name of a tool of `mirrored`, which was there before; rename one of them\n",
        "server     empty: nothing that it names is offered by any plugin\n",
    ] {
        assert!(bad.out.contains(line), "{line}: {bad:?}");
    }
    let report = place.run(&["check", "--json"]).json();
    assert_eq!((&report["ok"], &report["empty_servers"]), (&json!(false), &json!(["empty"])));
    assert_eq!((&report["plugins"][0]["plugin"], &report["plugins"][0]["tools"]), (&json!("mirrored"), &json!(["mirrored"])));
    let problems: Vec<_> = report["problems"].as_array().expect("a list").iter().map(|problem| &problem["plugin"]).collect();
    assert_eq!(problems, ["broken", "newcomer"]);

    fs::remove_dir_all(place.plugins()).expect("removed");
    let missing = place.run(&["check"]);
    check(
        &missing,
        78,
        "",
        "gatehouse: the plugin directory plugins cannot be used: No such file or directory (os error 2); make it, or name another with --plugins\n",
    );
}

#[test]
fn call_reads_arguments_as_the_schema_wants_them() {
    let place = Place::new();
    let mirrored = fixture("mirrored");
    let call = |arguments: &[&str]| local(&place, &mirrored, &[&["mirrored"], arguments].concat());
    let object = |ran: &Ran| serde_json::from_str::<Value>(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let typed = call(&["--arg", "region=5", "--arg", "count=5", "--arg", "flag=true", "--arg", "note=a=b"]);
    assert_eq!((typed.code, object(&typed)), (0, json!({ "region": "5", "count": 5, "flag": true, "note": "a=b" })));
    let given = json!({ "region": "küste", "count": 1 });
    for flag in ["--args-json", "--json"] {
        let ran = call(&[flag, &given.to_string()]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let out = if flag == "--json" {
            serde_json::from_str(ran.json()["content"][0]["text"].as_str().expect("text")).expect("JSON")
        } else {
            object(&ran)
        };
        assert_eq!(out, given);
    }
    let bare = call(&["--arg", "count=2", "--json"]);
    assert_eq!(bare.json()["content"], json!([{ "type": "text", "text": "{\"count\":2}" }]));
    check(&call(&["--arg", "count"]), 64, "", "gatehouse: `count` is not NAME=VALUE\n");
    check(&call(&["--args-json", "[1]"]), 64, "", "gatehouse: the arguments must be a JSON object\n");
    let both = call(&["--arg", "count=1", "--json", "{\"count\":2}"]);
    check(&both, 64, "", "gatehouse: give the arguments one by one or as one object, not both\n");
    let unfit = call(&["--arg", "count=many"]);
    assert_eq!(unfit.code, 1, "{unfit:?}");
    assert!(unfit.out.starts_with("The arguments do not fit the tool's input schema: /count: "), "{unfit:?}");
}

/// The same answers from a component file and from a running gateway, arguments that are repeated in headers included.
#[test]
fn call_answers_alike_with_a_file_and_with_a_gateway() {
    let names = ["mirrored", "misbehave", "text-toolbox"];
    let files = [fixture("mirrored"), fixture("misbehave"), plugin("text-toolbox")];
    let place = Place::with(&[(names[0], files[0].clone()), (names[1], files[1].clone()), (names[2], files[2].clone())]);
    let gateway = place.serve(&[]);
    let calls: [(usize, &[&str], i32, &str, &str); 7] = [
        (0, &["mirrored", "--arg", "region=küste", "--arg", "count=3", "--arg", "flag=false"], 0, "\"count\":3", ""),
        (2, &["echo", "--arg", "message=hello"], 0, "hello\n", ""),
        (2, &["word_stats", "--arg", "text=one two", "--json"], 0, "\"structuredContent\"", ""),
        (2, &["slow_count", "--arg", "n=3", "--arg", "message=m"], 0, "m\n", "… 1 of 3  1 of 3\n… 2 of 3  2 of 3\n"),
        (2, &["json_query", "--arg", "json={", "--arg", "query=$"], 1, "The argument 'json' is not valid JSON: ", ""),
        (1, &["trap"], 1, "", "gatehouse: The plugin crashed (-31002)\n"),
        (
            1,
            &["image"],
            0,
            "[image, image/png, 92 B of base64]\n[audio, audio/wav, 60 B of base64]\n[resource link fixture://link]\n[resource fixture://text]\n",
            "",
        ),
    ];
    for (file, arguments, code, out, err) in calls {
        let url = place.run(&[&["call", "--url", &gateway.url], arguments].concat());
        let file = local(&place, &files[file], arguments);
        for ran in [&url, &file] {
            assert!(ran.code == code && ran.out.contains(out) && ran.err.contains(err), "{arguments:?}: {ran:?}");
        }
        assert_eq!(url.out, file.out, "{arguments:?}");
    }
    let unknown = place.run(&["call", "no_such", "--url", &gateway.url]);
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""));
    let told = format!("gatehouse: {} has no tool `no_such`; it has mirrored, spin, ", gateway.url);
    assert!(unknown.err.starts_with(&told) && unknown.err.contains(", echo, "), "{unknown:?}");
    let unknown = local(&place, &files[0], &["no_such"]);
    check(&unknown, 1, "", &format!("gatehouse: {} has no tool `no_such`; it has mirrored\n", text(&files[0])));
    assert!(gateway.stop().success());
}

#[test]
fn call_says_what_to_do_without_a_gateway() {
    let place = Place::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let nobody = place.run(&["call", "echo", "--url", &url]);
    assert_eq!((nobody.code, nobody.out.as_str()), (1, ""));
    let told = nobody.err.starts_with(&format!("gatehouse: {url}: "))
        && nobody.err.ends_with("is the gateway running? `gatehouse serve` starts it\n");
    assert!(told, "{nobody:?}");
    let both = place.run(&["call", "echo", "--url", &url, "--plugin", "x.wasm"]);
    assert!(both.code == 2 && both.err.contains("cannot be used with"), "{both:?}");
    let missing = place.run(&["call", "echo", "--plugin", "missing.wasm"]);
    assert_eq!(missing.code, 1);
    assert_eq!(missing.err, "gatehouse: missing.wasm: it cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn serve_refuses_a_place_it_cannot_have() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = place.run(&["serve", "--listen", &address]);
    check(&ran, 69, "", &format!("gatehouse: {address} cannot be listened on: Address already in use (os error 98)\n"));
    for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let ran = place.run(&["serve", "--listen", open]);
        let expected = format!(
            "gatehouse: the settings have a mistake:\n  gateway.listen: {open} can be reached from other machines, and no authentication is configured; \
             set auth.mode = \"tokens\", or listen on 127.0.0.1 or [::1] and put a proxy that authenticates in front\n"
        );
        check(&ran, 78, "", &expected);
    }
    fs::write(place.path().join("file"), "").expect("written");
    let ran = place.run(&["serve", "--plugins", "file"]);
    check(
        &ran,
        78,
        "",
        "gatehouse: the plugin directory file cannot be used: Not a directory (os error 20); make it, or name another with --plugins\n",
    );
    let ran = place.run(&["serve", "--data", "file"]);
    assert_eq!(ran.code, 74, "{ran:?}");
    assert!(ran.err.contains("gatehouse: what is revoked cannot be read from file/revocations/revocations.json: "), "{ran:?}");
}

#[test]
fn serve_shows_where_it_is_and_what_it_has() {
    let place = Place::with(&[("mirrored", fixture("mirrored")), ("broken", fixture("broken-list"))]);
    place.settings("[servers.small]\ntools = [\"mirrored\"]\n");
    let gateway = place.serve(&[]);
    let screen = gateway.out();
    let origin = gateway.url.trim_end_matches("/mcp");
    for part in [
        format!("  URL       {origin}/mcp\n"),
        format!("            {origin}/servers/small/mcp   (1 tool)\n"),
        "    mirrored  Returns its arguments as they came\n".to_owned(),
        "  broken  not served: its list-tools refused: told to refuse\n".to_owned(),
    ] {
        assert!(screen.contains(&part), "{part}: {screen}");
    }
    assert!(!screen.contains('\u{1b}'), "no colours where nobody sees them");
    assert!(gateway.stop().success());
}
