//! The host's memory, where the system tells: Linux does, in lines like "VmHWM:     12345 kB".

/// The most bytes of memory that this process ever held at once.
pub fn peak_bytes() -> Option<u64> {
    bytes_of(
        "VmHWM:",
        &std::fs::read_to_string("/proc/self/status").ok()?,
    )
}

/// Bytes that the system can give without taking them from others.
pub fn available_bytes() -> Option<u64> {
    bytes_of(
        "MemAvailable:",
        &std::fs::read_to_string("/proc/meminfo").ok()?,
    )
}

fn bytes_of(name: &str, text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read() {
        let status = "Name:\twasm-chord\nVmPeak:\t   99 kB\nVmHWM:\t     12 kB\n";
        assert_eq!(bytes_of("VmHWM:", status), Some(12 << 10));
        assert_eq!(bytes_of("VmHWM:", "VmHWM: many kB"), None);
        assert_eq!(bytes_of("VmHWM:", ""), None);
    }
}
