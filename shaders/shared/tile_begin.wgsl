// Which rows and tokens a workgroup computes: 64 rows from tile0 of 32 on (GLU: 32 of A and of B), COLS tokens from col0 on.
    // Grids are folded: no dimension may pass 65,535 workgroups.
    let group = wid.x + wid.z * 32768u;
    let col0 = wid.y * COLS;
    let tiles_a = (p.rows_a + 31u) / 32u;
#if GLU
    if (group >= tiles_a) {
        return;
    }
    let tile0 = group;
#else
    let groups_a = (tiles_a + 1u) / 2u;
#if HAS_B
    let tiles_b = (p.rows_b + 31u) / 32u;
    if (group >= groups_a + (tiles_b + 1u) / 2u) {
        return;
    }
    // The group's first tile, of its matrix and of the output, and how many that matrix has.
    let of_b = group >= groups_a;
    let tile0 = 2u * select(group, group - groups_a, of_b);
    let out0 = tile0 + select(0u, tiles_a, of_b);
    let tiles = select(tiles_a, tiles_b, of_b);
#else
    if (group >= groups_a) {
        return;
    }
    let tile0 = 2u * group;
    let out0 = tile0;
    let tiles = tiles_a;
#endif
#endif
