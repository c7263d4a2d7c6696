//! Gatehouse: a WebAssembly-extensible gateway host for the Model Context Protocol.
//!
//! The rooms, in reading order; `ARCHITECTURE.md` at the project's root draws the map:
//!
//! - [`cli`]: the commands.
//! - [`config`]: settings and limits.
//! - [`confinement`]: what the kernel holds the process to.
//! - [`control`]: what an operator may ask a running gateway.
//! - [`gateway`]: what the process is made of; start, serve, drain.
//! - [`http`]: connections, the endpoint's gates, event streams, the table of errors.
//! - [`method`]: one file for each MCP method.
//! - [`auth`]: who calls, and what they may do.
//! - [`generation`]: who is who and what there is, of one moment.
//! - [`tenant`]: tenants, and their slots.
//! - [`catalog`]: plugins and their tools, virtual servers; the watched directories.
//! - [`session`]: sessions of the handshake era.
//! - [`task`]: calls whose result is fetched later.
//! - [`stream`]: their event streams, kept and resumed.
//! - [`keys`]: the gateway's own secret.
//! - [`outbox`]: the messages of a running call.
//! - [`journal`]: the audit log: every call, and what else happened, chained by hashes.
//! - [`egress`]: requests that guests send: where they may go, and how they get there.
//! - [`keyvalue`]: values that guests keep: where, and how much.
//! - [`failure`]: every reason why a request has no result.
//! - [`metrics`]: what happened and how much there is, as numbers.
//! - [`revocation`]: what an operator has revoked, and the calls in flight that it stops.
//! - [`telemetry`] writes logs; [`trace`] sends spans of requests to a collector.

pub mod auth;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod confinement;
pub mod control;
pub mod egress;
pub mod failure;
pub mod gateway;
pub mod generation;
pub mod http;
pub mod journal;
pub mod keys;
pub mod keyvalue;
pub mod method;
pub mod metrics;
pub mod outbox;
pub mod revocation;
pub mod scratch;
pub mod session;
pub mod stream;
pub mod task;
pub mod telemetry;
pub mod tenant;
pub mod trace;
