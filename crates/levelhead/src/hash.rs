//! The FxHash of rustc: fast, and not for keys that somebody could choose to collide.

/// One step; the upper bits are the well-mixed ones.
#[inline(always)]
pub(crate) fn step(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x51_7c_c1_b7_27_22_0a_95)
}
