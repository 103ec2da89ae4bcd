//! Repeats a stage of scoring when asked, so that a script can time it beside others: `benches/peers/scoring.py`.
//!
//! `scoring_server DIR` reads lines `STAGE COUNT` and answers each with `done`. `DIR` holds `trials` and
//! `embeddings.safetensors`, and as tensors of embeddings `rows.safetensors` and `cohort.safetensors`.

use std::io::{BufRead, Write};
use std::path::Path;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{TrialColumns, TrialReader};
use ffsvc_scoring::metrics::{DcfParameters, Definition, Measures, evaluate};
use ffsvc_scoring::{Cohort, ScoreNorm, Scorer, Side, StreamOptions};

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

/// Reads, scores and measures, all of it from files if `embeddings` are not given.
fn score(dir: &Path, embeddings: Option<&Embeddings>) -> Anyhow<f64> {
    let read;
    let embeddings = match embeddings {
        Some(embeddings) => embeddings,
        None => {
            read = Embeddings::read(dir.join("embeddings.safetensors"))?;
            &read
        }
    };
    let side = Side::new(embeddings);
    let trials = TrialReader::open(dir.join("trials"), TrialColumns::Auto)?;
    let found = Scorer::new(side, side, None)?.score_stream(trials, StreamOptions::new(), &mut [])?;
    measure(&found.target, &found.nontarget)
}

fn measure(target: &[f32], nontarget: &[f32]) -> Anyhow<f64> {
    let metrics = evaluate(target, nontarget, Definition::Tied, &Measures::new(&[DcfParameters::default()]))?;
    Ok(metrics.eer)
}

/// Ten million scores, of which one in ten is a target's: sums of four uniform numbers.
fn scores() -> (Vec<f32>, Vec<f32>) {
    let mut state = 1_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let mut draw = |count: usize, shift: f32| -> Vec<f32> {
        (0..count).map(|_| shift + (0..4).map(|_| uniform()).sum::<f32>() / 8.0).collect()
    };
    (draw(1_000_000, 0.2), draw(9_000_000, 0.0))
}

fn main() -> Anyhow<()> {
    let dir = std::env::args().nth(1).ok_or("give the folder with the data")?;
    let dir = Path::new(&dir);
    let embeddings = Embeddings::read(dir.join("embeddings.safetensors"))?;
    let rows = Embeddings::read(dir.join("rows.safetensors"))?;
    let members = Embeddings::read(dir.join("cohort.safetensors"))?;
    let cohort = Cohort::new(ScoreNorm::AsNorm, Side::new(&members), None, None)?;
    let (target, nontarget) = scores();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (stage, count) = line.split_once(' ').ok_or("expected 'STAGE COUNT'")?;
        for _ in 0..count.parse()? {
            let result = match stage {
                "files" => score(dir, None)?,
                "score" => score(dir, Some(&embeddings))?,
                "metrics" => measure(&target, &nontarget)?,
                "as-norm" => cohort.statistics(rows.data())[0].mean,
                _ => return Err(format!("unknown stage {stage:?}").into()),
            };
            std::hint::black_box(result);
        }
        println!("done");
        std::io::stdout().flush()?;
    }
    Ok(())
}
