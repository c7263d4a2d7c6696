//! HTTP: the only room that knows axum and hyper.
//!
//! - [`accept`]: connections, their limits and their end.
//! - `lane`: on which threads they are served.
//! - `wire`: their bytes on the way to hyper.
//! - `origin`: which hosts and origins are answered.
//! - `endpoint`: the MCP endpoint, gate by gate.
//! - `arrived`: the span of a request.
//! - `inbound`: headers and bodies → messages, within limits.
//! - `panics`: what becomes of a request that meets a fault of ours.
//! - `room`: how much of memory request bodies may hold.
//! - `sse`: messages as an event stream.
//! - `failures`: addresses that show tokens that do not count, again and again.
//! - `legacy`: event streams of the handshake era, begun and resumed.
//! - `stall`: peers that do not read.
//! - `error`: the one table from failures to statuses and codes.
//! - `ops`: health and readiness.
//! - `admin`: what the operator is served, on a listener of its own.

pub mod accept;
mod admin;
mod arrived;
mod body;
mod challenge;
mod endpoint;
mod error;
mod failures;
mod inbound;
mod lane;
mod legacy;
mod ops;
mod origin;
mod panics;
mod room;
mod sse;
mod stall;
mod wire;

pub use admin::{Admin, LastReload, router as admin_router};
pub use endpoint::{Front, router};
pub use error::{public_code, public_error};
pub use failures::Failures;
pub use lane::Aside;
pub use ops::Readiness;
pub use origin::OriginPolicy;
pub use room::Room;
pub use stall::Stalls;
