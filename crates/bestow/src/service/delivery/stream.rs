//! What a destination hears, one event of one grant after the other, from any place on. The same places always give the
//! same events: blocks and events are only ever added, and each event says how many blocks there were.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use bestow_core::announce::{Change, GrantEvent, Later, Tells};
use bestow_store::announcements::{Block, Event, Note};
use bestow_store::destinations::Place;
use bestow_store::{Error as StoreError, Tx};

/// Events read at once.
const EVENTS_AT_ONCE: u32 = 200;

/// One event of one grant.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) event: Arc<Event>,
    block: Arc<Block>,
    entry: usize,
}

impl Told {
    /// What is told of whom.
    pub(super) fn note(&self) -> &Note {
        &self.block.notes[self.entry]
    }

    /// `grant_block.no` of the block that it stands in.
    pub(super) fn block(&self) -> &Block {
        &self.block
    }

    /// What tells this grant from others, for the order of deliveries.
    pub(super) fn key(&self) -> u64 {
        let note = self.note();
        BuildHasherDefault::<DefaultHasher>::default().hash_one((
            &note.customer,
            note.offer,
            &note.occurrence,
        ))
    }
}

/// Events between two places.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) from: Place,
    /// Exclusive. The same as `from` where nothing is left to hear.
    pub(super) to: Place,
    pub(super) told: Vec<Told>,
}

type Key<'b> = (&'b str, u32, &'b str);

/// What later blocks say of a block's grants: when the first of them was written, and the span that the last one gave.
struct Replaced(HashMap<(String, u32, String), Later>);

impl Replaced {
    fn read(tx: &mut Tx<'_>, tenant: i64, block: &Block, through: i64) -> Result<Self, StoreError> {
        let mut replaced = HashMap::new();
        for later in tx.moves_of(tenant, block, through)? {
            for note in later.notes {
                let key = (note.customer, note.offer, note.occurrence);
                let (made_at, span) = (later.made_at, note.span);
                let first = replaced.entry(key).or_insert(Later { made_at, span });
                first.span = span;
            }
        }
        Ok(Self(replaced))
    }

    fn get(&self, (customer, offer, occurrence): Key<'_>) -> Option<Later> {
        if self.0.is_empty() {
            return None;
        }
        let key = (customer.to_owned(), offer, occurrence.to_owned());
        self.0.get(&key).copied()
    }
}

fn key(note: &Note) -> Key<'_> {
    (&note.customer, note.offer, &note.occurrence)
}

/// Whether an event is about a grant of a block.
fn is_about(event: &Event, block: &Block, note: &Note, replaced: &Replaced) -> bool {
    let later = || replaced.get(key(note));
    let change = Change {
        tells: note.tells,
        span: note.span,
        made_at: block.made_at,
    };
    match event.kind {
        GrantEvent::Created => note.tells.creation,
        GrantEvent::Activated => change.is_start(event.at, event.noted_at, later()),
        GrantEvent::Expired => change.is_end(event.at, later()),
        GrantEvent::Revoked | GrantEvent::Suspended | GrantEvent::Resumed => {
            let is_of_grant = note.tells != Tells::default();
            is_of_grant && !note.span.is_over(event.at) && later().is_none()
        }
        GrantEvent::Redeemed | GrantEvent::Reversed => true,
    }
}

/// Walks the events of a tenant. Keeps the newest block at hand, as several batches are made of one.
#[derive(Debug)]
pub(super) struct Stream {
    tenant: i64,
    newest: Option<Arc<Block>>,
}

impl Stream {
    pub(super) fn new(tenant: i64) -> Self {
        Self {
            tenant,
            newest: None,
        }
    }

    /// The next events from a place on, at most so many.
    pub(super) fn next(
        &mut self,
        tx: &mut Tx<'_>,
        from: Place,
        most: usize,
    ) -> Result<Batch, StoreError> {
        self.walk(tx, from, None, most)
    }

    /// The events between two places.
    pub(super) fn between(
        &mut self,
        tx: &mut Tx<'_>,
        from: Place,
        to: Place,
    ) -> Result<Batch, StoreError> {
        self.walk(tx, from, Some(to), usize::MAX)
    }

    fn walk(
        &mut self,
        tx: &mut Tx<'_>,
        from: Place,
        end: Option<Place>,
        most: usize,
    ) -> Result<Batch, StoreError> {
        let mut batch = Batch {
            from,
            to: from,
            told: Vec::new(),
        };
        let last = end.map_or(i64::MAX, |end| end.event);
        loop {
            let events = tx.grant_events(self.tenant, batch.to.event, EVENTS_AT_ONCE)?;
            if events.is_empty() {
                return Ok(batch);
            }
            for event in events {
                if event.no > last {
                    return Ok(batch);
                }
                if event.no > batch.to.event {
                    batch.to = first_of(event.no);
                }
                let end = end.filter(|end| end.event == event.no);
                if self.tell(tx, &Arc::new(event), end, most, &mut batch)? {
                    return Ok(batch);
                }
            }
        }
    }

    /// Adds what is left of an event. True where the batch is full or at its end.
    fn tell(
        &mut self,
        tx: &mut Tx<'_>,
        event: &Arc<Event>,
        end: Option<Place>,
        most: usize,
        batch: &mut Batch,
    ) -> Result<bool, StoreError> {
        while let Some(no) = self.next_block(tx, event, batch.to.block)? {
            let (block, start) = (self.block(tx, no)?, batch.to);
            let entry = if start.block == no { start.entry } else { 0 };
            let replaced = Replaced::read(tx, self.tenant, &block, event.through)?;
            for place in entry as usize..block.notes.len() {
                batch.to = Place {
                    event: event.no,
                    block: no,
                    entry: place as i64,
                };
                if end.is_some_and(|end| batch.to >= end) || batch.told.len() == most {
                    return Ok(true);
                }
                if is_about(event, &block, &block.notes[place], &replaced) {
                    batch.told.push(Told {
                        event: Arc::clone(event),
                        block: Arc::clone(&block),
                        entry: place,
                    });
                }
            }
            batch.to = Place {
                event: event.no,
                block: no + 1,
                entry: 0,
            };
            if end.is_some_and(|end| batch.to >= end) {
                return Ok(true);
            }
        }
        batch.to = first_of(event.no + 1);
        Ok(batch.told.len() == most)
    }

    /// The number of the first block from one on that an event may be about.
    fn next_block(
        &self,
        tx: &mut Tx<'_>,
        event: &Event,
        from: i64,
    ) -> Result<Option<i64>, StoreError> {
        match event.block {
            Some(no) => Ok((from <= no).then_some(no)),
            None => tx.next_block_of(self.tenant, event.campaign, from, event.through),
        }
    }

    fn block(&mut self, tx: &mut Tx<'_>, no: i64) -> Result<Arc<Block>, StoreError> {
        if let Some(newest) = self.newest.as_ref().filter(|newest| newest.no == no) {
            return Ok(Arc::clone(newest));
        }
        let found = tx.grant_block(self.tenant, no)?;
        let found = found.ok_or_else(|| StoreError::Corrupt(format!("no block {no}")))?;
        Ok(Arc::clone(self.newest.insert(Arc::new(found))))
    }
}

fn first_of(event: i64) -> Place {
    Place {
        event,
        block: 0,
        entry: 0,
    }
}

/// Whether a grant that was told of is over by now, or somebody told of another end since.
pub(super) fn is_over_now(
    tx: &mut Tx<'_>,
    tenant: i64,
    told: &Told,
    now: i64,
) -> Result<bool, StoreError> {
    let replaced = Replaced::read(tx, tenant, told.block(), i64::MAX)?;
    let span = replaced
        .get(key(told.note()))
        .map_or(told.note().span, |later| later.span);
    Ok(span.is_over(now))
}
