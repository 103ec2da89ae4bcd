//! Clusters a matrix for `benches/peers/clustering.py`: reads lines `fit`,
//! `iterations=N [plain]` (without bounds) or `ahc`, and answers each with a line of numbers when it is done.
//!
//! Arguments: a file of little-endian 32-bit rows, their dimension, a file with the rows to start from (32-bit numbers).

use std::io::BufRead;

use ffsvc_clustering::ahc::{Linkage, Tree};
use ffsvc_clustering::{KMeans, KMeansOptions, Points, Start};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, rows, dim, start] = arguments.as_slice() else {
        return Err("expected: ROWS DIM START".into());
    };
    let bytes = std::fs::read(rows)?;
    let data = bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    drop(bytes);
    let points = Points::new(data, dim.parse()?)?;
    let start: Vec<u32> =
        std::fs::read(start)?.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_ascii_whitespace();
        let what = words.next().unwrap_or_default();
        if what == "ahc" {
            println!("{} 0 0", Tree::build(&points, Linkage::Average)?.merges().len());
            continue;
        }
        let max_iterations = match what.split_once('=') {
            Some(("iterations", count)) => count.parse()?,
            _ => usize::MAX,
        };
        let options = KMeansOptions {
            start: Start::Rows(start.clone()),
            tolerance: 0.0,
            max_iterations,
            refinements: 0,
            bounds: words.next() != Some("plain"),
            ..KMeansOptions::new(start.len())
        };
        let fit = KMeans::fit(&points, &options)?;
        println!("{} {} {}", fit.iterations, fit.inertia, checksum(&fit.labels));
    }
    Ok(())
}

/// Tells one labelling from another.
fn checksum(labels: &[u32]) -> u64 {
    labels
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &label| (sum ^ u64::from(label)).wrapping_mul(0x0100_0000_01b3))
}
