//! Arithmetic on int8 vectors.

/// Dot product of two int8 vectors; the longer one's tail is ignored.
///
/// Exact for up to 131,071 values. Takes AVX2 where the processor has it, with the same result.
#[must_use]
pub fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "a function compiled for AVX2 is unsafe to call from one that is not"
        )]
        // SAFETY: the processor was just seen to have AVX2, which is all that `dot_avx2` asks for.
        return unsafe { dot_avx2(a, b) };
    }
    dot_plain(a, b)
}

/// `dot_plain` with one multiply-add instruction per 16 values, which the compiler does not find itself.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_avx2(a: &[i8], b: &[i8]) -> i32 {
    use std::arch::x86_64::{
        __m256i, _mm_set_epi64x, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_extract_epi32,
        _mm256_madd_epi16, _mm256_setzero_si256,
    };

    #[target_feature(enable = "avx2")]
    fn widen(values: &[i8; 16]) -> __m256i {
        let bits = u128::from_le_bytes(values.map(|value| value as u8));
        _mm256_cvtepi8_epi16(_mm_set_epi64x((bits >> 64) as i64, bits as i64))
    }

    let len = a.len().min(b.len());
    let (a_blocks, a_tail) = a[..len].as_chunks();
    let (b_blocks, b_tail) = b[..len].as_chunks();
    let mut sums = _mm256_setzero_si256();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(widen(a), widen(b)));
    }
    let sums = [
        _mm256_extract_epi32::<0>(sums),
        _mm256_extract_epi32::<1>(sums),
        _mm256_extract_epi32::<2>(sums),
        _mm256_extract_epi32::<3>(sums),
        _mm256_extract_epi32::<4>(sums),
        _mm256_extract_epi32::<5>(sums),
        _mm256_extract_epi32::<6>(sums),
        _mm256_extract_epi32::<7>(sums),
    ];
    sums.iter().sum::<i32>() + dot_plain(a_tail, b_tail)
}

#[inline(always)]
fn dot_plain(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// Adds `weight` times an int8 row, given by its bytes, to `sum`.
///
/// Takes AVX2 where the processor has it, with the same result to the last bit.
pub(super) fn add_scaled(sum: &mut [f32], row: &[u8], weight: f32) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "a function compiled for AVX2 is unsafe to call from one that is not"
        )]
        // SAFETY: the processor was just seen to have AVX2, which is all that `add_scaled_avx2` asks for.
        return unsafe { add_scaled_avx2(sum, row, weight) };
    }
    add_scaled_plain(sum, row, weight);
}

/// `add_scaled_plain`, vectorised by the compiler for 256-bit registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_scaled_avx2(sum: &mut [f32], row: &[u8], weight: f32) {
    add_scaled_plain(sum, row, weight);
}

#[inline(always)]
fn add_scaled_plain(sum: &mut [f32], row: &[u8], weight: f32) {
    for (sum, &byte) in sum.iter_mut().zip(row) {
        *sum += f32::from(byte as i8) * weight;
    }
}

/// Rounds a vector to int8, together with the factor that scales it back: `values[i] * scale`.
///
/// The largest absolute value becomes 127, so that each value is off by at most half of `scale`. A zero
/// or empty vector has scale 0. The values are expected to be finite.
#[must_use]
pub fn quantise(vector: &[f32]) -> (Vec<i8>, f32) {
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return (vec![0; vector.len()], 0.0);
    }
    // Dividing rather than multiplying by 127 / largest, which overflows for the smallest numbers.
    let values = vector.iter().map(|value| (value / largest * 127.0).round() as i8).collect();
    (values, largest / 127.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudo-random int8 values, extremes included (Marsaglia's xorshift).
    fn noise(len: usize, seed: u32) -> Vec<i8> {
        let mut state = seed;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 24) as u8 as i8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn dot_equals_the_plain_loop_at_every_length() {
        for len in (0..=300).chain([383, 384, 385, 1_023, 4_096]) {
            let (a, b) = (noise(len, 0x9e37_79b9), noise(len, 0x85eb_ca6b));
            let expected: i64 = a.iter().zip(&b).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
            assert_eq!(i64::from(dot_i8(&a, &b)), expected, "length {len}");
            assert_eq!(i64::from(dot_plain(&a, &b)), expected, "length {len}");
        }
        assert_eq!(dot_i8(&[-128; 131_071], &[-128; 131_071]), 131_071 * 16_384);
        assert_eq!(dot_i8(&[2, 3, 4], &[5, 6]), 28);
    }

    #[test]
    fn rows_are_added_alike_at_every_length() {
        for len in 0..=100 {
            let row: Vec<u8> = noise(len, 0x9e37_79b9).iter().map(|&value| value as u8).collect();
            let (mut sum, mut plain) = (vec![0.1; len], vec![0.1; len]);
            add_scaled(&mut sum, &row, 0.37);
            add_scaled_plain(&mut plain, &row, 0.37);
            assert_eq!(sum, plain, "length {len}");
        }
        let mut sum = [1.0, 1.0];
        add_scaled(&mut sum, &[2, 255], 0.5);
        assert_eq!(sum, [2.0, 0.5]);
    }

    #[test]
    fn quantise_is_off_by_half_a_step_at_most() {
        let vector = [0.5, -1.0, 0.25, 0.0, 0.999];
        let (values, scale) = quantise(&vector);
        assert_eq!(values, [64, -127, 32, 0, 127]);
        for (value, quantised) in vector.iter().zip(values) {
            assert!((value - f32::from(quantised) * scale).abs() <= scale / 2.0 + f32::EPSILON);
        }
    }

    #[test]
    fn quantise_takes_zero_and_tiny_vectors() {
        assert_eq!(quantise(&[]), (vec![], 0.0));
        assert_eq!(quantise(&[0.0, -0.0]), (vec![0, 0], 0.0));
        assert_eq!(quantise(&[f32::MIN_POSITIVE, -f32::MIN_POSITIVE]).0, [127, -127]);
    }
}
