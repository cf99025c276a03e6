//! How the files of detected instruction sets list what these have.

/// Methods that are one intrinsic, or a few.
macro_rules! with {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty = $body:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($arg: $ty),*) -> $out {
                // SAFETY: `self` proves that the processor has these instructions.
                unsafe { $body }
            }
        )*
    };
}
pub(crate) use with;
