//! From a value to a place between left and right.

/// An axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// From nothing to this.
    Linear(f64),
    /// From the first to the second.
    Log(f64, f64),
}

impl Scale {
    /// Linear, to the next tick behind the largest value.
    pub(super) fn up_to(most: f64) -> Self {
        let step = step(most);
        Self::Linear((most / step).ceil().max(1.0) * step)
    }

    /// Logarithmic, from `least` to the next power of ten.
    pub(super) fn decades(least: f64, most: f64) -> Self {
        Self::Log(least, 10f64.powf(most.max(least * 10.0).log10().ceil()))
    }

    pub(super) fn place(self, value: f64, (left, right): (i32, i32)) -> i32 {
        let part = match self {
            Self::Linear(most) => value / most,
            Self::Log(least, most) => (value.max(least) / least).log10() / (most / least).log10(),
        };
        left + (part.clamp(0.0, 1.0) * f64::from(right - left)).round() as i32
    }

    pub(super) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear(most) => {
                let step = step(most);
                (0..=(most / step).round() as usize).map(|tick| tick as f64 * step).collect()
            }
            Self::Log(least, most) => {
                let decades = (least.log10().ceil() as i32)..=(most.log10().round() as i32);
                decades.map(|decade| 10f64.powi(decade)).collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten: four to eight of them make the axis.
fn step(most: f64) -> f64 {
    let rough = most.max(f64::MIN_POSITIVE) / 8.0;
    let decade = 10f64.powf(rough.log10().floor());
    let fits = |step: &f64| step * decade >= rough;
    [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0) * decade
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_behind_its_largest_value() {
        assert_eq!(Scale::up_to(28.8), Scale::Linear(30.0));
        assert_eq!(Scale::up_to(28.8).ticks(), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(Scale::decades(0.5, 134.0), Scale::Log(0.5, 1000.0));
        assert_eq!(Scale::decades(0.5, 134.0).ticks(), [1.0, 10.0, 100.0, 1000.0]);
    }

    #[test]
    fn values_are_placed_by_their_axis() {
        assert_eq!(Scale::Linear(30.0).place(15.0, (100, 300)), 200);
        assert_eq!(Scale::Log(1.0, 100.0).place(10.0, (100, 300)), 200);
        assert_eq!(Scale::Log(1.0, 100.0).place(-3.0, (100, 300)), 100);
    }
}
