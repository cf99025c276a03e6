//! AVX-512 with byte dot products, and AVX2.
#![allow(
    unsafe_code,
    reason = "intrinsics are called where the type proves that the processor has them"
)]

use crate::isa::{by_words, first};
use crate::level::Op;
use crate::methods::with;
use crate::{Isa, PANEL};
use bytemuck::must_cast;
use std::arch::x86_64::*;

/// AVX-512 (F, BW, VL, VNNI): Ice Lake and Zen 4 on. Made by [`Avx512::detect`] only.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

/// AVX2, FMA and F16C: nearly every processor since 2013. Made by [`Avx2::detect`] only.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && Avx2::detect().is_some();
        has.then_some(Self(()))
    }

    pub(crate) fn run<O: Op>(self, op: O) -> O::Out {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
        fn inner<O: Op>(isa: Avx512, op: O) -> O::Out {
            op.call(isa)
        }
        // SAFETY: an `Avx512` exists only where detection found all of these.
        unsafe { inner(self, op) }
    }
}

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }

    pub(crate) fn run<O: Op>(self, op: O) -> O::Out {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn inner<O: Op>(isa: Avx2, op: O) -> O::Out {
            op.call(isa)
        }
        // SAFETY: an `Avx2` exists only where detection found all of these.
        unsafe { inner(self, op) }
    }
}

#[inline(always)]
fn prefetch(words: &[[u32; PANEL]], at: usize) {
    let ahead = words.as_ptr().wrapping_add(at).cast::<i8>();
    // SAFETY: a hint: any address may be given, and every processor of this kind has the instruction.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead) }
}

impl Isa for Avx512 {
    const LANES: usize = 16;
    const COLUMNS: usize = 8;
    const UNSIGNED: bool = true;
    type U = __m512i;
    type F = __m512;

    fn name(self) -> &'static str {
        "AVX-512 VNNI"
    }

    #[inline(always)]
    fn prefetch(self, words: &[[u32; PANEL]], at: usize) {
        prefetch(words, at);
    }
    #[inline(always)]
    fn load(self, words: &[u32; PANEL], _group: usize) -> __m512i {
        must_cast(*words)
    }
    #[inline(always)]
    fn load_f(self, from: &[f32]) -> __m512 {
        must_cast(first::<16, _>(from))
    }
    #[inline(always)]
    fn load_bits(self, from: &[u32]) -> __m512 {
        must_cast(first::<16, _>(from))
    }
    #[inline(always)]
    fn store_f(self, a: __m512, to: &mut [f32]) {
        to[..16].copy_from_slice(&must_cast::<_, [f32; 16]>(a));
    }
    #[inline(always)]
    fn store(self, a: __m512i, to: &mut [u32]) {
        to[..16].copy_from_slice(&must_cast::<_, [u32; 16]>(a));
    }

    #[inline(always)]
    fn dot_small(self, acc: __m512i, w: [__m512i; 4], x: [u32; 4]) -> __m512i {
        self.dot(acc, w, x)
    }

    with! {
        fn load_halves(from: &[u32]) -> __m512 = _mm512_cvtph_ps(must_cast(first::<8, _>(from)));
        fn load_bytes(from: &[u32]) -> __m512 =
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(must_cast(first::<4, _>(from))));
        fn splat(word: u32) -> __m512i = _mm512_set1_epi32(word.cast_signed());
        fn and(a: __m512i, b: __m512i) -> __m512i = _mm512_and_si512(a, b);
        fn or(a: __m512i, b: __m512i) -> __m512i = _mm512_or_si512(a, b);
        fn xor(a: __m512i, b: __m512i) -> __m512i = _mm512_xor_si512(a, b);
        fn shl(a: __m512i, by: u32) -> __m512i = _mm512_sll_epi32(a, _mm_cvtsi32_si128(by.cast_signed()));
        fn shr(a: __m512i, by: u32) -> __m512i = _mm512_srl_epi32(a, _mm_cvtsi32_si128(by.cast_signed()));
        fn sar(a: __m512i, by: u32) -> __m512i = _mm512_sra_epi32(a, _mm_cvtsi32_si128(by.cast_signed()));
        fn add(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi32(a, b);
        fn mul(a: __m512i, b: __m512i) -> __m512i = _mm512_mullo_epi32(a, b);
        fn lookup(table: [i8; 16], a: __m512i) -> __m512i =
            _mm512_shuffle_epi8(_mm512_broadcast_i32x4(must_cast(table)), a);
        fn dot(acc: __m512i, w: [__m512i; 4], x: [u32; 4]) -> __m512i =
            by_words(acc, w, x, |acc, w, x| _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(x.cast_signed())));
        fn to_f(a: __m512i) -> __m512 = _mm512_cvtepi32_ps(a);
        fn round(a: __m512) -> __m512i = _mm512_cvtps_epi32(a);
        fn as_f(a: __m512i) -> __m512 = _mm512_castsi512_ps(a);
        fn half(a: __m512i) -> __m512 = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a));
        fn splat_f(a: f32) -> __m512 = _mm512_set1_ps(a);
        fn add_f(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        fn sub_f(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        fn mul_f(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        fn div_f(a: __m512, b: __m512) -> __m512 = _mm512_div_ps(a, b);
        fn fma(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        fn max_f(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        fn min_f(a: __m512, b: __m512) -> __m512 = _mm512_min_ps(a, b);
        fn abs_f(a: __m512) -> __m512 = _mm512_abs_ps(a);
        fn sum(a: __m512) -> f32 = _mm512_reduce_add_ps(a);
        fn top(a: __m512) -> f32 = _mm512_reduce_max_ps(a);
    }
}

impl Isa for Avx2 {
    const LANES: usize = 8;
    const COLUMNS: usize = 4;
    const UNSIGNED: bool = false;
    type U = __m256i;
    type F = __m256;

    fn name(self) -> &'static str {
        "AVX2"
    }

    #[inline(always)]
    fn prefetch(self, words: &[[u32; PANEL]], at: usize) {
        prefetch(words, at);
    }
    #[inline(always)]
    fn load(self, words: &[u32; PANEL], group: usize) -> __m256i {
        must_cast(first::<8, _>(&words[8 * group..]))
    }
    #[inline(always)]
    fn load_f(self, from: &[f32]) -> __m256 {
        must_cast(first::<8, _>(from))
    }
    #[inline(always)]
    fn load_bits(self, from: &[u32]) -> __m256 {
        must_cast(first::<8, _>(from))
    }
    #[inline(always)]
    fn store_f(self, a: __m256, to: &mut [f32]) {
        to[..8].copy_from_slice(&must_cast::<_, [f32; 8]>(a));
    }
    #[inline(always)]
    fn store(self, a: __m256i, to: &mut [u32]) {
        to[..8].copy_from_slice(&must_cast::<_, [u32; 8]>(a));
    }

    with! {
        fn load_halves(from: &[u32]) -> __m256 = _mm256_cvtph_ps(must_cast(first::<4, _>(from)));
        fn load_bytes(from: &[u32]) -> __m256 = {
            let [a, b] = first::<2, _>(from);
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(must_cast([a, b, 0, 0])))
        };
        fn splat(word: u32) -> __m256i = _mm256_set1_epi32(word.cast_signed());
        fn and(a: __m256i, b: __m256i) -> __m256i = _mm256_and_si256(a, b);
        fn or(a: __m256i, b: __m256i) -> __m256i = _mm256_or_si256(a, b);
        fn xor(a: __m256i, b: __m256i) -> __m256i = _mm256_xor_si256(a, b);
        fn shl(a: __m256i, by: u32) -> __m256i = _mm256_sll_epi32(a, _mm_cvtsi32_si128(by.cast_signed()));
        fn shr(a: __m256i, by: u32) -> __m256i = _mm256_srl_epi32(a, _mm_cvtsi32_si128(by.cast_signed()));
        fn sar(a: __m256i, by: u32) -> __m256i = _mm256_sra_epi32(a, _mm_cvtsi32_si128(by.cast_signed()));
        fn add(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(a, b);
        fn mul(a: __m256i, b: __m256i) -> __m256i = _mm256_mullo_epi32(a, b);
        fn lookup(table: [i8; 16], a: __m256i) -> __m256i =
            _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(must_cast(table)), a);
        // Magnitudes as the unsigned operand: two products of at most 128 * 127 stay within 16 bits.
        fn dot(acc: __m256i, w: [__m256i; 4], x: [u32; 4]) -> __m256i = by_words(acc, w, x, |acc, w, x| {
            let x = _mm256_set1_epi32(x.cast_signed());
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
            _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        });
        fn dot_small(acc: __m256i, w: [__m256i; 4], x: [u32; 4]) -> __m256i = by_words(acc, w, x, |acc, w, x| {
            let pairs = _mm256_maddubs_epi16(w, _mm256_set1_epi32(x.cast_signed()));
            _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        });
        fn to_f(a: __m256i) -> __m256 = _mm256_cvtepi32_ps(a);
        fn round(a: __m256) -> __m256i = _mm256_cvtps_epi32(a);
        fn as_f(a: __m256i) -> __m256 = _mm256_castsi256_ps(a);
        fn half(a: __m256i) -> __m256 = {
            let low = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
            let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(low, low));
            _mm256_cvtph_ps(_mm256_castsi256_si128(packed))
        };
        fn splat_f(a: f32) -> __m256 = _mm256_set1_ps(a);
        fn add_f(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        fn sub_f(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        fn mul_f(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        fn div_f(a: __m256, b: __m256) -> __m256 = _mm256_div_ps(a, b);
        fn fma(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        fn max_f(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        fn min_f(a: __m256, b: __m256) -> __m256 = _mm256_min_ps(a, b);
        fn abs_f(a: __m256) -> __m256 = _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
    }
}
