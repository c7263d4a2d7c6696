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

/// The most memory that it ever had, in KiB; none where it has ended.
pub fn peak_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// How much address space it may have, in bytes; none where there is no limit, or it has ended.
pub fn address_space_max(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How many files it has open.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

/// Processes that it started and that run now.
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect::<Vec<_>>()).collect()
}

/// Processor time that it has used so far, in the kernel's ticks of 10 ms.
pub fn ticks(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, rest) = text.rsplit_once(") ").expect("a name");
    let fields: Vec<_> = rest.split(' ').collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum()
}

/// What the kernel counts of a process, however long it takes.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Pages that it touched and that had to be found for it.
    pub faults: u64,
    /// How often one of its threads had nothing to do and gave the processor up.
    pub waits: u64,
}

/// All of it so far.
pub fn counted(pid: u32) -> Counted {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, rest) = text.rsplit_once(") ").expect("a name");
    let fields: Vec<_> = rest.split(' ').collect();
    let faults = [7, 9].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").filter_map(Result::ok);
    let waits = |status: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
    };
    // One that ends now has no part in it.
    let waits = tasks.filter_map(|task| waits(&fs::read_to_string(task.path().join("status")).ok()?)).sum();
    Counted { faults, waits }
}

/// A piece of its address space.
#[derive(Debug)]
pub struct Mapping {
    /// How large it is.
    pub bytes: u64,
    /// Code, of nothing that has a name: what was compiled.
    pub is_compiled_code: bool,
    /// What of a file in memory it shows, if it does: its number.
    pub memory_file: Option<u64>,
}

/// Its address space.
pub fn mappings(pid: u32) -> Vec<Mapping> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
    let read = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (from, to) = fields[0].split_once('-').expect("a range");
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).expect("an address"));
        let name = fields.get(5).copied().unwrap_or_default();
        Mapping {
            bytes: to - from,
            is_compiled_code: fields[1].starts_with("r-x") && name.is_empty(),
            memory_file: name.starts_with("/memfd:").then(|| fields[4].parse().expect("a number")),
        }
    };
    text.lines().map(read).collect()
}
