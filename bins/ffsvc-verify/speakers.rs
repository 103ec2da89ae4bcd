//! Enrolled speakers: enrol, claim, identify, list, remove.

use std::path::PathBuf;

use ffsvc_cli::{Range, RangeArg, RunFiles, print_json};
use ffsvc_verification::{Candidate, EnrolledRecording, EnrolledSpeaker, SpeakerDatabase, Verifier, Voice};
use serde::Serialize;
use tracing::warn;

use crate::PROGRAM;
use crate::decision::DecisionArgs;
use crate::heard::{HearingArgs, MeanArgs, describe};

/// Number of candidates.
const COUNT: Range<usize> = Range::at_least(1);

/// The folder of a speaker database.
#[derive(Debug, clap::Args)]
struct DatabaseArgs {
    /// Folder with the enrolled speakers
    #[arg(long, value_name = "FOLDER")]
    database: PathBuf,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl DatabaseArgs {
    /// Checks the files of a run that reads the database.
    fn check_read(&self, files: RunFiles) -> anyhow::Result<()> {
        files.input("--database", [&self.database]).check(self.json)?;
        Ok(())
    }

    /// Checks the files of a run that changes the database.
    fn check_written(&self, files: RunFiles) -> anyhow::Result<()> {
        files.output_folder("--database", [&self.database]).check(self.json)?;
        Ok(())
    }
}

/// Enrol a speaker with recordings, or add recordings to those that the speaker has
///
/// The database is made where there is none. It belongs to the model that it was made with.
#[derive(Debug, clap::Args)]
pub(crate) struct Enrol {
    /// Name of the speaker
    #[arg(value_name = "NAME")]
    name: String,

    /// Recordings of the speaker
    #[arg(value_name = "RECORDING", required = true)]
    recordings: Vec<PathBuf>,

    #[command(flatten)]
    hearing: HearingArgs,

    #[command(flatten)]
    database: DatabaseArgs,
}

/// Compare a recording with the speaker that somebody claims to be
#[derive(Debug, clap::Args)]
pub(crate) struct Claim {
    /// Name of the enrolled speaker
    #[arg(value_name = "NAME")]
    name: String,

    /// Recording of the speaker in question
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,

    #[command(flatten)]
    hearing: HearingArgs,

    #[command(flatten)]
    mean: MeanArgs,

    #[command(flatten)]
    database: DatabaseArgs,

    #[command(flatten)]
    decision: DecisionArgs,
}

/// Find out which enrolled speaker a recording is of
///
/// The nearest speakers are printed with their scores. With a threshold the answer is the nearest, or nobody if its score is below.
#[derive(Debug, clap::Args)]
pub(crate) struct Identify {
    /// The recording
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,

    /// Print at most so many speakers, the nearest first
    #[arg(long, value_name = "N", default_value_t = 5, range = COUNT)]
    show: usize,

    #[command(flatten)]
    hearing: HearingArgs,

    #[command(flatten)]
    mean: MeanArgs,

    #[command(flatten)]
    database: DatabaseArgs,

    #[command(flatten)]
    decision: DecisionArgs,
}

/// List the enrolled speakers
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Forget a speaker
#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    /// Name of the speaker
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Serialize)]
struct Enrolled<'a> {
    speaker: &'a str,
    recordings: Vec<&'a str>,
    speech_s: f64,
}

#[derive(Serialize)]
struct Identified<'a> {
    program: &'static str,
    test: &'a Voice,
    candidates: &'a [Candidate],
    /// Who it is; absent where it is nobody, or where there is no decision.
    identified: Option<&'a str>,
    no_decision: Option<&'a str>,
}

impl Enrol {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let recordings = RunFiles::new().input("RECORDING", &self.recordings);
        self.database.check_written(self.hearing.of(recordings))?;
        let verifier = self.hearing.open()?;
        let mut database = SpeakerDatabase::open_or_create(&self.database.database, verifier.model())?;
        let voices = self.recordings.iter().map(|recording| verifier.embed(recording));
        let voices = voices.collect::<ffsvc_verification::Result<Vec<_>>>()?;
        if let Some(reason) = voices.iter().find_map(|voice| verifier.why_undecidable(voice)) {
            anyhow::bail!("{reason}: nothing to enrol `{}` with", self.name);
        }
        let speaker = database.add(&self.name, &voices)?;
        let enrolled = enrolled(speaker);
        if self.database.json {
            return print_json(&enrolled);
        }
        for voice in &voices {
            print!("{}", describe("enrolment", voice));
        }
        println!(
            "enrolled   {}: {} recordings, {:.2} s of speech",
            enrolled.speaker,
            enrolled.recordings.len(),
            enrolled.speech_s
        );
        Ok(())
    }
}

impl Claim {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let recording = RunFiles::new().input("RECORDING", [&self.recording]);
        self.database.check_read(self.decision.of(self.mean.of(self.hearing.of(recording))))?;
        let rule = self.decision.rule(self.mean.store())?;
        let database = SpeakerDatabase::open(&self.database.database)?;
        database.speaker(&self.name)?;
        let verifier = self.hearing.open_with(&self.mean)?;
        self.decision.check_model(rule.as_ref(), &verifier)?;
        let voice = verifier.embed(&self.recording)?;
        warn_of_other_speech(&verifier, [database.speaker(&self.name)?]);
        let has_embedding = !voice.embedding.is_empty();
        let candidate = has_embedding.then(|| database.verify(&verifier, &self.name, &voice)).transpose()?;
        let score = candidate.map(|candidate| candidate.score);
        let decided = verifier.judge(score, [&voice], rule.as_ref())?;
        if self.database.json {
            print_json(&serde_json::json!({
                "program": PROGRAM,
                "speaker": self.name,
                "test": voice,
                "decision": decided,
            }))?;
        } else {
            print!("{}", describe("test", &voice));
            match decided.score {
                Some(score) => {
                    println!("score      {score:.6} (cosine with the mean of {}'s recordings)", self.name);
                }
                None => println!("score      none"),
            }
            if let Some(rule) = &rule {
                println!("threshold  {rule}");
            }
            match (decided.same_speaker, &decided.no_decision) {
                (Some(true), _) => println!("decision   it is {}", self.name),
                (Some(false), _) => println!("decision   it is not {}", self.name),
                (None, reason) => println!("decision   none: {}", reason.as_deref().unwrap_or("unknown")),
            }
        }
        self.decision.exit(decided.same_speaker);
        Ok(())
    }
}

impl Identify {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let recording = RunFiles::new().input("RECORDING", [&self.recording]);
        self.database.check_read(self.decision.of(self.mean.of(self.hearing.of(recording))))?;
        let rule = self.decision.rule(self.mean.store())?;
        let database = SpeakerDatabase::open(&self.database.database)?;
        let verifier = self.hearing.open_with(&self.mean)?;
        self.decision.check_model(rule.as_ref(), &verifier)?;
        let voice = verifier.embed(&self.recording)?;
        warn_of_other_speech(&verifier, database.speakers());
        let candidates = match voice.embedding.is_empty() {
            true => Vec::new(),
            false => database.identify(&verifier, &voice)?,
        };
        let best = candidates.first().map(|best| best.score);
        let decided = verifier.judge(best, [&voice], rule.as_ref())?;
        let shown = &candidates[..candidates.len().min(self.show)];
        let identified = candidates
            .first()
            .filter(|_| decided.same_speaker == Some(true))
            .map(|best| best.speaker.as_str());
        if self.database.json {
            let no_decision = decided.no_decision.as_deref();
            print_json(&Identified {
                program: PROGRAM,
                test: &voice,
                candidates: shown,
                identified,
                no_decision,
            })?;
        } else {
            print!("{}", describe("test", &voice));
            for candidate in shown {
                println!("score      {:.6}  {}", candidate.score, candidate.speaker);
            }
            if let Some(rule) = &rule {
                println!("threshold  {rule}");
            }
            match (identified, decided.same_speaker, &decided.no_decision) {
                (Some(speaker), ..) => println!("decision   {speaker}"),
                (None, Some(_), _) => println!("decision   nobody"),
                (None, None, reason) => {
                    println!("decision   none: {}", reason.as_deref().unwrap_or("unknown"))
                }
            }
        }
        self.decision.exit(decided.same_speaker);
        Ok(())
    }
}

impl List {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let database = SpeakerDatabase::open(&self.database.database)?;
        let speakers: Vec<Enrolled<'_>> = database.speakers().map(enrolled).collect();
        if self.database.json {
            return print_json(&serde_json::json!({ "model": database.model(), "speakers": speakers }));
        }
        for Enrolled { speaker, recordings, speech_s } in &speakers {
            println!("{speaker}: {} recordings, {speech_s:.2} s of speech", recordings.len());
        }
        println!("{} speakers, enrolled with {}", speakers.len(), database.model().path);
        Ok(())
    }
}

impl Remove {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        self.database.check_written(RunFiles::new())?;
        let mut database = SpeakerDatabase::open(&self.database.database)?;
        database.remove(&self.name)?;
        if self.database.json {
            return print_json(&serde_json::json!({ "removed": self.name, "left": database.len() }));
        }
        println!("removed {}; {} speakers left", self.name, database.len());
        Ok(())
    }
}

/// Warns if one of the speakers was enrolled with pauses and the verifier leaves them out, or the other way round.
fn warn_of_other_speech<'a>(verifier: &Verifier, speakers: impl IntoIterator<Item = &'a EnrolledSpeaker>) {
    let ours = verifier.speech_only();
    let recordings = speakers
        .into_iter()
        .flat_map(|speaker| speaker.recordings.iter().map(move |recording| (&speaker.name, recording)));
    let mut others = recordings.filter(|(_, recording)| recording.speech_only.as_deref() != ours);
    if let Some((name, EnrolledRecording { recording, speech_only, .. })) = others.next() {
        let words = |detector: Option<&str>| {
            detector.map_or_else(|| "not used".to_owned(), |detector| format!("`{detector}`"))
        };
        warn!(
            "--speech-only: it is {} here, and was {} when {name} was enrolled with {recording}",
            words(ours),
            words(speech_only.as_deref())
        );
    }
}

fn enrolled(speaker: &EnrolledSpeaker) -> Enrolled<'_> {
    Enrolled {
        speaker: &speaker.name,
        recordings: speaker.recordings.iter().map(|recording| recording.recording.as_str()).collect(),
        speech_s: speaker.recordings.iter().map(|recording| recording.speech_s).sum(),
    }
}
