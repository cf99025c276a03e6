// The products of matmul.wgsl for many tokens at once: a workgroup computes 64 rows of W by COLS tokens, out of copies in
// workgroup memory of what both have at STEP 32-value blocks of K. So weights are read and decoded once for COLS tokens, and each
// value in workgroup memory is used 4 (of x) or COLS / 8 (of W) times per read.
//
// The 64 rows are two tiles of 32; with GLU a tile of A and the same of B. A thread owns four rows next to each other for
// COLS_T tokens next to each other.
//
// Integer operands (ACT_Q8) stay packed bytes with their scales, others are f32. No sum is shared between threads, and each has
// one order, whichever tokens are beside it.
#import matmul_io

const WG = 128u;
// Rows of W and the 16 quads of them.
const ROWS = 64u;
const QUADS = 16u;
const COLS = ${COLS}u;
#if ACT_Q8
const ACT_VEC4 = 3u;
const STEP = 2u;
const COPY = 3u; // vec4 of a block's copy
#else
const ACT_VEC4 = 9u;
const STEP = 1u;
const COPY = 8u;
#endif
// Where the copies of x start.
const X_AT = ROWS * COPY * STEP;

#import unpack
#import quant_${A} P=a
#if HAS_B
#import quant_${B} P=b
#endif

#if TANH
#import tanh
#endif

// W: [block of the step, vec4, row], where row 4q + r lies at 16r + q, so that neighbours read neighbours; x: [block, vec4, token].
// Afterwards f32 [token, QUADS].
var<workgroup> shared_: array<vec4<u32>, ${SHARED}>;

fn tile_quad(i: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(shared_[i]);
}

#if !PLAIN
var<private> tile_blk: u32; // block index within a token, for gamma

fn act_value(t: u32, j: u32) -> vec4<f32> {
#if RESID
    return tile_quad(t + j) * gamma[tile_blk * 8u + j];
#else
    return tile_quad(t + j);
#endif
}

fn act_source_ssq(t: u32) -> f32 {
    var s = 0.0;
#if RESID
    for (var j = 0u; j < 8u; j++) {
        let v = tile_quad(t + j);
        s += dot(v, v);
    }
#endif
    return s;
}
#import act_out
#endif

#if GLU
#import glu
#endif

#import matmul_stage P=a FLOAT=${A_FLOAT}
#if HAS_B
#import matmul_stage P=b FLOAT=${B_FLOAT}
#endif

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
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

    let quad = lid % QUADS;
    let cols_at = (lid / QUADS) * ${COLS_T}u;
    var ssq = 0.0;
#for c in COLS_T
    var acc_${c} = vec4<f32>(0.0);
#endfor
    for (var b0 = 0u; b0 < p.k_blocks; b0 += STEP) {
        if (lid < ROWS * STEP) {
            let row = lid / STEP;
            let b = b0 + lid % STEP;
            let at = (lid % STEP) * COPY * ROWS + (row % 4u) * QUADS + row / 4u;
#if GLU
            if (row < 32u) {
                a_stage(min(tile0 * 32u + row, p.rows_a - 1u), b, at);
            } else {
                b_stage(min(tile0 * 32u + row - 32u, p.rows_a - 1u), b, at);
            }
#else
#if HAS_B
            if (of_b) {
                b_stage(min(tile0 * 32u + row, p.rows_b - 1u), b, at);
            } else {
                a_stage(min(tile0 * 32u + row, p.rows_a - 1u), b, at);
            }
#else
            a_stage(min(tile0 * 32u + row, p.rows_a - 1u), b, at);
#endif
#endif
        }
        // The other half of the threads, where one is enough for the weights.
        let i = (lid + ROWS * STEP) % WG;
        if (i < COLS * STEP) {
            let b = b0 + i % STEP;
            let to = X_AT + (i % STEP) * COPY * COLS + i / STEP;
            let from_ = ((col0 + i / STEP) * p.k_blocks + min(b, p.k_blocks - 1u)) * ACT_VEC4;
            let u = act[from_ + ACT_VEC4 - 1u];
            ssq += select(0.0, bitcast<f32>(u.w), b < p.k_blocks);
#if ACT_Q8
            let d = bitcast<vec2<f32>>(u.xy);
            let sums = bitcast<i32>(u.z);
            shared_[to] = act[from_];
            shared_[to + COLS] = act[from_ + 1u];
            shared_[to + 2u * COLS] = bitcast<vec4<u32>>(vec4<f32>(d, d * vec2<f32>(f32((sums << 16u) >> 16u), f32(sums >> 16u))));
#else
#for j in 8
            shared_[to + ${j}u * COLS] = act[from_ + ${j}u];
#endfor
#endif
        }
        workgroupBarrier();
#if ACT_Q8
        for (var s = 0u; s < STEP; s++) {
            let w_at = s * COPY * ROWS + quad;
            let x_at = X_AT + s * COPY * COLS + cols_at;
#for r in 4
            let lo_${r} = shared_[w_at + ${r}u * QUADS];
            let hi_${r} = shared_[w_at + ROWS + ${r}u * QUADS];
            let dm_${r} = bitcast<vec4<f32>>(shared_[w_at + 2u * ROWS + ${r}u * QUADS]);
#endfor
#for c in COLS_T
            {
                let x0 = shared_[x_at + ${c}u];
                let x1 = shared_[x_at + ${c}u + COLS];
                let t = bitcast<vec4<f32>>(shared_[x_at + ${c}u + 2u * COLS]);
#for r in 4
                let l_${r} = dot4I8Packed(lo_${r}.x, x0.x) + dot4I8Packed(lo_${r}.y, x0.y) + dot4I8Packed(lo_${r}.z, x0.z) + dot4I8Packed(lo_${r}.w, x0.w);
                let h_${r} = dot4I8Packed(hi_${r}.x, x1.x) + dot4I8Packed(hi_${r}.y, x1.y) + dot4I8Packed(hi_${r}.z, x1.z) + dot4I8Packed(hi_${r}.w, x1.w);
                let y_${r} = dot(t, vec4<f32>(dm_${r}.xy * vec2<f32>(f32(l_${r}), f32(h_${r})), dm_${r}.zw));
#endfor
                acc_${c} += vec4<f32>(y_0, y_1, y_2, y_3);
            }
#endfor
        }
#else
        for (var j = 0u; j < 8u; j++) {
            let w_at = j * ROWS + quad;
            let x_at = X_AT + j * COLS + cols_at;
#for r in 4
            let w_${r} = bitcast<vec4<f32>>(shared_[w_at + ${r}u * QUADS]);
#endfor
#for c in COLS_T
            {
                let v = bitcast<vec4<f32>>(shared_[x_at + ${c}u]);
                acc_${c} += vec4<f32>(dot(w_0, v), dot(w_1, v), dot(w_2, v), dot(w_3, v));
            }
#endfor
        }
#endif
        workgroupBarrier();
    }

#if NORM
    shared_[lid] = vec4<u32>(bitcast<u32>(ssq), 0u, 0u, 0u);
    workgroupBarrier();
#for c in COLS_T
    var s_${c} = 0.0;
    for (var i = 0u; i < STEP; i++) {
        // Where the thread is that copied this token's blocks.
        s_${c} += bitcast<f32>(shared_[((cols_at + ${c}u) * STEP + i + WG - ROWS * STEP) % WG].x);
    }
    let y_${c} = acc_${c} * (p.scale * inverseSqrt(s_${c} / p.norm_k + p.eps));
#endfor
    workgroupBarrier();
#else
#for c in COLS_T
    let y_${c} = acc_${c} * p.scale;
#endfor
#endif
#for c in COLS_T
    shared_[(cols_at + ${c}u) * QUADS + quad] = bitcast<vec4<u32>>(y_${c});
#endfor
    workgroupBarrier();

    for (var i = lid; i < COLS * QUADS; i += WG) {
        let token = col0 + i / QUADS;
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
            shared_[i] = bitcast<vec4<u32>>(v);
        }
#endif
#if GLU
        if (q < 8u) {
            let g = tile_quad(i);
            let u = tile_quad(i + 8u);
            let row = vec4<u32>(tile0 * 32u + 4u * q) + vec4<u32>(0u, 1u, 2u, 3u);
            let v = vec4<f32>(glu(g.x, u.x), glu(g.y, u.y), glu(g.z, u.z), glu(g.w, u.w));
            shared_[i] = bitcast<vec4<u32>>(select(vec4<f32>(0.0), v, row < vec4<u32>(p.rows_a)));
        }
#endif
    }
#if !PLAIN
    workgroupBarrier();
    for (var i = lid; i < COLS * QUADS; i += WG) {
        let q = i % QUADS;
#if GLU
        if (q < 8u) {
#else
        if (tile0 + q / 8u < tiles) {
#endif
            tile_blk = tile0 + q / 8u + p.first_tile;
            act_emit((col0 + i / QUADS) * p.out_stride + tile_blk, i - q % 8u, q % 8u);
        }
    }
#endif
}
