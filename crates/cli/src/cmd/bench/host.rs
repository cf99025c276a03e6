//! What the process itself took of the host's memory.

/// The most bytes of memory that this process ever held at once, where the system tells.
pub fn peak_bytes() -> Option<u64> {
    // Linux: "VmHWM:     12345 kB". Elsewhere the figure needs calls that the standard library lacks.
    peak_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read() {
        let status = "Name:\twasm-chord\nVmPeak:\t   99 kB\nVmHWM:\t     12 kB\n";
        assert_eq!(peak_of(status), Some(12 << 10));
        assert_eq!(peak_of("VmHWM: many kB"), None);
        assert_eq!(peak_of(""), None);
    }
}
