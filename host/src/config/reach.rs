//! What of the machine the settings name: what is read, what is written, and whether anybody is connected to.

use super::{AuthConfig, Config, DEFAULT_FILE, GivenText, KeysConfig, StoreBackend, TrustMode};
use std::path::{Path, PathBuf};

/// A file or a directory, and the setting that names it. A path is not for showing: it may be a secret put in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<'a> {
    /// As the table of settings has it.
    pub setting: String,
    /// Where it is.
    pub path: &'a Path,
}

impl Config {
    /// The settings file, whether or not it is there.
    pub fn file(&self) -> &Path {
        self.source.named.as_deref().unwrap_or(Path::new(DEFAULT_FILE))
    }

    /// The files that settings are made of beside their own: policies, keys, certificates, credentials, values that plugins
    /// are given, the operator's token.
    pub fn files(&self) -> Vec<Named<'_>> {
        let policies = self.policies.iter().map(|policy| named(format!("policies.{}.file", policy.name), &policy.file));
        let admin = self.admin.iter().map(|admin| named("admin.token_file".to_owned(), &admin.token_file));
        let issuers = match &self.auth {
            AuthConfig::Open => &[][..],
            AuthConfig::Tokens(tokens) => &tokens.issuers,
        };
        let keys = issuers.iter().filter_map(|issuer| {
            let (key, path) = match &issuer.keys {
                KeysConfig::Jwks(file) => ("jwks_file", file),
                KeysConfig::PublicKey { file, .. } => ("public_key_file", file),
                KeysConfig::Secret { file, .. } => ("secret_file", file),
                KeysConfig::JwksUrl(settings) => ("jwks_ca_file", settings.ca_file.as_ref()?),
            };
            Some(named(format!("auth.issuers.{}.{key}", issuer.name), path))
        });
        let headers = self.traces.iter().filter_map(|traces| traces.headers_file.as_deref());
        let headers = headers.map(|file| named("traces.headers_file".to_owned(), file));
        let signers = self.trust.key_files.iter().map(|file| named("plugins.trusted_key_files".to_owned(), file));
        let given = self.grants.iter().flat_map(|grant| {
            let config = grant.config.iter().map(|(name, text)| ("config", name.as_str(), text));
            let environment = grant.environment.iter().map(|(name, text)| ("environment", name.as_str(), text));
            config.chain(environment).filter_map(|(kind, name, text)| match text {
                GivenText::File(file) => Some(named(format!("grants.{}.{kind}.{name}.file", grant.name), file)),
                GivenText::Text(_) => None,
            })
        });
        let grants = self.grants.iter().filter_map(|grant| Some((grant, grant.http.as_ref()?)));
        let grants = grants.flat_map(|(grant, http)| {
            let ca = http.ca_file.iter().map(|file| named(format!("grants.{}.http.ca_file", grant.name), file));
            let credentials = http
                .credentials
                .iter()
                .map(|credential| named(format!("grants.{}.http.credentials.{}.file", grant.name, credential.host), &credential.file));
            ca.chain(credentials)
        });
        policies.chain(keys).chain(admin).chain(headers).chain(grants).chain(given).chain(signers).collect()
    }

    /// The lock file, if it is asked anywhere. It is none of [`Config::files`]: it is read again by itself, whatever the settings have become.
    pub fn lock_file(&self) -> Option<Named<'_>> {
        let own = self.tenants.iter().filter_map(|tenant| tenant.plugin_trust);
        let asked = [self.trust.mode].into_iter().chain(own).any(|mode| mode != TrustMode::Open);
        asked.then(|| named("plugins.lock".to_owned(), &self.trust.lock))
    }

    /// The directories that components are dropped into.
    pub fn plugin_directories(&self) -> Vec<Named<'_>> {
        let own = self.tenants.iter().filter_map(|tenant| {
            let directory = tenant.plugin_directory.as_deref()?;
            Some(named(format!("tenants.{}.plugin_directory", tenant.id), directory))
        });
        [named("plugins.directory".to_owned(), &self.plugin_directory)].into_iter().chain(own).collect()
    }

    /// The directories that plugins may read, some of them to write as well.
    pub fn granted_directories(&self) -> Vec<Named<'_>> {
        let granted = self.grants.iter().flat_map(|grant| {
            let of_it = grant.files.iter();
            of_it.map(|(guest, given)| named(format!("grants.{}.files.{guest}", grant.name), &given.directory))
        });
        granted.collect()
    }

    /// Those of them that they may write.
    pub fn granted_to_write(&self) -> Vec<Named<'_>> {
        let granted = self.grants.iter().flat_map(|grant| {
            let of_it = grant.files.iter().filter(|(_, given)| given.write.is_some());
            of_it.map(|(guest, given)| named(format!("grants.{}.files.{guest}", grant.name), &given.directory))
        });
        granted.collect()
    }

    /// Where scratch directories are made.
    pub fn scratch_directory(&self) -> PathBuf {
        self.data_directory.join("scratch")
    }

    /// The directories that the gateway itself writes to.
    pub fn written_directories(&self) -> Vec<PathBuf> {
        let mut directories =
            vec![self.data_directory.clone(), self.code_cache_directory.clone(), self.revocation_directory(), self.control_directory()];
        directories.extend(self.journal.iter().map(|journal| journal.directory.clone()));
        if self.store.backend == StoreBackend::Sled {
            directories.push(self.store.directory.clone());
        }
        directories
    }

    /// Whether the gateway itself connects to anybody: to issuers that serve their keys, to a collector of traces, for plugins.
    pub fn connects(&self) -> bool {
        self.traces.is_some() || self.fetches_keys() || self.grants_http()
    }

    /// Whether a plugin may send requests.
    pub fn grants_http(&self) -> bool {
        self.grants.iter().any(|grant| grant.http.as_ref().is_some_and(|http| !http.allow.is_empty()))
    }

    /// Whether an issuer serves its keys.
    pub fn fetches_keys(&self) -> bool {
        let AuthConfig::Tokens(tokens) = &self.auth else { return false };
        tokens.issuers.iter().any(|issuer| matches!(issuer.keys, KeysConfig::JwksUrl(_)))
    }
}

fn named(setting: String, path: &Path) -> Named<'_> {
    Named { setting, path }
}
