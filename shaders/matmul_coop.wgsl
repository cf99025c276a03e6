enable f16;
enable wgpu_cooperative_matrix;
// The products of matmul_tile.wgsl by cooperative matrices of SIZE by SIZE values: f16 operands, f32 sums. For int8 activations, and for
// subgroups of one size, GROUPS by GROUPS of which share the 64 rows and 64 tokens of a workgroup.
//
// An f16 reaches 65504, and below 6e-5 it loses digits: so each token's values are brought below 256 by a power of two of its own, and
// the weights are multiplied by W_SCALE. Both are taken back from the sums. A value of x is an integer of 8 bits times its scale: what
// f16 rounds away is less than a thousandth of a step of those.
#import matmul_io

const WG = 128u;
const ROWS = 64u;
const QUADS = 16u;
const COLS = 64u;
const ACT_VEC4 = 3u;
const SIZE = ${SIZE}u;
// Matrices along each side of a subgroup's part.
const PART = ${PART}u;
// Halves of a row of a copy: 32, and 8 more so that rows begin in different banks.
const STRIDE = 40u;
const W_SCALE = 16.0;

#import unpack
#import in_row
#import quant_${A} P=a
#if HAS_B
#import quant_${B} P=b
#endif

#if TANH
#import tanh
#endif

var<workgroup> w_copy: array<f16, 2560>; // [row, STRIDE]
var<workgroup> x_copy: array<f16, 2560>; // [token, STRIDE]
var<workgroup> y: array<f32, 4096>; // [token, row]
var<workgroup> up: array<f32, 64>; // of a token: what its values are multiplied by
var<workgroup> down: array<f32, 64>; // and its sums

fn tile_quad(i: u32) -> vec4<f32> {
    return vec4<f32>(y[4u * i], y[4u * i + 1u], y[4u * i + 2u], y[4u * i + 3u]);
}

fn tile_put(i: u32, v: vec4<f32>) {
    y[4u * i] = v.x;
    y[4u * i + 1u] = v.y;
    y[4u * i + 2u] = v.z;
    y[4u * i + 3u] = v.w;
}

#import tile_out
#import tile_rows

#import matmul_stage_f16 P=a
#if HAS_B
#import matmul_stage_f16 P=b
#endif

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32, @builtin(subgroup_id) subgroup: u32) {
#import tile_begin

    // Two threads a token.
    var most = 0.0;
    var ssq = 0.0;
    for (var b = lid % 2u; b < p.k_blocks; b += 2u) {
        let t = bitcast<vec4<f32>>(act[(row_in(col0, lid / 2u) * p.k_blocks + b) * ACT_VEC4 + 2u]);
        most = max(most, max(t.x, t.y));
        ssq += t.w;
    }
    y[lid] = most;
    y[WG + lid] = ssq;
    workgroupBarrier();
    if (lid < COLS) {
        // The largest scale is 2^(e - 127) to twice that.
        let e = min((bitcast<u32>(max(y[2u * lid], y[2u * lid + 1u])) >> 23u) & 255u, 253u);
        up[lid] = bitcast<f32>((254u - e) << 23u);
        var back = p.scale / W_SCALE;
#if NORM
        back *= inverseSqrt((y[WG + 2u * lid] + y[WG + 2u * lid + 1u]) / p.norm_k + p.eps);
#endif
        down[lid] = bitcast<f32>(e << 23u) * back;
    }
    workgroupBarrier();

    let part_row = (subgroup / ${GROUPS}u) * PART * SIZE;
    let part_col = (subgroup % ${GROUPS}u) * PART * SIZE;
#for i in PART
#for j in PART
    var acc_${i}_${j} = coop_mat${SIZE}x${SIZE}<f32, C>();
#endfor
#endfor
    for (var b = 0u; b < p.k_blocks; b++) {
        if (lid < ROWS) {
            let row = lid;
            let at = row * STRIDE;
#import tile_weights
        } else {
            let c = lid - ROWS;
            let from_ = (row_in(col0, c) * p.k_blocks + b) * ACT_VEC4;
            let d = bitcast<vec2<f32>>(act[from_ + 2u].xy) * up[c];
            let x0 = act[from_];
            let x1 = act[from_ + 1u];
#for h:s:k in x0:x:0 x1:y:16
#for q:i in x:0 y:4 z:8 w:12
            {
                let v = vec4<f16>(d.${s} * unpack_i8(${h}.${q}));
                let to = c * STRIDE + ${k}u + ${i}u;
                x_copy[to] = v.x;
                x_copy[to + 1u] = v.y;
                x_copy[to + 2u] = v.z;
                x_copy[to + 3u] = v.w;
            }
#endfor
#endfor
        }
        workgroupBarrier();
        for (var k = 0u; k < 32u; k += SIZE) {
#for i in PART
            let w_${i} = coopLoadT<coop_mat${SIZE}x${SIZE}<f16, A>>(&w_copy[(part_row + ${i}u * SIZE) * STRIDE + k], STRIDE);
#endfor
#for j in PART
            {
                let x_ = coopLoad<coop_mat${SIZE}x${SIZE}<f16, B>>(&x_copy[(part_col + ${j}u * SIZE) * STRIDE + k], STRIDE);
#for i in PART
                acc_${i}_${j} = coopMultiplyAdd(w_${i}, x_, acc_${i}_${j});
#endfor
            }
#endfor
        }
        workgroupBarrier();
    }
#for i in PART
#for j in PART
    coopStore(acc_${i}_${j}, &y[(part_col + ${j}u * SIZE) * ROWS + part_row + ${i}u * SIZE], ROWS);
#endfor
#endfor
    workgroupBarrier();
    for (var i = lid; i < COLS * QUADS; i += WG) {
        tile_put(i, tile_quad(i) * down[i / QUADS]);
    }
    workgroupBarrier();

#import tile_end
}
