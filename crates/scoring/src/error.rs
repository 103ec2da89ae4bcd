//! What can go wrong between a trial list and an error rate.

use ffsvc_embeddings::MixedModels;
use ffsvc_kaldi_io::NameList;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why scores or their error rates could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A trial list, embedding store or score file could not be read or written.
    #[error(transparent)]
    File(#[from] ffsvc_kaldi_io::Error),

    /// The error rate of a class without trials is undefined.
    #[error(
        "found {target} target and {nontarget} non-target trials, expected at least one of each: \
         an error rate of a class without trials is undefined"
    )]
    MissingClass {
        /// Number of target trials.
        target: usize,
        /// Number of non-target trials.
        nontarget: usize,
    },

    /// A score is NaN, which has no place in an ordering.
    #[error(
        "the score of {trial} is NaN, expected a number: look at the embeddings or the program that made it"
    )]
    NanScore {
        /// The trial: its names or its place.
        trial: String,
    },

    /// An option, prior or cost out of range.
    #[error("{name} is {value}, expected {expected}")]
    Option {
        /// The option.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is possible.
        expected: &'static str,
    },

    /// Two sets of embeddings, or a set and a vector, that do not belong together.
    #[error("{what} have {found} dimensions, expected {expected}: they come from different models")]
    Dimension {
        /// Which vectors.
        what: &'static str,
        /// Their length.
        found: usize,
        /// The length that they should have.
        expected: usize,
    },

    /// Embeddings of different models do not belong together.
    #[error(transparent)]
    MixedModels(MixedModels),

    /// A threshold of another model's trials.
    #[error("{what} is of trials of {trained}, not of {found}: scores of two models have nothing in common")]
    OtherModel {
        /// What is used: the threshold of a report, a calibration.
        what: String,
        /// Its model.
        trained: String,
        /// The model that is used.
        found: String,
    },

    /// A mean was asked of a store without embeddings.
    #[error("the store whose mean is to be subtracted holds no embedding")]
    EmptyMean,

    /// Two domains of one name.
    #[error("the domain {name} is given twice")]
    RepeatedDomain {
        /// The name.
        name: String,
    },

    /// Domains are given in two ways.
    #[error(
        "domains have their own means and cohorts: no other mean is subtracted, and no other cohort is taken, beside them"
    )]
    DomainsWithMean,

    /// Scores are to be normalised by the domains' cohorts, and there are no domains.
    #[error("the cohort is to be that of each domain, and no domains are given")]
    NoDomains,

    /// The examples of the domains do not vary.
    #[error(
        "the examples of the domains are all alike, so that no embedding tells its domain; give a table of domains"
    )]
    DomainsAlike,

    /// PLDA compares averages of embeddings.
    #[error("PLDA compares averages of embeddings, not of directions: average embeddings or scores")]
    DirectionsWithPlda,

    /// A cohort normalises cosines only.
    #[error("a cohort normalises cosines, and the back end compares by PLDA")]
    CohortWithPlda,

    /// No trial of a list was scored, so there is no result.
    #[error("none of the {trials} trials of {list} has a score: there is nothing to report")]
    NothingScored {
        /// The list.
        list: String,
        /// Number of trials in it.
        trials: usize,
    },

    /// Confidence intervals are over speakers.
    #[error("confidence intervals are over speakers, and no table of speakers was given")]
    IntervalsWithoutSpeakers,

    /// Break-downs or intervals of trials that were not kept.
    #[error("break-downs and confidence intervals need the trials, which were not kept")]
    TrialsNotKept,

    /// Pairs of utterances that a list has both as target and as non-target trials.
    #[error(
        "{list}: found {} pairs of utterances both as target and as non-target, expected one label for a pair: {pairs}",
        pairs.total()
    )]
    ContradictoryLabels {
        /// The list.
        list: String,
        /// The pairs.
        pairs: NameList,
    },

    /// A cohort that is too small for what is asked of it.
    #[error(
        "the cohort has {size} members and the highest {top} scores are to count, expected at least two of each, and no more \
         scores than members: use a larger cohort, or let fewer scores count"
    )]
    Cohort {
        /// Members of the cohort.
        size: usize,
        /// How many scores should count.
        top: usize,
    },

    /// Utterances of a cohort whose speaker is not known.
    #[error("{} of {of} cohort utterances have no speaker in {utt2spk}: {utterances}", utterances.total())]
    CohortSpeakers {
        /// The table of speakers.
        utt2spk: String,
        /// Utterances in the cohort.
        of: usize,
        /// Those without speaker.
        utterances: NameList,
    },

    /// An utterance whose scores with a cohort are all the same, so no other score can be measured by their spread.
    #[error(
        "the scores of {utterance} with the cohort are all {score}: its embedding is zero, or the cohort's are copies of one"
    )]
    NoSpread {
        /// The utterance.
        utterance: String,
        /// The score.
        score: f64,
    },

    /// Trials whose utterances have no embedding.
    #[error(
        "{trials} of {of} trials cannot be scored: no embedding for {utterances}; \
         extract them, or leave these trials out"
    )]
    MissingEmbeddings {
        /// Number of trials concerned.
        trials: usize,
        /// Number of trials in the list.
        of: usize,
        /// The utterances without embedding.
        utterances: NameList,
    },

    /// Embeddings whose domain, or its mean, is not known.
    #[error(
        "{} utterances have no domain in {utt2domain}, or one (in brackets) of which there is no embedding to make a \
         mean of: {utterances}; add them, or subtract one mean for all", utterances.total()
    )]
    NoDomain {
        /// The table of domains.
        utt2domain: String,
        /// The utterances concerned.
        utterances: NameList,
    },

    /// Enrolled speakers of whom an utterance has no embedding.
    #[error(
        "{models} of {of} models of {list} are incomplete: no embedding for {utterances}; \
         extract them, or leave these models out"
    )]
    IncompleteModels {
        /// The enrolment list.
        list: String,
        /// Number of models concerned.
        models: usize,
        /// Number of models in the list.
        of: usize,
        /// The utterances without embedding.
        utterances: NameList,
    },

    /// Trials whose enrolment side is no model of the enrolment list.
    #[error(
        "{} names on the enrolment side of the trials are no models of {list}: {models}", models.total()
    )]
    UnknownModels {
        /// The enrolment list.
        list: String,
        /// The names.
        models: NameList,
    },

    /// Nothing can be learnt from a training set.
    #[error(
        "found embeddings of {utterances} utterances of {speakers} speakers of {utt2spk}, expected at least two \
         speakers and a speaker with two utterances"
    )]
    TrainingSet {
        /// Utterances with embedding and speaker.
        utterances: usize,
        /// Their speakers.
        speakers: usize,
        /// The table of speakers.
        utt2spk: String,
    },

    /// A covariance that cannot be inverted.
    #[error(
        "{what} cannot be inverted: the training set has too few utterances for its dimensions; \
         use more, or reduce the dimensions (LDA)"
    )]
    Singular {
        /// Which.
        what: &'static str,
    },

    /// CORAL needs the covariance of the new domain to have full rank.
    #[error(
        "the covariance of {utterances} embeddings in {dim} dimensions is singular, which CORAL cannot use: \
         use more embeddings, or coral-plus or kaldi"
    )]
    TooFewToAdapt {
        /// Number of embeddings.
        utterances: usize,
        /// Their dimension.
        dim: usize,
    },

    /// PLDA was asked of a back end that compares by the cosine.
    #[error("the back end has no PLDA: it compares by the cosine")]
    NoPlda,

    /// Scores or quality measures from which no calibration can be learnt.
    #[error("{0}")]
    Uncalibratable(String),

    /// A quality measure without a value for an utterance or model.
    #[error("{} names of the trials have no value in {table}: {names}", names.total())]
    NoQuality {
        /// The table.
        table: String,
        /// The names.
        names: NameList,
    },

    /// Utterances or models of the trials without a speaker.
    #[error("{} names of the trials have no speaker in {utt2spk}: {names}", names.total())]
    NoSpeaker {
        /// The table of speakers.
        utt2spk: String,
        /// The names.
        names: NameList,
    },

    /// A calibration given other scores or quality measures than it was trained on.
    #[error("found {found} {what}, expected {expected} as the calibration was trained on")]
    CalibrationInput {
        /// Score files or quality measures.
        what: &'static str,
        /// What was given.
        found: String,
        /// What the calibration takes.
        expected: String,
    },

    /// Trials whose utterances a table says nothing about.
    #[error(
        "{trials} of {of} trials belong nowhere: no value in {table} for {utterances}; \
         complete the table, or leave these trials out"
    )]
    MissingValues {
        /// The table.
        table: String,
        /// Number of trials concerned.
        trials: usize,
        /// Number of trials in the list.
        of: usize,
        /// The utterances without a value.
        utterances: NameList,
    },

    /// Utterances whose speaker is not known.
    #[error(
        "no speaker in {table} for {utterances}: the intervals are over speakers, expected one for each utterance"
    )]
    MissingSpeakers {
        /// The table.
        table: String,
        /// The utterances without a speaker.
        utterances: NameList,
    },

    /// Trials that a score file does not hold.
    #[error(
        "{} of {of} trials have no score in {path}: {trials}; \
         score them, or leave them out", trials.total()
    )]
    MissingScores {
        /// The score file.
        path: String,
        /// Number of trials in the list.
        of: usize,
        /// The trials without score.
        trials: NameList,
    },

    /// A file that must hold a score for each trial cannot be written when some were skipped.
    #[error(
        "{skipped} of {of} trials have no score, expected one for each: this format has a line for every trial and no names"
    )]
    SkippedTrials {
        /// Trials without score.
        skipped: usize,
        /// Trials in the list.
        of: usize,
    },

    /// Labels, scores and trials that are not equally many.
    #[error("found {found} {what}, expected one for each of {expected} trials")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many trials there are.
        expected: usize,
    },
}
