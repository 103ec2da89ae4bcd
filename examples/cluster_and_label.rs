//! Embeddings to pseudo-speakers: `cluster_and_label STORE K`, lines `utterance speaker`.

use ffsvc_clustering::{Assignments, KMeans, KMeansOptions, LabelOptions, Points, label};
use ffsvc_embeddings::Embeddings;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, clusters] = &arguments[..] else { anyhow::bail!("usage: cluster_and_label STORE K") };
    let embeddings = Embeddings::read(store)?;
    let dim = embeddings.dim();
    let (names, rows) = embeddings.into_parts();
    let points = Points::length_normalised(rows, dim)?;
    let fit = KMeans::fit(&points, &KMeansOptions::new(clusters.parse()?))?;

    // Keep the half of each cluster that is nearest to its centre.
    let assignments = Assignments::new(names.clone(), &points, &fit.centres, &fit.labels, 1)?;
    let options = LabelOptions { keep_share: 0.5, ..LabelOptions::default() };
    let (labels, report) = label(&assignments, None, &options)?;
    eprintln!("{} of {} utterances kept", report.kept, names.len());
    for (name, label) in names.iter().zip(labels) {
        if let Some(cluster) = label {
            println!("{name} cluster{cluster}");
        }
    }
    Ok(())
}
