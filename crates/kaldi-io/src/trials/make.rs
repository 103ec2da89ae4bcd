//! Trials of a data directory's own utterances.

use std::collections::{BTreeSet, HashMap, HashSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Trials;
use super::grid::{Grid, Kind, Row, of_all};
use super::relation::{Relation, Relations};
use crate::{DataDir, Error, Result, Table};

/// Which trials [`DataDir::make_trials`] makes.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct TrialOptions {
    /// Target trials; `None` for all that there are.
    pub targets: Option<u64>,
    /// Non-target trials.
    pub nontargets: Nontargets,
    /// The share of non-target trials whose speakers have the same gender by `spk2gender`; `None` takes pairs as they
    /// come.
    pub same_gender: Option<f64>,
    /// Which utterances enrol: those that fulfil all of these.
    pub enrolment: Vec<Condition>,
    /// Which utterances are tested: those that fulfil all of these.
    pub test: Vec<Condition>,
    /// What holds between the two sides of every trial.
    pub relations: Vec<Relation>,
    /// How many utterances enrol a speaker together. A trial's first name is then the speaker's, and no utterance of a
    /// model is tested. `None`: single utterances enrol.
    pub enrol_utterances: Option<usize>,
    /// Seed of every choice.
    pub seed: u64,
}

/// How many non-target trials are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nontargets {
    /// As many as there are target trials, or all if there are fewer.
    #[default]
    AsTargets,
    /// All that there are.
    All,
    /// So many.
    Number(u64),
}

/// Which utterances take a side in trials: those that have one of some values in a table.
#[derive(Debug)]
pub struct Condition {
    /// A table of values by utterance.
    pub table: Table,
    /// The values.
    pub values: Vec<String>,
}

/// What [`DataDir::make_trials`] made.
#[derive(Debug)]
pub struct MadeTrials {
    /// The trials, in the order of enrolment and test in `wav.scp`.
    pub trials: Trials,
    /// Each model and its utterances, where models enrol.
    pub models: Vec<(String, Vec<String>)>,
}

impl DataDir {
    /// Makes a list of trials: pairs of different utterances, drawn at random from all there are, and never a pair
    /// twice, in whichever order.
    ///
    /// # Errors
    /// - The speakers, or genders that are asked for, are not known.
    /// - A condition leaves no utterance, or relations leave no target pair.
    /// - An utterance has no value in the table of a relation.
    /// - There are fewer pairs than asked for.
    /// - A share is not between 0 and 1.
    pub fn make_trials(&self, options: &TrialOptions) -> Result<MadeTrials> {
        let wrong = |message: String| Error::invalid(self.path(), message);
        if !self.has_speakers() {
            return Err(wrong("trials need utt2spk, and there is none".to_owned()));
        }
        if let Some(share) = options.same_gender.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(wrong(format!(
                "found {share} as the share of trials of one gender, expected 0 to 1"
            )));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let genders = self.gender_of_speakers(options.same_gender.is_some())?;
        let enrolling = self.side(&options.enrolment, "enrols")?;
        let tested = self.side(&options.test, "is tested")?;
        let (rows, tested, models) = match options.enrol_utterances {
            None => {
                (enrolling.iter().map(|&place| Row::utterance(self, place)).collect(), tested, Vec::new())
            }
            Some(count) => self.models(&enrolling, tested, count, &mut rng)?,
        };
        let relations = Relations::new(self, &options.relations, [&enrolling, &tested])?;
        let grid = Grid::new(self, &genders, &rows, &tested, &relations);
        // Pairs that cannot be counted are many.
        let all = |kind: Kind| grid.allowed(kind).unwrap_or(u64::MAX);
        let mut drawn: Vec<(u32, u32, bool)> = Vec::new();
        let mut draw = |kind: Kind, wanted: Option<u64>| -> Result<()> {
            let pairs = grid.draw(kind, wanted, &mut rng).map_err(&wrong)?;
            drawn.extend(pairs.into_iter().map(|(row, test)| (row, test, kind == Kind::Target)));
            Ok(())
        };
        if let (false, None, 0) = (relations.is_empty(), options.targets, all(Kind::Target)) {
            let message = format!("{}: no target pair is like that", relations.describe());
            return Err(wrong(message));
        }
        draw(Kind::Target, options.targets)?;
        let targets = options.targets.unwrap_or_else(|| all(Kind::Target));
        match options.same_gender {
            None => draw(
                Kind::Nontarget,
                match options.nontargets {
                    Nontargets::AsTargets => Some(targets.min(all(Kind::Nontarget))),
                    Nontargets::All => None,
                    Nontargets::Number(count) => Some(count),
                },
            )?,
            Some(share) => {
                let split = |count: u64| {
                    let same = (count as f64 * share).round() as u64;
                    (same, count - same)
                };
                let most = of_all(all(Kind::SameGender), all(Kind::OtherGender), share);
                let (same, other) = match options.nontargets {
                    Nontargets::Number(count) => split(count),
                    Nontargets::AsTargets if most.0 + most.1 > targets => split(targets),
                    Nontargets::AsTargets | Nontargets::All => most,
                };
                draw(Kind::SameGender, Some(same))?;
                draw(Kind::OtherGender, Some(other))?;
            }
        }
        drawn.sort_unstable();
        Ok(MadeTrials { trials: self.listed(&rows, &drawn), models })
    }

    /// The places of the utterances that fulfil all conditions.
    fn side(&self, conditions: &[Condition], does: &str) -> Result<Vec<u32>> {
        let mut places: Vec<u32> = (0..self.len() as u32).collect();
        for Condition { table, values } in conditions {
            let before = places.len();
            let has = |id: &str| table.find(id).is_some_and(|value| values.iter().any(|one| one == value));
            places.retain(|&place| has(self.id_at(place)));
            if places.is_empty() {
                let mut known: BTreeSet<&str> = table.iter().map(|(_, value)| value).collect();
                known.retain(|value| !values.iter().any(|one| one == value));
                let known: Vec<&str> = known.into_iter().take(10).collect();
                let of = if before == self.len() {
                    "none".to_owned()
                } else {
                    format!("of {before} that fulfil the conditions before, none")
                };
                let message = format!(
                    "no utterance {does}: {of} has the value {}; other values are {}",
                    values.join(" or "),
                    known.join(", ")
                );
                return Err(Error::invalid(table.path(), message));
            }
        }
        Ok(places)
    }

    /// A number for each speaker's gender.
    fn gender_of_speakers(&self, needed: bool) -> Result<Vec<u32>> {
        if !needed {
            return Ok(vec![0; self.speakers().len()]);
        }
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        self.speakers()
            .iter()
            .map(|speaker| {
                let gender = self.gender(speaker).ok_or_else(|| {
                    let message =
                        format!("does not say the gender of {speaker}, which a share of one gender needs");
                    Error::invalid(self.path().join("spk2gender"), message)
                })?;
                let next = numbers.len() as u32;
                Ok(*numbers.entry(gender).or_insert(next))
            })
            .collect()
    }

    /// A model of each speaker who has so many utterances that enrol, and the tested utterances that are in no model.
    fn models(
        &self,
        enrolling: &[u32],
        tested: Vec<u32>,
        count: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Models> {
        let mut of_speaker: Vec<Vec<u32>> = vec![Vec::new(); self.speakers().len()];
        for &place in enrolling {
            of_speaker[self.speaker_at(place)].push(place);
        }
        let (mut rows, mut models, mut used) = (Vec::new(), Vec::new(), HashSet::<u32>::new());
        for (speaker, mut places) in of_speaker.into_iter().enumerate() {
            if count == 0 || places.len() < count {
                continue;
            }
            for place in 0..count {
                let other = rng.random_range(place..places.len());
                places.swap(place, other);
            }
            places.truncate(count);
            places.sort_unstable();
            used.extend(&places);
            let name = self.speakers()[speaker].clone();
            let names = places.iter().map(|&place| self.id_at(place).to_owned()).collect();
            rows.push(Row { name: name.clone(), speaker, place: None, members: places });
            models.push((name, names));
        }
        if models.is_empty() {
            let message = format!("no speaker has {count} utterances that enrol");
            return Err(Error::invalid(self.path(), message));
        }
        let tested: Vec<u32> = tested.into_iter().filter(|place| !used.contains(place)).collect();
        if tested.is_empty() {
            return Err(Error::invalid(self.path(), "every utterance that could be tested is in a model"));
        }
        Ok((rows, tested, models))
    }

    fn listed(&self, rows: &[Row], drawn: &[(u32, u32, bool)]) -> Trials {
        let mut names = crate::Names::new();
        let pairs = drawn
            .iter()
            .map(|&(row, test, _)| (names.number(&rows[row as usize].name), names.number(self.id_at(test))));
        let pairs = pairs.collect();
        let labels = drawn.iter().map(|&(.., is_target)| is_target).collect();
        Trials::new(names.into_vec(), pairs, Some(labels))
    }

    pub(super) fn id_at(&self, place: u32) -> &str {
        self.utterance(place as usize).map_or("", |utterance| utterance.id)
    }

    /// The speakers are known.
    pub(super) fn speaker_at(&self, place: u32) -> usize {
        self.speaker_index_at(place as usize).unwrap_or_default()
    }
}

type Models = (Vec<Row>, Vec<u32>, Vec<(String, Vec<String>)>);
