//! How fast something grows, told in spite of bursts.
//!
//! Memory in use goes up with what is in flight and down again, so single values say little; what stays says it. [`floors`] takes the least of
//! each window, and [`theil_sen`] the median of the slopes between all pairs of them: a third of them may be as wrong as they like.

/// The least value of each window, at the time where it was.
pub(super) fn floors(points: &[(f64, f64)], window: f64) -> Vec<(f64, f64)> {
    let mut floors: Vec<(f64, f64)> = Vec::new();
    let mut of = f64::NEG_INFINITY;
    for &(at, value) in points {
        let this = (at / window).floor();
        match floors.last_mut() {
            Some(least) if this == of => {
                if value < least.1 {
                    *least = (at, value);
                }
            }
            _ => floors.push((at, value)),
        }
        of = this;
    }
    floors
}

/// The median of the slopes between all pairs; 0 where there is none.
pub(super) fn theil_sen(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::new();
    for (at, one) in points.iter().enumerate() {
        let later = points.iter().skip(at + 1).filter(|other| other.0 > one.0);
        slopes.extend(later.map(|other| (other.1 - one.1) / (other.0 - one.0)));
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::{floors, theil_sen};

    /// A process as this test sees it: 90 looks, one a second, with bursts upwards by `noise` at most.
    fn process(leak_per_s: f64, noise: f64, seed: u64) -> Vec<(f64, f64)> {
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        // Most looks see little of the bursts, some see all.
        (0..90).map(|at| (f64::from(at), 80_000.0 + leak_per_s * f64::from(at) + noise * random().powi(3))).collect()
    }

    #[test]
    fn a_line_has_its_slope() {
        let line: Vec<_> = (0..20).map(|at| (f64::from(at), 7.0 + 3.0 * f64::from(at))).collect();
        assert!((theil_sen(&line) - 3.0).abs() < 1e-9);
        assert_eq!((theil_sen(&[]), theil_sen(&[(1.0, 1.0)])), (0.0, 0.0));
    }

    #[test]
    fn a_quarter_of_wild_values_changes_nothing() {
        let line = (0..40).map(|at| (f64::from(at), if at % 4 == 1 { 1e9 } else { 2.0 * f64::from(at) }));
        let slope = theil_sen(&line.collect::<Vec<_>>());
        assert!((slope - 2.0).abs() < 0.5, "{slope}");
    }

    #[test]
    fn a_floor_is_the_least_of_its_window() {
        let points = [(0.0, 5.0), (1.0, 3.0), (2.0, 4.0), (5.0, 9.0), (9.0, 8.0), (10.0, 1.0)];
        assert_eq!(floors(&points, 5.0), [(1.0, 3.0), (9.0, 8.0), (10.0, 1.0)]);
    }

    /// In KiB: bursts of 8 MiB, and a leak of 200 bytes in each of 150 requests a second, or none.
    #[test]
    fn a_leak_is_told_from_bursts() {
        let leak = 200.0 * 150.0 / 1024.0;
        for seed in 0..200 {
            let slope = |leak| theil_sen(&floors(&process(leak, 8_192.0, seed), 5.0));
            let (without, with) = (slope(0.0), slope(leak));
            assert!(without.abs() < leak / 2.0 && with > leak / 2.0, "{seed}: {without} {with}");
        }
    }
}
