//! Two recordings.

use std::path::PathBuf;

use ffsvc_cli::RunFiles;
use ffsvc_scoring::report::SourceFile;
use ffsvc_verification::{Decision, Rule, Voice};
use serde::Serialize;

use crate::PROGRAM;
use crate::decision::DecisionArgs;
use crate::heard::{HearingArgs, MeanArgs, describe};

#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Recording of the enrolled speaker
    #[arg(value_name = "A")]
    enrolment: PathBuf,

    /// Recording of the speaker in question
    #[arg(value_name = "B")]
    test: PathBuf,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What was found out about two recordings.
#[derive(Serialize)]
struct Comparison<'a> {
    program: &'static str,
    model: &'a SourceFile,
    enrolment: Voice,
    test: Voice,
    /// Store whose mean embedding was subtracted from both.
    mean_subtracted: Option<String>,
    #[serde(flatten)]
    decision: Decision,
    #[serde(flatten)]
    rule: Option<RuleUsed<'a>>,
}

/// The rule under the key of its kind.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum RuleUsed<'a> {
    Threshold(&'a ffsvc_scoring::threshold::Threshold),
    Calibration(&'a Rule),
}

impl Compare {
    pub(crate) fn run(
        &self,
        hearing: &HearingArgs,
        mean: &MeanArgs,
        decision: &DecisionArgs,
    ) -> anyhow::Result<()> {
        let recordings = RunFiles::new().input("A", [&self.enrolment]).input("B", [&self.test]);
        decision.of(mean.of(hearing.of(recordings))).check(self.json)?;
        // What is quickly read first: a wrong report costs no extraction.
        let rule = decision.rule(mean.store())?;
        let verifier = hearing.open_with(mean)?;
        decision.check_model(rule.as_ref(), &verifier)?;
        let enrolment = verifier.embed(&self.enrolment)?;
        let test = verifier.embed(&self.test)?;
        let decided = verifier.decide(&enrolment, &test, rule.as_ref())?;
        let same_speaker = decided.same_speaker;
        let mean_subtracted = mean.store().map(|path| path.display().to_string());
        if self.json {
            let used = rule.as_ref().map(|rule| match rule {
                Rule::Threshold(threshold) => RuleUsed::Threshold(threshold),
                other => RuleUsed::Calibration(other),
            });
            let model = verifier.model();
            let comparison = Comparison {
                program: PROGRAM,
                model,
                enrolment,
                test,
                mean_subtracted,
                decision: decided,
                rule: used,
            };
            ffsvc_cli::print_json(&comparison)?;
        } else {
            print!("{}{}", describe("enrolment", &enrolment), describe("test", &test));
            match (decided.score, mean_subtracted) {
                (Some(score), Some(store)) => {
                    println!("score      {score:.6} (cosine, minus the mean of {store})");
                }
                (Some(score), None) => println!("score      {score:.6} (cosine)"),
                (None, _) => println!("score      none"),
            }
            if let Some(llr) = decided.log_likelihood_ratio {
                println!("llr        {llr:.6} (log-likelihood ratio, natural logarithm)");
            }
            if let Some(rule) = &rule {
                println!("threshold  {rule}");
            }
            match (same_speaker, &decided.no_decision) {
                (Some(true), _) => println!("decision   same speaker"),
                (Some(false), _) => println!("decision   different speakers"),
                (None, reason) => println!("decision   none: {}", reason.as_deref().unwrap_or("unknown")),
            }
        }
        decision.exit(same_speaker);
        Ok(())
    }
}
