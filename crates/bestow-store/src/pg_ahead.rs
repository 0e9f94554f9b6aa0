//! Reading ahead: what several pieces of work are about to read, fetched for all of them at once.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use futures_util::future::{try_join, try_join3};
use tokio_postgres::Row as Found;

use crate::pg_near::{Ahead, Near};
use crate::pg_types::Column;
use crate::postgres::{Session, Statement};
use crate::triggers::Taken;
use crate::{Error, Row, Value, campaigns, gateway, grants, pairs, promotions};

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
}

/// A row, and how many columns it has: the last ones are its key.
fn to_the_end(row: &Found) -> (Row<'_>, usize) {
    (Row::Postgres(row), row.len())
}

impl Near {
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
        for of_customer in self.reservations.values_mut() {
            of_customer.sort_by(|a, b| a.in_order().cmp(&b.in_order()));
        }
        for row in excluded.iter().map(Row::Postgres) {
            let from = self.excluded.entry((row.int(0)?, row.text(1)?));
            from.or_default().push(row.text(2)?);
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
