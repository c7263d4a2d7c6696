//! What is in force of what plugins ask for and the operator grants: what both say, made once for each generation.

use super::{Given, Plugins};
use crate::config::{DirectoryGrant, GrantConfig, SCRATCH, TenantId};
use sandbox::{
    Asks, BucketGrant, Directories, Directory, Environment, FileQuota, Grants, GuestPath, HttpRule, Reuse, ScratchTerms, SettingName,
    Settings, VariableName,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The grants of one tenant's plugins, by name; those that have none are not in it.
#[derive(Debug, Default)]
pub(super) struct Granted(BTreeMap<Arc<str>, Grants>);

impl Granted {
    /// `is_own` says which plugins lie in the tenant's own directory.
    pub(super) fn of(
        (grants, given): (&[GrantConfig], &Given),
        tenant: &TenantId,
        plugins: &Plugins,
        is_own: impl Fn(&str) -> bool,
    ) -> Self {
        let theirs = plugins.iter().filter_map(|(name, plugin)| {
            let asks = plugin.asks();
            let of_it = grants.iter().filter(|grant| grant.is_for(tenant, name, is_own(name)));
            let in_force: Vec<_> = of_it.map(|grant| InForce::of(&asks, grant)).collect();
            let granted = made_of(&in_force, given, name);
            (!granted.is_none()).then(|| (Arc::clone(name), granted))
        });
        Self(theirs.collect())
    }

    /// Nothing for whoever is not in it.
    pub(super) fn of_plugin(&self, name: &str) -> Grants {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

/// What of one grant is in force for a component: values by their names.
#[derive(Debug)]
pub struct InForce<'a> {
    grant: &'a str,
    /// Requests that may leave.
    pub http: Vec<HttpRule>,
    /// Settings that are read.
    pub config: Vec<&'a SettingName>,
    /// Variables that are there.
    pub environment: Vec<&'a VariableName>,
    /// Directories that are only read: where the component finds them, and where they are.
    pub files: Vec<(&'a GuestPath, &'a Path)>,
    /// Buckets that it keeps values in.
    pub keyvalue: Vec<BucketGrant>,
    /// Directories that are written, too.
    pub files_write: Vec<&'a GuestPath>,
    /// How much a scratch directory may hold.
    pub scratch: Option<FileQuota>,
    /// How many calls of one caller one instance may answer. Nobody asks for it: it is nothing that a component can reach.
    pub reuse: Option<u32>,
}

impl<'a> InForce<'a> {
    /// For a component that asks for this.
    pub fn of(asks: &Asks, grant: &'a GrantConfig) -> Self {
        let http = grant.http.iter().flat_map(|http| {
            let asked = asks.http.iter().flatten();
            let both = asked.flat_map(|asked| http.allow.iter().filter_map(|allowed| allowed.meet(asked)));
            both.map(|pattern| HttpRule { pattern, terms: Arc::clone(&http.terms) })
        });
        let config = grant.config.iter().map(|(name, _)| name);
        let environment = grant.environment.iter().map(|(name, _)| name);
        let keyvalue = grant.keyvalue.iter().flat_map(|keyvalue| {
            let asked = keyvalue.buckets.iter().filter(|name| asks.keyvalue.iter().flatten().any(|asked| asked == *name));
            asked.map(|name| BucketGrant { name: name.clone(), terms: Arc::clone(&keyvalue.terms) })
        });
        let writes = |guest: &GuestPath, given: &DirectoryGrant| given.write.is_some() && asks.files_write.contains(guest);
        let (written, read): (Vec<_>, Vec<_>) = grant.files.iter().partition(|(guest, given)| writes(guest, given));
        // What a component may not write, and asks to, it may read.
        let reads = |guest: &GuestPath| asks.files.contains(guest) || asks.files_write.contains(guest);
        let read = read.into_iter().filter(|(guest, _)| reads(guest));
        Self {
            grant: &grant.name,
            http: http.collect(),
            config: config.filter(|name| asks.config.iter().flatten().any(|asked| asked == *name)).collect(),
            environment: environment.filter(|name| asks.environment.contains(name)).collect(),
            files: read.map(|(guest, given)| (guest, given.directory.as_path())).collect(),
            scratch: grant.scratch.filter(|_| asks.scratch),
            reuse: grant.reuse,
            files_write: written.into_iter().map(|(guest, _)| guest).collect(),
            keyvalue: keyvalue.collect(),
        }
    }
}

/// Settings give no name twice to one plugin of one tenant.
fn made_of(in_force: &[InForce<'_>], given: &Given, plugin: &str) -> Grants {
    let with_values = || in_force.iter().filter_map(|grant| Some((grant, given.of(grant.grant)?)));
    let config = with_values().flat_map(|(grant, values)| {
        let named = grant.config.iter();
        named.filter_map(|name| Some(((*name).clone(), Arc::clone(values.config.get(name)?))))
    });
    let environment = with_values().flat_map(|(grant, values)| {
        let named = grant.environment.iter();
        named.filter_map(|name| Some(((*name).clone(), Arc::clone(values.environment.get(name)?))))
    });
    let read = in_force.iter().flat_map(|grant| grant.files.iter().map(|(guest, host)| (*guest, Directory::Read(host))));
    let written = with_values().flat_map(|(grant, values)| {
        let written = grant.files_write.iter();
        written.filter_map(|guest| Some((*guest, Directory::Write(values.writable_at(guest)?))))
    });
    let mut scratch = in_force.iter().filter_map(|grant| {
        let path = GuestPath::parse(SCRATCH).ok()?;
        Some(ScratchTerms { grant: grant.grant.into(), path, quota: grant.scratch? })
    });
    Grants {
        scratch: scratch.next(),
        reuse: in_force.iter().find_map(|grant| grant.reuse).map(Reuse::new),
        http: in_force.iter().flat_map(|grant| grant.http.iter().cloned()).collect(),
        keyvalue: in_force.iter().flat_map(|grant| grant.keyvalue.iter().cloned()).collect(),
        config: Settings::new(config),
        environment: Environment::new(environment),
        // It was there when the settings were read.
        files: Directories::open(read.chain(written), |guest, error| {
            tracing::error!(%plugin, path = %guest, %error, "a directory that is granted cannot be opened; the plugin does not have it");
        }),
    }
}
