// Which rows of the input and of the output belong to the tokens of a workgroup.
#if EXPERTS
var<workgroup> found: array<u32, WG>; // routes of the expert that each thread finds
var<workgroup> n_found: u32;
var<workgroup> picked: array<u32, COLS>; // the routes of this round

#if BIAS
fn route_floats(at: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(routes[at.x], routes[at.y], routes[at.z], routes[at.w]));
}
#endif
#endif

fn row_out(col0: u32, c: u32) -> u32 {
#if EXPERTS
    return picked[c];
#else
    return col0 + c;
#endif
}

// GLU has an input per token, what follows it one per route.
fn row_in(col0: u32, c: u32) -> u32 {
#if EXPERTS
#if GLU
    return picked[c] / USED;
#else
    return picked[c];
#endif
#else
    return col0 + c;
#endif
}
