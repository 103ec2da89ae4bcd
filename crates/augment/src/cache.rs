//! A map of bounded size that all threads share.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bookkeeping of an entry besides its own content: map slots, counters, the allocation of the `Arc`.
const ENTRY_BYTES: usize = 128;

/// How a cache has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheUse {
    /// Look-ups that found their value.
    pub hits: u64,
    /// Look-ups that had to make it.
    pub misses: u64,
    /// Bytes held now.
    pub bytes: usize,
}

/// Values by key, the least recently used dropped first once their sizes pass a budget.
///
/// A value must depend on its key alone: then what callers see does not depend on the budget, on other threads or on the
/// order of look-ups. Values are made outside of the lock, so two threads may make the same one; the first is kept.
pub(crate) struct Cache<K, V> {
    budget: usize,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Keys by the time of their last use.
    order: BTreeMap<u64, K>,
    clock: u64,
    usage: CacheUse,
}

struct Entry<V> {
    value: Arc<V>,
    bytes: usize,
    used: u64,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    /// An empty cache of at most `budget` bytes.
    pub(crate) fn new(budget: usize) -> Self {
        let state =
            State { entries: HashMap::new(), order: BTreeMap::new(), clock: 0, usage: CacheUse::default() };
        Self { budget, state: Mutex::new(state) }
    }

    /// The value of `key`, made by `make` if it is not here. `bytes` tells the size of a value.
    pub(crate) fn get_or_make<E>(
        &self,
        key: &K,
        bytes: impl FnOnce(&V) -> usize,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<V>, E> {
        if let Some(value) = self.lock().find(key) {
            return Ok(value);
        }
        let value = Arc::new(make()?);
        let bytes = bytes(&value) + ENTRY_BYTES;
        if bytes <= self.budget {
            self.lock().keep(key, &value, bytes, self.budget);
        }
        Ok(value)
    }

    pub(crate) fn usage(&self) -> CacheUse {
        self.lock().usage
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        // A thread that died elsewhere leaves the maps whole: nothing in here calls out while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone, V> State<K, V> {
    fn find(&mut self, key: &K) -> Option<Arc<V>> {
        let Some(entry) = self.entries.get_mut(key) else {
            self.usage.misses += 1;
            return None;
        };
        self.usage.hits += 1;
        self.clock += 1;
        if let Some(key) = self.order.remove(&entry.used) {
            self.order.insert(self.clock, key);
        }
        entry.used = self.clock;
        Some(Arc::clone(&entry.value))
    }

    fn keep(&mut self, key: &K, value: &Arc<V>, bytes: usize, budget: usize) {
        if self.entries.contains_key(key) {
            return;
        }
        while self.usage.bytes + bytes > budget {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.usage.bytes -= entry.bytes;
            }
        }
        self.clock += 1;
        self.usage.bytes += bytes;
        self.order.insert(self.clock, key.clone());
        self.entries.insert(key.clone(), Entry { value: Arc::clone(value), bytes, used: self.clock });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn look_up(cache: &Cache<u32, Vec<u8>>, key: u32, len: usize) -> usize {
        let value = cache
            .get_or_make(&key, Vec::len, || Ok::<_, Infallible>(vec![0; len]))
            .unwrap_or_else(|e| match e {});
        value.len()
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::new(3 * (100 + ENTRY_BYTES));
        for key in [1, 2, 3, 1, 4] {
            look_up(&cache, key, 100);
        }
        let before = cache.usage();
        assert_eq!((before.hits, before.misses, before.bytes), (1, 4, 3 * (100 + ENTRY_BYTES)));
        look_up(&cache, 1, 100);
        look_up(&cache, 3, 100);
        assert_eq!(cache.usage().hits, 3);
        look_up(&cache, 2, 100);
        assert_eq!(cache.usage().misses, 5, "2 was dropped for 4");
    }

    #[test]
    fn what_is_larger_than_the_budget_is_given_but_not_kept() {
        let cache = Cache::new(500);
        assert_eq!(look_up(&cache, 1, 1000), 1000);
        assert_eq!(look_up(&cache, 1, 1000), 1000);
        assert_eq!(cache.usage(), CacheUse { hits: 0, misses: 2, bytes: 0 });
    }

    #[test]
    fn failures_are_not_kept() {
        let cache: Cache<u32, Vec<u8>> = Cache::new(1000);
        assert_eq!(cache.get_or_make(&1, Vec::len, || Err("no")), Err("no"));
        assert_eq!(look_up(&cache, 1, 10), 10);
    }

    #[test]
    fn threads_share_it_within_the_budget() {
        let cache = Cache::new(20 * (100 + ENTRY_BYTES));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let cache = &cache;
                scope.spawn(move || {
                    for step in 0..2000u32 {
                        let key = (step * 7 + thread) % 40;
                        assert_eq!(look_up(cache, key, 90 + key as usize % 10), 90 + key as usize % 10);
                    }
                });
            }
        });
        let usage = cache.usage();
        assert!(usage.bytes <= 20 * (100 + ENTRY_BYTES) && usage.hits > 0, "{usage:?}");
        assert_eq!(usage.hits + usage.misses, 8000);
    }
}
