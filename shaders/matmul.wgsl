// y[token, row] = sum_k W[row, k] * x[token, k] for a tile of 32 rows and COLS tokens per workgroup.
//
// x comes as activation blocks (int8 or f32, with block sums and the sum of squares of the residual behind it), so
// that the RMS norm's factor is one multiplication at the end (NORM). What follows is an epilogue:
//   PLAIN  out[token, row] = y                                    (q|k|v, logits). Weights B are more rows after A.
//   RESID  x[token, row] += y, and the next activation blocks     (attention output, FFN down)
//   GLU    activation blocks of act(A x) * (B x)                  (FFN gate and up; ACT is SILU, GELU or SWIGLU_OAI)
// EXPERTS: the matrices are those of several experts, one below the other, and each token has USED routes (expert, weight):
// GLU gives a token a row of blocks per route, RESID adds the weighted sum over its routes.
// A thread owns ROWS rows; SPLIT lanes share a row and stripe its blocks.
#import matmul_io
#if TAP
@group(0) @binding(9) var<storage, read_write> tap: array<f32>; // [token, tap_stride]: y before it joins the residual
#endif

const SPLIT = ${SPLIT}u;
const WG = ${WG}u;
const HALF_x = 0u;
const HALF_y = 4u;
#if ACT_Q8
const ACT_VEC4 = 3u;
#else
const ACT_VEC4 = 9u;
#endif

#import unpack
#import in_row
#if PAIRS
#import quants_pairs
#else
#import quants
#endif
#import quant_${A} P=a DOTS=${ACT_Q8}
#if HAS_B
#import quant_${B} P=b DOTS=${ACT_Q8}
#endif

#if TANH
#import tanh
#endif

var<workgroup> tile: array<f32, ${TILE_LEN}>; // [COLS, 32]
#if SPLIT_SHARED
var<workgroup> red: array<f32, ${WG}>;
#endif

fn tile_quad(i: u32) -> vec4<f32> {
    return vec4<f32>(tile[4u * i], tile[4u * i + 1u], tile[4u * i + 2u], tile[4u * i + 3u]);
}

#import tile_out

#if SPLIT_SHARED
// Sum over the SPLIT lanes of a row, in lane order; every lane gets it.
fn reduce(v: f32, lid: u32) -> f32 {
    red[lid] = v;
    workgroupBarrier();
    let first = lid - lid % SPLIT;
    var s = 0.0;
    for (var i = 0u; i < SPLIT; i++) {
        s += red[first + i];
    }
    workgroupBarrier();
    return s;
}
#endif
#if SPLIT_SUBGROUP
// Sum over the SPLIT lanes of a row by butterfly; SPLIT divides the subgroup size.
fn reduce(v: f32, lid: u32) -> f32 {
    var s = v;
    for (var i = 1u; i < SPLIT; i *= 2u) {
        s += subgroupShuffleXor(s, i);
    }
    return s;
}
#endif

@compute @workgroup_size(${WG})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    // Grids are folded: no dimension may pass 65,535 workgroups.
    let t = wid.x + wid.z * 32768u;
    if (t >= p.n_tiles) {
        return;
    }
    let col0 = wid.y * ${COLS}u;
    let out_t = t + p.first_tile;
#if EXPERTS
#if GLU
    // One workgroup row per route.
    let in0 = col0 / USED;
    let e = routes[2u * col0];
    if (e < p.expert0 || e - p.expert0 >= p.experts) {
        return;
    }
    let first_row = (e - p.expert0) * p.rows_a;
#endif
#else
    let in0 = col0;
    let first_row = 0u;
#endif
    let part = lid % SPLIT;
    let local = (lid / SPLIT) * ${ROWS}u;
#for c in COLS
    var ssq_${c} = 0.0;
#for r in ROWS
    var acca_${c}_${r} = 0.0;
#if GLU
    var accb_${c}_${r} = 0.0;
#endif
#endfor
#endfor

#if PLAIN
#if HAS_B
    let tiles_a = (p.rows_a + 31u) / 32u;
    if (t < tiles_a) {
#for r in ROWS
        let row_${r} = min(t * 32u + local + ${r}u, p.rows_a - 1u);
#endfor
#import matmul_acc WS=a FLOAT=${A_FLOAT}
    } else {
#for r in ROWS
        let row_${r} = min((t - tiles_a) * 32u + local + ${r}u, p.rows_b - 1u);
#endfor
#for c in COLS
#for r in ROWS
        var accb_${c}_${r} = 0.0;
#endfor
#endfor
#import matmul_acc WS=b FLOAT=${B_FLOAT}
#for c in COLS
#for r in ROWS
        acca_${c}_${r} = accb_${c}_${r};
#endfor
#endfor
    }
#else
#for r in ROWS
    let row_${r} = min(t * 32u + local + ${r}u, p.rows_a - 1u);
#endfor
#import matmul_acc WS=a FLOAT=${A_FLOAT}
#endif
#else
#if SUM_ROUTES
#for r in ROWS
    var sum_${r} = 0.0;
    var bias_${r} = 0.0;
#endfor
    for (var slot = 0u; slot < USED; slot++) {
        let in0 = col0 * USED + slot;
        let e = routes[2u * in0];
        if (e < p.expert0 || e - p.expert0 >= p.experts) {
            continue;
        }
        let weight = bitcast<f32>(routes[2u * in0 + 1u]);
#for r in ROWS
        let local_${r} = min(t * 32u + local + ${r}u, p.rows_a - 1u);
        let row_${r} = (e - p.expert0) * p.rows_a + local_${r};
        acca_0_${r} = 0.0;
#endfor
#import matmul_acc WS=a FLOAT=${A_FLOAT}
#for r in ROWS
        sum_${r} += weight * acca_0_${r};
#if BIAS
        bias_${r} += weight * bitcast<f32>(routes[p.bias_a + e * p.rows_a + local_${r}]);
#endif
#endfor
    }
#for r in ROWS
    acca_0_${r} = sum_${r};
#endfor
#else
#for r in ROWS
    let row_${r} = first_row + min(t * 32u + local + ${r}u, p.rows_a - 1u);
#endfor
#if GLU
#if A_FLOAT == B_FLOAT
#import matmul_acc WS=a,b FLOAT=${A_FLOAT}
#else
#import matmul_acc WS=a FLOAT=${A_FLOAT}
#for c in COLS
    ssq_${c} = 0.0;
#endfor
#import matmul_acc WS=b FLOAT=${B_FLOAT}
#endif
#else
#import matmul_acc WS=a FLOAT=${A_FLOAT}
#endif
#endif
#endif

#for c in COLS
    {
#if NORM
#if SPLIT_ONE
        let s = p.scale * inverseSqrt(ssq_${c} / p.norm_k + p.eps);
#else
        let s = p.scale * inverseSqrt(reduce(ssq_${c}, lid) / p.norm_k + p.eps);
#endif
#else
        let s = p.scale;
#endif
#for r in ROWS
#if SPLIT_ONE
        let y_${r} = acca_${c}_${r} * s;
#else
        let y_${r} = reduce(acca_${c}_${r}, lid) * s;
#endif
#if GLU
#if SPLIT_ONE
        let up_${r} = accb_${c}_${r} * s;
#else
        let up_${r} = reduce(accb_${c}_${r}, lid) * s;
#endif
#if BIAS
        let at_${r} = e * p.rows_a + min(t * 32u + local + ${r}u, p.rows_a - 1u);
        let v_${r} = glu(y_${r} + bitcast<f32>(routes[p.bias_a + at_${r}]), up_${r} + bitcast<f32>(routes[p.bias_b + at_${r}]));
#else
        let v_${r} = glu(y_${r}, up_${r});
#endif
#endif
#if RESID
        let i_${r} = out_t * 32u + local + ${r}u;
#if SUM_ROUTES
        let d_${r} = y_${r} + bias_${r};
#else
#if BIAS
        let d_${r} = y_${r} + gamma[p.out_stride * 8u + i_${r} / 4u][i_${r} % 4u];
#else
        let d_${r} = y_${r};
#endif
#endif
        let v_${r} = d_${r} + x[(col0 + ${c}u) * p.out_stride * 32u + i_${r}];
#if TAP
        if (part == 0u && t * 32u + local + ${r}u < p.rows_a) {
            tap[(col0 + ${c}u) * p.tap_stride + i_${r}] = d_${r};
        }
#endif
#endif
#if PLAIN
#if SOFT_CAP
        let v_${r} = p.soft_cap * tanh_f32(y_${r} / p.soft_cap);
#else
        let v_${r} = y_${r};
#endif
#endif
        if (part == 0u) {
#if PLAIN
            tile[${c}u * 32u + local + ${r}u] = v_${r};
#else
            // Rows that only pad the last block are zero, so that they change no sum.
            tile[${c}u * 32u + local + ${r}u] = select(0.0, v_${r}, t * 32u + local + ${r}u < p.rows_a);
#endif
        }
#endfor
    }
#endfor
    workgroupBarrier();

    for (var i = lid; i < ${COLS}u * 8u; i += WG) {
        let c = i / 8u;
        let j = i % 8u;
        let token = col0 + c;
        let at = c * 32u + 4u * j;
#if PLAIN
        let o = p.out_base + token * p.out_stride + out_t * 32u + 4u * j;
        out[o] = tile[at];
        out[o + 1u] = tile[at + 1u];
        out[o + 2u] = tile[at + 2u];
        out[o + 3u] = tile[at + 3u];
#else
        tile_blk = out_t;
#if RESID
        let o = (token * p.out_stride + out_t) * 32u + 4u * j;
        x[o] = tile[at];
        x[o + 1u] = tile[at + 1u];
        x[o + 2u] = tile[at + 2u];
        x[o + 3u] = tile[at + 3u];
#endif
        act_emit(token * p.out_stride + out_t, c * 8u, j);
#endif
    }
}
