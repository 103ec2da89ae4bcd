//! Centres that follow small samples: [D. Sculley, *Web-scale k-means clustering*, WWW 2010](https://doi.org/10.1145/1772690.1772862).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::assign::Assignment;
use super::{Centres, KMeansOptions, Metric};
use crate::distance::square_distances;
use crate::points::Points;
use crate::sums::ClusterSums;

/// Samples without a lower smoothed inertia after which it ends: scikit-learn's `max_no_improvement`.
const PATIENCE: usize = 10;

/// Centres, and how many points each has followed so far.
struct Followers {
    centres: Centres,
    weights: Vec<f64>,
}

impl Followers {
    /// Moves each centre to the mean of all points that it has followed, those of this sample included. Returns the
    /// sample's inertia before the step.
    fn step(&mut self, sample: &Points, metric: Metric) -> f64 {
        let (labels, moves) = Assignment::once(sample, &self.centres);
        let distances = square_distances(sample, &self.centres, &labels);
        let mut sums = ClusterSums::new(sample, self.centres.len());
        sums.apply(sample, &moves);
        for (cluster, weight) in self.weights.iter_mut().enumerate() {
            let count = sums.counts()[cluster] as f64;
            if count == 0.0 {
                continue;
            }
            let old = self.centres.row(cluster).iter().map(|&value| f64::from(value) * *weight);
            let new = old.zip(sums.sum(cluster)).map(|(old, sum)| ((old + sum) / (*weight + count)) as f32);
            let new: Vec<f32> = new.collect();
            self.centres.set(cluster, &new);
            *weight += count;
        }
        if metric == Metric::Spherical {
            self.centres.normalise();
        }
        distances.iter().map(|&square| f64::from(square)).sum()
    }
}

/// Follows samples of `size` points. It ends when the inertia of the samples, smoothed over about a pass through the
/// points, stays as it is. It also ends after as many points as `max_iterations` passes have. Returns the centres, the
/// number of samples, and whether it ended by itself.
pub(super) fn follow(
    points: &Points,
    mut centres: Centres,
    size: usize,
    options: &KMeansOptions,
    rng: &mut ChaCha8Rng,
) -> (Centres, usize, bool) {
    if options.metric == Metric::Spherical {
        centres.normalise();
    }
    let size = size.min(points.len());
    let n = points.len() as f64;
    let samples = (options.max_iterations as f64 * n / size as f64).ceil().max(1.0) as usize;
    // As scikit-learn smooths.
    let share = (2.0 * size as f64 / (n + 1.0)).min(1.0);
    let mut followers = Followers { weights: vec![0.0; centres.len()], centres };
    let (mut smoothed, mut least, mut without) = (None::<f64>, f64::INFINITY, 0);
    for done in 1..=samples {
        let rows: Vec<u32> = (0..size).map(|_| rng.random_range(0..points.len() as u32)).collect();
        let inertia = followers.step(&points.select(&rows), options.metric) / size as f64;
        // The first says only where the centres began.
        if done > 1 {
            let now = smoothed.map_or(inertia, |before| before * (1.0 - share) + inertia * share);
            smoothed = Some(now);
            without = if now < least { 0 } else { without + 1 };
            least = least.min(now);
        }
        if without >= PATIENCE {
            return (followers.centres, done, true);
        }
    }
    (followers.centres, samples, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_centre_is_the_mean_of_all_points_that_it_has_followed() {
        let mut followers = Followers { centres: Centres::new(vec![0.0, 10.0], 1), weights: vec![0.0; 2] };
        let sample = |rows: &[f32]| Points::new(rows.to_vec(), 1).unwrap();
        assert_eq!(followers.step(&sample(&[1.0, 3.0, 11.0]), Metric::Euclidean), 1.0 + 9.0 + 1.0);
        assert_eq!(followers.centres.data(), [2.0, 11.0]);
        // scikit-learn 1.9.1: MiniBatchKMeans(2, init=[[0], [10]], n_init=1, reassignment_ratio=0).partial_fit of
        // [1, 3, 11], then of [5, 13, 13], has the centres 3 and 12.3333333.
        followers.step(&sample(&[5.0, 13.0, 13.0]), Metric::Euclidean);
        assert_eq!(followers.centres.data(), [3.0, 37.0 / 3.0]);
        assert_eq!(followers.weights, [3.0, 3.0]);
    }
}
