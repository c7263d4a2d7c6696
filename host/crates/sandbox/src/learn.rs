//! What a guest reaches for, for whoever wants to learn what to grant it: it is told, and refused.
//!
//! It is for a component that is tried out alone. Nothing of it is in the way of guests of a gateway that serves.

use crate::state::State;
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, HasSelf, Lift, Linker, Lower};
use wasmtime_wasi::cli::WasiCliView as _;
use wasmtime_wasi::p2::bindings::cli::environment;

/// Hears of what a guest reaches for.
pub trait Learner: Send + Sync + std::fmt::Debug {
    /// It reached for that, and did not get it.
    fn wanted(&self, wanted: Wanted<'_>);
}

/// What a guest reached for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// A setting, by its name.
    Setting(&'a str),
    /// All settings that there are: it has not said which.
    Settings,
    /// A bucket, by its name.
    Bucket(&'a str),
    /// Its environment: which variables it looks for, it keeps to itself.
    Environment,
    /// A file or a directory.
    Path {
        /// A whole path, as the guest has it.
        path: &'a str,
        /// It wants to change something there.
        writes: bool,
        /// It wants the directory of that name itself, and not a file.
        is_directory: bool,
    },
}

/// Of `wasi:config/store`.
#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum SettingsError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

type Answer<T> = Result<T, SettingsError>;

impl State {
    pub(crate) fn wants(&self, wanted: Wanted<'_>) {
        if let Some(learner) = &self.learner {
            learner.wanted(wanted);
        }
    }

    pub(crate) fn learner(&self) -> Option<&Arc<dyn Learner>> {
        self.learner.as_ref()
    }
}

impl environment::Host for State {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.wants(Wanted::Environment);
        self.cli().get_environment()
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        self.cli().get_arguments()
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        self.cli().initial_cwd()
    }
}

/// In place of what guests of a gateway get: there are no settings, and whoever asks for one is heard.
pub(crate) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    environment::add_to_linker::<State, HasSelf<State>>(linker, State::asked)?;
    let mut settings = linker.instance("wasi:config/store@0.2.0-rc.1")?;
    settings.func_wrap("get", |store: StoreContextMut<'_, State>, (key,): (String,)| {
        store.data().wants(Wanted::Setting(&key));
        Ok((Answer::<Option<String>>::Ok(None),))
    })?;
    settings.func_wrap("get-all", |store: StoreContextMut<'_, State>, (): ()| {
        store.data().wants(Wanted::Settings);
        Ok((Answer::<Vec<(String, String)>>::Ok(Vec::new()),))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}
