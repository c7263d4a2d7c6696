use super::*;

fn check(text: &str, expected: &[&str]) {
    let found = match Config::read(text, Path::new(""), &Overrides::default()) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(found, expected);
}

#[test]
fn an_empty_file_is_a_gateway_on_loopback() {
    let config = Config::read("", Path::new("/srv"), &Overrides::default()).expect("defaults are right");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.plugin_directory, Path::new("/srv/plugins"));
    assert!(config.legacy.stateful_sessions);
    assert_eq!(config.limits.http.body_bytes_max, 4 << 20);
}

#[test]
fn flags_win_over_the_file() {
    let overrides = Overrides { listen: "127.0.0.1:0".parse().ok(), plugin_directory: Some("here".into()), data_directory: None };
    let text = "[gateway]\nlisten = \"127.0.0.1:1\"\ndata = \"state\"\n[plugins]\ndirectory = \"there\"";
    let config = Config::read(text, Path::new("/etc/gatehouse"), &overrides).expect("right");
    assert_eq!(config.listen.port(), 0);
    assert_eq!(config.plugin_directory, Path::new("here"));
    assert_eq!(config.data_directory, Path::new("/etc/gatehouse/state"));
}

#[test]
fn every_mistake_is_shown_with_its_line() {
    check(
        "[gateway]\nlisten = 8080\nlistne = 1\n[limits]\nbody_bytes_max = 1\n[log]\nformat = \"xml\"\n[nonsense]\n",
        &[
            "line 2: gateway.listen: must be a string",
            "line 3: gateway.listne: there is no such setting; did you mean `listen`?",
            "line 5: limits.body_bytes_max: must be a whole number from 1024 to 1073741824",
            "line 7: log.format: must be \"human\" or \"json\"",
            "line 8: nonsense: there is no such setting; here belong `admin`, `auth`, `gateway`, `grants`, `http`, `journal`, `legacy`, `limits`, `log`, `plugins`, `policies`, `process`, `quotas`, `servers`, `store`, `tenants`, `traces`",
        ],
    );
}

#[test]
fn an_open_bind_is_refused() {
    check(
        "[gateway]\nlisten = \"0.0.0.0:80\"",
        &["line 2: gateway.listen: 0.0.0.0:80 can be reached from other machines, and no authentication is configured; \
           set auth.mode = \"tokens\", or listen on 127.0.0.1 or [::1] and put a proxy that authenticates in front"],
    );
}

#[test]
fn servers_are_checked() {
    check(
        "[servers.Text]\ntools = [\"echo\"]\n[servers.text]\ntools = [\"e cho\"]\n[servers.none]\n",
        &[
            "servers.none.tools: must name at least one tool, such as [\"echo\", \"text_*\"], unless resources or prompts name something",
            "line 1: servers.Text: a server's id has 1 to 64 of a-z, 0-9 and `-`, and begins with a letter or digit",
            "line 4: servers.text.tools: `e cho` is no tool name: 1 to 128 of A-Z a-z 0-9 _ . - and `*` for any of them",
        ],
    );
}

#[test]
fn syntax_is_shown_with_its_line() {
    let mistakes = Config::read("[gateway]\nlisten = \n", Path::new(""), &Overrides::default()).expect_err("broken");
    assert_eq!(mistakes.first().and_then(|mistake| mistake.line), Some(2));
}
