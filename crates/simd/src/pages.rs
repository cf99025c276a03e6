//! Large pages.

/// Asks the system to back a large allocation with large pages, before it is written: reading weights from small ones, a walk
/// through the page table every 4 KiB, measured half the speed in a virtual machine. A wish only, and only Linux has it.
#[cfg_attr(
    target_os = "linux",
    allow(unsafe_code, reason = "the call takes an address")
)]
pub fn prefer_large_pages(words: &mut [u32]) {
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        const PAGE: usize = 4096;
        let start = words.as_mut_ptr().addr().next_multiple_of(PAGE);
        let end = words.as_mut_ptr_range().end.addr() / PAGE * PAGE;
        if end > start {
            let at = words.as_mut_ptr().with_addr(start).cast();
            // SAFETY: whole pages of memory that is borrowed exclusively; the advice does not change what is in them.
            let _ = unsafe { madvise(at, end - start, Advice::LinuxHugepage) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = words;
}
