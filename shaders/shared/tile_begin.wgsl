// Which rows and tokens a workgroup computes: 64 rows from tile0 of 32 on (GLU: 32 of A and of B), COLS tokens from col0 on.
// EXPERTS: the tokens that have routes to one expert, COLS at a time: tile_end closes the loop.
    // Grids are folded: no dimension may pass 65,535 workgroups.
    let group = wid.x + wid.z * 32768u;
#if !EXPERTS
    let col0 = wid.y * COLS;
#endif
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
#if EXPERTS
    let first_row = wid.y * p.rows_a;
    let expert = p.expert0 + wid.y;
    let n_routes = routes[p.rows_at] * USED;
    // Each thread looks at some of the routes; what it finds comes after what those before it found.
    var mine = 0u;
    for (var i = lid; i < n_routes; i += WG) {
        mine += select(0u, 1u, routes[2u * i] == expert);
    }
    found[lid] = mine;
    workgroupBarrier();
    var before = 0u;
    for (var i = 0u; i < lid; i++) {
        before += found[i];
    }
    if (lid == WG - 1u) {
        n_found = before + mine;
    }
    let all = workgroupUniformLoad(&n_found);
    for (var first = 0u; first < all; first += COLS) {
    let n_cols = min(COLS, all - first);
    // Tokens beyond those read the first route's input, and nothing is written for them.
    if (lid < COLS) {
        picked[lid] = 0u;
    }
    workgroupBarrier();
    var nth = before;
    for (var i = lid; i < n_routes; i += WG) {
        if (routes[2u * i] == expert) {
            if (nth >= first && nth - first < COLS) {
                picked[nth - first] = i;
            }
            nth++;
        }
    }
    workgroupBarrier();
    let col0 = 0u;
#else
    let first_row = 0u;
    let n_cols = COLS;
#endif
