//! Exact values: prices and sizes of any scale compared and added without a float.
//!
//! A venue writes `185.4`, another `185.40`: the same price with other digits. Everything here compares the numbers and
//! keeps the digits, so that what a client sees is what a venue wrote.

use std::cmp::Ordering;

/// The finest scale of a record that is believed; finer ones are damage.
pub const SCALE_MAX: u8 = crate::decimal::MAX_SCALE;

const POWERS: [i128; SCALE_MAX as usize + 1] = {
    let mut powers = [1i128; SCALE_MAX as usize + 1];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// A price as a record holds it: `mantissa / 10^scale`.
pub type Price = crate::decimal::Decimal;

/// The order of two prices, whatever their digits.
#[must_use]
#[inline]
pub fn order(left: Price, right: Price) -> Ordering {
    if left.scale == right.scale {
        left.mantissa.cmp(&right.mantissa)
    } else {
        left.compare(right)
    }
}

/// A sum, a difference or a price: `mantissa / 10^scale` in 128 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Amount {
    pub mantissa: i128,
    pub scale: u8,
}

impl From<Price> for Amount {
    #[inline]
    fn from(price: Price) -> Self {
        Self {
            mantissa: price.mantissa.into(),
            scale: price.scale,
        }
    }
}

impl Amount {
    #[must_use]
    pub fn new(mantissa: impl Into<i128>, scale: u8) -> Self {
        Self {
            mantissa: mantissa.into(),
            scale,
        }
    }

    /// The mantissa at a finer scale; `None` where 128 bits do not hold it.
    #[inline]
    fn at(self, scale: u8) -> Option<i128> {
        self.mantissa
            .checked_mul(*POWERS.get(usize::from(scale - self.scale))?)
    }

    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.at(scale), other.at(scale)) {
            (Some(left), Some(right)) => left.cmp(&right),
            // Only the coarser one can overflow, and then its magnitude is beyond anything the other can hold.
            (None, _) => self.mantissa.cmp(&0),
            (_, None) => 0.cmp(&other.mantissa),
        }
    }

    #[must_use]
    #[inline]
    pub fn same(self, other: Self) -> bool {
        self.compare(other) == Ordering::Equal
    }

    /// The exact sum at the finer of the two scales; digits beyond 128 bits are cut off.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut scale = self.scale.max(other.scale);
        loop {
            if let (Some(left), Some(right)) = (self.cut(scale), other.cut(scale))
                && let Some(mantissa) = left.checked_add(right)
            {
                return Self { mantissa, scale };
            }
            if scale == 0 {
                // 10^38 of anything: no market's number, and no reason to stop the others.
                let limit = if self.mantissa < 0 {
                    i128::MIN
                } else {
                    i128::MAX
                };
                return Self {
                    mantissa: limit,
                    scale,
                };
            }
            scale -= 1;
        }
    }

    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self {
            mantissa: other.mantissa.saturating_neg(),
            scale: other.scale,
        })
    }

    /// The mantissa at any scale; digits finer than it are cut off.
    fn cut(self, scale: u8) -> Option<i128> {
        if scale >= self.scale {
            self.at(scale)
        } else {
            Some(
                POWERS
                    .get(usize::from(self.scale - scale))
                    .map_or(0, |power| self.mantissa / power),
            )
        }
    }

    /// `self / |base|` in percent, rounded half to even to 4 digits behind the point, of which at least 2 are kept.
    /// `None` for a base of 0.
    #[must_use]
    pub fn percent_of(self, base: Self) -> Option<Self> {
        if base.mantissa == 0 {
            return None;
        }
        let (mut above, mut below) = (self, base);
        let (dividend, divisor) = loop {
            let scale = above.scale.max(below.scale);
            if let (Some(left), Some(right)) = (above.at(scale), below.at(scale))
                && let Some(dividend) = left.checked_mul(1_000_000)
                && right.unsigned_abs() <= i128::MAX as u128 / 2
            {
                break (dividend, right.abs());
            }
            // Beyond 128 bits: a digit of both makes no difference in the fourth decimal of a percentage.
            above.mantissa /= 10;
            below.mantissa /= 10;
            if below.mantissa == 0 {
                return None;
            }
        };
        let mut mantissa = dividend.div_euclid(divisor);
        let twice = dividend.rem_euclid(divisor) * 2;
        if twice > divisor || (twice == divisor && mantissa % 2 != 0) {
            mantissa += 1;
        }
        let mut scale = 4;
        while scale > 2 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Some(Self { mantissa, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_do_not_matter_and_scales_align() {
        assert!(Amount::new(1854, 1).same(Amount::new(18540, 2)));
        assert_eq!(
            order(Price::new(1854, 1), Price::new(18541, 2)),
            Ordering::Less
        );
        assert_eq!(
            Amount::new(15, 1).plus(Amount::new(1, 3)),
            Amount::new(1501, 3)
        );
        assert_eq!(
            Amount::new(15, 1).minus(Amount::new(2, 0)),
            Amount::new(-5, 1)
        );
    }

    #[test]
    fn beyond_128_bits_orders_and_saturates() {
        let huge = Amount::new(i128::MAX, 0);
        let tiny = Amount::new(1, SCALE_MAX);
        assert_eq!(huge.compare(tiny), Ordering::Greater);
        assert_eq!(tiny.compare(huge), Ordering::Less);
        assert_eq!(Amount::new(i128::MIN, 0).compare(tiny), Ordering::Less);
        assert_eq!(huge.plus(huge).mantissa, i128::MAX);
        assert_eq!(huge.plus(tiny), huge);
    }

    #[test]
    fn percentages_round_half_to_even() {
        let percent =
            |change: i64, base: i64| Amount::new(change, 2).percent_of(Amount::new(base, 2));
        assert_eq!(percent(100, 10000), Some(Amount::new(100, 2)));
        assert_eq!(percent(1, 3), Some(Amount::new(333_333, 4)));
        assert_eq!(percent(-1, 3), Some(Amount::new(-333_333, 4)));
        assert_eq!(percent(1, 0), None);
        // 1/2,000,000 = 0.00005 %: the even neighbour is 0; 3/2,000,000 = 0.00015 %: 0.0002.
        assert_eq!(percent(1, 2_000_000), Some(Amount::new(0, 2)));
        assert_eq!(percent(3, 2_000_000), Some(Amount::new(2, 4)));
        assert_eq!(percent(-1, 2_000_000), Some(Amount::new(0, 2)));
        // A fall from a negative price is a fall.
        assert_eq!(percent(-100, -1000), Some(Amount::new(-1000, 2)));
        assert_eq!(
            Amount::new(i64::MAX, 0)
                .percent_of(Amount::new(i64::MAX, 18))
                .map(|it| it.scale),
            Some(2)
        );
    }

    /// The slow way: digits as text, padded to the same number of decimals.
    fn padded(mantissa: i64, scale: u8) -> i128 {
        let zeros = "0".repeat(usize::from(18 - scale));
        format!("{mantissa}{zeros}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn compare_and_sum_agree_with_padded_digits(a in any::<i64>(), b in any::<i64>(), s in 0u8..=18, t in 0u8..=18) {
            let (left, right) = (padded(a, s), padded(b, t));
            prop_assert_eq!(order(Price::new(a, s), Price::new(b, t)), left.cmp(&right));
            let sum = Amount::new(a, s).plus(Amount::new(b, t));
            prop_assert_eq!(sum.scale, s.max(t));
            prop_assert_eq!(sum.at(18), Some(left + right));
            let back = sum.minus(Amount::new(b, t));
            prop_assert!(back.same(Amount::new(a, s)));
        }
    }
}
