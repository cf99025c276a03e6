// Which slots a row sees. Expects what shared/kv.wgsl does, and p.window where WINDOW is on.

// Logical page behind the i-th table entry for a row at `pos`.
fn logical(i: u32, pos: u32) -> u32 {
    let current = pos / PAGE;
    if (current < p.seq_pages || i < p.sink_pages) {
        return i;
    }
    let ring = p.seq_pages - p.sink_pages;
    return current - (ring_index(current) + ring - i) % ring;
}

// First position that a row at `pos` sees.
fn first_visible(pos: u32) -> u32 {
#if WINDOW
    return select(0u, pos + 1u - p.window, pos >= p.window);
#else
    return 0u;
#endif
}

// First table entry to look at.
fn first_entry(pos: u32) -> u32 {
    return select(0u, first_visible(pos) / PAGE, pos / PAGE < p.seq_pages);
}

// First slot of the page that starts at position `start` that a row at `pos` sees; PAGE: none.
fn first_slot(start: u32, pos: u32) -> u32 {
    return min(max(first_visible(pos), start) - start, PAGE);
}

// Behind the last slot of that page that it sees.
fn end_slot(start: u32, pos: u32) -> u32 {
    return min(max(pos + 1u, start) - start, PAGE);
}
