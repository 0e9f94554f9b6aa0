//! Waking whoever waits, in this process and in the others on the same database.
//!
//! A ring is a courtesy: whoever waits for one looks by itself, too. So a ring that is lost costs a moment only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// What other processes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Word {
    /// There is work.
    Work = 1,
    /// A notification waits.
    Arrived = 2,
    /// Who may come in has changed.
    Directory = 4,
    /// Campaigns or promotions have changed.
    Facts = 8,
}

impl Word {
    const ALL: [Self; 4] = [Self::Work, Self::Arrived, Self::Directory, Self::Facts];
}

/// What is to be told to the other processes, and has not been yet.
#[derive(Debug, Default)]
pub struct Crier {
    untold: AtomicU8,
    told: Notify,
}

impl Crier {
    /// Has a word told. What is said several times before it is told is told once.
    pub fn say(&self, word: Word) {
        self.untold.fetch_or(word as u8, Ordering::SeqCst);
        self.told.notify_one();
    }

    /// Waits until there is something to tell, and gives it as one text.
    pub async fn next(&self) -> String {
        loop {
            let untold = self.untold.swap(0, Ordering::SeqCst);
            if untold != 0 {
                return untold.to_string();
            }
            self.told.notified().await;
        }
    }
}

/// The words of a text of [`Crier::next`]. One that cannot be read, as the empty one, means all of them: something may
/// have been missed.
pub fn words(text: &str) -> impl Iterator<Item = Word> + use<> {
    let told = text.parse().unwrap_or(u8::MAX);
    Word::ALL
        .into_iter()
        .filter(move |word| told & *word as u8 != 0)
}

/// Wakes whoever waits for it.
#[derive(Debug)]
pub struct Bell {
    here: Notify,
    crier: Arc<Crier>,
    word: Word,
}

impl Bell {
    /// One that is heard elsewhere as a word.
    pub fn new(crier: &Arc<Crier>, word: Word) -> Self {
        Self {
            here: Notify::new(),
            crier: Arc::clone(crier),
            word,
        }
    }

    /// Rings, here and elsewhere. Kept for the next who waits where nobody waits yet.
    pub fn notify_one(&self) {
        self.ring_here();
        self.crier.say(self.word);
    }

    /// Rings in this process only.
    pub fn ring_here(&self) {
        self.here.notify_one();
    }

    /// Waits for a ring.
    pub async fn notified(&self) {
        self.here.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn words_are_told_together_and_once() {
        let crier = Arc::new(Crier::default());
        let bell = Bell::new(&crier, Word::Work);
        bell.notify_one();
        bell.notify_one();
        crier.say(Word::Facts);
        let told: Vec<_> = words(&crier.next().await).collect();
        assert_eq!(told, [Word::Work, Word::Facts]);
        bell.notified().await;
        assert_eq!(crier.untold.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_cannot_be_read_means_everything() {
        assert_eq!(words("").collect::<Vec<_>>(), Word::ALL);
        assert_eq!(words("soon").collect::<Vec<_>>(), Word::ALL);
        assert_eq!(words("2").collect::<Vec<_>>(), [Word::Arrived]);
    }
}
