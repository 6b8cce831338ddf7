//! Rounds of looking at many things at once: a slow one delays no other.

use std::{
    collections::HashSet,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::Semaphore, task::JoinSet};

/// Looks under way. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Looks<K> {
    places: Arc<Semaphore>,
    running: JoinSet<()>,
    /// What they look at; an entry goes with its look, however that ends.
    busy: Arc<Mutex<HashSet<K>>>,
}

/// Takes the entry out.
struct Busy<K: Eq + Hash> {
    all: Arc<Mutex<HashSet<K>>>,
    key: K,
}

impl<K: Eq + Hash> Drop for Busy<K> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<K: Copy + Eq + Hash + Send + 'static> Looks<K> {
    /// At most `at_once` at the same time; the others wait their turn.
    pub(super) fn new(at_once: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once)), running: JoinSet::new(), busy: Arc::default() }
    }

    /// Begins one look at each, except at those whose last look is still under way.
    pub(super) fn begin<F>(&mut self, looks: impl IntoIterator<Item = (K, F)>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.running.try_join_next().is_some() {}
        for (key, look) in looks {
            let mut all = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            if !all.insert(key) {
                continue;
            }
            drop(all);
            let busy = Busy { all: Arc::clone(&self.busy), key };
            let places = Arc::clone(&self.places);
            self.running.spawn(async move {
                let _busy = busy;
                // It is never closed.
                let Ok(_place) = places.acquire().await else { return };
                look.await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Far more than it takes.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

    type Sent = mpsc::Sender<u32>;

    /// Says that it has begun; 1 never ends.
    async fn look(key: u32, begun: Sent) {
        begun.try_send(key).unwrap();
        if key == 1 {
            std::future::pending::<()>().await;
        }
    }

    fn round(keys: &[u32], begun: &Sent) -> Vec<(u32, impl Future<Output = ()> + use<>)> {
        keys.iter().map(|key| (*key, look(*key, begun.clone()))).collect()
    }

    #[tokio::test]
    async fn one_that_hangs_delays_no_other_and_is_not_begun_twice() {
        let (begun, mut seen) = mpsc::channel(64);
        let mut looks = Looks::new(2);
        for _ in 0..3 {
            looks.begin(round(&[1, 2, 3], &begun));
            // All but the one that hangs end before the next round.
            let ended = async {
                while looks.busy.lock().unwrap().len() > 1 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(PATIENCE, ended).await.expect("the others end");
        }
        drop(looks);
        drop(begun);
        let mut all = Vec::new();
        while let Some(key) = seen.recv().await {
            all.push(key);
        }
        all.sort_unstable();
        assert_eq!(all, [1, 2, 2, 2, 3, 3, 3]);
    }

    #[tokio::test]
    async fn only_so_many_run_at_once() {
        let (begun, mut seen) = mpsc::channel(64);
        let mut looks = Looks::new(1);
        looks.begin(round(&[1, 2], &begun));
        assert_eq!(seen.recv().await, Some(1));
        tokio::task::yield_now().await;
        assert!(seen.try_recv().is_err(), "the second waits");
        drop(looks);
        drop(begun);
        assert_eq!(seen.recv().await, None);
    }

    #[tokio::test]
    async fn a_look_that_panics_is_over() {
        let mut looks = Looks::new(1);
        looks.begin([(7, async { panic!("a bug") })]);
        while !looks.busy.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let (begun, mut seen) = mpsc::channel(64);
        looks.begin([(7, look(7, begun))]);
        assert_eq!(seen.recv().await, Some(7));
    }
}
