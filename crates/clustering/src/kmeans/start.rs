//! Centres to begin with.

use rand::seq::index;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Centres, Start};
use crate::points::Points;
use crate::product::{Columns, LANES};
use crate::{Error, Result};

/// Points whose distances are summed at once: the blocks are the same on any number of threads.
const BLOCK: usize = 1024;
/// Rounds of k-means||, and points drawn in each for every cluster, of the paper's experiments.
const ROUNDS: usize = 5;
const OVERSAMPLING: f64 = 2.0;
/// Up to so many pairs of point and cluster, k-means++ takes less time than a few iterations do.
const PLUS_PLUS_PAIRS: usize = 20_000_000;

pub(super) fn centres(
    points: &Points,
    clusters: usize,
    start: &Start,
    rng: &mut ChaCha8Rng,
) -> Result<Centres> {
    let rows = match start {
        Start::Centres(centres) => return fitting(centres.clone(), points, clusters),
        Start::Rows(rows) => return fitting(at_rows(points, rows)?, points, clusters),
        Start::Random => {
            index::sample(rng, points.len(), clusters).into_iter().map(|row| row as u32).collect()
        }
        Start::Auto if points.len().saturating_mul(clusters) > PLUS_PLUS_PAIRS => {
            return Ok(parallel(points, clusters, rng));
        }
        Start::Auto | Start::PlusPlus => {
            let mut nearest = vec![f32::INFINITY; points.len()];
            draw(points, None, &mut nearest, clusters, rng)
        }
        Start::Parallel => return Ok(parallel(points, clusters, rng)),
    };
    Ok(Centres::new(points.select(&rows).data().to_vec(), points.dim()))
}

/// Centres that are points.
pub(super) fn at_rows(points: &Points, rows: &[u32]) -> Result<Centres> {
    if let Some(&row) = rows.iter().find(|&&row| row as usize >= points.len()) {
        let what = "the number of a point to start from, at most";
        return Err(Error::Mismatch { what, found: row as usize, expected: points.len() - 1 });
    }
    let data = rows.iter().flat_map(|&row| points.row(row as usize)).copied().collect();
    Ok(Centres::new(data, points.dim()))
}

/// Given centres, if they are as many as clusters are wanted and have the dimensions of the points.
fn fitting(centres: Centres, points: &Points, clusters: usize) -> Result<Centres> {
    for (what, found, expected) in [
        ("centres to start from", centres.len(), clusters),
        ("dimensions of the centres to start from", centres.dim(), points.dim()),
    ] {
        if found != expected {
            return Err(Error::Mismatch { what, found, expected });
        }
    }
    Ok(centres)
}

/// Adds `count` centres to fitted ones, drawn as by k-means++: a warm start for more clusters. `square_distances` are
/// those of the points from their centres.
pub(crate) fn add_centres(
    points: &Points,
    centres: &mut Centres,
    mut square_distances: Vec<f32>,
    count: usize,
    rng: &mut ChaCha8Rng,
) {
    for row in draw(points, None, &mut square_distances, count, rng) {
        centres.push(points.row(row as usize));
    }
}

/// Draws points by k-means++, the first uniformly if every `nearest` is infinite, and keeps `nearest` (the squared
/// distance from the nearest drawn one) up to date. With fewer different points than are wanted, some come again.
fn draw(
    points: &Points,
    weights: Option<&[f64]>,
    nearest: &mut [f32],
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<u32> {
    let n = points.len();
    let weight = |point: usize| weights.map_or(1.0, |weights| weights[point]);
    let trials = (2 + (count as f64).ln() as usize).min(LANES);
    let mut drawn = Vec::with_capacity(count);
    let mut distances = vec![0.0f32; n * LANES];
    while drawn.len() < count {
        let first = nearest[0].is_infinite();
        // Cumulated over blocks, then within one: a draw reads one block.
        let mass = |point: usize| weight(point) * if first { 1.0 } else { f64::from(nearest[point]) };
        let sums: Vec<f64> = (0..n.div_ceil(BLOCK))
            .into_par_iter()
            .map(|block| (block * BLOCK..n.min((block + 1) * BLOCK)).map(mass).sum())
            .collect();
        let total: f64 = sums.iter().sum();
        let candidates: Vec<u32> = (0..if first { 1 } else { trials })
            .map(|_| {
                let mut left = rng.random::<f64>() * total;
                let block = sums.iter().position(|&sum| {
                    let here = left < sum;
                    left -= if here { 0.0 } else { sum };
                    here
                });
                let begin = block.map_or(0, |block| block * BLOCK);
                let within = (begin..n.min(begin + BLOCK)).find(|&point| {
                    left -= mass(point);
                    left < 0.0
                });
                within.unwrap_or(n.min(begin + BLOCK) - 1) as u32
            })
            .collect();
        let potentials = distances_to(points, &candidates, nearest, weights, &mut distances);
        let best =
            (0..candidates.len()).min_by(|&a, &b| potentials[a].total_cmp(&potentials[b])).unwrap_or(0);
        drawn.push(candidates[best]);
        for (nearest, distances) in nearest.iter_mut().zip(distances.as_chunks::<LANES>().0) {
            *nearest = nearest.min(distances[best]);
        }
        nearest[candidates[best] as usize] = 0.0;
    }
    drawn
}

/// The squared distance of every point from each candidate to `out` (`[n, LANES]`), and for each candidate what the sum
/// of the (weighted) distances from the nearest drawn point would be with it.
fn distances_to(
    points: &Points,
    candidates: &[u32],
    nearest: &[f32],
    weights: Option<&[f64]>,
    out: &mut [f32],
) -> [f64; LANES] {
    let chosen = points.select(candidates);
    let columns = Columns::in_order(chosen.data(), points.dim());
    let dim = points.dim();
    let blocks: Vec<[f64; LANES]> = out
        .par_chunks_mut(BLOCK * LANES)
        .enumerate()
        .map(|(block, out)| {
            let first = block * BLOCK;
            let n = out.len() / LANES;
            columns.dot(&points.data()[first * dim..][..n * dim], 0, LANES, out);
            let mut potentials = [0.0; LANES];
            for (at, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                let point = first + at;
                let weight = weights.map_or(1.0, |weights| weights[point]);
                for (lane, potential) in potentials.iter_mut().enumerate() {
                    let score = out[lane] - columns.half_norms()[lane];
                    out[lane] = (points.square_norms()[point] - 2.0 * score).max(0.0);
                    *potential += weight * f64::from(out[lane].min(nearest[point]));
                }
            }
            potentials
        })
        .collect();
    let mut potentials = [0.0; LANES];
    for block in blocks {
        potentials.iter_mut().zip(block).for_each(|(sum, part)| *sum += part);
    }
    potentials
}

/// k-means||: candidates in rounds, then k-means++ among them.
fn parallel(points: &Points, clusters: usize, rng: &mut ChaCha8Rng) -> Centres {
    let n = points.len();
    let seed = rng.random::<u64>();
    let mut candidates = vec![rng.random_range(0..n as u32)];
    // The squared distance from the nearest candidate, and which one it is.
    let mut nearest = vec![(f32::INFINITY, 0u32); n];
    let mut known = 0;
    for round in 0..=ROUNDS {
        approach(points, &candidates, known, &mut nearest);
        known = candidates.len();
        if round == ROUNDS {
            break;
        }
        let sums: Vec<f64> = nearest
            .par_chunks(BLOCK)
            .map(|block| block.iter().map(|&(square, _)| f64::from(square)).sum())
            .collect();
        let factor = OVERSAMPLING * clusters as f64 / sums.iter().sum::<f64>();
        let drawn: Vec<Vec<u32>> = nearest
            .par_chunks(BLOCK)
            .enumerate()
            .map(|(block, distances)| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(((round as u64) << 32) + block as u64);
                let chosen = distances.iter().enumerate().filter(|(_, (square, _))| {
                    let chance = rng.random::<f64>();
                    *square > 0.0 && chance < f64::from(*square) * factor
                });
                chosen.map(|(at, _)| (block * BLOCK + at) as u32).collect()
            })
            .collect();
        candidates.extend(drawn.concat());
    }
    if candidates.len() < clusters {
        // Hardly any different points: nothing to choose from.
        let mut distances: Vec<f32> = nearest.into_iter().map(|(square, _)| square).collect();
        let more = draw(points, None, &mut distances, clusters - candidates.len(), rng);
        candidates.extend(more);
        return Centres::new(points.select(&candidates).data().to_vec(), points.dim());
    }
    let mut weights = vec![0.0; candidates.len()];
    nearest.iter().for_each(|&(_, candidate)| weights[candidate as usize] += 1.0);
    let chosen = points.select(&candidates);
    let mut distances = vec![f32::INFINITY; chosen.len()];
    let rows = draw(&chosen, Some(&weights), &mut distances, clusters, rng);
    Centres::new(chosen.select(&rows).data().to_vec(), points.dim())
}

/// Brings `nearest` up to date for the candidates from number `known` on.
fn approach(points: &Points, candidates: &[u32], known: usize, nearest: &mut [(f32, u32)]) {
    let dim = points.dim();
    // Columns at once: the products of a block stay in the cache.
    for first in (known..candidates.len()).step_by(16 * LANES) {
        let some = &candidates[first..candidates.len().min(first + 16 * LANES)];
        let columns = Columns::in_order(points.select(some).data(), dim);
        let width = columns.half_norms().len();
        nearest.par_chunks_mut(BLOCK).enumerate().for_each_init(Vec::new, |products, (block, nearest)| {
            let begin = block * BLOCK;
            products.resize(nearest.len() * width, 0.0);
            columns.dot(&points.data()[begin * dim..][..nearest.len() * dim], 0, width, products);
            for (at, (nearest, products)) in nearest.iter_mut().zip(products.chunks_exact(width)).enumerate()
            {
                let norm = points.square_norms()[begin + at];
                for (column, &product) in products.iter().enumerate().take(some.len()) {
                    let square = (norm - 2.0 * (product - columns.half_norms()[column])).max(0.0);
                    if square < nearest.0 {
                        *nearest = (square, (first + column) as u32);
                    }
                }
            }
        });
    }
    for (number, &candidate) in candidates.iter().enumerate().skip(known) {
        nearest[candidate as usize] = (0.0, number as u32);
    }
}
