use super::*;
use proptest::prelude::*;

fn tool(name: &str, description: &str) -> (String, Definition) {
    let text = serde_json::json!({ "name": name, "description": description, "inputSchema": { "type": "object" } }).to_string();
    (name.to_owned(), Definition::parse(&text).expect("an object"))
}

fn lock(plugins: &[(&str, Approved)]) -> Lock {
    Lock { plugins: plugins.iter().map(|(id, approved)| (PluginId::parse(id).expect("a name"), approved.clone())).collect() }
}

fn sample() -> Lock {
    let approved = |bytes: &[u8], side: Option<&[u8]>| Approved {
        component: Digest::of(bytes),
        side: side.map(Digest::of),
        tools: [tool("echo", "It says\nwhat it is told: '''\"\\"), tool("add", "")].into(),
    };
    lock(&[("b", approved(b"b", None)), ("acme/a", approved(b"a", Some(b"s"))), ("a", approved(b"a", None))])
}

/// The text of a lock with one thing changed, and what is said of it.
fn refused(from: &str, to: &str) -> (usize, String) {
    let text = sample().text().expect("written");
    assert!(text.contains(from), "{from} in {text}");
    let text = text.replacen(from, to, 1);
    let (at, what) = Lock::parse(&text).expect_err("refused");
    (mcp::text::line_number(&text, at), what)
}

#[test]
fn it_is_sorted_and_made_for_people() {
    let text = sample().text().expect("written");
    let expected = format!(
        "{HEAD}version = 1\n\n[[plugin]]\nname = \"a\"\ncomponent = \"sha256:{}\"\n\n[[plugin.tool]]\nname = \"add\"\nsha256 = \"sha256:{}\"\n\
         definition = \"\"\"\n{{\n  \"description\": \"\",\n  \"inputSchema\": {{\n    \"type\": \"object\"\n  }},\n  \"name\": \"add\"\n}}\n\"\"\"\n",
        Digest::of(b"a"),
        tool("add", "").1.digest
    );
    assert!(text.starts_with(&expected), "{text}");
    let order = |name: &str| text.find(name).unwrap_or_else(|| panic!("{name} in {text}"));
    assert!(order("name = \"b\"") < order("tenant = \"acme\""), "those of tenants come behind those that are shared");
    assert_eq!(Lock::parse(&text), Ok(sample()));
}

/// L10.
#[test]
fn what_is_wrong_is_named_with_its_line() {
    let a = format!("sha256:{}", Digest::of(b"a"));
    let must = "component: must be sha256: and 64 hexadecimal digits";
    for wrong in
        [&a[..a.len() - 1], &a.replace("sha256", "md5"), &a["sha256:".len()..], &format!("{a}0"), &a.replace("sha256:", "sha256: ")]
    {
        assert_eq!(refused(&a, wrong), (6, must.to_owned()), "{wrong}");
    }
    let of_tool = format!("sha256:{}", tool("add", "").1.digest);
    assert_eq!(refused(&of_tool, &a), (10, "sha256: is not that of the definition below it: one of the two was changed".to_owned()));
    assert_eq!(refused("\"description\": \"\"", "\"description\": \"More.\"").0, 10);
    assert_eq!(refused("\"\"\"\n{", "\"\"\"\n["), (11, "definition: must be a JSON object".to_owned()));
    assert_eq!(refused("version = 1", "version = 2"), (2, "it is of form 2, and this program knows 1".to_owned()));
    let (line, what) = refused("[[plugin]]\nname = \"b\"", "[[plugin]]\nname = \"a\"");
    assert!(line > 20 && what.starts_with("name: `a` is there twice"), "line {line}: {what}");
    let (line, what) = refused("name = \"a\"", "name = \"a\"\nname = \"a\"");
    assert!(line == 6 && what.contains("duplicate"), "line {line}: {what}");
    assert_eq!(refused("name = \"a\"", "name = \"../a\"").0, 5);
    let (line, what) = refused("name = \"a\"", "nmae = \"a\"");
    assert!((4..=5).contains(&line) && what.contains("nmae"), "line {line}: {what}");
    assert_eq!(refused("name = \"add\"", "name = \"sub\""), (9, "name: the definition below is not of `sub`".to_owned()));
    assert_eq!(refused("name = \"echo\"", "name = \"echo").0, 22);
    assert_eq!(refused(HEAD, "\u{0}").0, 1);
}

/// L10.
#[test]
fn digits_may_be_upper_case() {
    let text = sample().text().expect("written");
    let upper = text.replace(&Digest::of(b"a").to_string(), &Digest::of(b"a").to_string().to_uppercase());
    assert_ne!(upper, text);
    assert_eq!(Lock::parse(&upper), Ok(sample()));
}

#[test]
fn it_is_changed_whole_or_not_at_all() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("plugins.lock");
    assert_eq!(Lock::read(&path).expect("nothing is wrong"), None);
    Lock::change(&path, |lock| *lock = sample()).expect("written");
    assert_eq!(Lock::read(&path).expect("right"), Some(sample()));
    // Of a command that was killed.
    std::fs::write(place.path().join(".plugins.lock.new"), "version = 1\n[[pl").expect("written");
    Lock::change(&path, |lock| drop(lock.plugins.pop_first())).expect("written");
    assert_eq!(Lock::read(&path).expect("right").map(|lock| lock.plugins.len()), Some(2));
    let names: Vec<_> = std::fs::read_dir(place.path()).expect("listed").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["plugins.lock"]);
    // What is not understood is not written over.
    std::fs::write(&path, "version = 1\nnonsense").expect("written");
    assert!(matches!(Lock::change(&path, |lock| *lock = sample()), Err(LockError::Wrong { line: 2, .. })));
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "version = 1\nnonsense");
}

#[test]
fn a_file_that_others_can_write_is_not_believed() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("plugins.lock");
    Lock::change(&path, |lock| *lock = sample()).expect("written");
    for mode in [0o664, 0o646] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its own");
        assert!(matches!(Lock::read(&path), Err(LockError::Exposed { .. })), "{mode:o}");
    }
}

fn names() -> impl Strategy<Value = PluginId> {
    let tenant = proptest::option::of("[a-z0-9][a-z0-9-]{0,8}");
    (tenant, "[^/.\\p{Cc}][^/\\p{Cc}]{0,20}").prop_filter_map("a plugin's name", |(tenant, name)| {
        PluginId::parse(&tenant.map_or_else(|| name.clone(), |tenant| format!("{tenant}/{name}")))
    })
}

fn approved() -> impl Strategy<Value = Approved> {
    let tools = proptest::collection::vec(("\\PC{1,12}", any::<String>(), any::<f64>()), 0..3).prop_map(|tools| {
        let tools = tools.into_iter().map(|(name, text, number)| {
            let value = serde_json::json!({ "name": name, "description": text, "inputSchema": { "minimum": number } });
            (name, Definition::parse(&value.to_string()).expect("an object"))
        });
        tools.collect::<BTreeMap<_, _>>()
    });
    (any::<[u8; 4]>(), proptest::option::of(any::<[u8; 4]>()), tools).prop_map(|(component, side, tools)| Approved {
        component: Digest::of(&component),
        side: side.map(|side| Digest::of(&side)),
        tools,
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(plugins in proptest::collection::btree_map(names(), approved(), 0..4)) {
        let lock = Lock { plugins };
        prop_assert_eq!(Lock::parse(&lock.text().expect("written")), Ok(lock));
    }

    #[test]
    fn nothing_that_is_read_panics(text in "(version = 1\n)?(\\[\\[plugin(.tool)?\\]\\]\n|name = \"a\"\n|component = \"sha256:[0-9]{0,3}\"\n|\\PC){0,12}") {
        let _ = Lock::parse(&text);
    }
}
