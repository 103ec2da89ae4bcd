//! All pairs of what enrols and what is tested, of each kind: counted, and drawn by number.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::relation::Relations;
use crate::DataDir;

/// Most trials that are made: a list of them has some hundred gigabytes.
const MOST_TRIALS: u64 = 1 << 32;

/// Most pairs that are looked at one by one.
const COUNTABLE: u64 = 1 << 30;

/// How many pairs are drawn at most for one that is wanted, where there are too many to be counted.
const MOST_DRAWS: u64 = 1000;

/// What enrols: an utterance or a model.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) speaker: usize,
    /// Of an utterance.
    pub(super) place: Option<u32>,
    /// The utterances of a model.
    pub(super) members: Vec<u32>,
}

impl Row {
    pub(super) fn utterance(dir: &DataDir, place: u32) -> Self {
        let (name, speaker) = (dir.id_at(place).to_owned(), dir.speaker_at(place));
        Self { name, speaker, place: Some(place), members: Vec::new() }
    }

    /// The places of what enrols.
    pub(super) fn members(&self) -> &[u32] {
        self.place.as_ref().map_or(&self.members, std::slice::from_ref)
    }
}

/// Which pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Target,
    Nontarget,
    SameGender,
    OtherGender,
}

impl Kind {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Nontarget => "non-target",
            Self::SameGender => "non-target (same gender)",
            Self::OtherGender => "non-target (other gender)",
        }
    }
}

/// All pairs of a row and a tested utterance, countable and numbered without being listed.
///
/// The tested utterances are in the order of gender and speaker, so that the partners of a row are a few ranges of them.
/// They stand in two lists: those that are only tested, and those that also enrol, of which a row takes only later ones,
/// so that no pair comes in both orders.
pub(super) struct Grid<'a> {
    rows: &'a [Row],
    lists: [Tested; 2],
    /// Place of each row in the second list, if it is there.
    own: Vec<Option<usize>>,
    genders: &'a [u32],
    /// Pairs before each row, and in all, by kind, whatever the relations.
    starts: HashMap<u8, Vec<u64>>,
    relations: &'a Relations,
    /// Pairs for which the relations hold, by kind, once they are counted.
    allowed: [OnceCell<Option<u64>>; 4],
}

/// Tested utterances in the order of gender and speaker.
struct Tested {
    places: Vec<u32>,
    /// Range of each speaker and of each gender.
    speakers: HashMap<usize, (usize, usize)>,
    genders: HashMap<u32, (usize, usize)>,
}

impl Tested {
    fn new(dir: &DataDir, genders: &[u32], mut places: Vec<u32>) -> Self {
        places.sort_unstable_by_key(|&place| {
            let speaker = dir.speaker_at(place);
            (genders[speaker], speaker, place)
        });
        let (mut speakers, mut of_gender) = (HashMap::new(), HashMap::new());
        for (at, &place) in places.iter().enumerate() {
            let speaker = dir.speaker_at(place);
            speakers.entry(speaker).or_insert((at, at)).1 = at + 1;
            of_gender.entry(genders[speaker]).or_insert((at, at)).1 = at + 1;
        }
        Self { places, speakers, genders: of_gender }
    }

    /// The partners of a row from place `from` on, as ranges.
    fn ranges(&self, kind: Kind, speaker: usize, gender: u32, from: usize) -> [(usize, usize); 2] {
        let end = self.places.len();
        let (first, last) = self.speakers.get(&speaker).copied().unwrap_or((end, end));
        let (low, high) = self.genders.get(&gender).copied().unwrap_or((end, end));
        let ranges = match kind {
            Kind::Target => [(first, last), (end, end)],
            Kind::Nontarget => [(0, first), (last, end)],
            Kind::SameGender => [(low, first.min(high)), (last.max(low).min(high), high)],
            Kind::OtherGender => [(0, low), (high, end)],
        };
        ranges.map(|(start, end)| (start.max(from), end.max(start.max(from))))
    }
}

impl<'a> Grid<'a> {
    pub(super) fn new(
        dir: &DataDir,
        genders: &'a [u32],
        rows: &'a [Row],
        tested: &[u32],
        relations: &'a Relations,
    ) -> Self {
        let enrolling: HashSet<u32> = rows.iter().filter_map(|row| row.place).collect();
        let (both, only): (Vec<u32>, Vec<u32>) = tested.iter().partition(|place| enrolling.contains(place));
        let lists = [Tested::new(dir, genders, only), Tested::new(dir, genders, both)];
        let at: HashMap<u32, usize> = lists[1].places.iter().copied().zip(0..).collect();
        let own = rows.iter().map(|row| row.place.and_then(|place| at.get(&place).copied())).collect();
        let mut grid = Self {
            rows,
            lists,
            own,
            genders,
            starts: HashMap::new(),
            relations,
            allowed: Default::default(),
        };
        for kind in [Kind::Target, Kind::Nontarget, Kind::SameGender, Kind::OtherGender] {
            let mut sum = 0;
            let mut starts = Vec::with_capacity(rows.len() + 1);
            for row in 0..rows.len() {
                starts.push(sum);
                sum += grid.ranges(kind, row).map(|(_, start, end)| (end - start) as u64).sum::<u64>();
            }
            starts.push(sum);
            grid.starts.insert(kind as u8, starts);
        }
        grid
    }

    /// List and range of a row's partners.
    fn ranges(&self, kind: Kind, row: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let speaker = self.rows[row].speaker;
        let gender = self.genders[speaker];
        let from = [0, self.own[row].map_or(0, |own| own + 1)];
        let ranges = [0, 1].map(|list: usize| self.lists[list].ranges(kind, speaker, gender, from[list]));
        ranges.into_iter().zip(0..).flat_map(|(ranges, list)| ranges.map(|(start, end)| (list, start, end)))
    }

    /// Pairs of a kind, whatever the relations.
    fn count(&self, kind: Kind) -> u64 {
        self.starts[&(kind as u8)].last().copied().unwrap_or_default()
    }

    /// Pairs of a kind for which the relations hold; `None` where they are too many to be looked at.
    pub(super) fn allowed(&self, kind: Kind) -> Option<u64> {
        *self.allowed[kind as usize].get_or_init(|| match self.count(kind) {
            count if self.relations.is_empty() => Some(count),
            count => (count <= COUNTABLE).then(|| self.related(kind).count() as u64),
        })
    }

    /// All pairs of a kind for which the relations hold, by number.
    fn related(&self, kind: Kind) -> impl Iterator<Item = (u32, u32)> {
        let pairs = (0..self.rows.len()).flat_map(move |row| {
            let ranges = self.ranges(kind, row);
            let tests = ranges.flat_map(|(list, start, end)| &self.lists[list].places[start..end]);
            tests.map(move |&test| (row as u32, test))
        });
        pairs.filter(|&(row, test)| self.relations.hold(&self.rows[row as usize], test))
    }

    /// So many pairs of a kind for which the relations hold, drawn at random; all of them where no number is wanted.
    ///
    /// # Errors
    /// There are fewer; there are too many.
    pub(super) fn draw(
        &self,
        kind: Kind,
        wanted: Option<u64>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<(u32, u32)>, String> {
        let too_few = |available: u64, count: u64| {
            format!("there are {available} {} pairs, {count} were asked for", kind.describe())
        };
        let too_many =
            |count: u64| format!("there are {count} {} pairs; ask for a number of them", kind.describe());
        let available = self.allowed(kind);
        let Some(count) = wanted.or(available).filter(|count| *count <= MOST_TRIALS) else {
            return Err(too_many(wanted.or(available).unwrap_or_else(|| self.count(kind))));
        };
        match available {
            Some(available) if count > available => Err(too_few(available, count)),
            Some(available) if self.relations.is_empty() => {
                let numbers = sample(available, count, rng);
                Ok(numbers.into_iter().map(|number| self.pair(kind, number)).collect())
            }
            Some(available) => {
                let mut numbers = sample(available, count, rng).into_iter().peekable();
                let pairs = (0..).zip(self.related(kind));
                Ok(pairs
                    .filter(|(number, _)| numbers.next_if_eq(number).is_some())
                    .map(|(_, pair)| pair)
                    .collect())
            }
            None => {
                let mut chosen = HashSet::new();
                for _ in 0..count.saturating_mul(MOST_DRAWS) {
                    if chosen.len() as u64 == count {
                        break;
                    }
                    let pair = self.pair(kind, rng.random_range(0..self.count(kind)));
                    if self.relations.hold(&self.rows[pair.0 as usize], pair.1) {
                        chosen.insert(pair);
                    }
                }
                match chosen.len() as u64 {
                    found if found < count => Err(format!(
                        "found {found} {} pairs with {}, {count} were asked for",
                        kind.describe(),
                        self.relations.describe()
                    )),
                    _ => Ok(chosen.into_iter().collect()),
                }
            }
        }
    }

    /// The pair with this number among those of a kind: a row, and the place of a tested utterance.
    fn pair(&self, kind: Kind, number: u64) -> (u32, u32) {
        let starts = &self.starts[&(kind as u8)];
        let row = starts.partition_point(|&start| start <= number) - 1;
        let mut rest = (number - starts[row]) as usize;
        for (list, start, end) in self.ranges(kind, row) {
            if rest < end - start {
                return (row as u32, self.lists[list].places[start + rest]);
            }
            rest -= end - start;
        }
        unreachable!("a row has as many partners as were counted")
    }
}

/// The largest numbers of the two kinds that are in this proportion.
pub(super) fn of_all(same: u64, other: u64, share: f64) -> (u64, u64) {
    if share <= 0.0 {
        return (0, other);
    }
    if share >= 1.0 {
        return (same, 0);
    }
    let total = (same as f64 / share).min(other as f64 / (1.0 - share));
    (((total * share) as u64).min(same), ((total * (1.0 - share)) as u64).min(other))
}

/// So many different numbers below `available`, ascending.
fn sample(available: u64, count: u64, rng: &mut ChaCha8Rng) -> Vec<u64> {
    if count == available {
        return (0..available).collect();
    }
    // Of more than half, those are drawn that stay away.
    let drawn = |count: u64, rng: &mut ChaCha8Rng| {
        // Floyd's algorithm: a number for each place, without looking at the others.
        let mut chosen = HashSet::with_capacity(count as usize);
        for top in available - count..available {
            let number = rng.random_range(0..=top);
            if !chosen.insert(number) {
                chosen.insert(top);
            }
        }
        chosen
    };
    if count > available / 2 {
        let absent = drawn(available - count, rng);
        return (0..available).filter(|number| !absent.contains(number)).collect();
    }
    let mut chosen: Vec<u64> = drawn(count, rng).into_iter().collect();
    chosen.sort_unstable();
    chosen
}
