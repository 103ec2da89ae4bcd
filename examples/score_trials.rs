//! A trial list and embeddings to EER and minDCF: `score_trials TRIALS STORE`.

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{TrialColumns, Trials};
use ffsvc_scoring::metrics::{self, DcfParameters, Definition, Measures};
use ffsvc_scoring::{Side, score_trials};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, store] = &arguments[..] else { anyhow::bail!("usage: score_trials TRIALS STORE") };
    let trials = Trials::read(list, TrialColumns::Auto)?;
    let embeddings = Embeddings::read(store)?;
    let side = Side { embeddings: &embeddings, mean: None };
    let scored = score_trials(&trials, side, side, false)?;

    let labels = trials.labels.as_ref().ok_or_else(|| anyhow::anyhow!("{list}: no labels"))?;
    let of_class = |wanted: bool| -> Vec<f64> {
        scored.scores.iter().filter(|(place, _)| labels[*place] == wanted).map(|(_, score)| score).collect()
    };
    let measures = Measures::new(&[DcfParameters::new(0.01, 1.0, 1.0)?]);
    let metrics = metrics::evaluate(&of_class(true), &of_class(false), Definition::Tied, &measures)?;
    println!("EER {:.2} %, minDCF(0.01) {:.4}", 100.0 * metrics.eer, metrics.min_dcf[0].cost);
    Ok(())
}
