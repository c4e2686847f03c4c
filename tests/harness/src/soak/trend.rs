//! What a process held, reconcile by reconcile -> the line that fits it best. Knows no process.

/// What the operator held when it had reconciled so often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) reconciles: f64,
    pub(super) rss_mib: f64,
    pub(super) files: f64,
}

/// A figure after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trend {
    pub(super) least: f64,
    pub(super) most: f64,
    /// How much it grew in 100,000 reconciles, by least squares.
    pub(super) slope: f64,
}

impl Trend {
    /// None of fewer than two samples, which have no line.
    pub(super) fn of(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> Option<Self> {
        let points: Vec<[f64; 2]> = samples
            .iter()
            .map(|sample| [sample.reconciles / 100_000.0, figure(sample)])
            .collect();
        let n = f64::from(u32::try_from(points.len()).ok()?);
        let mean = |of: fn(&[f64; 2]) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(|[x, _]| *x), mean(|[_, y]| *y));
        let spread: f64 = points.iter().map(|[at, _]| (at - x).powi(2)).sum();
        if spread == 0.0 {
            return None;
        }
        let along: f64 = points.iter().map(|[at, it]| (at - x) * (it - y)).sum();
        let figures = || points.iter().map(|[_, it]| *it);
        Some(Self {
            least: figures().fold(f64::INFINITY, f64::min),
            most: figures().fold(f64::NEG_INFINITY, f64::max),
            slope: along / spread,
        })
    }
}

/// The reconciles before these, until what grows once has grown: pools, the history of each object and, longest of all,
/// the 1,024 events that the operator counts for an hour. 500 objects make so many that differ within some 40,000
/// reconciles, of which 2 % fail.
pub(super) fn warm_up(n: u64) -> u64 {
    n / 2
}

/// The samples after the warm-up.
pub(super) fn warm(samples: &[Sample]) -> &[Sample] {
    let all = samples.last().map_or(0.0, |last| last.reconciles);
    let cold = samples
        .iter()
        .take_while(|sample| sample.reconciles < all / 3.0)
        .count();
    &samples[cold..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(reconciles: f64, rss_mib: f64) -> Sample {
        Sample {
            reconciles,
            rss_mib,
            files: 20.0,
        }
    }

    #[test]
    fn the_slope_is_that_of_the_line_that_fits_best() {
        let rss = |points: &[(f64, f64)]| {
            let samples: Vec<Sample> = points.iter().map(|(x, y)| sample(*x, *y)).collect();
            Trend::of(&samples, |sample| sample.rss_mib)
        };
        let flat = rss(&[(25_000.0, 8.0), (50_000.0, 9.0), (75_000.0, 8.0)]);
        assert_eq!(
            flat,
            Some(Trend {
                least: 8.0,
                most: 9.0,
                slope: 0.0
            })
        );
        let grows = rss(&[(0.0, 8.0), (50_000.0, 9.0), (100_000.0, 10.0)]);
        assert_eq!(grows.map(|trend| trend.slope), Some(2.0));
        assert_eq!(rss(&[]), None);
        assert_eq!(rss(&[(5.0, 8.0)]), None);
        assert_eq!(rss(&[(5.0, 8.0), (5.0, 9.0)]), None);
    }

    #[test]
    fn the_first_third_of_the_reconciles_is_the_warm_up() {
        assert_eq!(warm_up(200), 100);
        let samples = [0.0, 99.0, 100.0, 200.0, 300.0].map(|x| sample(x, 8.0));
        assert_eq!(warm(&samples), &samples[2..]);
        assert_eq!(warm(&[]), &[]);
    }
}
