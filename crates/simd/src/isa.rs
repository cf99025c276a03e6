//! What an instruction set offers.

/// Words that lie side by side in memory: a panel's word of as many rows. Vectors hold all or a whole part of them.
pub const PANEL: usize = 16;

/// The first `N` values.
#[inline(always)]
pub(crate) fn first<const N: usize, T: Copy>(from: &[T]) -> [T; N] {
    *from.first_chunk().expect("a whole vector")
}

/// A dot product word by word.
#[inline(always)]
pub(crate) fn by_words<U>(acc: U, w: [U; 4], x: [u32; 4], dot: impl Fn(U, U, u32) -> U) -> U {
    let pairs = w.into_iter().zip(x);
    pairs.fold(acc, |acc, (w, x)| dot(acc, w, x))
}

/// An instruction set: lanes of 32 bits, as integers (also four packed bytes) or floats. Methods are meant to be inlined into an
/// [`Op`](crate::Op); elsewhere each is a call.
pub trait Isa: Copy + Send + Sync + 'static {
    /// Lanes of a vector: divides [`PANEL`].
    const LANES: usize;
    /// Vectors in a panel.
    const GROUPS: usize = PANEL / Self::LANES;
    /// Columns of a matrix product that registers hold beside a block of weights.
    const COLUMNS: usize;
    /// [`Isa::dot`] takes weights as unsigned bytes of the whole range; else signed ones.
    const UNSIGNED: bool;
    /// Integers.
    type U: Copy;
    /// Floats.
    type F: Copy;

    /// Name for people.
    fn name(self) -> &'static str;

    /// Part `group` of a panel's word.
    fn load(self, words: &[u32; PANEL], group: usize) -> Self::U;
    /// A hint that words `at` will be wanted soon, if there are so many: the processor's own foresight ends with a page.
    #[inline(always)]
    fn prefetch(self, _words: &[[u32; PANEL]], _at: usize) {}
    /// The same word in every lane.
    fn splat(self, word: u32) -> Self::U;
    /// Bitwise and.
    fn and(self, a: Self::U, b: Self::U) -> Self::U;
    /// Bitwise or.
    fn or(self, a: Self::U, b: Self::U) -> Self::U;
    /// Bitwise exclusive or.
    fn xor(self, a: Self::U, b: Self::U) -> Self::U;
    /// Shift left by `by` < 32.
    fn shl(self, a: Self::U, by: u32) -> Self::U;
    /// Logical shift right by `by` < 32.
    fn shr(self, a: Self::U, by: u32) -> Self::U;
    /// Arithmetic shift right by `by` < 32.
    fn sar(self, a: Self::U, by: u32) -> Self::U;
    /// Wrapping sum.
    fn add(self, a: Self::U, b: Self::U) -> Self::U;
    /// Wrapping product.
    fn mul(self, a: Self::U, b: Self::U) -> Self::U;
    /// Byte `i` of the result is entry `a[i]` (below 16) of the table.
    fn lookup(self, table: [i8; 16], a: Self::U) -> Self::U;
    /// `acc` plus the sum of the products of the bytes of `w` and `x`, of which every lane has the same; `x` is signed and not -128,
    /// `w` as [`Isa::UNSIGNED`] says. Four words, because ARM multiplies by a lane of a vector of them.
    fn dot(self, acc: Self::U, w: [Self::U; 4], x: [u32; 4]) -> Self::U;
    /// As [`Isa::dot`] where every byte of `w` is from 0 to 127.
    fn dot_small(self, acc: Self::U, w: [Self::U; 4], x: [u32; 4]) -> Self::U;

    /// Signed integers as floats.
    fn to_f(self, a: Self::U) -> Self::F;
    /// Rounded to the nearest integer, ties to even; |a| < 2^31.
    fn round(self, a: Self::F) -> Self::U;
    /// Floats of these bits.
    fn as_f(self, a: Self::U) -> Self::F;
    /// The halves in the low 16 bits, as floats.
    fn half(self, a: Self::U) -> Self::F;
    /// The same number in every lane.
    fn splat_f(self, a: f32) -> Self::F;
    /// Sum.
    fn add_f(self, a: Self::F, b: Self::F) -> Self::F;
    /// Difference.
    fn sub_f(self, a: Self::F, b: Self::F) -> Self::F;
    /// Product.
    fn mul_f(self, a: Self::F, b: Self::F) -> Self::F;
    /// Quotient.
    fn div_f(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once where the processor can.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger.
    fn max_f(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller.
    fn min_f(self, a: Self::F, b: Self::F) -> Self::F;
    /// Magnitude.
    fn abs_f(self, a: Self::F) -> Self::F;
    /// The first [`Isa::LANES`] values.
    fn load_f(self, from: &[f32]) -> Self::F;
    /// The first [`Isa::LANES`] words, as floats.
    fn load_bits(self, from: &[u32]) -> Self::F;
    /// Two halves a word, the first [`Isa::LANES`] of them.
    fn load_halves(self, from: &[u32]) -> Self::F;
    /// Four signed bytes a word, the first [`Isa::LANES`] of them.
    fn load_bytes(self, from: &[u32]) -> Self::F;
    /// To the first [`Isa::LANES`] values.
    fn store_f(self, a: Self::F, to: &mut [f32]);
    /// To the first [`Isa::LANES`] words.
    fn store(self, a: Self::U, to: &mut [u32]);

    /// Sum of the lanes, in an order that is the same for every vector of this set.
    #[inline(always)]
    fn sum(self, a: Self::F) -> f32 {
        let mut lanes = [0.0; PANEL];
        self.store_f(a, &mut lanes);
        let mut n = Self::LANES;
        while n > 1 {
            n /= 2;
            for i in 0..n {
                lanes[i] += lanes[i + n];
            }
        }
        lanes[0]
    }

    /// Largest of the lanes.
    #[inline(always)]
    fn top(self, a: Self::F) -> f32 {
        let mut lanes = [0.0; PANEL];
        self.store_f(a, &mut lanes);
        let mut n = Self::LANES;
        while n > 1 {
            n /= 2;
            for i in 0..n {
                lanes[i] = if lanes[i + n] > lanes[i] {
                    lanes[i + n]
                } else {
                    lanes[i]
                };
            }
        }
        lanes[0]
    }
}
