//! What this process takes of the machine's memory.

use std::fs;

/// Keeps the system from making one huge page of small ones. The allocator gives back what is not needed any more in
/// small pages; in a huge page each of them stays, and an import is the larger the longer it runs
/// (docs/decisions/0010).
pub(crate) fn keep_pages_small() {
    // A system that has no such switch has nothing to switch off.
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay as the system has them");
    }
}

/// Most memory that was resident at once, in bytes; 0 where the system does not tell.
pub(crate) fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|text| {
        let text = text.trim().trim_end_matches("kB");
        text.trim().parse::<u64>().ok()
    });
    kib.unwrap_or_default() * 1_024
}

/// Lets [`peak_bytes`] count from what is resident now.
///
/// # Errors
/// Where the system has no such switch.
pub(crate) fn forget_peak() -> std::io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}
