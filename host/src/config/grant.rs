//! Grants: what plugins may reach beyond their calls, if they ask for it.
//!
//! Each kind of capability has a section of its own below `[grants.NAME]`.

mod given;
mod keyvalue;

pub use given::{DirectoryGrant, GivenText};
pub use keyvalue::KeyvalueGrant;

use super::file::{Mistakes, Section};
use super::{TenantConfig, TenantId};
use sandbox::{FileQuota, GuestPath, HttpHost, HttpPattern, HttpScheme, HttpTerms, Network, SettingName, VariableName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Header fields that neither a plugin nor a credential sets: they say to whom a request goes, or are between two servers alone.
pub const FIELDS_OF_HOST: [&str; 12] = [
    "host",
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where a plugin finds its scratch directory.
pub const SCRATCH: &str = "/scratch";
/// Files in one, where the settings do not say.
const SCRATCH_FILES_MAX: u64 = 1_000;

/// What one plugin may reach.
#[derive(Debug, Clone)]
pub struct GrantConfig {
    /// Its name in settings, logs and traces.
    pub name: Arc<str>,
    /// Whose directory the plugin lies in; none: the one that is shared.
    pub owner: Option<TenantId>,
    /// The plugin's name there.
    pub plugin: Box<str>,
    /// For which tenants; none: for all that have the plugin.
    pub tenants: Option<Vec<TenantId>>,
    /// Requests that it may send; none: it may not.
    pub http: Option<HttpGrant>,
    /// Settings that it reads.
    pub config: Vec<(SettingName, GivenText)>,
    /// Environment variables that it reads.
    pub environment: Vec<(VariableName, GivenText)>,
    /// Directories that it reads or writes, by the paths where it finds them.
    pub files: Vec<(GuestPath, DirectoryGrant)>,
    /// Buckets that it keeps values in; none: it keeps nothing.
    pub keyvalue: Option<KeyvalueGrant>,
    /// How much its scratch directories may hold each; none: it has none.
    pub scratch: Option<FileQuota>,
    /// How many calls of one caller one instance may answer; none: one.
    pub reuse: Option<u32>,
}

/// Requests that a plugin may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// Which.
    pub allow: Vec<HttpPattern>,
    /// How.
    pub terms: Arc<HttpTerms>,
    /// The certificates that count; none: those of the public authorities.
    pub ca_file: Option<PathBuf>,
    /// What is added to requests.
    pub credentials: Vec<CredentialConfig>,
}

/// A header field that requests to one host get, whose value the plugin never sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialConfig {
    /// To whom it is sent.
    pub host: HttpHost,
    /// The field's name, in lower case.
    pub header: Box<str>,
    /// The file with its value.
    pub file: PathBuf,
    /// It is sent without TLS as well.
    pub in_clear: bool,
}

impl GrantConfig {
    /// Whether it is for that tenant's calls of that plugin. `is_own` says that the plugin lies in the tenant's own directory.
    pub fn is_for(&self, tenant: &TenantId, plugin: &str, is_own: bool) -> bool {
        let right_directory = match &self.owner {
            None => !is_own,
            Some(owner) => is_own && owner == tenant,
        };
        right_directory && *self.plugin == *plugin && self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
    }

    /// What both give under one name to the same plugin for the same tenant, by its setting: which of them would count?
    fn clash(&self, other: &Self) -> Option<String> {
        let same_plugin = self.owner == other.owner && self.plugin == other.plugin;
        let same_tenant = match (&self.tenants, &other.tenants) {
            (Some(ours), Some(theirs)) => ours.iter().any(|tenant| theirs.contains(tenant)),
            _ => true,
        };
        let twice = || {
            let config = given::twice(&self.config, &other.config).map(|name| format!("config.{name}"));
            let environment = || given::twice(&self.environment, &other.environment).map(|name| format!("environment.{name}"));
            let files = || given::twice(&self.files, &other.files).map(|path| format!("files.{path}"));
            let buckets = |grant: &Self| grant.keyvalue.iter().flat_map(|keyvalue| keyvalue.buckets.clone()).collect::<Vec<_>>();
            let keyvalue = || {
                let theirs = buckets(other);
                buckets(self).into_iter().find(|name| theirs.contains(name)).map(|name| format!("keyvalue.buckets.{name}"))
            };
            let scratch = || (self.scratch.is_some() && other.scratch.is_some()).then(|| "scratch_bytes_max".to_owned());
            let reuse = || {
                // Each of the three in one of the two is the other's business.
                let meets = |one: &Self, other: &Self| one.reuse.is_some() && (other.reuse.is_some() || other.scratch.is_some());
                (meets(self, other) || meets(other, self)).then(|| "reuse".to_owned())
            };
            config.or_else(environment).or_else(files).or_else(keyvalue).or_else(scratch).or_else(reuse)
        };
        if same_plugin && same_tenant { twice() } else { None }
    }

    /// The plugin as settings name it.
    pub fn names(&self) -> String {
        match &self.owner {
            None => self.plugin.to_string(),
            Some(owner) => format!("{owner}/{}", self.plugin),
        }
    }
}

/// `named` says that callers have names.
pub(super) fn read(
    root: &Section<'_, '_>,
    base: &Path,
    (tenants, named): (&[TenantConfig], bool),
    mistakes: &Mistakes<'_>,
) -> Vec<GrantConfig> {
    let grants = root.sections("grants").into_iter().filter_map(|(name, offset, grant)| {
        // It stands in traces and in lines.
        if !mcp::tool::is_tool_name(&name) {
            mistakes.note(Some(offset), &format!("grants.{name}"), "a grant's name has 1 to 128 of A-Z a-z 0-9 _ . -");
        }
        let name: Arc<str> = name.into();
        let has = |id: &str| tenants.iter().find(|tenant| tenant.id.as_str() == id).map(|tenant| tenant.id.clone());
        let plugin = grant.parsed("plugin", |text| match text.split_once('/') {
            None if !text.is_empty() => Ok((None, Box::<str>::from(text))),
            Some((owner, plugin)) if !plugin.is_empty() => match has(owner) {
                Some(owner) => Ok((Some(owner), plugin.into())),
                None => {
                    Err(format!("there is no section [tenants.{owner}]; a plugin of the shared directory has no tenant before its name"))
                }
            },
            _ => Err("must name a plugin, such as \"weather\", or \"acme/weather\" for one of a tenant's own directory".to_owned()),
        });
        if !grant.has("plugin") {
            grant.note("plugin", "must name the plugin, such as \"weather\"");
        }
        let listed = grant.texts("tenants");
        let theirs = listed.iter().filter_map(|id| {
            let known = has(id);
            if known.is_none() {
                grant.note("tenants", format!("there is no section [tenants.{id}]"));
            }
            known
        });
        let theirs: Vec<_> = theirs.collect();
        if let Some((Some(_), _)) = plugin
            && grant.has("tenants")
        {
            grant.note("tenants", "a plugin of a tenant's own directory is that tenant's alone; leave this out");
        }
        let tenants = grant.has("tenants").then_some(theirs);
        let http = grant.has("http").then(|| http(grant.section("http"), &name, base));
        let note = |kind: &str| {
            let prefix = format!("grants.{name}.{kind}");
            move |offset, key: &str, wrong: &str| mistakes.note(Some(offset), &format!("{prefix}.{key}"), wrong)
        };
        let config = given::texts(grant.entries("config"), base, SettingName::parse, note("config"));
        let environment = given::texts(grant.entries("environment"), base, VariableName::parse, note("environment"));
        let files = given::directories(grant.entries("files"), base, note("files"));
        let owner = match &plugin {
            Some((Some(tenant), plugin)) => format!("{tenant}/{plugin}").into(),
            Some((None, plugin)) => Arc::from(&**plugin),
            None => Arc::default(),
        };
        let keyvalue = grant.has("keyvalue").then(|| keyvalue::read(grant.section("keyvalue"), &name, owner));
        let scratch = scratch(&grant, &files);
        let reuse = reuse(&grant, named);
        grant.end();
        let (owner, plugin) = plugin?;
        Some((offset, GrantConfig { name, owner, plugin, tenants, http, config, environment, files, keyvalue, scratch, reuse }))
    });
    let grants: Vec<_> = grants.collect();
    for (at, (offset, grant)) in grants.iter().enumerate() {
        for (_, before) in grants.iter().take(at) {
            if let Some(setting) = before.clash(grant) {
                let wrong = format!("[grants.{}] gives the same to the same plugin, and nothing says which of them counts", before.name);
                mistakes.note(Some(*offset), &format!("grants.{}.{setting}", grant.name), wrong);
            }
        }
    }
    grants.into_iter().map(|(_, grant)| grant).collect()
}

fn scratch(grant: &Section<'_, '_>, files: &[(GuestPath, DirectoryGrant)]) -> Option<FileQuota> {
    const REFUSED: &str = "the plugin is told `quota`";
    let bytes_max = grant.given("scratch_bytes_max", 1..=1 << 40, REFUSED);
    let files_max = grant.given("scratch_files_max", 1..=100_000, REFUSED);
    let Some(bytes_max) = bytes_max else {
        if files_max.is_some() {
            grant.note("scratch_files_max", "counts only with scratch_bytes_max");
        }
        return None;
    };
    if files.iter().any(|(path, _)| path.as_str() == SCRATCH) {
        grant.note("files", "the plugin finds its scratch directory as `/scratch`; give this one another path");
    }
    Some(FileQuota { bytes_max, files_max: files_max.unwrap_or(SCRATCH_FILES_MAX) })
}

fn reuse(grant: &Section<'_, '_>, named: bool) -> Option<u32> {
    let calls_max = grant.given("reuse", 2..=10_000, "the next call has a new instance")?;
    if !named {
        grant.note(
            "reuse",
            "needs callers that are known: without auth.mode = \"tokens\" they are all one, and would find what others left",
        );
    }
    if grant.has("scratch_bytes_max") {
        grant.note("reuse", "a plugin with a scratch directory has a new instance for each call; leave this or scratch_bytes_max out");
    }
    u32::try_from(calls_max).ok()
}

fn http(outgoing: Section<'_, '_>, name: &Arc<str>, base: &Path) -> HttpGrant {
    const DENIED: &str = "the request is denied";
    const FAILS: &str = "the request fails";
    let said = outgoing.texts("allow");
    let allow = said.iter().filter_map(|text| HttpPattern::parse(text).map_err(|wrong| outgoing.note("allow", wrong)).ok());
    let allow: Vec<_> = allow.collect();
    if !outgoing.has("allow") {
        outgoing.note("allow", "must say which requests may leave, such as [\"GET https://api.example.com\"]");
    }
    let addresses = outgoing.texts("private_addresses").into_iter().filter_map(|text| {
        let network = Network::parse(&text);
        if network.is_none() {
            outgoing.note("private_addresses", format!("`{text}` is neither an address nor a network such as \"10.0.0.0/8\""));
        }
        network
    });
    let addresses = addresses.collect();
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let requests_max = small(outgoing.limit("requests_per_call_max", 16, 1..=10_000, "", DENIED));
    let in_flight_max = small(outgoing.limit("requests_in_flight_per_call_max", 4, 1..=64, "", DENIED));
    let request_bytes_max = outgoing.limit("request_bytes_max", 1 << 20, 0..=1 << 30, "", FAILS);
    let response_bytes_max = outgoing.limit("response_bytes_max", 4 << 20, 1..=1 << 30, "", FAILS);
    let head_bytes_max = outgoing.limit("head_bytes_max", 32 << 10, 8 << 10..=256 << 10, "", FAILS);
    let head_bytes_max = usize::try_from(head_bytes_max).unwrap_or(usize::MAX);
    let timeout = Duration::from_millis(outgoing.limit("timeout_ms", 10_000, 1..=300_000, "", FAILS));
    let terms = HttpTerms {
        grant: Arc::clone(name),
        addresses,
        requests_max,
        in_flight_max,
        request_bytes_max,
        response_bytes_max,
        head_bytes_max,
        timeout,
    };
    let ca_file = outgoing.text("ca_file").map(|file| base.join(file));
    let credentials =
        outgoing.sections("credentials").into_iter().filter_map(|(host, _, section)| credential(&host, section, &allow, base));
    let credentials = credentials.collect();
    outgoing.end();
    HttpGrant { allow, terms: Arc::new(terms), ca_file, credentials }
}

fn credential(host: &str, credential: Section<'_, '_>, allow: &[HttpPattern], base: &Path) -> Option<CredentialConfig> {
    let parsed = HttpHost::parse(host);
    match &parsed {
        None => credential.note("header", "belongs to a host, such as [grants.NAME.http.credentials.\"api.example.com\"]"),
        Some(host) if !allow.iter().any(|pattern| pattern.covers(host)) => {
            credential.note("header", format!("no request to {host} may leave: `allow` does not have it"));
        }
        Some(_) => {}
    }
    let header = credential.parsed("header", |text| {
        let lower = text.to_ascii_lowercase();
        match is_credential_header(&lower) {
            true => Ok(Box::from(lower)),
            false => Err("must be the name of a header field for credentials, such as \"authorization\" or \"x-api-key\"".to_owned()),
        }
    });
    if !credential.has("header") {
        credential.note("header", "must name the header field, such as \"authorization\"");
    }
    let file = credential.text("file");
    if file.is_none() {
        credential.note("file", "must name the file with the field's value");
    }
    let in_clear = credential.flag("in_clear", false);
    let only_clear = parsed.as_ref().is_some_and(|host| {
        let mut of_it = allow.iter().filter(|pattern| pattern.covers(host)).peekable();
        of_it.peek().is_some() && of_it.all(|pattern| pattern.scheme() == HttpScheme::Http)
    });
    if only_clear && !in_clear {
        credential.note("in_clear", "would never be sent: all requests to that host leave in the clear; set this to true if that is meant");
    }
    credential.end();
    Some(CredentialConfig { host: parsed?, header: header?, file: base.join(file?), in_clear })
}

/// A field that is neither the request's address nor its framing, and has a plain name.
fn is_credential_header(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && name != "content-length" && !FIELDS_OF_HOST.contains(&name)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Overrides};
    use std::path::Path;

    fn mistakes(text: &str) -> Vec<String> {
        match Config::read(text, Path::new("/srv"), &Overrides::default()) {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_grant_is_of_one_directory() {
        let text =
            "[tenants.default]\n[tenants.a]\n[tenants.b]\n[grants.x]\nplugin = \"p\"\ntenants = [\"a\"]\n[grants.y]\nplugin = \"b/p\"\n";
        let config = Config::read(text, Path::new(""), &Overrides::default()).expect("right");
        let [a, b] = [0, 1].map(|at| config.tenants.get(at).expect("three, by name").id.clone());
        let [x, y] = [0, 1].map(|at| config.grants.get(at).expect("two"));
        assert!(x.is_for(&a, "p", false) && !x.is_for(&a, "p", true) && !x.is_for(&b, "p", false) && !x.is_for(&a, "q", false));
        assert!(y.is_for(&b, "p", true) && !y.is_for(&b, "p", false) && !y.is_for(&a, "p", true));
    }

    #[test]
    fn http_is_read_with_its_terms() {
        let text = "[grants.x]\nplugin = \"p\"\n[grants.x.http]\nallow = [\"GET https://*.example.com\"]\nprivate_addresses = [\"10.0.0.0/8\"]\n\
                    requests_per_call_max = 2\nca_file = \"ca.pem\"\n[grants.x.http.credentials.\"api.example.com\"]\nheader = \"X-Api-Key\"\n\
                    file = \"key\"\n";
        let config = Config::read(text, Path::new("/srv"), &Overrides::default()).expect("right");
        let http = config.grants.first().and_then(|grant| grant.http.as_ref()).expect("it is there");
        assert_eq!((http.allow.len(), http.terms.requests_max, http.terms.response_bytes_max), (1, 2, 4 << 20));
        assert_eq!((&*http.terms.grant, http.ca_file.as_deref()), ("x", Some(Path::new("/srv/ca.pem"))));
        let credential = http.credentials.first().expect("one");
        assert_eq!((&*credential.header, credential.file.as_path(), credential.in_clear), ("x-api-key", Path::new("/srv/key"), false));
        assert!(config.connects());
        assert!(config.files().iter().any(|named| named.setting == "grants.x.http.credentials.api.example.com.file"));
    }

    #[test]
    fn mistakes_name_their_keys() {
        let found = mistakes(
            "[grants.x]\nplugin = \"a/p\"\ntenants = [\"b\"]\n[grants.x.http]\nallow = [\"https://a.example/x\"]\nprivate_addresses = [\"10.1.0.0/8\"]\n\
             [grants.x.http.credentials.\"b.example\"]\nheader = \"Host\"\n[grants.y]\n[grants.y.credentials]\n[grants.\"z z\"]\nplugin = \"p\"\n",
        );
        for expected in [
            "grants.x.plugin: there is no section [tenants.a]",
            "grants.x.tenants: there is no section [tenants.b]",
            "grants.x.http.allow: `https://a.example/x` does not say which requests",
            "grants.x.http.private_addresses: `10.1.0.0/8` is neither",
            "grants.x.http.credentials.b.example.header: no request to b.example may leave",
            "grants.x.http.credentials.b.example.header: must be the name of a header field",
            "grants.x.http.credentials.b.example.file: must name the file",
            "grants.y.plugin: must name the plugin",
            "grants.y.credentials: there is no such setting; here belong `config`, `environment`, `files`, `http`, `keyvalue`, `plugin`, `reuse`, `scratch_bytes_max`, `scratch_files_max`, `tenants`",
            "grants.z z: a grant's name has 1 to 128",
        ] {
            assert!(found.iter().any(|mistake| mistake.contains(expected)), "{expected}: {found:#?}");
        }
        let given = mistakes(
            "[tenants.a]\n[tenants.b]\n[grants.x]\nplugin = \"p\"\ntenants = [\"a\"]\n[grants.x.config]\n\"a b\" = \"1\"\nc = 1\nd = { path = \"x\" }\n\
             e = \"1\"\n[grants.x.environment]\n1A = \"x\"\nB = \"\\u0000\"\n[grants.x.files]\n\"data\" = \"x\"\n\"/d\" = { access = \"write\", bytes_max = 0 }\n\"/e\" = \"x\"\n\"/f\" = { directory = \"x\", files_max = 1 }\n\
             [grants.y]\nplugin = \"p\"\n[grants.y.config]\ne = \"2\"\n[grants.z]\nplugin = \"p\"\ntenants = [\"b\"]\n[grants.z.files]\n\"/e\" = \"x\"\n",
        );
        for expected in [
            "line 7: grants.x.config.a b: a setting's name has 1 to 128 of",
            "grants.x.config.c: must be a string or a table",
            "grants.x.config.d.file: must name the file with the value",
            "grants.x.config.d.path: there is no such setting; here belong `file`",
            "grants.x.environment.1A: the name of an environment variable has",
            "grants.x.environment.B: a value has no NUL",
            "grants.x.files.data: a plugin's path begins with `/`",
            "grants.x.files./d.directory: must be the path of a directory",
            "grants.x.files./d.access: must be \"read-only\" or \"read-write\"",
            "grants.x.files./d.bytes_max: counts only with access = \"read-write\"",
            "grants.x.files./f.files_max: counts only with access = \"read-write\"",
            "grants.y.config.e: [grants.x] gives the same to the same plugin",
        ] {
            assert!(given.iter().any(|mistake| mistake.contains(expected)), "{expected}: {given:#?}");
        }
        let scratch = mistakes(
            "[grants.x]\nplugin = \"p\"\nscratch_bytes_max = 1\n[grants.x.files]\n\"/scratch\" = \"x\"\n[grants.y]\nplugin = \"p\"\n\
             scratch_bytes_max = 1\n[grants.z]\nplugin = \"q\"\nscratch_files_max = 1\n",
        );
        for expected in [
            "grants.x.files: the plugin finds its scratch directory as",
            "grants.y.scratch_bytes_max: [grants.x] gives the same",
            "grants.z.scratch_files_max: counts only with scratch_bytes_max",
        ] {
            assert!(scratch.iter().any(|mistake| mistake.contains(expected)), "{expected}: {scratch:#?}");
        }
        let reuse = mistakes(
            "[tenants.a]\n[tenants.b]\n[grants.w]\nplugin = \"o\"\nreuse = 1\n[grants.x]\nplugin = \"p\"\nreuse = 2\nscratch_bytes_max = 1\n\
             [grants.y]\nplugin = \"q\"\nreuse = 2\ntenants = [\"a\"]\n[grants.z]\nplugin = \"q\"\nscratch_bytes_max = 1\n\
             [grants.zz]\nplugin = \"q\"\nreuse = 2\ntenants = [\"b\"]\n",
        );
        for expected in [
            "grants.w.reuse: must be a whole number from 2 to 10000",
            "grants.x.reuse: needs callers that are known",
            "grants.x.reuse: a plugin with a scratch directory",
            "grants.z.reuse: [grants.y] gives the same",
            "grants.zz.reuse: [grants.z] gives the same",
        ] {
            assert!(reuse.iter().any(|mistake| mistake.contains(expected)), "{expected}: {reuse:#?}");
        }
        assert!(!reuse.iter().any(|mistake| mistake.contains("[grants.y] gives") && mistake.contains("zz")), "tenants apart: {reuse:#?}");
        assert!(!given.iter().any(|mistake| mistake.contains("grants.z")), "another tenant's may be others: {given:#?}");
        let clear = mistakes(
            "[grants.x]\nplugin = \"p\"\n[grants.x.http]\nallow = [\"http://a.example\"]\n[grants.x.http.credentials.\"a.example\"]\n\
             header = \"authorization\"\nfile = \"f\"\n",
        );
        assert!(matches!(&clear[..], [one] if one.contains("in_clear: would never be sent")), "{clear:?}");
    }
}
