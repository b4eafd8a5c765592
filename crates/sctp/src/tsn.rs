//! Sequence numbers that wrap on the wire and do not in here.

/// A transmission sequence number counted in 64 bits; the wire carries the lower 32.
pub(crate) type Tsn = u64;

/// The number that `wire` stands for, taken as close to `near` as there is one (RFC 1982).
pub(crate) fn widen(near: Tsn, wire: u32) -> Tsn {
    let distance = wire.wrapping_sub(narrow(near)).cast_signed();
    near.wrapping_add_signed(i64::from(distance))
}

/// What the wire carries.
pub(crate) fn narrow(tsn: Tsn) -> u32 {
    (tsn & 0xffff_ffff) as u32
}

/// The number a side starts with. It begins one whole round above zero, so that what lies before it is a number too.
pub(crate) fn first(wire: u32) -> Tsn {
    (1 << 32) | u64::from(wire)
}

/// Whether stream sequence number `a` comes after `b` (RFC 1982).
pub(crate) fn is_after(a: u16, b: u16) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_again_on_both_sides_of_a_wrap() {
        let start = first(0xffff_fff0);
        for distance in [0, 1, 0x20, 0x7fff_ffff] {
            assert_eq!(widen(start, narrow(start + distance)), start + distance);
            assert_eq!(widen(start + distance, narrow(start)), start);
        }
        assert_eq!(widen(first(0), 0xffff_ffff), first(0) - 1);
        assert!(is_after(0, 0xffff) && !is_after(0xffff, 0) && !is_after(7, 7));
    }
}
