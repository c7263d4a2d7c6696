//! What the kernel says of a process.

use std::fs;

/// The number in a line of `/proc/PID/status`: kibibytes where it is memory.
pub fn status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("the line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The memory that it has now, in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    status(pid, "VmRSS")
}

/// How many files it has open.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}
