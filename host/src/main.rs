//! The `gatehouse` binary.

use std::process::ExitCode;

/// glibc's allocator maps and unmaps every buffer over its threshold and faults it in again: results of 1 MiB cost five times as much with
/// it as with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gatehouse::cli::main()
}
