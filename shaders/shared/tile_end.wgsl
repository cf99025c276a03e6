// The epilogues of a tile of y, which lies in workgroup memory as f32 [token, QUADS]. Expects tile_quad(i) and tile_put(i, v).
    for (var i = lid; i < n_cols * QUADS; i += WG) {
        let token = row_out(col0, i / QUADS);
        let q = i % QUADS;
#if PLAIN
        if (tile0 + q / 8u < tiles) {
            let v = tile_quad(i);
            let o = p.out_base + token * p.out_stride + out0 * 32u + 4u * q;
            out[o] = v.x;
            out[o + 1u] = v.y;
            out[o + 2u] = v.z;
            out[o + 3u] = v.w;
        }
#endif
        // Rows that only pad the last block are zero, so that they change no sum.
#if RESID
        if (tile0 + q / 8u < tiles) {
            let first = (tile0 + q / 8u + p.first_tile) * 32u + 4u * (q % 8u);
            let o = token * p.out_stride * 32u + first;
            var v = tile_quad(i) + vec4<f32>(x[o], x[o + 1u], x[o + 2u], x[o + 3u]);
#if BIAS
            v += gamma[p.out_stride * 8u + first / 4u];
#endif
            let row = vec4<u32>(tile0 * 32u + 4u * q) + vec4<u32>(0u, 1u, 2u, 3u);
            v = select(vec4<f32>(0.0), v, row < vec4<u32>(p.rows_a));
            x[o] = v.x;
            x[o + 1u] = v.y;
            x[o + 2u] = v.z;
            x[o + 3u] = v.w;
            tile_put(i, v);
        }
#endif
#if GLU
        if (q < 8u) {
            var g = tile_quad(i);
            var u = tile_quad(i + 8u);
            let row = vec4<u32>(tile0 * 32u + 4u * q) + vec4<u32>(0u, 1u, 2u, 3u);
#if BIAS
            let at = vec4<u32>(expert * p.rows_a) + min(row, vec4<u32>(p.rows_a - 1u));
            g += route_floats(at + vec4<u32>(p.bias_a));
            u += route_floats(at + vec4<u32>(p.bias_b));
#endif
            let v = vec4<f32>(glu(g.x, u.x), glu(g.y, u.y), glu(g.z, u.z), glu(g.w, u.w));
            tile_put(i, select(vec4<f32>(0.0), v, row < vec4<u32>(p.rows_a)));
        }
#endif
    }
#if !PLAIN
    workgroupBarrier();
    for (var i = lid; i < n_cols * QUADS; i += WG) {
        let q = i % QUADS;
#if GLU
        if (q < 8u) {
#else
        if (tile0 + q / 8u < tiles) {
#endif
            tile_blk = tile0 + q / 8u + p.first_tile;
            act_emit(row_out(col0, i / QUADS) * p.out_stride + tile_blk, i - q % 8u, q % 8u);
        }
    }
#endif
#if EXPERTS
    workgroupBarrier();
    }
#endif
