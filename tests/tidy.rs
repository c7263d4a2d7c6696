//! Rules of the house that a machine can keep, each with its reason. They read the repository's files, and start the binary once.

use crate::harness::{binary, plugin, root};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A file and its text, by its path from the root.
struct File {
    path: String,
    text: String,
}

impl File {
    /// Its lines with their numbers, without those that are comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What is committed, or would be by the next commit; only what is text.
fn files(wanted: impl Fn(&str) -> bool) -> Vec<File> {
    let git = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root()).output();
    let git = git.ok().filter(|git| git.status.success()).expect("these rules are about a clone: `git ls-files` lists what they look at");
    let listed = String::from_utf8(git.stdout).expect("paths are UTF-8");
    let text = |path: &str| Some(File { path: path.to_owned(), text: fs::read_to_string(root().join(path)).ok()? });
    listed.lines().filter(|path| wanted(path)).filter_map(text).collect()
}

fn rust_below(folder: &str) -> Vec<File> {
    files(|path| path.starts_with(folder) && path.ends_with(".rs"))
}

fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}\n  {}\n", broken.join("\n  "));
}

/// Where `word` begins in `text`, not as a part of a longer word.
fn words<'t>(text: &'t str, word: &str) -> impl Iterator<Item = usize> + 't {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let found: Vec<_> = text.match_indices(word).map(|(at, _)| at).collect();
    found.into_iter().filter(move |at| !text.get(..*at).is_some_and(|before| before.ends_with(part)))
}

fn after<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    Some(text.split_once(mark)?.1)
}

fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn files_say_their_subject_and_fit_a_head() {
    const LINES_MAX: usize = 600;
    const FUNCTION_LINES_MAX: usize = 100;
    let mut broken = Vec::new();
    for file in files(|path| path.ends_with(".rs") && !path.ends_with("/tests.rs")) {
        if !file.text.starts_with("//!") {
            broken.push(file.at(1, "begins without a line of `//!` that says its subject"));
        }
        let lines: Vec<_> = file.text.lines().collect();
        if lines.len() > LINES_MAX {
            broken.push(file.at(LINES_MAX, "has more than 600 lines: it has more than one subject"));
        }
        // As rustfmt lays functions out: the closing brace stands under the first letter.
        for (begin, line) in lines.iter().enumerate().filter(|(_, line)| words(line, "fn ").next().is_some() && line.ends_with('{')) {
            let indent = line.len() - line.trim_start().len();
            let closes = |line: &&str| line.len() == indent + 1 && line.ends_with('}');
            let length = lines.iter().skip(begin).position(closes).unwrap_or(0);
            if length > FUNCTION_LINES_MAX {
                broken.push(file.at(begin + 1, &format!("a function of {length} lines; the limit is {FUNCTION_LINES_MAX}")));
            }
        }
    }
    none("A file has one subject and says which; a function is read without scrolling back.", broken);
}

/// A crate's name stays where it belongs: another server, engine or store then changes one room.
#[test]
fn libraries_stay_in_their_rooms() {
    let homes = [
        ("axum", &["host/src/http"][..]),
        // What guests send crosses as bodies of the same kind.
        ("http_body_util", &["host/src/http", "host/src/egress", "host/crates/sandbox/src/outgoing.rs"]),
        ("hyper", &["host/src/http", "host/src/egress"]),
        ("hyper_util", &["host/src/http", "host/src/egress"]),
        ("tower", &["host/src/http"]),
        ("rustls", &["host/src/egress"]),
        ("tokio_rustls", &["host/src/egress"]),
        ("prost", &["host/src/trace"]),
        ("prometheus_client", &["host/src/metrics"]),
        ("wasmparser", &["host/crates/sandbox/"]),
        ("wasmtime", &["host/crates/sandbox/"]),
        ("wasmtime_wasi", &["host/crates/sandbox/"]),
        ("wasmtime_wasi_config", &["host/crates/sandbox/"]),
        ("wasmtime_wasi_http", &["host/crates/sandbox/"]),
        ("sled", &["host/crates/event-store/"]),
        ("jsonwebtoken", &["host/crates/token/"]),
        ("minisign_verify", &["host/src/catalog/trust/"]),
        ("aws_lc_rs", &["host/crates/token/"]),
    ];
    let mut broken = Vec::new();
    for file in rust_below("host/") {
        for (library, homes) in homes.iter().filter(|(_, homes)| !homes.iter().any(|home| file.path.starts_with(home))) {
            let named = file.code().filter(|(_, line)| words(line, &format!("{library}::")).next().is_some());
            broken.extend(named.map(|(at, _)| file.at(at, &format!("names {library}, whose home is {}", homes.join(", ")))));
        }
    }
    none("Libraries are named in one room each.", broken);
}

/// Things that must be said in one place, so that there is one place to review.
#[test]
fn decisions_have_one_place() {
    let homes = [
        ("ErrorCode", "host/src/", "host/src/http/error", "one table maps failures to JSON-RPC codes"),
        ("StatusCode", "host/src/", "host/src/http/", "nothing below http chooses a status"),
        (".permit(", "host/", "host/src/auth/policy.rs", "no tool runs that the policy did not look at"),
        ("in_process", "host/src/", "nowhere", "nothing is compiled in the serving process"),
        ("unsafe {", "host/", "host/crates/sandbox/src/cache.rs", "bytes become code in one place, after their seal was checked"),
    ];
    let mut broken = Vec::new();
    for (word, below, home, reason) in homes {
        for file in rust_below(below).iter().filter(|file| !file.path.starts_with(home)) {
            let said = file.code().filter(|(_, line)| line.contains(word));
            broken.extend(said.map(|(at, _)| file.at(at, &format!("`{word}` belongs to {home}: {reason}"))));
        }
    }
    none("A decision has one place.", broken);
}

/// The inner crates do not know each other: each builds, and is tested, without the rest.
#[test]
fn inner_crates_are_strangers() {
    let mut broken = Vec::new();
    for manifest in files(|path| path.starts_with("host/crates/") && path.ends_with("/Cargo.toml")) {
        let section = after(&manifest.text, "\n[dependencies]").expect("it has dependencies");
        let section = section.split("\n[").next().unwrap_or_default();
        let names = section.lines().map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default());
        for name in names.filter(|name| !name.is_empty() && !name.starts_with('#')) {
            let impure = ["axum", "hyper", "tokio", "wasmtime"].iter().any(|library| name.starts_with(library));
            let is_pure = manifest.path.contains("/mcp/") || manifest.path.contains("/token/");
            // Turns are no knowledge of the domain; the sandbox takes them for guests, the host for calls.
            let is_of_ours = name.starts_with("gatehouse") && !(name == "gatehouse-fair" && manifest.path.contains("/sandbox/"));
            if is_of_ours || (is_pure && impure) {
                broken.push(format!("{} depends on {name}", manifest.path));
            }
        }
    }
    none("The leaves are strangers to each other, and `mcp` and `token` are pure.", broken);
}

/// `ARCHITECTURE.md` is read before the code is. Its table is the rule, so it cannot be wrong for long.
#[test]
fn rooms_know_whom_the_map_says() {
    let map = read("ARCHITECTURE.md");
    let table = after(&map, "| Room | Is | Knows |").expect("the map has its table of rooms");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|')).map(cells);
    let mut drawn = BTreeSet::new();
    let mut order = Vec::new();
    for row in rows {
        let room = in_backticks(row[0]).next().expect("a row begins with its room");
        order.push(room.to_owned());
        drawn.extend(in_backticks(row[2]).map(|known| (room.to_owned(), known.to_owned())));
    }
    // Arrows point down the table, so no room can know itself by way of others.
    let place = |room: &String| order.iter().position(|other| other == room);
    let upward = drawn.iter().filter(|(room, known)| place(known).is_some_and(|known| Some(known) <= place(room)));
    none("Every arrow points down.", upward.map(|(room, known)| format!("{room} knows {known}, which stands above it")).collect());
    let mut found = BTreeSet::new();
    for file in rust_below("host/src/") {
        let room = file.path.trim_start_matches("host/src/").split(['/', '.']).next().unwrap_or_default().to_owned();
        for (_, line) in file.code() {
            for crate_name in ["event_store", "fair", "mcp", "sandbox", "token"] {
                if words(line, &format!("{crate_name}::")).next().is_some() {
                    found.insert((room.clone(), crate_name.to_owned()));
                }
            }
            for at in words(line, "crate::") {
                let rest = line.get(at + "crate::".len()..).unwrap_or_default();
                let known = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                found.insert((room.clone(), known.to_owned()));
            }
        }
    }
    found.retain(|(room, known)| room != known && !["main", "lib"].contains(&room.as_str()));
    let new = found.difference(&drawn).map(|(room, known)| format!("{room} names {known}, and the table does not say so"));
    let old = drawn.difference(&found).map(|(room, known)| format!("{room} does not name {known} any more; take it out of the table"));
    none("The rooms are as ARCHITECTURE.md says.", new.chain(old).collect());
}

/// WIT wants a package's dependencies beside it, so there is a copy, and a copy must not drift.
#[test]
fn the_copy_of_the_host_package_is_equal() {
    let equal = read("wit/tool/deps/host/host.wit") == read("wit/host/host.wit");
    assert!(equal, "copy wit/host/host.wit to wit/tool/deps/host/host.wit");
}

/// One setting as the sources read it.
struct Setting {
    key: String,
    /// Default, least and greatest, where they are numbers in the source.
    numbers: [Option<u64>; 3],
}

fn settings() -> Vec<Setting> {
    let config = [
        "config",
        "config/admin",
        "config/auth",
        "config/grant",
        "config/grant/keyvalue",
        "config/policy",
        "config/process",
        "config/quota",
        "config/server",
        "config/tenant",
        "config/traces",
        "config/trust",
    ]
    .map(|file| read(&format!("host/src/{file}.rs")))
    .concat();
    let mut settings = Vec::new();
    // `let VARIABLE = root.section("NAME")`, then `VARIABLE.text("KEY")` and the like; a server's section is called `section`, those of
    // policies, issuers and tenants by what they are.
    let sections = config.match_indices(" = root.section(\"").map(|(at, mark)| {
        let variable = config[..at].rsplit(' ').next().unwrap_or_default();
        (variable, config[at + mark.len()..].split('"').next().unwrap_or_default())
    });
    let named = [
        ("section", "servers.ID"),
        ("grant", "grants.NAME"),
        ("outgoing", "grants.NAME.http"),
        ("credential", "grants.NAME.http.credentials.HOST"),
        ("keyvalue", "grants.NAME.keyvalue"),
        ("policy", "policies.NAME"),
        ("issuer", "auth.issuers.NAME"),
        ("key", "auth.keys.NAME"),
        ("tenant", "tenants.NAME"),
        ("quota", "quotas.KIND"),
    ];
    for (variable, name) in sections.chain(named) {
        for method in ["text", "texts", "flag", "number", "limit", "given", "ratio", "parsed", "json", "entries"] {
            let call = format!("{variable}.{method}(\"");
            let keys = words(&config, &call).map(|at| config[at + call.len()..].split('"').next().unwrap_or_default());
            settings.extend(keys.map(|key| Setting { key: format!("{name}.{key}"), numbers: [None; 3] }));
        }
    }
    // `READ("KEY", DEFAULT, LEAST..=GREATEST, BEYOND)`
    let limits = read("host/src/config/limits.rs");
    for read in ["number", "count", "small", "seconds", "millis"] {
        let call = format!("{read}(\"");
        for at in words(&limits, &call) {
            let (key, rest) = limits[at + call.len()..].split_once("\", ").expect("a default follows the key");
            let (rest, greatest) = rest.split_once("..=").expect("a limit has a range");
            let (default, least) = rest.rsplit_once(", ").expect("a range follows the default");
            let greatest = greatest.split(',').next().unwrap_or_default();
            settings.push(Setting { key: format!("limits.{key}"), numbers: [default, least, greatest].map(number) });
        }
    }
    settings
}

/// `4_096`, `4 << 10`, or a default of the sandbox's; none for anything else.
fn number(source: &str) -> Option<u64> {
    if let Some(field) = source.strip_prefix("guest.") {
        let field = field.trim_end_matches(" as u64");
        let sandbox = read("host/crates/sandbox/src/limits.rs");
        return number(after(after(&sandbox, "impl Default for Limits")?, &format!(" {field}: "))?.split(',').next()?);
    }
    let plain = |text: &str| text.replace('_', "").parse::<u64>().ok();
    match source.split_once(" << ") {
        Some((value, by)) => Some(plain(value)? << plain(by)?),
        None => plain(source),
    }
}

/// An operator finds every setting in one table, with the default and the range that the source has.
#[test]
fn every_setting_is_documented() {
    let page = read("host/README.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
    let documented = |key: &str| rows.iter().find(|row| row[0] == format!("`{key}`"));
    let settings = settings();
    let sections: BTreeSet<_> = settings.iter().filter_map(|setting| Some(setting.key.split_once('.')?.0)).collect();
    assert_eq!(sections.len(), 17, "the scan of config.rs finds the sections: {sections:?}");
    let mut broken = Vec::new();
    for Setting { key, numbers: [default, least, greatest] } in &settings {
        let Some(row) = documented(key) else {
            broken.push(format!("{key} is read and not in the table"));
            continue;
        };
        // `1,024 (1 KiB)` and `1 to 1,024`
        let figure = |text: &str| text.split(' ').next().and_then(|figure| figure.replace(',', "").parse::<u64>().ok());
        let range = row[2].split_once(" to ").map_or((None, None), |(least, greatest)| (figure(least), figure(greatest)));
        if default.is_some_and(|default| figure(row[1]) != Some(default)) {
            broken.push(format!("{key}: the default is {default:?} and not {}", row[1]));
        }
        if least.is_some() && (*least, *greatest) != range {
            broken.push(format!("{key}: the range is {least:?} to {greatest:?} and not {}", row[2]));
        }
    }
    // Default, range and meaning stand beside a setting; the words of events look alike and have less.
    let keys = rows.iter().filter(|row| row.len() >= 4).filter_map(|row| in_backticks(row[0]).next());
    let keys = keys.filter(|key| key.split_once('.').is_some_and(|(section, _)| sections.contains(section)));
    broken.extend(
        keys.filter(|key| !settings.iter().any(|setting| setting.key == **key)).map(|key| format!("{key} is in the table and not read")),
    );
    none("host/README.md has every setting.", broken);
}

/// Whoever meets a code looks for it there.
#[test]
fn every_error_code_of_ours_is_documented() {
    let (page, source) = (read("host/README.md"), read("host/crates/mcp/src/error.rs"));
    let codes: Vec<_> = source.match_indices("= ErrorCode(-31").filter_map(|(at, _)| source[at..].split(['(', ')']).nth(1)).collect();
    assert!(codes.len() >= 13, "the scan of error.rs finds the codes: {codes:?}");
    let row = |code: &str| page.lines().any(|line| line.starts_with('|') && cells(line).get(1) == Some(&code));
    none("host/README.md has every code of Gatehouse's own.", codes.into_iter().filter(|code| !row(code)).map(ToOwned::to_owned).collect());
}

/// Operators begin with a copy of it.
#[test]
fn the_example_settings_are_right() {
    let page = read("host/README.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("host/README.md has an example");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (settings, plugins) = (directory.path().join("gatehouse.toml"), directory.path().join("plugins"));
    fs::write(&settings, example).expect("written");
    fs::create_dir(&plugins).expect("a plugin directory");
    fs::copy(plugin("text-toolbox"), plugins.join("text-toolbox.wasm")).expect("copied");
    let mut check = Command::new(binary());
    check.arg("check").arg("--config").arg(&settings).arg("--plugins").arg(&plugins);
    // Kept, so that the component is compiled once and not at each run.
    let check = check.arg("--data").arg(root().join("target/tidy-data")).output().expect("the binary runs");
    let said = [check.stdout, check.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(check.status.success(), "`gatehouse check` refuses the example:\n{said}");
}

/// The id that a heading gets in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The author's guide shows a whole plugin, and that plugin is built and tested.
#[test]
fn the_guide_shows_the_plugin_that_is_there() {
    let guide = read("plugins/README.md");
    let shown = guide.split("```rust\n").find_map(|block| block.split("```").next().filter(|block| block.contains("export!(Handbook);")));
    let plugin = read("plugins/handbook/src/lib.rs");
    let code = plugin.split_once("\n\n").map(|(_, code)| code);
    assert_eq!(shown, code);
}

/// A page that sends its reader nowhere is worse than no page.
#[test]
fn pages_point_to_what_is_there() {
    let mut broken = Vec::new();
    for page in files(|path| path.ends_with(".md")) {
        let folder = Path::new(&page.path).parent().unwrap_or(Path::new("")).to_owned();
        let mut fenced = false;
        for (at, line) in page.text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            if fenced {
                continue;
            }
            let links = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for link in links.filter(|link| !link.contains("://")) {
                let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
                let target = if path.is_empty() { page.path.clone().into() } else { folder.join(path) };
                let heading =
                    |text: &str| text.lines().any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == fragment);
                let there = root().join(&target);
                if !there.exists() || (!fragment.is_empty() && !fs::read_to_string(there).is_ok_and(|text| heading(&text))) {
                    broken.push(page.at(at + 1, &format!("there is no {link}")));
                }
            }
            let named = in_backticks(line).filter_map(|code| code.split_whitespace().next());
            let ours = named.filter(|name| ["host/", "scripts/", "tests/", "wit/"].iter().any(|folder| name.starts_with(folder)));
            for name in ours.filter(|name| !name.contains(['*', '<', '{', '…']) && !root().join(name).exists()) {
                broken.push(page.at(at + 1, &format!("there is no {name}")));
            }
        }
    }
    none("Links resolve, and files that pages name are there.", broken);
}

/// A clone must work anywhere, and must not tell where it was made.
#[test]
fn nothing_names_the_machine_it_was_made_on() {
    let mut broken = Vec::new();
    for file in files(|_| true) {
        for (at, line) in file.text.lines().enumerate() {
            for home in ["work", "root", "home"].map(|home| format!("/{home}/")) {
                // Not as a part of a longer path or of an address.
                let absolute = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || ".-_~}*/".contains(c));
                if line.match_indices(&home).any(|(at, _)| absolute(at)) {
                    broken.push(file.at(at + 1, &format!("a path below {home}")));
                }
            }
            let elsewhere = match file.path.rsplit('/').next().unwrap_or_default() {
                "package-lock.json" => line.contains("\"resolved\""),
                "Cargo.lock" => {
                    line.starts_with("source = ") && line != "source = \"registry+https://github.com/rust-lang/crates.io-index\""
                }
                "requirements.txt" | "constraints.txt" | ".npmrc" => line.contains("://"),
                _ => false,
            };
            if elsewhere {
                broken.push(file.at(at + 1, "names where a package was fetched from"));
            }
        }
    }
    none("No file names a machine.", broken);
}
