//! What the machine gives this process: the limits of its control group, where it is in one, and what it has itself.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory that the control group of this process may have, or one above it; none without a limit.
pub(super) fn memory_bytes_max() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    least_above(Path::new("/sys/fs/cgroup"), &groups)
}

/// All the memory of the machine; none where the kernel does not say.
pub(super) fn machine_memory_bytes() -> Option<u64> {
    total(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn total(meminfo: &str) -> Option<u64> {
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))?;
    kib.parse::<u64>().ok()?.checked_mul(1_024)
}

/// Version 2 of control groups: one line, `0::/PATH`. The least limit on the way up counts.
fn least_above(root: &Path, groups: &str) -> Option<u64> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let within: PathBuf = root.join(path);
    let levels = within.ancestors().take_while(|level| level.starts_with(root));
    levels.filter_map(|level| fs::read_to_string(level.join("memory.max")).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let root = tempfile::tempdir().expect("a directory");
        let inner = root.path().join("system.slice/gatehouse.service");
        fs::create_dir_all(&inner).expect("made");
        fs::write(inner.join("memory.max"), "max\n").expect("written");
        let groups = "0::/system.slice/gatehouse.service\n";
        assert_eq!(least_above(root.path(), groups), None);
        fs::write(root.path().join("system.slice/memory.max"), "268435456\n").expect("written");
        assert_eq!(least_above(root.path(), groups), Some(268_435_456));
        fs::write(root.path().join("memory.max"), "100000\n").expect("written");
        assert_eq!(least_above(root.path(), groups), Some(100_000));
        assert_eq!(least_above(root.path(), "1:name=systemd:/\n"), None);
    }

    #[test]
    fn the_machine_says_how_much_it_has() {
        let text = "MemTotal:       24680240 kB\nMemFree:          500000 kB\n";
        assert_eq!((total(text), total("MemFree: 1 kB\n"), total("MemTotal: much kB\n")), (Some(24_680_240 << 10), None, None));
        assert!(machine_memory_bytes() > Some(1 << 20));
    }
}
