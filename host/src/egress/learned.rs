//! What a component reached for while it was tried out, for its side file and its grant. Nothing is reached: a request that leaves here has its
//! refusal for an answer.

use super::check;
use crate::config::SCRATCH;
use parking_lot::Mutex;
use sandbox::{HttpBody, HttpFault, HttpHost, HttpPattern, HttpRule, HttpScheme, Learner, Outgoing, Sending, Several, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Of each kind.
const FOUND_MAX: usize = 128;
/// Bytes of a name or a path.
const TEXT_BYTES_MAX: usize = 256;

/// What one component reached for.
#[derive(Debug, Default)]
pub struct Learned(Mutex<Found>);

/// All of it, in the guest's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Methods, by scheme, host and port.
    pub http: BTreeMap<String, BTreeSet<String>>,
    /// Names of settings.
    pub settings: BTreeSet<String>,
    /// It asked which settings there are.
    pub all_settings: bool,
    /// Names of buckets.
    pub buckets: BTreeSet<String>,
    /// It looked at its environment.
    pub environment: bool,
    /// Directories, and whether it wanted to change something there.
    pub directories: BTreeMap<String, bool>,
    /// It looked for something in its scratch directory.
    pub scratch: bool,
    /// What was no request, no name and no path that can be asked for.
    pub others: BTreeSet<String>,
    /// There was more than is kept.
    pub is_cut: bool,
}

impl Learned {
    /// So far.
    pub fn found(&self) -> Found {
        self.0.lock().clone()
    }
}

impl Found {
    fn other(&mut self, what: &str) {
        let what = mcp::text::line(what, TEXT_BYTES_MAX);
        self.is_cut |= !keep(&mut self.others, what);
    }

    fn path(&mut self, path: &str, writes: bool, is_directory: bool) {
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let of_it = match parts.split_last() {
            Some((_, directory)) if !is_directory => directory,
            _ => &parts,
        };
        let directory = format!("/{}", of_it.join("/"));
        if Path::new(&directory).starts_with(SCRATCH) {
            self.scratch = true;
            return;
        }
        if sandbox::GuestPath::parse(&directory).is_err() {
            return self.other(&format!("the path /{}", parts.join("/")));
        }
        if self.directories.len() >= FOUND_MAX && !self.directories.contains_key(&directory) {
            self.is_cut = true;
            return;
        }
        *self.directories.entry(directory).or_default() |= writes;
    }

    fn request(&mut self, request: &http::Request<HttpBody>) {
        let (uri, method) = (request.uri(), request.method().as_str());
        let origin = uri.scheme_str().and_then(HttpScheme::parse).and_then(|scheme| {
            let (host, port) = HttpHost::with_port(uri.authority()?.as_str(), scheme)?;
            let port = if port == scheme.port() { String::new() } else { format!(":{port}") };
            Some(format!("{}://{host}{port}", scheme.as_str()))
        });
        match origin.filter(|origin| HttpPattern::parse(&format!("{method} {origin}")).is_ok()) {
            Some(origin) if self.http.len() < FOUND_MAX || self.http.contains_key(&origin) => {
                let methods = self.http.entry(origin).or_default();
                self.is_cut |= !keep(methods, method.to_owned());
            }
            Some(_) => self.is_cut = true,
            None => self.other(&format!("the request {}", check::place(request))),
        }
    }
}

impl Learner for Learned {
    fn wanted(&self, wanted: Wanted<'_>) {
        let mut found = self.0.lock();
        match wanted {
            Wanted::Setting(name) if sandbox::SettingName::parse(name).is_ok() => {
                let is_kept = keep(&mut found.settings, name.to_owned());
                found.is_cut |= !is_kept;
            }
            Wanted::Setting(name) => found.other(&format!("the setting {name}")),
            Wanted::Bucket(name) if sandbox::BucketName::parse(name).is_ok() => {
                let is_kept = keep(&mut found.buckets, name.to_owned());
                found.is_cut |= !is_kept;
            }
            Wanted::Bucket(name) => found.other(&format!("the bucket {name}")),
            Wanted::Settings => found.all_settings = true,
            Wanted::Environment => found.environment = true,
            Wanted::Path { path, writes, is_directory } => found.path(path, writes, is_directory),
        }
    }
}

impl Outgoing for Learned {
    fn send(&self, request: http::Request<HttpBody>, _: Several<HttpRule>) -> Sending {
        self.0.lock().request(&request);
        Box::pin(async { Err(HttpFault::Denied("not_granted")) })
    }
}

fn keep(kept: &mut BTreeSet<String>, one: String) -> bool {
    kept.contains(&one) || (kept.len() < FOUND_MAX && kept.insert(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_learned_by_their_directories() {
        let learned = Learned::default();
        for (path, writes, is_directory) in [
            ("/data/a.txt", false, false),
            ("data/./sub/b.txt", false, false),
            ("/data", false, true),
            ("/data/new", true, false),
            ("/top.txt", false, false),
            ("/a b/c", false, false),
            ("/../x/y", false, false),
            ("/scratch/a/b", true, false),
        ] {
            learned.wanted(Wanted::Path { path, writes, is_directory });
        }
        let found = learned.found();
        assert!(found.scratch);
        assert_eq!(found.directories, [("/data".to_owned(), true), ("/data/sub".to_owned(), false)].into());
        let others = ["/../x/y", "/a b/c", "/top.txt"].map(|path| format!("the path {path}"));
        assert_eq!(found.others, others.into());
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let learned = Learned::default();
        for number in 0..2 * FOUND_MAX {
            learned.wanted(Wanted::Setting(&format!("s{number}")));
            learned.wanted(Wanted::Bucket(&format!("b{number}")));
            learned.wanted(Wanted::Path { path: &format!("/d{number}/x"), writes: false, is_directory: false });
        }
        let found = learned.found();
        let kept = [found.settings.len(), found.buckets.len(), found.directories.len()];
        assert_eq!((kept, found.is_cut), ([FOUND_MAX; 3], true));
    }
}
