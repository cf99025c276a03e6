// The inner loop of matmul for the weights listed in WS (a, b or both), this thread's ROWS rows and COLS tokens.
// Reads rows row_0.., tokens of x from in0 on; adds into acc<P>_<col>_<row> and ssq_<col>.
for (var b = part; b < p.k_blocks; b += SPLIT) {
#if !FLOAT
#for P in ${WS}
#for r in ROWS
    let w${P}_${r} = ${P}_load(row_${r}, b);
#endfor
#endfor
#endif
#for c in COLS
    let at_${c} = ((in0 + ${c}u) * p.k_blocks + b) * ACT_VEC4;
    let u_${c} = act[at_${c} + ACT_VEC4 - 1u];
    let t_${c} = bitcast<vec4<f32>>(u_${c});
    ssq_${c} += t_${c}.w;
#endfor
#if ACT_Q8
#for c in COLS
    {
        let x = quants(act[at_${c}], act[at_${c} + 1u]);
        let sums = quant_sums(u_${c}.z);
#for P in ${WS}
#for r in ROWS
        acc${P}_${c}_${r} += ${P}_dot8(w${P}_${r}, x, t_${c}.xy, sums);
#endfor
#endfor
    }
#endfor
#else
#if FLOAT
#for i in 8
    {
#for P in ${WS}
#for r in ROWS
        let v${P}_${r} = ${P}_value(row_${r}, b, ${i}u);
#endfor
#endfor
#for c in COLS
        let x_${c} = bitcast<vec4<f32>>(act[at_${c} + ${i}u]);
#for P in ${WS}
#for r in ROWS
        acc${P}_${c}_${r} += dot(v${P}_${r}, x_${c});
#endfor
#endfor
#endfor
    }
#endfor
#else
#for h:s in lo:x hi:y
    {
#for P in ${WS}
#for c in COLS
#for r in ROWS
        var s${P}_${c}_${r} = 0.0;
#endfor
#endfor
#endfor
#for j:i in x:0 y:1 z:2 w:3
        {
#for P in ${WS}
#for r in ROWS
            let v${P}_${r} = ${P}_unpack(w${P}_${r}.${h}.${j});
#endfor
#endfor
#for c in COLS
            let x_${c} = bitcast<vec4<f32>>(act[at_${c} + ${i}u + HALF_${s}]);
#for P in ${WS}
#for r in ROWS
            s${P}_${c}_${r} += dot(v${P}_${r}, x_${c});
#endfor
#endfor
#endfor
        }
#endfor
#for P in ${WS}
#for c in COLS
#for r in ROWS
        acc${P}_${c}_${r} += w${P}_${r}.d.${s} * s${P}_${c}_${r} + w${P}_${r}.m.${s} * t_${c}[1u + HALF_${s} / 4u];
#endfor
#endfor
#endfor
    }
#endfor
#endif
#endif
}
