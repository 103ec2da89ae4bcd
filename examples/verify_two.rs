//! Two recordings to a score and a decision: `verify_two MODEL A.wav B.wav THRESHOLD`.

use ffsvc_scoring::threshold::Threshold;
use ffsvc_verification::{Rule, Verifier};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, a, b, threshold] = &arguments[..] else {
        anyhow::bail!("usage: verify_two MODEL A.wav B.wav THRESHOLD")
    };
    let rule = Rule::Threshold(Threshold::given(threshold.parse()?));
    let verifier = Verifier::open(model)?;
    let (a, b) = (verifier.embed(a)?, verifier.embed(b)?);
    let decision = verifier.decide(&a, &b, Some(&rule))?;
    if let Some(score) = decision.score {
        println!("score {score:.6}");
    }
    match (decision.same_speaker, decision.no_decision) {
        (Some(true), _) => println!("same speaker"),
        (Some(false), _) => println!("different speakers"),
        (None, reason) => println!("no decision: {}", reason.unwrap_or_default()),
    }
    Ok(())
}
