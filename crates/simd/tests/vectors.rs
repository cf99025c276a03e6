//! The instruction sets of the processor that runs the tests.

mod checks;

#[test]
fn every_method_of_every_set_is_plain_arithmetic() {
    for name in checks::all() {
        // tools/check-simd.sh compares these with what it expects.
        println!("checked: {name}");
    }
}
