// The products of matmul.wgsl for many tokens at once: a workgroup computes 64 rows of W by COLS tokens, out of copies in
// workgroup memory of what both have at STEP 32-value blocks of K. So weights are read and decoded once for COLS tokens, and each
// value in workgroup memory is used 4 (of x) or COLS / 8 (of W) times per read.
//
// The 64 rows are two tiles of 32; with GLU a tile of A and the same of B. A thread owns four rows next to each other for
// COLS_T tokens next to each other.
//
// Integer operands (ACT_Q8) stay packed bytes with their scales, others are f32. No sum is shared between threads, and each has
// one order, whichever tokens are beside it.
//
// EXPERTS: as in matmul.wgsl, but a workgroup's tokens are those with routes to one expert, and PLAIN gives a row per route, which
// sum_routes.wgsl adds up.
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
#import in_row
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

fn tile_put(i: u32, v: vec4<f32>) {
    shared_[i] = bitcast<vec4<u32>>(v);
}

#import tile_out
#import tile_rows

#import matmul_stage P=a FLOAT=${A_FLOAT}
#if HAS_B
#import matmul_stage P=b FLOAT=${B_FLOAT}
#endif

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
#import tile_begin

    let quad = lid % QUADS;
    let cols_at = (lid / QUADS) * ${COLS_T}u;
    var ssq = 0.0;
    // Half of the threads copy x where one is enough for the weights.
    let x_i = (lid + ROWS * STEP) % WG;
    let x_row = row_in(col0, min(x_i / STEP, COLS - 1u)) * p.k_blocks;
#for c in COLS_T
    var acc_${c} = vec4<f32>(0.0);
#endfor
    for (var b0 = 0u; b0 < p.k_blocks; b0 += STEP) {
        if (lid < ROWS * STEP) {
            let row = lid / STEP;
            let b = b0 + lid % STEP;
            let at = (lid % STEP) * COPY * ROWS + (row % 4u) * QUADS + row / 4u;
#import tile_weights
        }
        if (x_i < COLS * STEP) {
            let b = b0 + x_i % STEP;
            let to = X_AT + (x_i % STEP) * COPY * COLS + x_i / STEP;
            let from_ = (x_row + min(b, p.k_blocks - 1u)) * ACT_VEC4;
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
#if EXPERTS
        // Few tokens go to one expert: the threads of the others have nothing to do.
        if (cols_at < n_cols) {
#endif
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
#if EXPERTS
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

#import tile_end
}
