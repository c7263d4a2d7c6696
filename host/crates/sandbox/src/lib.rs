//! The sandbox: runs WebAssembly components as guests.
//!
//! Everything that names an engine type is in this crate, and its public interface has no type parameter. It knows
//! capabilities and limits, never customers: no tenant's id, token or header means anything here.
//!
//! In reading order:
//!
//! - [`Limits`]: what one call may use.
//! - [`survey()`]: what a file is, before anything of it is compiled.
//! - [`Compiler`] and [`CodeCache`]: machine code, made in a process of its own and kept under the gateway's own seal.
//! - [`Compartment`]: where guests run, together and apart from others.
//! - [`Sandbox::load`]: bytes → [`Guest`], with its lists.
//! - [`Asks`] and [`Grants`]: what a component asks for, and what its runs get; [`Outgoing`], by which the host sends their
//!   requests, and [`KeyValue`], by which it keeps their values.
//! - [`Writable`]: directories that guests write, with what is in them; [`FileRefusals`], who hears of what is beyond their quotas.
//! - [`Authority`] and [`Permit`]: nothing runs that was not permitted; [`Sandbox::call`] takes the permit by value.
//! - [`Share`]: turns and memory that guests have together.
//! - [`Sandbox::call`]: one call in a fresh instance → [`Finished`], or a named [`Fault`]. Where a grant says so, [`Reuse`], it is an instance that answered
//!   the same caller before: [`Again`].
//!
//! A component that knows nothing of the contract is a plain one: its functions stand in its offer as [`Function`]s.
//!
//! The shapes that cross the border of the contract (`wit/tool`) are in [`contract`], as generated from it.

mod bindings;
mod cache;
mod call;
mod compile;
mod demote;
mod digest;
mod engine;
mod events;
mod fault;
mod files;
mod grants;
mod guest;
mod kept;
mod keyvalue;
mod learn;
mod limits;
mod meter;
mod outgoing;
mod permit;
mod plain;
mod policy;
mod share;
mod state;
mod stdio;
mod survey;
mod ticker;
mod work;

pub use bindings::contract;
pub use cache::{CacheError, CodeCache};
pub use call::{Call, Finished, Usage};
pub use compile::{CompileError, Compiler, Growth, run_worker};
pub use digest::Digest;
pub use engine::{Compartment, PoolSizes, Profile, STRICT_CALLS_MAX, SandboxError};
pub use events::{Change, EventReceiver, EventSender, GuestEvent, LogLevel, LogLine, Progress, Stream, events};
pub use fault::{Fault, LoadError, Resource};
pub use files::{CommonQuota, FileQuota, FileRefusal, FileRefusals, Writable};
pub use grants::{
    Asks, BucketGrant, BucketName, BucketTerms, Directories, Directory, Environment, Grants, GuestPath, HttpHost, HttpPattern, HttpRule,
    HttpScheme, HttpTerms, Mismatch, Network, Reuse, ScratchTerms, SettingName, Settings, Several, VariableName,
};
pub use guest::{Guest, Sandbox, SandboxConfig};
pub use kept::Again;
pub use keyvalue::{Keeping, KeyFault, KeyList, KeyValue};
pub use learn::{Learner, Wanted};
pub use limits::{Limits, OF_CALLS, OF_COMPONENTS, OF_KEPT};
pub use meter::Spent;
pub use outgoing::{HttpAnswer, HttpBody, HttpFault, Outgoing, Sending};
pub use permit::{Authority, Permit};
pub use plain::{Function, Skipped};
pub use policy::{
    Action, Credentials, Decision, Denial, FilteredCall, PolicyGuest, PolicyKinds, Principal, Question, ResultVerdict, Target, TargetKind,
    Verdict,
};
pub use share::{Memory, Share};
pub use survey::{COMPONENT_BYTES_MAX, Import, Reach, Survey, SurveyError, survey};
pub use work::{Lists, Offer, Outcome, Refused, Work};
