//! What several pieces of work are about to read, read for all of them at once; what they reserve, written at once.
//!
//! A group of questions to the gateway is decided one after the other, in one transaction that no other may overtake.
//! Each on its own would be half a dozen ways to the server and back. So the group's answers are fetched first, kept
//! near for the rest of the transaction, and brought up to date by what the pieces reserve. Any other statement that
//! would change what is kept makes it forgotten, and any that would miss what is not written yet has it written first:
//! so nobody sees a difference, whether they asked ahead or not.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::TryStreamExt as _;
use futures_util::future::{try_join, try_join3};
use tokio_postgres::Row as Found;

use crate::campaigns::{self, Campaign};
use crate::gateway::{self, Reservation};
use crate::grants::{self, Grant};
use crate::pg_types::Column;
use crate::postgres::{Session, Statement};
use crate::promotions::{self, Promotion};
use crate::triggers::Taken;
use crate::{Error, Row, Tx, Value, pairs};

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
    reservations: HashMap<Key, Vec<Reservation>>,
    excluded: HashMap<Key, bool>,
    /// None: there is no such promotion.
    pub(crate) promotions: HashMap<Key, Option<Promotion>>,
    /// None: there is no such campaign.
    pub(crate) campaigns: HashMap<Key, Option<Campaign>>,
    /// By customer, then by code.
    grants: HashMap<Key, HashMap<String, Vec<Grant>>>,
    taken: HashMap<Key, Taken>,
    pending: Pending,
}

/// What is still to be written, in the order of keys.
#[derive(Debug, Default)]
struct Pending {
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

    pub(crate) fn is_excluded(&self, tenant: i64, customer: &str) -> Option<bool> {
        self.excluded.get(&(tenant, customer.to_owned())).copied()
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

    /// Makes room for the answers about `wanted`: what is not found is known to be missing.
    fn expect(&mut self, wanted: &[&Ahead]) {
        for one in wanted {
            let key = |text: &String| (one.tenant, text.clone());
            let customer = key(&one.customer);
            self.reservations.entry(customer.clone()).or_default();
            self.excluded.entry(customer.clone()).or_default();
            for id in &one.campaigns {
                self.campaigns.entry(key(id)).or_default();
            }
            for code in &one.codes {
                self.promotions.entry(key(code)).or_default();
            }
            for code in &one.counted_for_customer {
                let of_customer = self.grants.entry(customer.clone()).or_default();
                of_customer.entry(code.clone()).or_default();
            }
            for code in &one.counted_for_all {
                self.taken.entry(key(code)).or_default();
            }
        }
    }
}

/// The keys of what is wanted, each once.
#[derive(Default)]
struct Wanted<'a> {
    customers: BTreeSet<(i64, &'a str)>,
    campaigns: BTreeSet<(i64, &'a str)>,
    codes: BTreeSet<(i64, &'a str)>,
    counted_for_customer: BTreeSet<(i64, &'a str, &'a str)>,
    counted_for_all: BTreeSet<(i64, &'a str)>,
}

impl<'a> Wanted<'a> {
    fn new(all: &[&'a Ahead]) -> Self {
        let mut this = Self::default();
        for one in all {
            let key = |text: &'a String| (one.tenant, text.as_str());
            this.customers.insert(key(&one.customer));
            this.campaigns.extend(one.campaigns.iter().map(key));
            this.codes.extend(one.codes.iter().map(key));
            let of_customer = |code: &'a String| (one.tenant, one.customer.as_str(), code.as_str());
            let codes = one.counted_for_customer.iter();
            this.counted_for_customer.extend(codes.map(of_customer));
            this.counted_for_all
                .extend(one.counted_for_all.iter().map(key));
        }
        this
    }
}

fn rows<'v>(keys: &BTreeSet<(i64, &'v str)>) -> Vec<[Value<'v>; 2]> {
    keys.iter()
        .map(|(tenant, text)| [(*tenant).into(), (*text).into()])
        .collect()
}

impl Session {
    /// Fetches what pieces of work are about to read, and keeps it near until the transaction ends.
    pub(crate) fn look_ahead(&self, all: &[&Ahead]) -> Result<(), Error> {
        if all.is_empty() {
            return Ok(());
        }
        let wanted = Wanted::new(all);
        let (customers, campaigns) = (rows(&wanted.customers), rows(&wanted.campaigns));
        let (codes, counted) = (rows(&wanted.codes), rows(&wanted.counted_for_all));
        let of_customer: Vec<_> = wanted
            .counted_for_customer
            .iter()
            .map(|(tenant, customer, code)| [(*tenant).into(), (*customer).into(), (*code).into()])
            .collect();
        let statements = [
            pairs::RESERVATIONS_OF,
            pairs::EXCLUDED_OF,
            pairs::CAMPAIGNS_OF,
            pairs::PROMOTIONS_OF,
            pairs::GRANTS_FOR_CODES,
            pairs::TAKEN_OF,
        ];
        let [reservations, excluded, known, promotions, grants, taken] =
            statements.map(|sql| self.prepare(sql));
        let (reservations, excluded, known) = (reservations?, excluded?, known?);
        let (promotions, grants, taken) = (promotions?, grants?, taken?);
        let found = self.ask(
            "look_ahead",
            try_join3(
                try_join(
                    self.find(&reservations, &customers),
                    self.find(&excluded, &customers),
                ),
                try_join(
                    self.find(&known, &campaigns),
                    self.find(&promotions, &codes),
                ),
                try_join(
                    self.find(&grants, &of_customer),
                    self.find(&taken, &counted),
                ),
            ),
        )?;
        let ((reservations, excluded), (campaigns, promotions), (grants, taken)) = found;
        let mut near = self.near.borrow_mut();
        near.expect(all);
        near.keep_of_customers(&reservations, &excluded, &grants)?;
        near.keep_terms(&campaigns, &promotions, &taken)
    }

    async fn find<const N: usize>(
        &self,
        statement: &Statement,
        rows: &[[Value<'_>; N]],
    ) -> Result<Vec<Found>, tokio_postgres::Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let columns: Vec<_> = (0..N).map(|at| Column { rows, at }).collect();
        let found = self.client.query_raw(&statement.prepared, &columns).await?;
        found.try_collect().await
    }

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
        let mut reserved = BTreeMap::new();
        let dropped = self.free_lapsed(tenant, Lapsed { now_ms, limit }, &mut reserved)?;
        if dropped > 0 {
            self.near.borrow_mut().forget();
            self.add_reserved(&reserved)?;
        }
        Ok(dropped)
    }

    /// Writes what waits: the reservations first, so that one which is renewed does not count as lapsed.
    pub(crate) fn write_pending(&self) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.near.borrow_mut().pending);
        let Pending {
            reservations,
            mut reserved,
            lapsed,
        } = pending;
        for (place, sql) in [
            (Place::Free, pairs::INSERT_RESERVATIONS),
            (Place::Taken, pairs::PUT_RESERVATIONS),
        ] {
            let here = reservations.iter().filter(|(_, put)| put.place == place);
            let rows = here.map(|((tenant, ..), put)| gateway::columns(*tenant, &put.new));
            self.answer_columns(sql, &rows.collect::<Vec<_>>())?;
        }
        for (tenant, lapsed) in lapsed {
            self.free_lapsed(tenant, lapsed, &mut reserved)?;
        }
        self.add_reserved(&reserved)?;
        // The counts that were read are those before.
        self.near.borrow_mut().taken.clear();
        Ok(())
    }

    /// Drops lapsed reservations and adds to `reserved` what room that frees.
    fn free_lapsed(
        &self,
        tenant: i64,
        lapsed: Lapsed,
        reserved: &mut BTreeMap<Key, i64>,
    ) -> Result<usize, Error> {
        let row = [tenant.into(), lapsed.now_ms.into(), lapsed.limit.into()];
        let statement = self.prepare(pairs::DROP_LAPSED)?;
        let found = self.answer(&statement, &row)?;
        for row in &found {
            let row = Row::Postgres(row);
            if row.opt_text(1)?.is_none() {
                for code in row.str(0)?.lines() {
                    *reserved.entry((tenant, code.to_owned())).or_default() -= 1;
                }
            }
        }
        Ok(found.len())
    }

    fn add_reserved(&self, reserved: &BTreeMap<Key, i64>) -> Result<(), Error> {
        let rows: Vec<_> = reserved
            .iter()
            .filter(|(_, n)| **n != 0)
            .map(|((tenant, code), n)| [(*tenant).into(), code.into(), (*n).into()])
            .collect();
        self.answer_columns(pairs::ADD_RESERVED, &rows).map(|_| ())
    }
}

/// A row, and how many columns it has: the last ones are its key.
fn to_the_end(row: &Found) -> (Row<'_>, usize) {
    (Row::Postgres(row), row.len())
}

impl Near {
    fn keep_of_customers(
        &mut self,
        reservations: &[Found],
        excluded: &[Found],
        grants: &[Found],
    ) -> Result<(), Error> {
        for (row, end) in reservations.iter().map(to_the_end) {
            let one = gateway::reservation(&row)?;
            let key = (row.int(end - 1)?, one.customer.clone());
            self.reservations.entry(key).or_default().push(one);
        }
        for row in excluded.iter().map(Row::Postgres) {
            self.excluded.insert((row.int(0)?, row.text(1)?), true);
        }
        for (row, end) in grants.iter().map(to_the_end) {
            let of_customer = self
                .grants
                .entry((row.int(end - 3)?, row.text(end - 2)?))
                .or_default();
            let of_code = of_customer.entry(row.text(end - 1)?).or_default();
            of_code.push(grants::grant(&row)?);
        }
        Ok(())
    }

    fn keep_terms(
        &mut self,
        campaigns: &[Found],
        promotions: &[Found],
        taken: &[Found],
    ) -> Result<(), Error> {
        for (row, end) in campaigns.iter().map(to_the_end) {
            let one = campaigns::campaign(&row)?;
            let key = (row.int(end - 1)?, one.id.clone());
            self.campaigns.insert(key, Some(one));
        }
        for (row, end) in promotions.iter().map(to_the_end) {
            let one = promotions::promotion(&row)?;
            let key = (row.int(end - 1)?, one.code_fold.clone());
            self.promotions.insert(key, Some(one));
        }
        for row in taken.iter().map(Row::Postgres) {
            let one = Taken {
                granted: row.count(2)?,
                reserved: row.count(3)?,
            };
            self.taken.insert((row.int(0)?, row.text(1)?), one);
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// What is near, if it is what `look` looks for.
    pub(crate) fn near<T>(&self, look: impl FnOnce(&Near) -> Option<T>) -> Option<T> {
        self.session()
            .and_then(|session| look(&session.near.borrow()))
    }
}
