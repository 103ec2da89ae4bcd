//! The range of the baseline's notebook (K from 10 to 1,990) at the size of its data, 823,726 x 256, beside exact K-means.
//!
//! Arguments: points, points to fit centres to, the step from K to K, the values of K for exact K-means (`10,200,1000`). Prints a line for each K and
//! what it took: seconds, processor time of all threads, and the most memory so far. The points are of 1,000 speakers of
//! unequal sizes with 50 rooms that they share, as in `benches/peers/clustering.py`.

use std::time::Instant;

use ffsvc_clustering::knee::{knee, propose};
use ffsvc_clustering::validity::{IntraCosine, intra_cosine};
use ffsvc_clustering::{KMeans, KMeansOptions, Points, SweepOptions, sweep};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

const DIM: usize = 256;
const SPEAKERS: usize = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, count, subsample, step, exact] = arguments.as_slice() else {
        return Err("expected: POINTS SUBSAMPLE STEP K,K,...".into());
    };
    let (points, _) = embeddings(count.parse()?)?.in_content_order();
    println!("{} points; {}", points.len(), spent()?);

    let kmeans =
        KMeansOptions { subsample: Some(subsample.parse()?), refinements: 2, ..KMeansOptions::new(10) };
    let options = SweepOptions { kmeans, ..SweepOptions::new(10, 1990, step.parse()?) };
    let begun = Instant::now();
    let mut done = 0;
    let measured = sweep(&points, &options, || {
        done += 1;
        eprintln!("{done} values of K, {:.0} s", begun.elapsed().as_secs_f64());
    })?;
    println!("sweep: {:.0} s; {}", begun.elapsed().as_secs_f64(), spent()?);
    for point in &measured {
        let IntraCosine { per_cluster, per_utterance } = point.intra_cosine;
        println!(
            "sweep {} {per_cluster:.5} {per_utterance:.5} {:.1} {}",
            point.clusters, point.inertia, point.iterations
        );
    }
    for proposal in propose(&measured, 10, 1990) {
        println!("proposal {:?} {}", proposal.criterion, proposal.clusters);
    }

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for clusters in exact.split(',') {
        let clusters: usize = clusters.parse()?;
        let begun = Instant::now();
        let fit = KMeans::fit(&points, &KMeansOptions::compat(clusters))?;
        let IntraCosine { per_cluster, per_utterance } = intra_cosine(&points, &fit.centres, &fit.labels);
        println!(
            "exact {clusters} {per_cluster:.5} {per_utterance:.5} {:.1} {} {:.0} s; {}",
            fit.inertia,
            fit.iterations,
            begun.elapsed().as_secs_f64(),
            spent()?
        );
        theirs.push((clusters as f64, per_cluster));
        let same = measured.iter().find(|point| point.clusters == clusters);
        ours.extend(same.map(|point| (clusters as f64, point.intra_cosine.per_cluster)));
    }
    println!(
        "knee at these K: sweep {:?}, exact {:?}",
        knee(&ours).map(|at| ours[at].0),
        knee(&theirs).map(|at| theirs[at].0)
    );
    Ok(())
}

/// About normal.
fn noise(rng: &mut ChaCha8Rng) -> f32 {
    let sum: u32 = rng.random::<u64>().to_le_bytes().into_iter().map(u32::from).sum();
    // Eight bytes: mean 1020, variance 8 (256^2 - 1) / 12.
    (sum as f32 - 1020.0) / 209.02
}

fn embeddings(count: usize) -> Result<Points, ffsvc_clustering::Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut rows = |count: usize| -> Vec<f32> { (0..count * DIM).map(|_| noise(&mut rng)).collect() };
    let (means, rooms) = (rows(SPEAKERS), rows(50));
    let mut ends: Vec<f64> =
        (0..SPEAKERS).map(|_| -(1.0 - rng.random::<f64>()).ln() - (1.0 - rng.random::<f64>()).ln()).collect();
    for speaker in 1..SPEAKERS {
        ends[speaker] += ends[speaker - 1];
    }
    let mut data = vec![0.0; count * DIM];
    data.par_chunks_mut(DIM).enumerate().for_each(|(number, row)| {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        rng.set_stream(number as u64);
        let at = rng.random::<f64>() * ends[SPEAKERS - 1];
        let speaker = ends.partition_point(|&end| end <= at).min(SPEAKERS - 1);
        let room = rng.random_range(0..50);
        let mean = means[speaker * DIM..].iter().zip(&rooms[room * DIM..]);
        for (value, (mean, room)) in row.iter_mut().zip(mean) {
            *value = mean + 0.4 * room + 0.9 * noise(&mut rng);
        }
    });
    Points::length_normalised(data, DIM)
}

/// Processor time and the most memory so far, as Linux tells.
fn spent() -> std::io::Result<String> {
    let fields = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = fields.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(format!("{:.0} s of processor time so far, at most {}", ticks / 100.0, most.trim()))
}
