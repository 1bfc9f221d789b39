//! Choosing by weight.

/// Where chance comes from: each call gives 64 random bits.
pub type Random<'a> = &'a mut dyn FnMut() -> u64;

/// A weighted sample without replacement: the places of at most `count` of the weights, none twice, none of weight zero, in
/// the order in which they were drawn.
///
/// It looks at each weight once, as Efraimidis and Spirakis showed ("Weighted random sampling with a reservoir", 2006): give each
/// an exponentially distributed wait, shorter with more weight, and take those that come first.
pub fn pick(weights: &[u64], count: usize, random: Random<'_>) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let mut waits: Vec<(f64, usize)> = weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight > 0)
        .map(|(place, weight)| (wait(*weight, random), place))
        .collect();
    if count < waits.len() {
        waits.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0));
        waits.truncate(count);
    }
    waits.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    waits.into_iter().map(|(_, place)| place).collect()
}

/// The place of one of the weights, in proportion to it; `None` if all are zero.
pub fn pick_one(weights: &[u64], random: Random<'_>) -> Option<usize> {
    let total = weights.iter().map(|weight| u128::from(*weight)).sum::<u128>();
    // A sum over 2^64 takes some ten edges that claim to be without limit; the last bits of chance hardly matter then.
    let total = u64::try_from(total).unwrap_or(u64::MAX);
    let mut left = below(total, random)?;
    weights.iter().position(|weight| {
        let here = left < *weight;
        left = left.saturating_sub(*weight);
        here
    })
}

/// A number from 0 to `limit` exclusive; `None` if there is none. It favours none of them by more than `limit` in 2^64.
pub(super) fn below(limit: u64, random: Random<'_>) -> Option<u64> {
    if limit == 0 {
        return None;
    }
    let scaled = (u128::from(random()) * u128::from(limit)) >> 64;
    // Less than `limit`, so it fits.
    u64::try_from(scaled).ok()
}

fn wait(weight: u64, random: Random<'_>) -> f64 {
    // 53 bits fill a float's fraction; adding one leaves out the zero, whose logarithm is no number.
    let uniform = ((random() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    -uniform.ln() / weight as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pool::testing::Dice;

    /// How often each place comes first, and how often at all, in so many samples of `count`.
    fn frequencies(weights: &[u64], count: usize, samples: u32) -> (Vec<f64>, Vec<f64>) {
        let mut dice = Dice::new(11);
        let (mut first, mut any) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
        for _ in 0..samples {
            let picked = pick(weights, count, &mut || dice.roll());
            first[picked[0]] += 1.0 / f64::from(samples);
            picked
                .iter()
                .for_each(|place| any[*place] += 1.0 / f64::from(samples));
        }
        (first, any)
    }

    #[test]
    fn one_comes_as_often_as_its_weight_says() {
        let (first, _) = frequencies(&[1, 2, 3, 4], 1, 20_000);
        for (found, expected) in first.iter().zip([0.1, 0.2, 0.3, 0.4]) {
            assert!((found - expected).abs() < 0.02, "{first:?}");
        }
    }

    #[test]
    fn a_sample_of_two_is_two_draws_without_the_first() {
        let (first, any) = frequencies(&[1, 1, 2], 2, 20_000);
        assert!((first[2] - 0.5).abs() < 0.02, "{first:?}");
        // The heavy one is missing when both light ones were drawn: 1/4 × 1/3, in two orders.
        assert!((any[2] - (1.0 - 2.0 / 12.0)).abs() < 0.02, "{any:?}");
    }

    #[test]
    fn a_single_pick_follows_the_weights_too() {
        let mut dice = Dice::new(5);
        let mut seen = [0_u32; 3];
        for _ in 0..20_000 {
            seen[pick_one(&[3, 0, 1], &mut || dice.roll()).unwrap()] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((14_600..15_400).contains(&seen[0]), "{seen:?}");
        assert_eq!(pick_one(&[], &mut || 7), None);
        assert_eq!(pick_one(&[0, 0], &mut || 7), None);
        assert!(pick_one(&[u64::MAX, u64::MAX], &mut || u64::MAX).is_some());
    }

    proptest! {
        #[test]
        fn no_place_comes_twice_and_none_of_weight_zero(
            weights in prop::collection::vec(prop_oneof![Just(0), 1..100_u64, any::<u64>()], 0..60),
            count in 0..30_usize,
            seed in any::<u64>(),
        ) {
            let mut dice = Dice::new(seed);
            let picked = pick(&weights, count, &mut || dice.roll());
            let possible = weights.iter().filter(|weight| **weight > 0).count();
            prop_assert_eq!(picked.len(), count.min(possible));
            prop_assert!(picked.iter().all(|place| weights[*place] > 0));
            let mut unique = picked.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), picked.len());
            if let Some(one) = pick_one(&weights, &mut || dice.roll()) {
                prop_assert!(weights[one] > 0);
            }
        }
    }
}
