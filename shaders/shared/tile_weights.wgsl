// Copies block b of the workgroup's row `row` of 64 to workgroup memory, as the kernel's _stage has it. Expects tile_begin, row, b, at.
#if GLU
            if (row < 32u) {
                a_stage(first_row + min(tile0 * 32u + row, p.rows_a - 1u), b, at);
            } else {
                b_stage(first_row + min(tile0 * 32u + row - 32u, p.rows_a - 1u), b, at);
            }
#else
#if HAS_B
            if (of_b) {
                b_stage(first_row + min(tile0 * 32u + row, p.rows_b - 1u), b, at);
            } else {
                a_stage(first_row + min(tile0 * 32u + row, p.rows_a - 1u), b, at);
            }
#else
            a_stage(first_row + min(tile0 * 32u + row, p.rows_a - 1u), b, at);
#endif
#endif
