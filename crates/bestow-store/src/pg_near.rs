//! What several pieces of work are about to read, read for all of them at once; what they reserve, written at once.
//!
//! A group of questions to the gateway is decided one after the other, in one transaction that no other may overtake.
//! Each on its own would be half a dozen ways to the server and back. So the group's answers are fetched first, kept
//! near for the rest of the transaction, and brought up to date by what the pieces reserve. Any other statement that
//! would change what is kept makes it forgotten, and any that would miss what is not written yet has it written first:
//! so nobody sees a difference, whether they asked ahead or not.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::try_join4;

use crate::campaigns::Campaign;
use crate::gateway::{self, Reservation};
use crate::grants::Grant;
use crate::pg_types::Column;
use crate::postgres::{Session, Statement};
use crate::promotions::Promotion;
use crate::triggers::Taken;
use crate::{Error, Row, Tx, Value, pairs};

/// What the server said to a statement that returns nothing.
type Answered = Result<(), tokio_postgres::Error>;

/// What a piece of work is going to read. A guess: what is left out is read when it is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ahead {
    /// The tenant's number.
    pub tenant: i64,
    /// Whose reservations and exclusion.
    pub customer: String,
    /// Campaigns by id.
    pub campaigns: Vec<String>,
    /// Promotions by folded code.
    pub codes: Vec<String>,
    /// Those of them of which the customer's grants are counted.
    pub counted_for_customer: Vec<String>,
    /// Those of them of which all that is taken is counted.
    pub counted_for_all: Vec<String>,
}

/// A tenant's number and a text that is a key there.
type Key = (i64, String);

/// What is kept near in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Near {
    pub(crate) reservations: HashMap<Key, Vec<Reservation>>,
    pub(crate) excluded: HashMap<Key, Vec<String>>,
    /// None: there is no such promotion.
    pub(crate) promotions: HashMap<Key, Option<Promotion>>,
    /// None: there is no such campaign.
    pub(crate) campaigns: HashMap<Key, Option<Campaign>>,
    /// By customer, then by code.
    pub(crate) grants: HashMap<Key, HashMap<String, Vec<Grant>>>,
    pub(crate) taken: HashMap<Key, Taken>,
    pending: Pending,
}

/// What is still to be written, in the order of keys.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// By tenant, customer, campaign and action.
    reservations: BTreeMap<(i64, String, String, i64), Put>,
    /// By how much the room that is reserved of a code changes.
    reserved: BTreeMap<Key, i64>,
    /// By tenant.
    lapsed: BTreeMap<i64, Lapsed>,
}

/// A reservation that is to be written.
#[derive(Debug)]
struct Put {
    new: Reservation,
    place: Place,
}

/// Where a reservation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nobody else has the turn, so nothing can be there.
    Free,
    /// One for the same question is there.
    Taken,
}

/// Lapsed reservations that are to be dropped.
#[derive(Debug, Clone, Copy, Default)]
struct Lapsed {
    /// They lapsed until then, in milliseconds.
    now_ms: i64,
    /// At most so many.
    limit: u32,
}

/// The tables whose rows are kept near.
const KEPT: [&str; 6] = [
    "reservation",
    "exclusion",
    "promotion",
    "campaign",
    "grants",
    "promotion_count",
];

/// What a statement has to do with what is kept near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nearness {
    /// It may see what is still to be written.
    meets_pending: bool,
    /// What is kept is not true any more once it ran.
    outdates: bool,
}

impl Nearness {
    /// Of a statement as it is written. Rather too much than too little.
    pub(crate) fn of(sql: &str) -> Self {
        let meets_pending = sql.contains("reservation") || sql.contains("promotion_count");
        let mut words = sql
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .flat_map(str::split_whitespace);
        let outdates = match (words.next(), words.next(), words.next()) {
            (Some("SELECT"), ..) => false,
            (Some("INSERT" | "DELETE"), Some("INTO" | "FROM"), Some(table))
            | (Some("UPDATE"), Some(table), _) => KEPT.contains(&table),
            _ => true,
        };
        Self {
            meets_pending,
            outdates,
        }
    }
}

impl Near {
    fn has_pending(&self) -> bool {
        !self.pending.reservations.is_empty()
            || !self.pending.reserved.is_empty()
            || !self.pending.lapsed.is_empty()
    }

    /// Lets everything go, what is still to be written too.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn forget(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        *self = Self {
            pending,
            ..Self::default()
        };
    }

    pub(crate) fn reservations(&self, tenant: i64, customer: &str) -> Option<Vec<Reservation>> {
        self.reservations
            .get(&(tenant, customer.to_owned()))
            .cloned()
    }

    pub(crate) fn excluded_from(&self, tenant: i64, customer: &str) -> Option<Vec<String>> {
        self.excluded.get(&(tenant, customer.to_owned())).cloned()
    }

    pub(crate) fn grants(
        &self,
        tenant: i64,
        customer: &str,
        code_fold: &str,
    ) -> Option<Vec<Grant>> {
        let of_customer = self.grants.get(&(tenant, customer.to_owned()))?;
        of_customer.get(code_fold).cloned()
    }

    pub(crate) fn taken(&self, tenant: i64, code_fold: &str) -> Option<Taken> {
        let key = (tenant, code_fold.to_owned());
        let taken = self.taken.get(&key)?;
        let further = self.pending.reserved.get(&key).copied().unwrap_or_default();
        Some(Taken {
            reserved: taken.reserved.saturating_add_signed(further),
            ..*taken
        })
    }

    /// Keeps a reservation in place of an older one for the same question, to be written later. False where it is not
    /// known what the customer has.
    fn reserve(&mut self, tenant: i64, new: &Reservation) -> bool {
        let Some(known) = self.reservations.get_mut(&(tenant, new.customer.clone())) else {
            return false;
        };
        let is_same = |one: &Reservation| one.campaign == new.campaign && one.action == new.action;
        let reserved = &mut self.pending.reserved;
        let mut add = |of: &Reservation, n: i64| {
            for code in of.codes() {
                *reserved.entry((tenant, code.to_owned())).or_default() += n;
            }
        };
        let mut place = Place::Free;
        if let Some(at) = known.iter().position(is_same) {
            let old = known.remove(at);
            if old.consumed_by.is_none() {
                add(&old, -1);
            }
            place = Place::Taken;
        }
        add(new, 1);
        known.push(new.clone());
        let (customer, campaign) = (new.customer.clone(), new.campaign.clone());
        let key = (tenant, customer, campaign, new.action);
        let all = &mut self.pending.reservations;
        // One that replaces another which is not written yet goes where that would have gone.
        let place = all.get(&key).map_or(place, |before| before.place);
        let new = new.clone();
        all.insert(key, Put { new, place });
        true
    }
}

impl Session {
    /// To be called before a statement that is not one of this file's.
    pub(crate) fn give_way(&self, to: Nearness) -> Result<(), Error> {
        if to.meets_pending && self.near.borrow().has_pending() {
            self.write_pending()?;
        }
        if to.outdates {
            self.near.borrow_mut().forget();
        }
        Ok(())
    }

    /// Keeps a reservation to be written before the commit. False where it has to be written now.
    pub(crate) fn reserve_later(&self, tenant: i64, new: &Reservation) -> bool {
        let is_kept = self.near.borrow_mut().reserve(tenant, new);
        if is_kept {
            self.add_changes(1);
        }
        is_kept
    }

    /// Drops lapsed reservations before the commit. False where they have to be dropped now.
    pub(crate) fn drop_lapsed_later(&self, tenant: i64, now_ms: i64, limit: u32) -> bool {
        let mut near = self.near.borrow_mut();
        let is_near = !near.reservations.is_empty();
        if is_near {
            let lapsed = near.pending.lapsed.entry(tenant).or_default();
            lapsed.limit += limit;
            lapsed.now_ms = now_ms;
        }
        is_near
    }

    /// Drops lapsed reservations now, the longest lapsed first and at most `limit`. Tells how many there were.
    pub(crate) fn drop_lapsed(&self, tenant: i64, now_ms: i64, limit: u32) -> Result<usize, Error> {
        if self.near.borrow().has_pending() {
            self.write_pending()?;
        }
        let row = [tenant.into(), now_ms.into(), limit.into()];
        let found = self.answer_columns(pairs::DROP_LAPSED, &[row])?;
        let dropped = match found.first() {
            Some(row) => Row::Postgres(row).count(0)? as usize,
            None => 0,
        };
        if dropped > 0 {
            self.near.borrow_mut().forget();
        }
        Ok(dropped)
    }

    /// Writes what waits.
    fn write_pending(&self) -> Result<(), Error> {
        let pending = self.take_pending();
        let statements = self.statements_for(&pending)?;
        self.ask("write_pending", self.send(&pending, &statements))
    }

    /// What is still to be written; it is the caller's now.
    pub(crate) fn take_pending(&self) -> Pending {
        let mut near = self.near.borrow_mut();
        // The counts that were read are those before.
        near.taken.clear();
        std::mem::take(&mut near.pending)
    }

    /// The statements that write it: those that are needed.
    pub(crate) fn statements_for(
        &self,
        pending: &Pending,
    ) -> Result<[Option<Statement>; 4], Error> {
        let is_put = |at| pending.reservations.values().any(|put| put.place == at);
        let needed = [
            (is_put(Place::Free), pairs::INSERT_RESERVATIONS),
            (is_put(Place::Taken), pairs::PUT_RESERVATIONS),
            (!pending.lapsed.is_empty(), pairs::DROP_LAPSED),
            (!pending.reserved.is_empty(), pairs::ADD_RESERVED),
        ];
        let [insert, put, drop, add] =
            needed.map(|(is_needed, sql)| is_needed.then(|| self.prepare(sql)).transpose());
        Ok([insert?, put?, drop?, add?])
    }

    /// Writes it: the reservations first, so that one which is renewed does not count as lapsed.
    pub(crate) async fn send(
        &self,
        pending: &Pending,
        statements: &[Option<Statement>; 4],
    ) -> Answered {
        let placed = |place| {
            let here = pending
                .reservations
                .iter()
                .filter(move |(_, put)| put.place == place);
            here.map(|((tenant, ..), put)| gateway::columns(*tenant, &put.new))
                .collect::<Vec<_>>()
        };
        let (free, taken) = (placed(Place::Free), placed(Place::Taken));
        let lapsed = pending
            .lapsed
            .iter()
            .map(|(tenant, lapsed)| [(*tenant).into(), lapsed.now_ms.into(), lapsed.limit.into()]);
        let reserved = pending.reserved.iter().filter(|(_, n)| **n != 0);
        let reserved =
            reserved.map(|((tenant, code), n)| [(*tenant).into(), code.into(), (*n).into()]);
        let (lapsed, reserved): (Vec<_>, Vec<_>) = (lapsed.collect(), reserved.collect());
        let [insert, put, drop, add] = statements;
        try_join4(
            self.put_columns(insert.as_ref(), &free),
            self.put_columns(put.as_ref(), &taken),
            self.put_columns(drop.as_ref(), &lapsed),
            self.put_columns(add.as_ref(), &reserved),
        )
        .await
        .map(|_| ())
    }

    async fn put_columns<const N: usize>(
        &self,
        statement: Option<&Statement>,
        rows: &[[Value<'_>; N]],
    ) -> Answered {
        let Some(statement) = statement.filter(|_| !rows.is_empty()) else {
            return Ok(());
        };
        let columns: Vec<_> = (0..N).map(|at| Column { rows, at }).collect();
        let put = self.client.execute_raw(&statement.prepared, &columns);
        put.await.map(|_| ())
    }
}

impl Tx<'_> {
    /// What is near, if it is what `look` looks for.
    pub(crate) fn near<T>(&self, look: impl FnOnce(&Near) -> Option<T>) -> Option<T> {
        self.session()
            .and_then(|session| look(&session.near.borrow()))
    }
}
