//! What is odd about the recordings that training crops come from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::notices::{Notice, Notices};

/// The recordings of each kind of notice, by their number, so that each counts once and the order of the workers does not
/// matter. Shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct CropNotices {
    recordings: Mutex<BTreeMap<Notice, BTreeSet<u32>>>,
    ended: AtomicBool,
}

impl CropNotices {
    /// Takes note of recording number `index`, until [`end`](Self::end).
    pub(crate) fn note(&self, index: u32, notices: &[Notice]) {
        if notices.is_empty() || self.ended.load(Ordering::Relaxed) {
            return;
        }
        let mut recordings = self.recordings.lock().unwrap_or_else(PoisonError::into_inner);
        for &notice in notices {
            recordings.entry(notice).or_default().insert(index);
        }
    }

    /// What was noted, with the recordings' names. Nothing is noted from now on.
    pub(crate) fn end<'a>(&self, name: impl Fn(u32) -> &'a str) -> Notices {
        self.ended.store(true, Ordering::Relaxed);
        let recordings = self.recordings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notices = Notices::default();
        for (&notice, indices) in &*recordings {
            indices.iter().for_each(|&index| notices.note(notice, name(index)));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recording_counts_once_and_in_the_order_of_the_list() {
        let notices = CropNotices::default();
        for index in [3, 0, 3, 2, 1, 0] {
            notices.note(index, &[Notice::Repeated]);
        }
        notices.note(2, &[Notice::Silent, Notice::Repeated]);
        let names = ["a", "b", "c", "d"];
        let found = notices.end(|index| names[index as usize]);
        let repeated = found.get(Notice::Repeated).unwrap();
        assert_eq!((repeated.count, &repeated.first[..]), (4, &["a", "b", "c"].map(String::from)[..]));
        assert_eq!(found.get(Notice::Silent).unwrap().first, ["c"]);
        notices.note(0, &[Notice::Silent]);
        assert_eq!(notices.end(|index| names[index as usize]), found);
    }
}
