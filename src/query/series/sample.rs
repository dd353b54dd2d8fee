//! Values at heights, and a way to reduce their number without changing how they look when drawn.

/// The greatest number of points in a series.
pub(crate) const MAX_POINTS: usize = 1500;

/// A value at a height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The height.
    pub height: u32,
    /// The value at the height.
    pub value: f64,
}

/// Reduces samples to at most `most`, which look the same when drawn. A `most` below 4 counts as 4.
///
/// Keeps the first and the last sample. Divides the samples into columns, and keeps the lowest and the highest of each.
pub(crate) fn downsample(samples: Vec<Sample>, most: usize) -> Vec<Sample> {
    if samples.len() <= most {
        return samples;
    }
    let columns = (most.max(4) - 2) / 2;
    let size = samples.len().div_ceil(columns);
    let mut kept: Vec<Sample> = Vec::with_capacity(most);
    kept.extend(samples.first().copied());
    for column in samples.chunks(size) {
        let by_value = |a: &&Sample, b: &&Sample| a.value.total_cmp(&b.value);
        let ends = [column.iter().min_by(by_value), column.iter().max_by(by_value)];
        let [Some(lowest), Some(highest)] = ends else { continue };
        let (earlier, later) =
            if lowest.height <= highest.height { (lowest, highest) } else { (highest, lowest) };
        kept.extend([*earlier, *later]);
    }
    kept.extend(samples.last().copied());
    kept.dedup_by_key(|sample| sample.height);
    kept
}

#[cfg(test)]
mod tests {
    use super::{Sample, downsample};
    use proptest::prelude::{any, prop, proptest};

    proptest! {
        #[test]
        fn ends_and_extremes_survive_in_order(
            values in prop::collection::vec(any::<i16>(), 1..2000), most in 4_usize..300,
        ) {
            let samples: Vec<Sample> = (0..).zip(&values)
                .map(|(height, value)| Sample { height, value: f64::from(*value) })
                .collect();
            let kept = downsample(samples.clone(), most);
            assert!(kept.len() <= most.max(4), "{}", kept.len());
            assert!(kept.windows(2).all(|pair| pair[0].height < pair[1].height));
            assert!(kept.iter().all(|sample| samples.contains(sample)));
            assert_eq!((kept.first(), kept.last()), (samples.first(), samples.last()));
            let extremes = |samples: &[Sample]| {
                let values = samples.iter().map(|sample| sample.value);
                (values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max))
            };
            assert_eq!(extremes(&kept), extremes(&samples));
        }
    }
}
