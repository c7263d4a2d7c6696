use super::Algorithm;

/// T20. The library refuses these as well; this is the check that does not depend on it.
#[test]
fn signatures_have_a_shape() {
    let ones = |bytes: usize| vec![1; bytes];
    let halves = |r: u8, s: u8| [[r; 32], [s; 32]].concat();
    for (algorithm, signature, expected) in [
        (Algorithm::Es256, halves(1, 1), true),
        (Algorithm::Es256, halves(0, 0), false),
        (Algorithm::Es256, halves(0, 1), false),
        (Algorithm::Es256, halves(1, 0), false),
        (Algorithm::Es256, ones(63), false),
        (Algorithm::Es256, ones(70), false),
        (Algorithm::EdDsa, ones(64), true),
        (Algorithm::EdDsa, ones(65), false),
        (Algorithm::Hs256, ones(32), true),
        (Algorithm::Hs256, ones(31), false),
        (Algorithm::Rs256, ones(256), true),
        (Algorithm::Rs256, vec![0; 256], false),
        (Algorithm::Ps256, Vec::new(), false),
    ] {
        assert_eq!(algorithm.is_shape_of(&signature), expected, "{algorithm:?} {signature:?}");
    }
}
